"""The columns of the gradient array: what each reader needs side by side, shared where an order allows it.

The gradient of the input product is one run of columns, and so is what each backward product reads. The order within a
run is free, so two runs that overlap share columns where those in common can lie between the others: four blocks for an
LSTM, ``[candidate of h, r, z, candidate of x]`` for a GRU with the reset after the product.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Arrangement", "arrange"]

Key = TypeVar("Key", bound=Hashable)
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Arrangement(Generic[Name, Key]):
    """Which blocks lie where: ``columns`` in order (one may occur twice), and each run's blocks as first and last + 1."""

    columns: tuple[Key, ...]
    runs: dict[Name, tuple[int, int]]


def arrange(runs: Mapping[Name, Collection[Key]], rank: Mapping[Key, tuple[int, ...]]) -> Arrangement[Name, Key]:
    """Columns in which the blocks of each run are consecutive.

    Args:
        runs: blocks, each once in a run; earlier runs have the choice.
        rank: order of blocks wherever it is free.

    >>> arrange({"x": "rzn", "h": "mrz"}, {block: (ord(block),) for block in "mnrz"})
    Arrangement(columns=('m', 'r', 'z', 'n'), runs={'x': (1, 4), 'h': (0, 3)})
    """
    line: _Line[Key] = _Line()
    apart = [name for name, run in runs.items() if run and not line.place(set(run))]
    columns = [key for group in line.groups for key in sorted(group, key=rank.__getitem__)]
    places: dict[Name, tuple[int, int]] = {}
    for name, run in runs.items():
        if name in apart:
            places[name] = (len(columns), len(columns) + len(run))
            columns += sorted(run, key=rank.__getitem__)
        elif run:
            positions = [columns.index(key) for key in run]
            places[name] = (min(positions), max(positions) + 1)
    return Arrangement(tuple(columns), places)


@dataclass
class _Line(Generic[Key]):
    """Groups in a fixed order; within a group, all orders serve all runs so far."""

    groups: list[set[Key]] = field(default_factory=list)

    def place(self, run: set[Key]) -> bool:
        """Settle the order as far as this run needs it; changes nothing where that is impossible."""
        touched = [i for i, group in enumerate(self.groups) if group & run]
        if not touched:
            self.groups.append(set(run))
            return True
        first, last = touched[0], touched[-1]
        inner = range(first + 1, last)
        if len(touched) != last - first + 1 or any(not self.groups[i] <= run for i in inner):
            return False
        new = run.difference(*self.groups)
        single = first == last
        left = first == 0 and (single or self.groups[first] <= run)
        right = last == len(self.groups) - 1 and (single or self.groups[last] <= run)
        if new and not (left or right):
            return False
        parts: list[set[Key]] = []
        for i in range(first, last + 1):
            within, rest = self.groups[i] & run, self.groups[i] - run
            towards_right = i == first if not single else bool(new) and not left
            parts += [part for part in ((rest, within) if towards_right else (within, rest)) if part]
        if new:
            parts = [new, *parts] if left else [*parts, new]
        self.groups[first : last + 1] = parts
        return True
