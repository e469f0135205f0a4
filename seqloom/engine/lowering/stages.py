"""From values to stages: what is computed again, what goes through memory, and the code of each stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from seqloom.engine.lowering.code import Code
from seqloom.engine.lowering.form import Operand, Stage
from seqloom.engine.lowering.levels import ACCUMULATORS, Levels, Root, Setting
from seqloom.engine.lowering.values import CHEAP, Node, Value

__all__ = ["schedule"]

_MOST_OPERATIONS_AGAIN = 3
_Used: TypeAlias = dict[int, tuple[Value, Operand | None]]
"""By index, what a stage uses: a value, and where it is loaded from, or none where it is computed."""


def schedule(setting: Setting) -> tuple[Stage, ...]:
    """The stages of a pass, in order."""
    return _Schedule(Levels(setting)).run()


@dataclass
class _Schedule:
    levels: Levels
    asked: list[Root] = field(default_factory=list)
    """Stores that later stages asked for."""

    def run(self) -> tuple[Stage, ...]:
        while True:
            used = self._settle()
            read = {operand for values in used.values() for _, operand in values.values()}
            idle = [root for root in self.asked if root.operand not in read]
            if not idle:
                return tuple(self._stage(*place, used[place]) for place in self.levels.places())
            for root in idle:  # another store has made it needless
                self.asked.remove(root)
                self.levels.remove(root)

    def _settle(self) -> dict[tuple[int, int], _Used]:
        """What each stage computes and loads; a store that one asks of an earlier one changes what that one does."""
        while True:
            before = len(self.levels.roots)
            used = {place: self._choose(*place) for place in self.levels.places()}
            if len(self.levels.roots) == before:
                return used

    def _choose(self, level: int, width: int) -> _Used:
        used: _Used = {}
        waiting = {root.value.index: root.value for root in self.levels.at(level, width)}
        while waiting:  # results before inputs
            value = waiting.pop(max(waiting))
            operand = self._load(value, level, width)
            used[value.index] = value, operand
            if operand is None and value.elementwise:
                waiting.update((part.index, part) for part in value.inputs)
        return used

    def _load(self, value: Value, level: int, width: int) -> Operand | None:
        """The operand from which a stage loads a value, none where the stage computes it."""
        if value.number is not None:
            return None
        operand = self._readable(value, level)
        if operand is not None:
            return operand
        first = self.levels.first.get((value.index, width), level)
        if first >= level or (value.width < width and not self.levels.narrow(value, width)):
            return None
        if self._operations_again(value, level) <= _MOST_OPERATIONS_AGAIN:
            return None
        operand = self.levels.setting.home(value)
        root = Root(value, value.width, operand, result=value.index)
        self.asked.append(root)
        self.levels.add(root, first)
        return operand

    def _readable(self, value: Value, level: int) -> Operand | None:
        """Where a stage of a level finds a value in memory."""
        if value.operation is Node.PART:
            whole = self._readable(value.inputs[0], level)
            return whole and Operand(whole.kind, whole.index, whole.offset + value.attributes[0])
        setting = self.levels.setting
        here = setting.memory.get(value.index)
        if here is not None:
            overwritten = value.index in setting.once and self.levels.first.get((value.index, value.width)) != level
            if not overwritten:
                return here
        return next((operand for since, operand in self.levels.homes.get(value.index, ()) if since <= level), None)

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

    def _stage(self, level: int, width: int, used: _Used) -> Stage:
        code = Code(width)
        for index in sorted(used):
            value, operand = used[index]
            if operand is not None:
                code.load(value, operand)
            elif value.operation in ACCUMULATORS:
                reading = self.levels.readings[index]
                code.accumulator(value, reading.source, reading.length, reading.gate)
            else:
                code.compute(value)
        for root in self.levels.at(level, width):
            code.write(root.op, root.operand, root.value)
        return code.stage()
