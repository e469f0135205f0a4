"""From values to stages: what is computed when, what goes through memory in between, and the code of each stage.

The *level* of a value is how many products of computed vectors and sums over units precede it. A stage computes what
is of one level and one width, and what later stages need it writes to memory. What is not demanded earlier is computed
in the stage that uses it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from seqloom.engine.compiled.code import Code
from seqloom.engine.compiled.form import Kind, Op, Segment, Stage, Stream
from seqloom.engine.compiled.values import CHEAP, Node, Value

__all__ = ["Reading", "Root", "Setting", "schedule"]

_ACCUMULATORS = frozenset({Node.PRODUCT, Node.BACK_PRODUCT})
_UNREADABLE = frozenset({Kind.CARRY, Kind.VECTOR_GRADIENT})
_MOST_OPERATIONS_AGAIN = 3
_Place: TypeAlias = tuple[int, int]
"""A value, by index, as it is computed in stages of a width."""


@dataclass(frozen=True)
class Root:
    """Something that a pass must write: a value computed on ``width`` units, by STORE, ADD_ROWS or SUM_UNITS."""

    value: Value
    width: int
    stream: Stream
    op: Op = Op.STORE
    result: int = -1
    """The index of the value that this makes readable, if any."""


@dataclass(frozen=True)
class Reading:
    """What an accumulator multiplies: a source, the segments of its matrix, and the stores that fill the source."""

    source: Stream
    length: int
    gate: tuple[Segment, ...]
    stores: tuple[tuple[Value, int, Stream], ...] = ()


@dataclass(frozen=True)
class Setting:
    """What surrounds a pass.

    Args:
        roots: what it must write.
        memory: streams of the values that are there before it begins.
        once: those of them that it overwrites, and where from on.
        read: what an accumulator multiplies.
        home: new memory for a value that a later stage reads.
        saves: values that are written besides, in the stage that computes them.
    """

    roots: Sequence[Root]
    memory: Mapping[int, Stream]
    once: frozenset[int]
    read: Callable[[Value], Reading]
    home: Callable[[Value], Stream]
    saves: Sequence[tuple[Value, Stream]] = ()


def schedule(setting: Setting) -> tuple[Stage, ...]:
    """The stages of a pass, in order."""
    return _Schedule(setting).run()


@dataclass
class _Schedule:
    setting: Setting
    readings: dict[int, Reading] = field(default_factory=dict)
    level: dict[_Place, int] = field(default_factory=dict)
    first: dict[_Place, int] = field(default_factory=dict)
    """The level of the stage that uses a value first."""
    roots: list[tuple[Root, int]] = field(default_factory=list)
    """With the level of its stage."""
    known: set[Root] = field(default_factory=set)
    homes: dict[int, list[tuple[int, Stream]]] = field(default_factory=dict)
    """Where a value lies in memory, from which level on."""

    def run(self) -> tuple[Stage, ...]:
        self._discover()
        self._place()
        for value, stream in self.setting.saves:
            place = (value.index, value.width)
            self._add(Root(value, value.width, stream, result=value.index), self.first[place])
        stages: list[Stage] = []
        # A stage may ask earlier ones to store something, so the last comes first.
        done: set[tuple[int, int]] = set()
        while waiting := {(level, root.width) for root, level in self.roots} - done:
            level, width = max(waiting)
            stages.append(self._stage(level, width))
            done.add((level, width))
        return tuple(reversed(stages))

    def _add(self, root: Root, level: int) -> None:
        if root in self.known:
            return
        self.known.add(root)
        self.roots.append((root, level))
        if root.result >= 0 and root.stream.kind not in _UNREADABLE:
            self.homes.setdefault(root.result, []).append((level + 1, root.stream))

    def _narrow(self, value: Value, width: int) -> bool:
        """Whether a value of width 1 must be in memory before a wider stage can use it."""
        if value.index in self.setting.memory:
            return value.width != width and value.index in self.setting.once
        return value.width != width and value.operation in _ACCUMULATORS

    def _through_memory(self, value: Value, width: int) -> bool:
        if self._narrow(value, width):
            return True
        return value.operation in (Node.ROW_SUM, Node.PART) and value.index not in self.setting.memory

    def _discover(self) -> None:
        """All that the roots need, its levels, and the stores between stages that nothing can avoid."""
        waiting: list[Root] = list(self.setting.roots)
        found: dict[_Place, Value] = {}
        wanted: list[Root] = []
        given = {root.value.index for root in waiting if root.value.operation is Node.ROW_SUM and self._direct(root)}
        while waiting:
            root = waiting.pop()
            if root.value.operation is Node.ROW_SUM and self._direct(root):
                part = root.value.inputs[0]
                root = Root(part, part.width, root.stream, Op.SUM_UNITS, root.value.index)
            wanted.append(root)
            places = [(root.value, root.width)]
            while places:
                value, width = places.pop()
                if (value.index, width) in found:
                    continue
                found[value.index, width] = value
                waiting += self._required(value, width, given)
                if value.elementwise and value.index not in self.setting.memory:
                    places += [(part, width) for part in value.inputs]
        for index, width in sorted(found):
            self.level[index, width] = self._level(found[index, width], width)
        constants = []
        for root in wanted:
            if root.value.number is None:
                self._add(root, self.level[root.value.index, root.width])
            else:
                constants.append(root)
        for root in constants:
            existing = [level for other, level in self.roots if other.width == root.width]
            self._add(root, min(existing, default=0))

    def _direct(self, root: Root) -> bool:
        """Whether a sum over units may be written where it is wanted: not over what this step still reads."""
        return root.op is Op.STORE and root.width == 1 and root.stream.kind is not Kind.CARRY

    def _required(self, value: Value, width: int, given: set[int]) -> Iterator[Root]:
        """The roots that a value needs before the stage that uses it."""
        if self._narrow(value, width):
            yield Root(value, value.width, self.setting.home(value), result=value.index)
        elif value.index in self.setting.memory:
            return
        if value.operation in _ACCUMULATORS and value.index not in self.readings:
            self.readings[value.index] = reading = self.setting.read(value)
            for part, units, stream in reading.stores:
                yield Root(part, units, stream, result=part.index if part.width == units else -1)
        if value.operation is Node.ROW_SUM:
            if value.index not in given:
                given.add(value.index)
                yield Root(value, 1, self.setting.home(value), result=value.index)
        elif value.operation is Node.PART:
            whole = value.inputs[0]
            yield Root(whole, whole.width, self.setting.home(whole), result=whole.index)

    def _level(self, value: Value, width: int) -> int:
        narrow = int(self._narrow(value, width))
        if value.index in self.setting.memory or value.number is not None:
            return narrow
        if value.operation in _ACCUMULATORS:
            stores = self.readings[value.index].stores
            return max((self.level[part.index, units] + 1 for part, units, _ in stores), default=0) + narrow
        if value.operation in (Node.ROW_SUM, Node.PART):
            part = value.inputs[0]
            return self.level[part.index, part.width] + 1
        return max(self.level[part.index, width] for part in value.inputs)

    def _place(self) -> None:
        """Where each value is used first; what is overwritten is written no earlier than it is read."""
        carries = {self.setting.memory[index]: index for index in self.setting.once}
        while True:
            self.first = {}
            for level, width in sorted({(level, root.width) for root, level in self.roots}):
                for value in self._inline(level, width):
                    self.first.setdefault((value.index, width), level)
            late = []
            for position, (root, level) in enumerate(self.roots):
                index = carries.get(root.stream)
                if index is not None and self.first.get((index, root.width), 0) > level:
                    late.append((position, self.first[index, root.width]))
            if not late:
                return
            for position, level in late:
                self.roots[position] = (self.roots[position][0], level)

    def _inline(self, level: int, width: int) -> Iterator[Value]:
        """Everything that a stage would compute or load if it computed all that it can."""
        waiting = [root.value for root, at in self.roots if (at, root.width) == (level, width)]
        seen: set[int] = set()
        while waiting:
            value = waiting.pop()
            if value.index not in seen and not self._through_memory(value, width):
                seen.add(value.index)
                yield value
                if value.elementwise and value.index not in self.setting.memory:
                    waiting += value.inputs

    def _readable(self, value: Value, level: int) -> Stream | None:
        """Where a stage of a level finds a value in memory."""
        if value.operation is Node.PART:
            whole = self._readable(value.inputs[0], level)
            return whole and Stream(whole.kind, whole.index, whole.offset + value.attributes[0])
        here = self.setting.memory.get(value.index)
        if here is not None and (
            value.index not in self.setting.once or self.first.get((value.index, value.width)) == level
        ):
            return here
        return next((stream for since, stream in self.homes.get(value.index, ()) if since <= level), None)

    def _operations_again(self, value: Value, level: int) -> int:
        """How many operations compute a value from what is in memory; many where it takes more than cheap ones."""
        if value.number is not None or self._readable(value, level) is not None:
            return 0
        if value.operation not in CHEAP:
            return _MOST_OPERATIONS_AGAIN + 1
        total = 1
        for part in value.inputs:
            if total <= _MOST_OPERATIONS_AGAIN:
                total += self._operations_again(part, level)
        return total

    def _load(self, value: Value, level: int, width: int) -> Stream | None:
        """The stream from which a stage loads a value, none where the stage computes it."""
        if value.number is not None:
            return None
        stream = self._readable(value, level)
        if stream is not None:
            return stream
        if self.first.get((value.index, width), level) >= level or (
            value.width < width and not self._narrow(value, width)
        ):
            return None
        if self._operations_again(value, level) <= _MOST_OPERATIONS_AGAIN:
            return None
        stream = self.setting.home(value)
        self._add(Root(value, value.width, stream, result=value.index), self.first[value.index, value.width])
        return stream

    def _stage(self, level: int, width: int) -> Stage:
        roots = [root for root, at in self.roots if (at, root.width) == (level, width)]
        code = Code(width)
        waiting = {root.value.index: root.value for root in roots}
        used: dict[int, tuple[Value, Stream | None]] = {}
        while waiting:  # results before operands
            value = waiting.pop(max(waiting))
            stream = self._load(value, level, width)
            used[value.index] = value, stream
            if stream is None and value.elementwise:
                waiting.update((part.index, part) for part in value.inputs)
        for index in sorted(used):
            value, stream = used[index]
            if stream is not None:
                code.load(value, stream)
            elif value.operation in _ACCUMULATORS:
                reading = self.readings[index]
                code.accumulator(value, reading.source, reading.length, reading.gate)
            else:
                code.compute(value)
        for root in roots:
            code.write(root.op, root.stream, root.value)
        return code.stage()
