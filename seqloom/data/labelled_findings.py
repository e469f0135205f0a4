"""What can be wrong with examples that have answers, whatever they are: rare classes, repetitions, shared groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from seqloom.data.findings import Finding
from seqloom.data.labelled import Labelled, LabelledData, Target

__all__ = ["class_counts", "class_findings", "compared_findings", "named_parts", "repetition_findings"]

_RARE = 0.01
_SHOWN = 5

Key = Callable[[Labelled], Hashable]
"""What two examples have in common that are the same; None of one that is not compared."""


def named_parts(data: Mapping[str, LabelledData[Any]]) -> dict[str, Sequence[Any]]:
    """The examples of each part that the sources name, or of each source that names none."""
    found: dict[str, Sequence[Any]] = {}
    for name, one in data.items():
        if one.parts:
            found.update({part if len(data) == 1 else f"{name}, {part}": one.part(part) for part in one.parts})
        else:
            found[name] = one.examples
    return found


def class_counts(examples: Sequence[Labelled]) -> dict[str, int]:
    """How many examples have each class, the most frequent first; one with several classes counts for each."""
    counted = Counter(label for one in examples for label in _labels(one))
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def class_findings(split: str, examples: Sequence[Labelled]) -> Iterator[Finding]:
    """Classes of one example, a single class, examples without a class beside others with one."""
    counts = class_counts(examples)
    first: dict[str, Labelled] = {}
    for one in examples:
        for label in _labels(one):
            first.setdefault(label, one)
    for label, count in counts.items():
        if count == 1:
            message = f"{split}: the class {label!r} has one example; nothing can be learned and tested on it"
            yield Finding("warning", "rare class", first[label].where, message)
    if len(counts) == 1:
        label = next(iter(counts))
        yield Finding("error", "classes", first[label].where, f"{split}: all examples are of the class {label!r}")
    without = [one for one in examples if one.target is None]
    if without and counts:
        message = f"{split}: {len(without):,} of {len(examples):,} examples have no class, the first here"
        yield Finding("warning", "no class", without[0].where, message)
    if counts and len(counts) > 1:
        (most, highest), (least, lowest) = next(iter(counts.items())), list(counts.items())[-1]
        if 1 < lowest < _RARE * highest:
            message = f"{split}: {least!r} is {highest // lowest} times rarer than {most!r}; see class_weights"
            yield Finding("note", "imbalance", first[least].where, message)


def repetition_findings(split: str, examples: Sequence[Labelled], key: Key) -> Iterator[Finding]:
    """Examples that occur twice, and those of them with different answers."""
    seen: dict[Hashable, Labelled] = {}
    same: list[tuple[Labelled, Labelled]] = []
    different: list[tuple[Labelled, Labelled]] = []
    for one in examples:
        found = key(one)
        if found is None:
            continue
        before = seen.setdefault(found, one)
        if before is not one:
            (same if _answer(before.target) == _answer(one.target) else different).append((one, before))
    for pairs, severity, kind, what in (
        (same, "note", "repetitions", "repeat an earlier one"),
        (different, "warning", "contradictions", "repeat an earlier one that has another class"),
    ):
        if pairs:
            one, before = pairs[0]
            message = f"{split}: {len(pairs):,} of {len(examples):,} examples {what}; the first here, as {before.where}"
            yield Finding("warning" if severity == "warning" else "note", kind, one.where, message)


def compared_findings(splits: Mapping[str, Sequence[Labelled]], key: Key, group: str = "group") -> Iterator[Finding]:
    """What splits share and should not - examples, groups - and classes that the first one has not.

    Args:
        splits: the training data first; each of the others is compared with all before it.
        group: what a group is, such as writer.
    """
    names = list(splits)
    known = {name: {found: one for one in splits[name] if (found := key(one)) is not None} for name in names}
    for position, name in enumerate(names):
        for before in names[:position]:
            shared = [one for one in splits[name] if key(one) in known[before]]
            if shared:
                other = known[before][key(shared[0])].where
                message = (
                    f"{len(shared):,} of {len(splits[name]):,} examples of {name} are in {before} too; the first here, "
                    f"as {other}"
                )
                yield Finding("warning", "shared examples", shared[0].where, message)
            yield from _shared_groups(name, splits[name], before, splits[before], group)
    if names:
        trained = class_counts(splits[names[0]])
        for name in names[1:]:
            yield from _foreign_classes(name, splits[name], names[0], trained)


def _shared_groups(
    name: str, examples: Sequence[Labelled], before: str, earlier: Sequence[Labelled], group: str
) -> Iterator[Finding]:
    groups = {one.group for one in earlier if one.group}
    shared = {one.group: one for one in reversed(examples) if one.group in groups}
    if shared:
        shown = ", ".join(sorted(shared)[:_SHOWN]) + (" ..." if len(shared) > _SHOWN else "")
        total = len({one.group for one in examples if one.group})
        message = (
            f"{len(shared):,} of {total:,} {group}s of {name} are in {before} too ({shown}): scores are those of known "
            f"{group}s, and higher than those of new ones"
        )
        yield Finding("warning", "shared groups", next(reversed(shared.values())).where, message)


def _foreign_classes(
    name: str, examples: Sequence[Labelled], first: str, trained: Mapping[str, int]
) -> Iterator[Finding]:
    if not trained:
        return
    foreign = Counter(label for one in examples for label in _labels(one) if label not in trained)
    for label, count in sorted(foreign.items()):
        where = next(one.where for one in examples if label in _labels(one))
        message = f"the class {label!r} of {name} ({count:,} examples) does not occur in {first}"
        yield Finding("error", "unknown class", where, message)


def _labels(one: Labelled) -> tuple[str, ...]:
    if isinstance(one.target, str):
        return (one.target,)
    return one.target if isinstance(one.target, tuple) else ()


def _answer(target: Target) -> Hashable:
    if target is None or isinstance(target, str):
        return target
    return frozenset(target) if isinstance(target, tuple) else target.tobytes()
