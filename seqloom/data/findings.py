"""What can be wrong with a file, found before a training loses hours to it; one function per kind of trouble."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from seqloom.data.corpus import Corpus
from seqloom.data.files import open_bytes
from seqloom.data.legality import illegal_tags
from seqloom.data.schemes import OUTSIDE
from seqloom.data.sentences import Sentence
from seqloom.errors import did_you_mean

__all__ = [
    "Finding",
    "Severity",
    "foreign_labels",
    "label_troubles",
    "line_troubles",
    "listed",
    "long_sentences",
    "mixed_schemes",
    "repeated_sentences",
    "tag_troubles",
    "unknown_tokens",
    "width_mismatch",
]

Severity = Literal["error", "warning", "note"]
Item = TypeVar("Item")

LONG = 1000  # tokens: a sentence that is probably a document

_CONTROL = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff\ufffd]|\r(?!$)")
_NAMES = {
    "\ufffd": "the replacement character, left by an earlier decoding error",
    "\ufeff": "a byte-order mark inside the text",
    "\u200b": "a zero-width space",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is worth a look: an error stops a training or spoils its figures, a warning may, a note may not."""

    severity: Severity
    kind: str
    where: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """The same, for JSON."""
        return {"severity": self.severity, "kind": self.kind, "where": self.where, "message": self.message}


def listed(findings: Iterable[Finding], limit: int) -> Iterator[Finding]:
    """At most ``limit`` findings of each kind, then how many more there are."""
    counts: Counter[tuple[str, Severity]] = Counter()
    last: dict[tuple[str, Severity], Finding] = {}
    for finding in findings:
        key = finding.kind, finding.severity
        counts[key] += 1
        last[key] = finding
        if counts[key] <= limit:
            yield finding
    for (kind, severity), count in counts.items():
        if count > limit:
            where = last[kind, severity].where
            yield Finding(severity, kind, where, f"{count - limit} more of this kind, the last one here")


def line_troubles(path: str | Path, encoding: str, keeps_empty_lines: bool) -> Iterator[Finding]:
    """Lines that are not in the file's encoding, control characters, mixed line ends, lines of white space.

    Args:
        keeps_empty_lines: whether an empty line is an empty sentence in the file's format, not a separator.
    """
    undecodable: list[int] = []
    foreign = crlf = lf = 0
    empty: list[int] = []
    stream, name = open_bytes(path)
    with stream:
        for number, raw in enumerate(stream, start=1):
            crlf += raw.endswith(b"\r\n")
            lf += raw.endswith(b"\n") and not raw.endswith(b"\r\n")
            foreign += not raw.isascii()
            try:
                line = raw.decode(encoding).rstrip("\n")
            except UnicodeDecodeError:
                undecodable.append(number)
                continue
            if not line.strip():
                empty.append(number)
            yield from _control_characters(line.removeprefix("\ufeff") if number == 1 else line, f"{name}:{number}")
    if undecodable:
        mixed = f"mixed encodings: {len(undecodable)} of {foreign} lines with other than ASCII characters are not {encoding}"
        whole = f"none of the {foreign} lines with other than ASCII characters is {encoding}; name the file's encoding"
        message = whole if len(undecodable) == foreign else mixed
        yield Finding("error", "encoding", f"{name}:{undecodable[0]}", message)
    if crlf and lf:
        yield Finding("note", "line ends", name, f"{crlf} lines end in \\r\\n and {lf} in \\n; both are read alike")
    if empty and keeps_empty_lines:
        where = f"{name}:{empty[0]}"
        yield Finding("note", "empty lines", where, f"empty lines: {len(empty)}, each an empty sentence")


def _control_characters(line: str, where: str) -> Iterator[Finding]:
    found = _CONTROL.search(line)
    if found is None:
        return
    character = found.group()
    name = _NAMES.get(character, "a control character")
    message = f"U+{ord(character):04X} at character {found.start() + 1}: {name}"
    yield Finding("warning", "control characters", where, message)


