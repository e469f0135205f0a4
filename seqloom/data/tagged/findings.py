"""What can be wrong with one file of tagged sentences; one function per kind of trouble."""

from collections.abc import Iterator

from seqloom.data.findings import Finding
from seqloom.data.tagged.corpus import TaggedCorpus
from seqloom.data.tagged.legality import illegal_tags
from seqloom.data.tagged.schemes import OUTSIDE

__all__ = ["label_findings", "long_sentences", "tag_findings"]

_FEW, _SHARE = 2, 0.1  # places that break a scheme, and their share of the spans, up to which they are slips
LONG = 1000  # tokens: a sentence that is probably a document


def tag_findings(corpus: TaggedCorpus) -> Iterator[Finding]:
    """Tags that break the file's scheme, with their lines; letters of two schemes; a scheme that is broken all over."""
    detection = corpus.report.scheme
    if detection is None or detection.scheme is None:
        return
    scheme, foreign = detection.scheme, False
    for sentence in corpus.sentences:
        for index, reason in illegal_tags(sentence.tags or (), scheme):
            where = sentence.where(index)
            if not foreign and sentence.tags is not None and not scheme.has(sentence.tags[index]):
                foreign = True
                letters = ", ".join(sorted(set(detection.letters) - {OUTSIDE}))
                message = (
                    f"mixed schemes within the file: the letters {letters} belong to no one scheme; convert it to one"
                )
                yield Finding("error", "schemes", where, message)
            yield Finding("warning", "illegal tags", where, f"tag {reason} in the scheme {scheme.name}")
    spans = sum(corpus.report.spans.values())
    if detection.conflicts > max(_FEW, _SHARE * spans) and not foreign:
        message = (
            f"{detection.conflicts} places break the scheme {scheme.name}, for {spans} spans; are two schemes mixed?"
        )
        yield Finding("warning", "schemes", corpus.report.source, message)


def label_findings(corpus: TaggedCorpus) -> Iterator[Finding]:
    """A file from which nothing can be learned: one tag only, or sentences without tags among others."""
    report = corpus.report
    if len(report.labels) == 1:
        (only,) = report.labels
        what = "no label but O exists" if only == OUTSIDE else f"every token has the tag {only!r}"
        yield Finding("error", "labels", report.source, f"{what}; is the right column read as the tag?")
    untagged = [sentence for sentence in corpus.sentences if sentence.tags is None]
    if untagged and report.labels:
        message = f"{len(untagged)} sentences have no tags while others have; this is the first"
        yield Finding("error", "labels", untagged[0].where(), message)
    unlabelled = [sentence for sentence in corpus.sentences if sentence.label is None and len(sentence)]
    if unlabelled and report.sentence_labels:
        message = f"{len(unlabelled)} sentences have no label while others have; this is the first"
        yield Finding("warning", "labels", unlabelled[0].where(), message)
    for span in report.misaligned:
        where, _, message = str(span).partition(": ")
        yield Finding("error", "misaligned", where, message)


def long_sentences(corpus: TaggedCorpus, number: int = 3) -> Iterator[Finding]:
    """The longest sentences; those that are probably documents are a warning."""
    for sentence in sorted(corpus.sentences, key=lambda one: -len(one))[:number]:
        if len(sentence) > LONG:
            message = f"{len(sentence):,} tokens in one sentence; is a separator missing?"
            yield Finding("warning", "long sentences", sentence.where(), message)
        elif len(sentence):
            yield Finding("note", "long sentences", sentence.where(), f"{len(sentence):,} tokens, among the longest")
