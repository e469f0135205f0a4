"""What can be wrong with labelled examples of any kind: their classes, and who made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seqloom.data.findings import Finding
from seqloom.data.labelled import LabelledData

__all__ = ["class_findings", "counted", "group_findings", "named_parts"]


def named_parts(data: Mapping[str, LabelledData[Any]]) -> dict[str, Sequence[Any]]:
    """The examples of each part that the sources name, or of each source that names none."""
    found: dict[str, Sequence[Any]] = {}
    for name, one in data.items():
        if one.parts:
            found.update({part if len(data) == 1 else f"{name}, {part}": one.part(part) for part in one.parts})
        else:
            found[name] = one.examples
    return found


def counted(examples: Sequence[Any]) -> dict[str, int]:
    """How often each class occurs, the most frequent first."""
    return dict(Counter(one.target for one in examples if isinstance(one.target, str)).most_common())


def class_findings(name: str, parts: Mapping[str, Sequence[Any]]) -> Iterator[Finding]:
    """Classes with one example, classes that the first part, that of training, has not, and examples without a class."""
    (first, training), *others = parts.items() if parts else [("", ())]
    counts = counted(training)
    for label, count in counts.items():
        if count == 1:
            where = next(one.where for one in training if one.target == label)
            message = f"the class {label!r} has one example in {first}, from which nothing is learned; add more or leave it out"
            yield Finding("warning", "one example", where or name, message)
    for part, examples in others:
        unknown = {label: count for label, count in counted(examples).items() if label not in counts}
        for label, count in unknown.items():
            where = next(one.where for one in examples if one.target == label)
            message = (
                f"the class {label!r} is {count} times in {part} and never in {first}, so that it is never recognised"
            )
            yield Finding("warning", "unknown class", where or name, message)
    for part, examples in parts.items():
        without = [one for one in examples if one.target is None]
        if without and counts:
            message = (
                f"{len(without)} of {len(examples)} examples in {part} have no class; they are of no use in training"
            )
            yield Finding("warning", "no class", without[0].where or name, message)


def group_findings(name: str, parts: Mapping[str, Sequence[Any]], what: str) -> Iterator[Finding]:
    """Whose examples are in two parts.

    Args:
        what: a group is, such as writer.
    """
    groups = {part: {one.group for one in examples if one.group} for part, examples in parts.items()}
    listed = list(groups.items())
    for index, (part, own) in enumerate(listed):
        for other, others in listed[index + 1 :]:
            shared = sorted(own & others)
            if shared:
                some = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
                message = (
                    f"{len(shared)} of {len(others)} {what}s in {other} are in {part} too ({some}): "
                    f"scores are those of known {what}s, and higher than those of new ones; split by {what}"
                )
                yield Finding("warning", "shared groups", name, message)
