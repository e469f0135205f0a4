"""When the values of a pass can be computed, when they are used first, and what must go through memory in between.

The *level* of a value is how many products of computed vectors and sums over units precede it. A stage computes what
is of one level and one width. What is not demanded earlier is computed in the stage that uses it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from seqloom.engine.lowering.form import Kind, Op, Operand, Segment
from seqloom.engine.lowering.values import Node, Value

__all__ = ["ACCUMULATORS", "Levels", "Reading", "Root", "Setting"]

ACCUMULATORS = frozenset({Node.PRODUCT, Node.BACK_PRODUCT})
_UNREADABLE = frozenset({Kind.CARRY, Kind.VECTOR_GRADIENT})
_Place: TypeAlias = tuple[int, int]
"""A value, by index, as it is computed in stages of a width."""


@dataclass(frozen=True)
class Root:
    """Something that a pass must write: a value computed on ``width`` units, by STORE, ADD_ROWS or SUM_UNITS."""

    value: Value
    width: int
    operand: Operand
    op: Op = Op.STORE
    result: int = -1
    """The index of the value that this makes readable, if any."""


@dataclass(frozen=True)
class Reading:
    """What an accumulator multiplies: a source, the segments of its matrix, and the stores that fill the source."""

    source: Operand
    length: int
    gate: tuple[Segment, ...]
    stores: tuple[tuple[Value, int, Operand], ...] = ()


@dataclass(frozen=True)
class Setting:
    """What surrounds a pass.

    Args:
        roots: what it must write.
        memory: operands of the values that are there before it begins.
        once: those of them that it overwrites, and where from on.
        read: what an accumulator multiplies.
        home: new memory for a value that a later stage reads.
        saves: values that are written besides, in the stage that computes them.
    """

    roots: Sequence[Root]
    memory: Mapping[int, Operand]
    once: frozenset[int]
    read: Callable[[Value], Reading]
    home: Callable[[Value], Operand]
    saves: Sequence[tuple[Value, Operand]] = ()


@dataclass
class Levels:
    """The roots of a pass, those among them that it needs on the way, and the levels at which stages write them."""

    setting: Setting
    readings: dict[int, Reading] = field(default_factory=dict)
    level: dict[_Place, int] = field(default_factory=dict)
    first: dict[_Place, int] = field(default_factory=dict)
    """The level of the stage that uses a value first."""
    roots: list[tuple[Root, int]] = field(default_factory=list)
    """With the level of its stage."""
    known: set[Root] = field(default_factory=set)
    homes: dict[int, list[tuple[int, Operand]]] = field(default_factory=dict)
    """Where a value lies in memory, from which level on."""

    def __post_init__(self) -> None:
        self._discover()
        self._place()
        for value, operand in self.setting.saves:
            place = (value.index, value.width)
            self.add(Root(value, value.width, operand, result=value.index), self.first[place])

    def add(self, root: Root, level: int) -> None:
        """Let the stage of a level write something; what it writes can be read from the next level on."""
        if root in self.known:
            return
        self.known.add(root)
        self.roots.append((root, level))
        if root.result >= 0 and root.operand.kind not in _UNREADABLE:
            self.homes.setdefault(root.result, []).append((level + 1, root.operand))

    def remove(self, root: Root) -> None:
        """Let nothing write a root, or read it."""
        self.known.remove(root)
        self.roots = [(other, level) for other, level in self.roots if other != root]
        self.homes[root.result] = [home for home in self.homes[root.result] if home[1] != root.operand]

    def narrow(self, value: Value, width: int) -> bool:
        """Whether a value of width 1 must be in memory before a wider stage can use it."""
        if value.index in self.setting.memory:
            return value.width != width and value.index in self.setting.once
        return value.width != width and value.operation in ACCUMULATORS

    def _through_memory(self, value: Value, width: int) -> bool:
        if self.narrow(value, width):
            return True
        return value.operation in (Node.ROW_SUM, Node.PART) and value.index not in self.setting.memory

    def _discover(self) -> None:
        """All that the roots need, its levels, and the stores between stages that nothing can avoid."""
        waiting: list[Root] = list(self.setting.roots)
        computed: dict[_Place, Value] = {}
        wanted: list[Root] = []
        given = {root.value.index for root in waiting if root.value.operation is Node.ROW_SUM and self._direct(root)}
        while waiting:
            root = waiting.pop()
            if root.value.operation is Node.ROW_SUM and self._direct(root):
                part = root.value.inputs[0]
                computed[root.value.index, 1] = root.value
                root = Root(part, part.width, root.operand, Op.SUM_UNITS, root.value.index)
            wanted.append(root)
            places = [(root.value, root.width)]
            while places:
                value, width = places.pop()
                if (value.index, width) in computed:
                    continue
                computed[value.index, width] = value
                waiting += self._required(value, width, given)
                if value.elementwise and value.index not in self.setting.memory:
                    places += [(part, width) for part in value.inputs]
        for index, width in sorted(computed):
            self.level[index, width] = self._level(computed[index, width], width)
        constants = []
        for root in wanted:
            if root.value.number is None:
                self.add(root, self.level[root.value.index, root.width])
            else:
                constants.append(root)
        for root in constants:
            existing = [level for other, level in self.roots if other.width == root.width]
            self.add(root, min(existing, default=0))

    def _direct(self, root: Root) -> bool:
        """Whether a sum over units may be written where it is wanted: not over what this step still reads."""
        inside = root.value.index not in self.setting.memory
        return inside and root.op is Op.STORE and root.width == 1 and root.operand.kind is not Kind.CARRY

    def _required(self, value: Value, width: int, given: set[int]) -> Iterator[Root]:
        """The roots that a value needs before the stage that uses it."""
        if self.narrow(value, width):
            yield Root(value, value.width, self.setting.home(value), result=value.index)
        elif value.index in self.setting.memory:
            return
        if value.operation in ACCUMULATORS and value.index not in self.readings:
            self.readings[value.index] = reading = self.setting.read(value)
            for part, units, operand in reading.stores:
                yield Root(part, units, operand, result=part.index if part.width == units else -1)
        if value.operation is Node.ROW_SUM:
            if value.index not in given:
                given.add(value.index)
                yield Root(value, 1, self.setting.home(value), result=value.index)
        elif value.operation is Node.PART:
            whole = value.inputs[0]
            yield Root(whole, whole.width, self.setting.home(whole), result=whole.index)

    def _level(self, value: Value, width: int) -> int:
        narrow = int(self.narrow(value, width))
        if value.index in self.setting.memory or value.number is not None:
            return narrow
        if value.operation in ACCUMULATORS:
            stores = self.readings[value.index].stores
            # A sum over units is written in the stage before its own level.
            after = (self.level[part.index, n] + (part.operation is not Node.ROW_SUM) for part, n, _ in stores)
            return max(after, default=0) + narrow
        if value.operation in (Node.ROW_SUM, Node.PART):
            part = value.inputs[0]
            return self.level[part.index, part.width] + 1
        return max(self.level[part.index, width] for part in value.inputs)

    def _place(self) -> None:
        """Where each value is used first; what is overwritten is written no earlier than it is read."""
        carries = {self.setting.memory[index]: index for index in self.setting.once}
        while True:
            self.first = {}
            for level, width in self.places():
                for value in self._inline(level, width):
                    self.first.setdefault((value.index, width), level)
            late = []
            for position, (root, level) in enumerate(self.roots):
                index = carries.get(root.operand)
                if index is not None and self.first.get((index, root.width), 0) > level:
                    late.append((position, self.first[index, root.width]))
            if not late:
                return
            for position, level in late:
                self.roots[position] = (self.roots[position][0], level)

    def at(self, level: int, width: int) -> list[Root]:
        """What a stage writes."""
        return [root for root, at in self.roots if (at, root.width) == (level, width)]

    def places(self) -> list[tuple[int, int]]:
        """(level, width) of each stage, in order."""
        return sorted({(level, root.width) for root, level in self.roots})

    def _inline(self, level: int, width: int) -> Iterator[Value]:
        """Everything that a stage would compute or load if it computed all that it can."""
        waiting = [root.value for root in self.at(level, width)]
        seen: set[int] = set()
        while waiting:
            value = waiting.pop()
            if value.index not in seen and not self._through_memory(value, width):
                seen.add(value.index)
                yield value
                if value.elementwise and value.index not in self.setting.memory:
                    waiting += value.inputs
