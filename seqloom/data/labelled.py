"""Sequences with an answer: a document or a series of vectors, its class, who made it, and where it came from.

Sensors, pens, skeletons and images are all series of vectors once they are read; what a column means is said by ``facts``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from seqloom.errors import DataError

__all__ = [
    "PARTS",
    "Document",
    "LabelledData",
    "Series",
    "Target",
    "flattened",
    "of_part",
    "part_named",
    "split_part",
]

Target: TypeAlias = str | tuple[str, ...] | NDArray[np.float32] | None
"""A class, several classes, real values - (K,) of a sequence or (T, K) of its steps - or none."""

PARTS: Mapping[str, Sequence[str]] = {
    "train": ("train", "training"),
    "dev": ("dev", "valid", "validation", "val"),
    "test": ("test", "testing"),
}
"""What the parts of a data set are called in files that hold several."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """What all sequences with an answer have.

    Attributes:
        target: the answer; none where it is not known.
        group: who or what made it, such as a writer or a subject: what must not be in training and test at once.
        where: its place, as ``file:line`` or ``file[index]``.
        record: what a file says of it beside, which is written again with a prediction.
    """

    target: Target = None
    group: str = ""
    where: str = ""
    record: Any = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Document(Labelled):
    """A text."""

    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Series(Labelled):
    """A series of vectors.

    Attributes:
        values: (T, D) float32, a row for each step. NaN where a value is missing.
    """

    values: NDArray[np.float32]


Example = TypeVar("Example", bound=Labelled)


@dataclass(frozen=True)
class LabelledData(Generic[Example]):
    """The examples of a source.

    Attributes:
        facts: what reading found out, such as ``format``, ``channels`` (the names of the D columns), ``rate`` (steps in a
            second).
        parts: the indices of the examples that a file names as ``train``, ``dev`` and ``test``; empty where it names none.
    """

    examples: Sequence[Example]
    facts: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.examples)

    def part(self, name: str) -> Sequence[Example]:
        """The examples of a part; all where the file names no parts."""
        return [self.examples[index] for index in self.parts.get(name, ())] if self.parts else self.examples


def part_named(name: str) -> str:
    """``train``, ``dev`` or ``test`` of a name that a file uses for it; empty for another.

    >>> part_named("Validation"), part_named("x")
    ('dev', '')
    """
    return next((part for part, names in PARTS.items() if name.lower() in names), "")


def split_part(path: str) -> tuple[str, str]:
    """A path and the part of the file that is meant: ``digits.npz:test`` is the part ``test`` of ``digits.npz``.

    >>> split_part("digits.npz:valid"), split_part("digits.npz")
    (('digits.npz', 'dev'), ('digits.npz', ''))
    """
    before, colon, after = path.rpartition(":")
    part = part_named(after) if colon and before and not Path(path).exists() else ""
    return (before, part) if part else (path, "")


def of_part(data: LabelledData[Example], part: str, name: str) -> LabelledData[Example]:
    """One part of a file that holds several; all of it where no part is named.

    Raises:
        DataError: the file has no such part.
    """
    if not part:
        return data
    if part not in data.parts:
        held = f"it holds {', '.join(data.parts)}" if data.parts else "it names no parts"
        raise DataError(f"{name} has no part {part!r}; {held}")
    return LabelledData(data.part(part), data.facts)


def flattened(examples: Sequence[Series]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All steps one after the other, (N, D), and (S + 1,) where each series begins and the last one ends."""
    offsets = np.zeros(len(examples) + 1, np.int64)
    np.cumsum([len(one.values) for one in examples], out=offsets[1:])
    flat = np.concatenate([one.values for one in examples]) if examples else np.zeros((0, 0), np.float32)
    return flat.astype(np.float32, copy=False), offsets
