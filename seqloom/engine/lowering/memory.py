"""The gradient array and the forward arrays of a program: what lies where, and who reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from seqloom.engine.lowering.blocks import CutStep
from seqloom.engine.lowering.columns import arrange
from seqloom.engine.lowering.form import Array, Kind, LinearBlock, Op, Operand, Segment, Stage
from seqloom.engine.lowering.reverse import StepGradients
from seqloom.engine.lowering.values import Node, Source, Value

__all__ = ["Arrays", "Columns", "Run"]

_Column = tuple[int, int, int]
"""The gradient that it holds, its units, and which of several equal ones in a run it is."""


@dataclass(frozen=True)
class Run:
    """Consecutive columns that are read at once: from ``first`` on, for each block what it is the gradient of."""

    first: int
    blocks: tuple[tuple[Value, Value, int], ...]
    """(leaf or product, gradient, column), in order."""

    def segments(self, matrices: Sequence[str]) -> tuple[Segment, ...]:
        """The transposed matrices that multiply the columns, consecutive rows as one."""
        joined: list[Segment] = []
        for product, _, _ in self.blocks:
            name, row, _ = product.attributes
            last = joined[-1] if joined else None
            if last and last.matrix == matrices.index(name) and last.offset + last.length == row:
                joined[-1] = Segment(last.matrix, True, last.offset, last.length + product.width)
            else:
                joined.append(Segment(matrices.index(name), True, row, product.width))
        return tuple(joined)


class Columns:
    """The gradient array.

    Attributes:
        width: floats of a row.
        stored: the gradient, units and first column of each block.
        linear: the run of the input product's gradient, none where no gradient arrives there.
        sources: the run of each vector that products read.
        rows: the first column of the gradient of each hoisted row value, by graph node.
    """

    def __init__(self, step: CutStep, forward: Sequence[Value], gradients: StepGradients) -> None:
        zero = step.values.constant(0.0)
        known = {leaf.index: gradient for leaf, gradient in gradients.leaves}
        linear = [(value, known.get(value.index, zero)) for value in forward if value.operation is Node.LINEAR]
        runs: dict[Source, list[tuple[Value, Value]]] = {}
        if any(leaf.index in known for leaf, _ in linear):
            runs[()] = linear
        runs.update(sorted(gradients.products.items(), key=lambda item: -len(item[1])))
        whole = {
            value.attributes[0]: value for value in forward if value.operation is Node.ROWS and value.index in known
        }
        names = list(step.matrices)
        rank: dict[_Column, tuple[int, ...]] = {}
        columns: dict[Source, dict[_Column, tuple[Value, Value]]] = {}
        for name, run in runs.items():
            columns[name] = own = {}
            for target, gradient in run:
                copy = 0
                while (key := (gradient.index, target.width, copy)) in own:
                    copy += 1
                own[key] = (target, gradient)
                rank.setdefault(key, _rank(target, names))
        arrangement = arrange(columns, rank)
        self.stored: list[tuple[Value, int, int]] = []
        everything = step.values.everything
        starts = [0, *accumulate(units for _, units, _ in arrangement.columns)]
        for (index, units, _), start in zip(arrangement.columns, starts, strict=False):
            self.stored.append((everything[index], units, start))
        by_source: dict[Source, Run] = {}
        for name, (first, last) in arrangement.runs.items():
            keys = arrangement.columns[first:last]
            by_source[name] = Run(
                starts[first], tuple((*columns[name][key], starts[k]) for k, key in enumerate(keys, first))
            )
        self.linear = by_source.pop((), None)
        self.sources = by_source
        self.width = starts[-1]
        self.rows = {node: self._row_leaf(step, node, value.width, known, zero) for node, value in whole.items()}

    def _row_leaf(self, step: CutStep, node: int, width: int, known: dict[int, Value], zero: Value) -> int:
        """The first column of a row value's gradient: where it lies already, or new columns at the end."""
        size = step.graph.nodes[node].size
        leaves = [step.values.make(Node.ROWS, (), width, node, first) for first in range(0, size, width)]
        wanted = [known.get(leaf.index, zero) for leaf in leaves]
        for start in range(len(self.stored) - len(wanted) + 1):
            part = self.stored[start : start + len(wanted)]
            if [(value, units) for value, units, _ in part] == [(value, width) for value in wanted]:
                return part[0][2]
        first = self.width
        for value in wanted:
            self.stored.append((value, width, self.width))
            self.width += width
        return first


