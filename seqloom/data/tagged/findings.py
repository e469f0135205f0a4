"""What can be wrong with one file of tagged sentences; one function per kind of trouble."""

import re
from collections.abc import Iterator

from seqloom.data.findings import Finding
from seqloom.data.tagged.columns import header_columns
from seqloom.data.tagged.corpus import TaggedCorpus
from seqloom.data.tagged.jsonl import ignored_keys, json_record
from seqloom.data.tagged.legality import illegal_tags, looks_like_span
from seqloom.data.tagged.schemes import OUTSIDE, split_tag
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import did_you_mean

__all__ = ["index_column", "label_findings", "long_sentences", "misspelled_spans", "reading_findings", "tag_findings"]

_FEW, _SHARE = 2, 0.1  # places that break a scheme, and their share of the spans, up to which they are slips
_SLASHED = re.compile(r"\S+/[A-Za-z][A-Za-z0-9_$-]*")
_UNDERSCORED = re.compile(r"\S+_[A-Z][A-Z$]{0,6}")
_FEW_SLASHED = 0.3  # the share of words with a tag behind a slash that cannot be chance
LONG = 1000  # tokens: a sentence that is probably a document


def tag_findings(corpus: TaggedCorpus) -> Iterator[Finding]:
    """Tags that break the file's scheme, with their lines; letters of two schemes; a scheme that is broken all over."""
    detection = corpus.report.scheme
    if detection is None or detection.scheme is None:
        yield from misspelled_spans(corpus)
        return
    scheme, foreign = detection.scheme, False
    for sentence in corpus.sentences:
        for index, reason in illegal_tags(sentence.tags or (), scheme):
            where = sentence.where(index)
            tag = (sentence.tags or ())[index]
            if not scheme.has(tag) and not _has_letter(tag):
                yield Finding("error", "tags", where, f"tag {reason}{_remedy(corpus, sentence, index)}")
                continue
            if not foreign and not scheme.has(tag):
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


def misspelled_spans(corpus: TaggedCorpus) -> Iterator[Finding]:
    """Plain tags that are meant to spell spans: all of them by another mark than the hyphen, or only some of them."""
    names = set(corpus.report.labels) - {OUTSIDE}
    near, spelled = (
        {tag for tag in names if looks_like_span(tag)},
        {tag for tag in names if "-" in tag and _has_letter(tag)},
    )
    if near and near | spelled == names:
        where, tag = _first(corpus, near)
        message = f"tag {tag!r} spells no span and is read as a plain tag; write the tags of spans such as 'B-PER'"
        yield Finding("error", "tags", where, message)
    elif spelled and sum(corpus.report.labels[tag] for tag in spelled) > _SHARE * sum(
        corpus.report.labels[tag] for tag in names
    ):
        where, tag = _first(corpus, names - spelled)
        message = f"tag {tag!r} spells no span, while {sorted(spelled)[0]!r} and others do; all are read as plain tags"
        yield Finding("error", "tags", where, message)


def index_column(corpus: TaggedCorpus) -> Finding | None:
    """A column of ids that is read as the words: in every sentence they count from one."""
    rows = [sentence for sentence in corpus.sentences if len(sentence)]
    if sum(map(len, rows)) < 3 or not all(sentence.token_rows for sentence in rows):
        return None
    for start in (0, 1):
        if all(
            token == str(index) for sentence in rows for index, token in enumerate(sentence.tokens, start=start)
        ) and any(len(sentence) > 1 for sentence in rows):
            message = (
                "the words are numbers that count the lines; name the column of the words (columns: text=1,tag=-1)"
            )
            return Finding("error", "columns", rows[0].where(), message)
    return None


def reading_findings(corpus: TaggedCorpus) -> Iterator[Finding]:
    """What was left out while the file was read, or read otherwise than it may be meant."""
    if (found := index_column(corpus)) is not None:
        yield found
    for sentence in corpus.sentences if corpus.report.format == "columns" else ():
        yield from _passed_over(sentence)
    if corpus.report.format == "segmented":
        words = [(sentence, word) for sentence in corpus.sentences for word in sentence.tokens]
        slashed = [(sentence, word) for sentence, word in words if _SLASHED.fullmatch(word)]
        if len(slashed) > _FEW_SLASHED * len(words):
            sentence, word = next((pair for pair in words if not _SLASHED.fullmatch(pair[1])), slashed[0])
            many = f"{len(slashed):,} of {len(words):,} words have a tag behind a slash, {word!r} has none"
            yield Finding("error", "tags", sentence.where(), f"{many}; all are read as words without tags")
        underscored = [sentence for sentence, word in words if _UNDERSCORED.fullmatch(word)]
        if len(underscored) > _FEW_SLASHED * len(words):
            many = (
                f"{len(underscored):,} of {len(words):,} words have a tag behind '_', which is read as part of the word"
            )
            yield Finding("error", "tags", underscored[0].where(), f"{many}; put '/' in the place of their last '_'")
    if corpus.report.format == "jsonl" and not corpus.report.labels:
        for sentence in corpus.sentences:
            record = json_record(sentence.rows[0])
            if "words" in record or "tokens" in record:
                return
            if ignored := ignored_keys(record):
                what = ", ".join(map(repr, ignored))
                yield Finding("error", "tags", sentence.where(), f"no tags were found, and {what} was not read")
                return


def _passed_over(sentence: Sentence) -> Iterator[Finding]:
    if not sentence.token_rows:
        return
    place, line = sentence.token_rows[0], sentence.line
    fields = [row.split("\t" if sentence.tabs else None) for row in sentence.rows[: place + 1]]
    for index, parts in enumerate(fields[:-1]):
        where = f"{sentence.source}:{line - place + index}"
        if len(parts) == len(fields[-1]) > 1 and parts[0].startswith("#"):
            yield Finding("note", "comments", where, f"{sentence.rows[index]!r:.60} is read as a comment, not a token")
        elif len(parts) > 1 and header_columns(parts):
            yield Finding(
                "warning", "header", where, f"{sentence.rows[index]!r:.60} is read as the names of the columns"
            )


def _has_letter(tag: str) -> bool:
    letter, label = split_tag(tag)
    return letter in tuple("BIESMLU") and (bool(label) or tag == letter)


def _remedy(corpus: TaggedCorpus, sentence: Sentence, index: int) -> str:
    tag = (sentence.tags or ())[index]
    if looks_like_span(tag):
        return "; the tags of spans are written such as 'B-PER'"
    if sentence is corpus.sentences[0] and index == 0:
        return "; is the line a header?"
    if tag in ("0", "o", "\u041e", "\u039f"):
        return "; did you mean 'O'?"
    remedy = did_you_mean(tag, [name for name in corpus.report.labels if name != tag])
    return remedy if "did you mean" in remedy else "; correct it"


def _first(corpus: TaggedCorpus, names: set[str]) -> tuple[str, str]:
    """The first place of one of some tags, and which it is."""
    for sentence in corpus.sentences:
        for index, tag in enumerate(sentence.tags or ()):
            if tag in names:
                return sentence.where(index), tag
    raise ValueError("none of the tags occurs")


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
