"""What ink holds, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seqloom.data.check_report import CheckReport, Section
from seqloom.data.findings import Finding, finding_of, limited
from seqloom.data.ink.config import InkReading
from seqloom.data.ink.reading import read_ink
from seqloom.data.labelled import Labelled, LabelledData, Series
from seqloom.data.labelled_findings import (
    class_counts,
    class_findings,
    compared_findings,
    named_parts,
    repetition_findings,
)
from seqloom.errors import DataError

__all__ = ["check"]

_FAR = 10.0  # times larger or smaller than those of the same writer
_ENOUGH = 5  # characters of a writer that have a usual size


def check(paths: Mapping[str, str], reading: InkReading, limit: int = 10) -> CheckReport:
    """The report of files of ink, of which the first is that of training."""
    findings: list[Finding] = []
    sections: list[Section] = []
    read: dict[str, LabelledData[Series]] = {}
    for name, path in paths.items():
        try:
            read[name] = read_ink(path, reading)
        except DataError as problem:
            findings.append(finding_of(problem, path))
            continue
        findings += limited(_findings(read[name], path), limit)
        for title, examples in named_parts({name: read[name]}).items():
            sections.append(_section(title, path, examples, read[name]))
    splits = dict(sorted(named_parts(read).items(), key=lambda item: not item[0].endswith("train")))
    for split, examples in splits.items():
        findings += limited(class_findings(split, examples), limit)
        findings += limited(repetition_findings(split, examples, _ink), limit)
    findings += limited(compared_findings(splits, _ink, "writer"), limit)
    return CheckReport(tuple(findings), tuple(sections))


def _ink(one: Labelled) -> bytes | None:
    """What two characters have in common that are the same; a line of two points may well occur twice."""
    values: NDArray[np.float32] = getattr(one, "values", np.zeros(0, np.float32))
    return hashlib.blake2b(values.tobytes(), digest_size=16).digest() if len(values) > 2 else None


def _section(title: str, path: str, examples: Sequence[Series], data: LabelledData[Series]) -> Section:
    points = [len(one.values) for one in examples]
    strokes = [int((one.values[:, -1] > 0.5).sum()) for one in examples]
    groups = {one.group for one in examples if one.group}
    facts = [
        ("file", path),
        ("format", str(data.facts["format"])),
        ("characters", f"{len(examples):,}"),
        ("classes", f"{len(class_counts(examples)):,}"),
        ("writers", f"{len(groups):,}" if groups else "not named"),
        ("points of a character", _spread(points)),
        ("strokes of a character", _spread(strokes)),
        ("time", "yes" if "t" in data.facts["channels"] else "no"),
    ]
    return Section(facts, {"class": class_counts(examples)}, title)


def _spread(values: Sequence[int]) -> str:
    return f"{min(values)} to {max(values)}, median {int(np.median(values))}" if values else "none"


def _findings(data: LabelledData[Series], path: str) -> Iterator[Finding]:
    if not data.examples:
        yield Finding("error", "no characters", path, "there are no characters; expected at least one")
    if data.facts["doubtful"]:
        message = f"{data.facts['doubtful']:,} characters are marked as doubtful; quality: good leaves them out"
        yield Finding("note", "doubtful", path, message)
    for one in data.examples:
        if not len(one.values):
            yield Finding("error", "empty", one.where, f"the character {one.target!r} has no points; leave it out")
        elif (one.values[:, :2] == one.values[0, :2]).all():
            message = f"the character {one.target!r} is a dot: its points all lie in one place"
            yield Finding("warning", "dot", one.where, message)
    yield from _sizes(data.examples)


def _sizes(examples: Sequence[Series]) -> Iterator[Finding]:
    """Characters far larger or smaller than the others of their writer, who writes with one device."""
    of_group: dict[str, list[tuple[float, Series]]] = defaultdict(list)
    for one in examples:
        if len(one.values):
            size = float(np.ptp(one.values[:, :2], axis=0).max())
            if size:
                of_group[one.group].append((size, one))
    for group, sized in of_group.items():
        if len(sized) < _ENOUGH:
            continue
        usual = float(np.median([size for size, _ in sized]))
        for size, one in sized:
            if not usual / _FAR <= size <= usual * _FAR:
                whose = f"of the writer {group}" if group else "of the file"
                message = f"the character {one.target!r} is {size:.4g} large, and the usual one {whose} {usual:.4g}"
                yield Finding("warning", "size", one.where, message)
