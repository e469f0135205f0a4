"""Documents read as a training would, with all that is wrong or odd about them said before it starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.data.check_report import CheckReport, Section
from seqloom.data.documents.config import DocumentReading
from seqloom.data.documents.folders import class_files, part_files
from seqloom.data.documents.read import load_documents
from seqloom.data.files import DAMAGE, STDIN, checksum
from seqloom.data.findings import Finding, Severity, finding_of, limited, line_findings
from seqloom.data.labelled import Document, Labelled, split_part
from seqloom.data.labelled_findings import class_counts, class_findings, compared_findings, repetition_findings
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError

__all__ = ["check"]

_REMAINS: tuple[tuple[re.Pattern[str], Severity, str], ...] = (
    (
        re.compile(r"<br\s*/?>", re.IGNORECASE),
        "note",
        "line breaks of HTML, which the option breaks of the tokens takes out",
    ),
    (re.compile(r"</?(?!br\b)[a-zA-Z][a-zA-Z0-9]{0,15}(?: [^<>]{0,200})?/?>"), "warning", "marks of HTML"),
    (
        re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{2,5});|(?<![&\w])#\d{2,4};"),
        "warning",
        "characters that are spelt as in HTML",
    ),
    (re.compile(r"\\[nrt](?![a-z])|\\n\\n"), "warning", "line breaks or tabs that are spelt with a backslash"),
)


def check(paths: Mapping[str, str | Path], reading: DocumentReading, limit: int = 10) -> CheckReport:
    """Check the data of a training, without stopping at the first trouble.

    Args:
        paths: file, folder or prefix by split; ``data`` is what the others are compared with.
        limit: how many findings of a kind to list for each of them.
    Raises:
        ConfigError: the standard input, a column that is not there, or an encoding that is not known.
    """
    if any(str(path) == STDIN for path in paths.values()):
        raise ConfigError("check reads its files several times; give the names of files")
    findings: list[Finding] = []
    sections: list[Section] = []
    splits: dict[str, Sequence[Document]] = {}
    for split, path in paths.items():
        place, part = split_part(str(path))
        try:
            data = load_documents(Source.of(place, reading.encoding), reading, part)
        except DataError as problem:
            findings.append(finding_of(problem, path))
        else:
            if data.facts.get("guessed"):
                message = f"nothing says which column is what; read as {data.facts['columns']}"
                findings.append(Finding("note", "columns", place, message))
            named = {part: data.part(part) for part in data.parts} if data.parts and not part else {"": data.part(part)}
            for name, documents in named.items():
                title = split if not name else name if split == "data" else f"{split}: {name}"
                splits[title] = documents
                sections.append(_section(title, documents, place, data.facts))
        for file in _files(place):
            findings += _lines(file, reading.encoding, limit)
    ordered = dict(sorted(splits.items(), key=lambda item: not item[0].endswith("train")))
    for split, documents in ordered.items():
        findings += limited(_alone(split, documents), limit)
    findings += limited(compared_findings(ordered, _text), limit)
    return CheckReport(tuple(findings), tuple(sections))


def _text(one: Labelled) -> str | None:
    """A text but for its white space; None of an empty one, which is said elsewhere."""
    return " ".join(one.text.split()) or None if isinstance(one, Document) else None


def _section(title: str, documents: Sequence[Document], path: str, facts: Mapping[str, Any]) -> Section:
    lengths = np.array([len(one.text) for one in documents] or [0])
    rows = [("file", path), ("format", str(facts["format"])), ("documents", f"{len(documents):,}")]
    rows += [(name, str(facts[name])) for name in ("columns", "classes") if name in facts]
    mean, median = f"{lengths.mean():,.1f}", f"{np.median(lengths):,.0f}"
    rows.append(("characters", f"{mean} on average, {median} in the middle, {lengths.max():,} at most"))
    groups = {one.group for one in documents if one.group}
    if groups:
        rows.append(("groups", f"{len(groups):,}"))
    if Path(path).is_file():
        rows.append(("sha256", checksum(path)))
    return Section(rows, {"class": class_counts(documents)}, title)


def _files(place: str) -> Sequence[Path]:
    """The files of lines behind a name; of folders with a text in each file none, which reading has decoded."""
    if Path(place).is_file():
        return (Path(place),)
    return [one.file for one in class_files(place)] or list(part_files(Path(place)).values())


def _lines(path: Path, encoding: str, limit: int) -> list[Finding]:
    try:
        return list(limited(line_findings(path, encoding, False), limit))
    except (DataError, *DAMAGE):
        return []  # the file cannot be opened or unpacked, which reading has reported


def _alone(split: str, documents: Sequence[Document]) -> Iterator[Finding]:
    yield from class_findings(split, documents)
    yield from repetition_findings(split, documents, _text)
    for one in documents:
        if not one.text.strip():
            yield Finding("warning", "empty text", one.where, f"{split}: the text is empty")
    longest = max(documents, key=lambda one: len(one.text), default=None)
    if longest is not None:
        words = len(longest.text.split())
        message = f"{split}: the longest text has {len(longest.text):,} characters, {words:,} words between blanks"
        yield Finding("note", "longest text", longest.where, message)
    for pattern, severity, what in _REMAINS:
        marked = [one for one in documents if pattern.search(one.text)]
        if marked:
            match = pattern.search(marked[0].text)
            assert match is not None
            message = f"{split}: {len(marked):,} texts have {what}, the first here: {match.group()!r}"
            yield Finding(severity, "remains", marked[0].where, message)
