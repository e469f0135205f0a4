"""What can be wrong between the files of a training: what they share, and what one has and the other does not."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from seqloom.data.findings import Finding
from seqloom.data.tagged.corpus import TaggedCorpus
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import did_you_mean

__all__ = ["foreign_labels", "mixed_schemes", "repeated_sentences", "unknown_tokens", "width_mismatch"]


def repeated_sentences(split: str, corpus: TaggedCorpus, training: TaggedCorpus | None) -> Iterator[Finding]:
    """Sentences that stand in the file twice, or in the training file too: the latter flatter every figure."""
    first: dict[Sequence[str], Sentence] = {}
    filled = [sentence for sentence in corpus.sentences if len(sentence)]
    again = [sentence for sentence in filled if first.setdefault(sentence.tokens, sentence) is not sentence]
    if again:
        origin = first[again[0].tokens].where()
        message = f"{_count(again, corpus)} repeated within the file; the first of them stands at {origin} already"
        yield Finding("note", "repeated sentences", again[0].where(), message)
    if training is None or training is corpus:
        return
    known: dict[Sequence[str], Sentence] = {}
    for sentence in training.sentences:
        known.setdefault(sentence.tokens, sentence)
    shared = [sentence for sentence in filled if sentence.tokens in known]
    if shared:
        origin = known[shared[0].tokens].where()
        message = (
            f"{_count(shared, corpus)} of {split} shared with the training file; the first stands there at {origin}"
        )
        yield Finding("warning", "repeated sentences", shared[0].where(), message)


def foreign_labels(split: str, corpus: TaggedCorpus, training: TaggedCorpus) -> Iterator[Finding]:
    """Tags and sentence labels that the training file does not have, with the place of the first of each."""
    report, known = corpus.report, training.report
    for what, counts, expected in (
        ("tag", report.labels, known.labels),
        ("sentence label", report.sentence_labels, known.sentence_labels),
    ):
        for name, count in counts.items():
            if name in expected or not expected:
                continue
            where = next(_tagged(corpus, name) if what == "tag" else _labelled(corpus, name))
            remedy = did_you_mean(name, expected)
            hint = remedy if "did you mean" in remedy else ""
            often = "once" if count == 1 else f"{count:,} times"
            message = f"{what} {name!r} ({often} in {split}) does not occur in the training file{hint}"
            yield Finding("error", "labels", where, message)


def mixed_schemes(corpora: Mapping[str, TaggedCorpus]) -> Iterator[Finding]:
    """Files that spell their spans in different schemes, or of which only some do."""
    names = {
        split: corpus.report.scheme.scheme.name
        for split, corpus in corpora.items()
        if corpus.report.scheme is not None and corpus.report.scheme.scheme is not None
    }
    if len(set(names.values())) > 1:
        listing = ", ".join(f"{split} {name}" for split, name in names.items())
        message = f"mixed schemes: {listing}; name the scheme, or convert the files to one"
        yield Finding("error", "schemes", corpora[next(iter(names))].report.source, message)
    plain = [split for split, corpus in corpora.items() if corpus.report.labels and split not in names]
    if plain and names:
        source = corpora[plain[0]].report.source
        yield Finding("warning", "schemes", source, f"the tags of {plain[0]} spell no spans while others do")


def unknown_tokens(split: str, corpus: TaggedCorpus, training: TaggedCorpus) -> Iterator[Finding]:
    """How many tokens of a file the training file does not have."""
    known = {token for sentence in training.sentences for token in sentence.tokens}
    total = corpus.report.tokens
    unknown = sum(token not in known for sentence in corpus.sentences for token in sentence.tokens)
    if total and unknown:
        share = unknown / total
        message = f"{unknown:,} tokens of {split} ({100 * share:.2f} %) do not occur in the training file"
        yield Finding("warning" if share > 0.2 else "note", "unknown tokens", corpus.report.source, message)


def width_mismatch(split: str, corpus: TaggedCorpus, training: TaggedCorpus) -> Iterator[Finding]:
    """Digits and letters in full width in one file and in half width in the other, which no model can match."""
    known = set(_characters(training))
    unknown = {character for character in set(_characters(corpus)) - known if _other_widths(character) & known}
    if not unknown:
        return
    for sentence in corpus.sentences:
        if any(character in unknown for token in sentence.tokens for character in token):
            shown = "".join(sorted(unknown)[:10])
            what = f"{len(unknown)} characters of {split} ({shown})"
            message = f"{what} occur in the training file in their other width only; fold the widths"
            yield Finding("warning", "widths", sentence.where(), message)
            return


def _other_widths(character: str) -> set[str]:
    folded = unicodedata.normalize("NFKC", character)
    return {folded, chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else folded} - {character}


def _characters(corpus: TaggedCorpus) -> Iterator[str]:
    for sentence in corpus.sentences:
        yield from set("".join(sentence.tokens))


def _tagged(corpus: TaggedCorpus, tag: str) -> Iterator[str]:
    for sentence in corpus.sentences:
        for index, other in enumerate(sentence.tags or ()):
            if other == tag:
                yield sentence.where(index)


def _labelled(corpus: TaggedCorpus, label: str) -> Iterator[str]:
    return (sentence.where() for sentence in corpus.sentences if sentence.label == label)


def _count(some: Sequence[Sentence], corpus: TaggedCorpus) -> str:
    share = 100 * len(some) / max(len(corpus.sentences), 1)
    return f"{len(some)} sentences ({share:.1f} %)" if len(some) > 1 else f"1 sentence ({share:.1f} %)"
