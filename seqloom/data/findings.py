"""What is worth a look in data of any kind, and what can be wrong with the lines of a text."""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqloom.data.files import byte_lines, open_bytes
from seqloom.errors import DataError

__all__ = ["Finding", "Severity", "finding_of", "limited", "line_findings"]

Severity = Literal["error", "warning", "note"]

_PLACE = re.compile(r"(?P<where>.*?:\d+): (?P<message>.*)", re.DOTALL)
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


def finding_of(problem: DataError, path: str | Path) -> Finding:
    """What stopped the reading of a file, at the line that the sentence names."""
    match = _PLACE.match(str(problem))
    if match is None:
        return Finding("error", "reading", str(path), str(problem).removeprefix(f"{path}: ").removeprefix(f"{path} "))
    return Finding("error", "reading", match["where"], match["message"])


def limited(findings: Iterable[Finding], limit: int) -> Iterator[Finding]:
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


def line_findings(path: str | Path, encoding: str, keeps_empty_lines: bool) -> Iterator[Finding]:
    """Lines that are not in the file's encoding, control characters, foreign line ends, lines of white space.

    Args:
        keeps_empty_lines: whether an empty line is an empty sentence in the file's format, not a separator.
    Raises:
        DataError: the file is missing, damaged or cannot be read.
    """
    if encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):
        return  # these files are not made of byte lines; reading them checks their encoding
    undecodable: list[int] = []
    foreign = crlf = lf = 0
    bom = False
    empty: list[int] = []
    stream, name = open_bytes(path)
    with stream:
        for number, raw in enumerate(byte_lines(stream, name), start=1):
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
    match = _CONTROL.search(line)
    if match is None:
        return
    character = match.group()
    name = _NAMES.get(character, "a control character")
    message = f"U+{ord(character):04X} at character {match.start() + 1}: {name}"
    yield Finding("warning", "control characters", where, message)
