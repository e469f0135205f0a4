"""What can be wrong with one file, found before a training loses hours to it; one function per kind of trouble."""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqloom.data.files import open_bytes
from seqloom.data.tagged.corpus import Corpus
from seqloom.data.tagged.legality import illegal_tags
from seqloom.data.tagged.schemes import OUTSIDE

__all__ = [
    "Finding",
    "Severity",
    "label_troubles",
    "line_troubles",
    "listed",
    "long_sentences",
    "tag_troubles",
]

Severity = Literal["error", "warning", "note"]

_FEW, _SHARE = 2, 0.1  # places that break a scheme, and their share of the spans, up to which they are slips
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
    """Lines that are not in the file's encoding, control characters, foreign line ends, lines of white space.

    Args:
        keeps_empty_lines: whether an empty line is an empty sentence in the file's format, not a separator.
    """
    undecodable: list[int] = []
    foreign = crlf = lf = 0
    bom = False
    empty: list[int] = []
    stream, name = open_bytes(path)
    with stream:
        for number, raw in enumerate(stream, start=1):
            bom = bom or (number == 1 and raw.startswith(codecs.BOM_UTF8))
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
    if bom:
        yield Finding(
            "note", "byte-order mark", f"{name}:1", "the file begins with a byte-order mark, which is left out"
        )
    if crlf and lf:
        yield Finding("note", "line ends", name, f"{crlf} lines end in \\r\\n and {lf} in \\n; both are read alike")
    elif crlf:
        yield Finding("note", "line ends", name, "the lines end in \\r\\n, which is read as \\n")
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
    unlabelled = [sentence for sentence in corpus.sentences if sentence.label is None and len(sentence)]
    if unlabelled and report.sentence_labels:
        message = f"{len(unlabelled)} sentences have no label while others have; this is the first"
        yield Finding("warning", "labels", unlabelled[0].where(), message)
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