def _rank(target: Value, matrices: Sequence[str]) -> tuple[int, ...]:
    """Order of columns where it is free: that of the rows of the weights, so that neighbours stay neighbours."""
    if target.operation is Node.LINEAR:
        # The blocks of one input product are made one after the other.
        return 0, target.index
    return 1, matrices.index(target.attributes[0]), target.attributes[1]


def linear_blocks(leaves: Iterable[Value]) -> list[LinearBlock]:
    """The columns of the input product in order, consecutive rows of one weight as one block."""
    joined: list[LinearBlock] = []
    for leaf in leaves:
        weight, biases, row = leaf.attributes
        last = joined[-1] if joined else None
        if last and (last.weight, last.biases, last.offset + last.rows) == (weight, biases, row):
            joined[-1] = LinearBlock(weight, biases, last.offset, last.rows + leaf.width)
        else:
            joined.append(LinearBlock(weight, biases, row, leaf.width))
    return joined


@dataclass
class Arrays:
    """Values in memory, by value or, for the source of a product, by its pieces."""

    kind: Kind
    widths: list[int] = field(default_factory=list)
    known: dict[tuple[int, ...], int] = field(default_factory=dict)

    def home(self, value: Value) -> Operand:
        return self.of((value.index,), value.width)

    def of(self, pieces: tuple[int, ...], width: int) -> Operand:
        if pieces not in self.known:
            self.known[pieces] = len(self.widths)
            self.widths.append(width)
        return Operand(self.kind, self.known[pieces])

    def settle(
        self,
        forward: Sequence[Stage],
        backward: Sequence[Stage],
        others: Iterable[Operand],
        linear: Sequence[tuple[int, int]],
    ) -> tuple[Array, ...]:
        """Which arrays are kept, and which overwrite columns of the input product that nothing reads any more.

        Args:
            others: what weight gradients read.
            linear: (first column, units) of the blocks of the input product.
        """
        read = {operand for stage in backward for operand in (*stage.operands, *(p.source for p in stage.products))}
        kept = {operand.index for operand in {*read, *others} if operand.kind is Kind.ARRAY}
        last_read = {
            (operand.offset, stage.width): position
            for position, stage in enumerate(forward)
            for operand in stage.operands
            if operand.kind is Kind.LINEAR
        }
        needed = {operand.offset for operand in read if operand.kind is Kind.LINEAR}
        narrow = {operand.offset for stage in forward for operand in stage.operands if operand.kind is Kind.LINEAR} - {
            offset for offset, _ in last_read
        }
        free = [(o, units) for o, units in linear if o not in needed and o not in narrow and units > 1]
        place = dict.fromkeys(kept, -1)
        for position, stage in enumerate(forward):
            for operand in _stored(stage):
                width = self.widths[operand.index]
                fits = [
                    o
                    for o, units in free
                    if units == width == stage.width and last_read.get((o, units), -1) <= position
                ]
                if operand.index in kept and fits:
                    place[operand.index] = min(fits, key=lambda o: (-last_read.get((o, width), -1), o))
                    free.remove((place[operand.index], width))
        return tuple(Array(width, i in kept, place.get(i, -1)) for i, width in enumerate(self.widths))


def _stored(stage: Stage) -> list[Operand]:
    operands = [stage.operands[instruction.a] for instruction in stage.code if instruction.op is Op.STORE]
    return [operand for operand in operands if operand.kind is Kind.ARRAY]
