"""Series read as a training would, with all that is wrong or odd about them said before it starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.data.check_report import CheckReport, Section
from seqloom.data.files import STDIN, checksum
from seqloom.data.findings import Finding, finding_of, limited
from seqloom.data.labelled import Labelled, LabelledData, Series, split_part
from seqloom.data.labelled_findings import class_counts, class_findings, compared_findings, repetition_findings
from seqloom.data.series.oddities import channel_findings, length_findings, unit_findings
from seqloom.data.series.read import read_series
from seqloom.data.series.reading import SeriesReading
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError

__all__ = ["check"]

_RATE_APART, _UNEVEN = 0.05, 0.1
_SHOWN = 12


def check(paths: Mapping[str, str | Path], reading: SeriesReading, rate: float = 0.0, limit: int = 10) -> CheckReport:
    """Check the data of a training, without stopping at the first trouble.

    Args:
        paths: file or folder by split; ``data`` is what the others are compared with.
        rate: steps in a second that the data should have; 0 where it is not known.
        limit: how many findings of a kind to list for each split.
    Raises:
        ConfigError: the standard input, or an encoding that is not known.
    """
    if any(str(path) == STDIN for path in paths.values()):
        raise ConfigError("check compares files; give the names of files")
    findings: list[Finding] = []
    sections: list[Section] = []
    splits: dict[str, Sequence[Series]] = {}
    facts: dict[str, Mapping[str, Any]] = {}
    for split, path in paths.items():
        place = split_part(str(path))[0]
        try:
            data = read_series(Source.of(str(path), reading.encoding), reading)
        except DataError as problem:
            findings.append(finding_of(problem, path))
            continue
        named = {name: data.part(name) for name in data.parts} or {"": data.examples}
        findings += limited(_rate_findings(split, data, rate), limit)
        for name, series in named.items():
            title = split if not name else name if split == "data" else f"{split}: {name}"
            splits[title], facts[title] = series, data.facts
            sections.append(_section(title, series, place, data.facts))
    ordered = dict(sorted(splits.items(), key=lambda item: not item[0].endswith("train")))
    for split, series in ordered.items():
        findings += limited(_alone(split, series, facts[split]), limit)
    findings += _facts_apart(facts, {split: series for split, series in ordered.items() if series})
    findings += limited(compared_findings(ordered, _bytes), limit)
    names = next(iter(facts.values()))["channels"] if facts else ()
    if all(one["channels"] == names for one in facts.values()):
        findings += limited(unit_findings(ordered, names), limit)
    return CheckReport(tuple(findings), tuple(sections))


def _bytes(one: Labelled) -> bytes | None:
    """The values of a series; None of one without steps, which is said elsewhere."""
    return one.values.tobytes() or None if isinstance(one, Series) else None


def _section(title: str, series: Sequence[Series], path: str, facts: Mapping[str, Any]) -> Section:
    lengths = np.array([len(one.values) for one in series] or [0])
    names = [str(name) for name in facts["channels"]]
    shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
    rows = [("file", path), ("format", str(facts["format"])), ("series", f"{len(series):,}")]
    rows.append(("channels", f"{len(names)}: {shown}"))
    mean, median = f"{lengths.mean():,.1f}", f"{np.median(lengths):,.0f}"
    rows.append(("steps", f"{lengths.min():,} to {lengths.max():,}, {mean} on average, {median} in the middle"))
    if "rate" in facts:
        rows.append(("rate", f"{facts['rate']:g} steps in a second"))
    if facts.get("time_unit"):
        rows.append(("unit of time", str(facts["time_unit"])))
    groups = {one.group for one in series if one.group}
    if groups:
        rows.append(("groups", f"{len(groups):,}"))
    if Path(path).is_file():
        rows.append(("sha256", checksum(path)))
    return Section(rows, {"class": class_counts(series)}, title)


def _alone(split: str, series: Sequence[Series], facts: Mapping[str, Any]) -> Iterator[Finding]:
    yield from class_findings(split, series)
    yield from repetition_findings(split, series, _bytes)
    yield from length_findings(split, series, facts)
    yield from channel_findings(split, series, facts["channels"])


def _rate_findings(split: str, data: LabelledData[Series], wanted: float) -> Iterator[Finding]:
    """Timestamps that disagree with each other or with what is said, and uneven ones."""
    if not data.examples:
        return
    first = data.examples[0].where
    rates = data.facts.get("rates")
    measured = [(float(rate), one.where) for rate, one in zip(rates or (), data.examples, strict=False) if rate]
    said = wanted or (data.facts.get("rate") if "rates" not in data.facts else 0.0)
    if not measured:
        if wanted and said and data.facts.get("rate", wanted) != wanted:
            message = f"{split}: the file says {data.facts['rate']:g} steps in a second; expected {wanted:g}"
            yield Finding("warning", "rate", first, message)
        return
    usual = float(np.median([rate for rate, _ in measured]))
    if said and abs(usual - said) > _RATE_APART * said:
        message = f"{split}: the timestamps make {usual:.4g} steps in a second; expected {said:g}"
        yield Finding("warning", "rate", measured[0][1], message)
    apart = [(rate, where) for rate, where in measured if abs(rate - usual) > _RATE_APART * usual]
    if apart:
        rate, where = apart[0]
        message = (
            f"{split}: {len(apart):,} of {len(measured):,} series have another rate than the usual {usual:.4g} steps in a "
            f"second; the first here, with {rate:.4g}; resample them"
        )
        yield Finding("warning", "rates", where, message)
    if data.facts.get("jitter", 0.0) > _UNEVEN:
        message = f"{split}: the times between steps vary by {100 * data.facts['jitter']:.0f} % of the usual one"
        yield Finding("note", "jitter", measured[0][1], message)


def _facts_apart(facts: Mapping[str, Mapping[str, Any]], splits: Mapping[str, Sequence[Series]]) -> Iterator[Finding]:
    """Channels and rates that differ between splits."""
    if not splits:
        return
    first, *others = splits
    for other in others:
        where = splits[other][0].where
        one, two = facts[first]["channels"], facts[other]["channels"]
        if one != two:
            message = f"{other} has the channels {', '.join(map(str, two))}; {first} has {', '.join(map(str, one))}"
            yield Finding("error", "channels", where, message)
        rates = facts[first].get("rate"), facts[other].get("rate")
        if rates[0] and rates[1] and abs(rates[0] - rates[1]) > _RATE_APART * rates[0]:
            message = f"{other} has {rates[1]:g} steps in a second, {first} {rates[0]:g}; resample one of them"
            yield Finding("warning", "rates", where, message)