def tag_troubles(corpus: Corpus) -> Iterator[Finding]:
    """Tags that break the file's scheme, with their lines."""
    detection = corpus.report.scheme
    if detection is None or detection.scheme is None:
        return
    for sentence in corpus.sentences:
        for index, reason in illegal_tags(sentence.tags or (), detection.scheme):
            message = f"tag {reason} in the scheme {detection.scheme.name}"
            yield Finding("warning", "illegal tags", sentence.where(index), message)


def label_troubles(corpus: Corpus) -> Iterator[Finding]:
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
    for span in report.misaligned:
        where, _, message = str(span).partition(": ")
        yield Finding("error", "misaligned", where, message)


def long_sentences(corpus: Corpus, number: int = 3) -> Iterator[Finding]:
    """The longest sentences; those that are probably documents are a warning."""
    for sentence in sorted(corpus.sentences, key=lambda one: -len(one))[:number]:
        if len(sentence) > LONG:
            message = f"{len(sentence):,} tokens in one sentence; is a separator missing?"
            yield Finding("warning", "long sentences", sentence.where(), message)
        elif len(sentence):
            yield Finding("note", "long sentences", sentence.where(), f"{len(sentence):,} tokens, among the longest")


def repeated_sentences(split: str, corpus: Corpus, training: Corpus | None) -> Iterator[Finding]:
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


def foreign_labels(split: str, corpus: Corpus, training: Corpus) -> Iterator[Finding]:
    """Tags of a file that the training file does not have, with the place of the first of each."""
    known = training.report.labels
    for label, count in corpus.report.labels.items():
        if label in known or not known:
            continue
        where = next(_places(corpus, label))
        remedy = did_you_mean(label, known)
        hint = remedy if "did you mean" in remedy else ""
        message = f"tag {label!r} ({count} times in {split}) does not occur in the training file{hint}"
        yield Finding("error", "labels", where, message)


def mixed_schemes(corpora: Mapping[str, Corpus]) -> Iterator[Finding]:
    """Files that spell their spans in different schemes, and files that break their own in many places."""
    names = {
        split: corpus.report.scheme.scheme.name
        for split, corpus in corpora.items()
        if corpus.report.scheme is not None and corpus.report.scheme.scheme is not None
    }
    if len(set(names.values())) > 1:
        found = ", ".join(f"{split} {name}" for split, name in names.items())
        message = f"mixed schemes: {found}; name the scheme, or convert the files to one"
        yield Finding("error", "schemes", corpora[next(iter(names))].report.source, message)
    plain = [split for split, corpus in corpora.items() if corpus.report.labels and split not in names]
    if plain and names:
        source = corpora[plain[0]].report.source
        yield Finding("warning", "schemes", source, f"the tags of {plain[0]} spell no spans while others do")


def unknown_tokens(split: str, corpus: Corpus, training: Corpus) -> Iterator[Finding]:
    """How many tokens of a file the training file does not have."""
    known = {token for sentence in training.sentences for token in sentence.tokens}
    total = corpus.report.tokens
    unknown = sum(token not in known for sentence in corpus.sentences for token in sentence.tokens)
    if total and unknown:
        share = unknown / total
        message = f"{unknown:,} tokens of {split} ({100 * share:.2f} %) do not occur in the training file"
        yield Finding("warning" if share > 0.2 else "note", "unknown tokens", corpus.report.source, message)


def width_mismatch(split: str, corpus: Corpus, training: Corpus) -> Iterator[Finding]:
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


def _characters(corpus: Corpus) -> Iterator[str]:
    for sentence in corpus.sentences:
        yield from set("".join(sentence.tokens))


def _places(corpus: Corpus, label: str) -> Iterator[str]:
    for sentence in corpus.sentences:
        for index, tag in enumerate(sentence.tags or ()):
            if tag == label:
                yield sentence.where(index)


def _count(some: Sequence[Sentence], corpus: Corpus) -> str:
    share = 100 * len(some) / max(len(corpus.sentences), 1)
    return f"{len(some)} sentences ({share:.1f} %)" if len(some) > 1 else f"1 sentence ({share:.1f} %)"
