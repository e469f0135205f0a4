"""What sequences of joints hold, and what is wrong with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seqloom.data.check_report import CheckReport, Section
from seqloom.data.findings import Finding, finding_of, limited
from seqloom.data.labelled import Labelled, LabelledData, Series
from seqloom.data.labelled_findings import (
    class_counts,
    class_findings,
    compared_findings,
    named_parts,
    repetition_findings,
)
from seqloom.data.skeleton.config import SkeletonReading
from seqloom.data.skeleton.definition import Skeleton
from seqloom.data.skeleton.motion import missing
from seqloom.data.skeleton.reading import read_skeletons
from seqloom.errors import DataError

__all__ = ["check"]

_FEW = 5  # frames: the window of the smoothing
_GAPS = 0.2  # share of missing joints
_FAR = 3.0  # times the usual torso


def check(paths: Mapping[str, str], reading: SkeletonReading, limit: int = 10) -> CheckReport:
    """The report of files of skeletons, of which the first is that of training."""
    findings: list[Finding] = []
    sections: list[Section] = []
    read: dict[str, LabelledData[Series]] = {}
    for name, path in paths.items():
        try:
            read[name] = read_skeletons(path, reading)
        except DataError as problem:
            findings.append(finding_of(problem, path))
            continue
        findings += limited(_findings(read[name], path), limit)
        for title, examples in named_parts({name: read[name]}).items():
            sections.append(_section(title, path, examples, read[name]))
    skeletons = {name: one.facts["joints"] for name, one in read.items()}
    name = list(paths.values())[-1]
    if len({len(joints) for joints in skeletons.values()}) > 1:
        counts = " and ".join(f"{len(joints)} in {one}" for one, joints in skeletons.items())
        findings.append(
            Finding("error", "joints", name, f"unequal counts of joints: {counts}; expected as many in all")
        )
    splits = dict(sorted(named_parts(read).items(), key=lambda item: not item[0].endswith("train")))
    for split, examples in splits.items():
        findings += limited(class_findings(split, examples), limit)
        findings += limited(repetition_findings(split, examples, _frames), limit)
    findings += limited(compared_findings(splits, _frames, "person"), limit)
    return CheckReport(tuple(findings), tuple(sections))


def _frames(one: Labelled) -> bytes | None:
    """What two sequences have in common that are the same; one without a joint is another finding."""
    values: NDArray[np.float32] = getattr(one, "values", np.zeros(0, np.float32))
    return hashlib.blake2b(values.tobytes(), digest_size=16).digest() if np.nan_to_num(values).any() else None


def _joints(one: Series, data: LabelledData[Series]) -> NDArray[np.float32]:
    return one.values.reshape(len(one.values), len(data.facts["joints"]), data.facts["dimensions"])


def _section(title: str, path: str, examples: Sequence[Series], data: LabelledData[Series]) -> Section:
    frames = [len(one.values) for one in examples]
    groups = {one.group for one in examples if one.group}
    skeleton = data.facts["skeleton"]
    gone = [missing(_joints(one, data)) for one in examples if len(one.values)]
    share = sum(int(one.sum()) for one in gone) / max(sum(one.size for one in gone), 1)
    spread = f"{min(frames)} to {max(frames)}, median {int(np.median(frames))}" if frames else "none"
    facts = [
        ("file", path),
        ("format", str(data.facts["format"])),
        ("sequences", f"{len(examples):,}"),
        ("classes", f"{len(class_counts(examples)):,}"),
        ("persons", f"{len(groups):,}" if groups else "not named"),
        ("frames of a sequence", spread),
        ("joints", f"{len(data.facts['joints'])} of {data.facts['dimensions']} coordinates"),
        ("skeleton", skeleton["name"] if skeleton else "not known"),
        ("missing joints", f"{100 * share:.1f} %"),
    ]
    return Section(facts, {"class": class_counts(examples)}, title)


def _findings(data: LabelledData[Series], path: str) -> Iterator[Finding]:
    if not data.examples:
        yield Finding("error", "no sequences", path, "there are no sequences; expected at least one")
        return
    if data.facts["unused"]:
        message = f"{data.facts['unused']} sequences are marked as not used and left out"
        yield Finding("note", "unused", path, message)
    if data.facts["skeleton"] is None:
        joints = len(data.facts["joints"])
        message = f"no preset has {joints} joints; name a definition file with names, parents and parts as the skeleton"
        yield Finding("warning", "skeleton", path, message)
    for one in data.examples:
        yield from _sequence(one, _joints(one, data))
    if data.facts["skeleton"] is not None:
        yield from _sizes(data, Skeleton.of(data.facts["skeleton"]))


def _sequence(one: Series, joints: NDArray[np.float32]) -> Iterator[Finding]:
    if not len(joints):
        yield Finding("error", "empty", one.where, "the sequence has no frames; leave it out")
        return
    gone = missing(joints)
    if gone.all():
        yield Finding(
            "error", "corrupt", one.where, "all joints of all frames are missing (zero); leave the sequence out"
        )
        return
    if gone.mean() > _GAPS:
        frames = int(gone.all(axis=1).sum())
        message = (
            f"{100 * gone.mean():.0f} % of the joints are missing (zero), {frames} of {len(joints)} frames wholly; "
            "they are interpolated over time"
        )
        yield Finding("warning", "missing joints", one.where, message)
    if len(joints) < _FEW:
        message = f"{len(joints)} frames are too few to smooth; expected at least {_FEW}"
        yield Finding("warning", "short", one.where, message)
    elif (joints == joints[:1]).all():
        yield Finding("warning", "still", one.where, "nothing moves: all frames are the same")


def _sizes(data: LabelledData[Series], skeleton: Skeleton) -> Iterator[Finding]:
    """Bodies far larger or smaller than the others: of another unit, or wrongly tracked."""
    upper, lower = (list(end) for end in skeleton.torso)
    found = []
    for one in data.examples:
        joints = _joints(one, data)
        known = joints[~missing(joints).any(axis=1)] if len(joints) else joints
        if len(known):
            torso = known[:, upper].mean(axis=1) - known[:, lower].mean(axis=1)
            found.append((float(np.median(np.linalg.norm(torso, axis=1))), one))
    usual = float(np.median([size for size, _ in found])) if found else 0.0
    for size, one in found:
        if usual and not usual / _FAR <= size <= usual * _FAR:
            message = f"the torso is {size:.3g} long, and the usual one {usual:.3g}; a wrong body, or another unit"
            yield Finding("warning", "size", one.where, message)
