"""From the gradient array of a run to the gradients of what went in: one product over all time steps each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.engine.lowering.form import Kind
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime.loaded import Inputs, LoadedProgram, share

__all__ = ["Collection", "InputGradients"]


@dataclass(frozen=True, eq=False)
class InputGradients:
    """The gradients of :class:`Inputs`, in the same order; none where nothing arrives or nobody asked."""

    x: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    rows: list[Tensor | None]
    vectors: list[Tensor | None]
    matrices: list[Tensor | None]
    initial: list[Tensor | None]

    def flat(self) -> list[Tensor | None]:
        """All of them in one list."""
        return [self.x, self.weight, self.bias, *self.rows, *self.vectors, *self.matrices, *self.initial]


@dataclass(frozen=True, eq=False)
class Collection:
    """The gradients of what goes into a run, from the gradient array of all rows and steps."""

    loaded: LoadedProgram
    packed: PackedRows
    inputs: Inputs
    output: Tensor
    linear_buffer: Tensor
    histories: Sequence[Tensor]
    arrays: Sequence[Tensor]
    gradient: Tensor
    directions: int

    def columns(self, direction: int, first: int, count: int) -> Tensor:
        return self.gradient.narrow(1, direction * self.loaded.program.gradient + first, count)

    def linear(self, wants_x: bool) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        program, x, weight = self.loaded.program, self.inputs.x, self.inputs.weight
        width = program.linear_width
        if not width or program.linear_gradient < 0:
            return None, None, None
        whole = width == program.gradient or self.directions == 1
        if whole:
            parts = [self.columns(0, program.linear_gradient, width * self.directions)]
            weights = [weight]
        else:
            parts = [self.columns(d, program.linear_gradient, width) for d in range(self.directions)]
            weights = [weight.narrow(0, d * width, width) for d in range(self.directions)]
        d_weight = torch.cat([part.t() @ x for part in parts]) if len(parts) > 1 else parts[0].t() @ x
        d_bias = None if self.inputs.bias is None else torch.cat([part.sum(0) for part in parts])
        d_x: Tensor | None = None
        if wants_x:
            d_x = parts[0] @ weights[0]
            for part, of in zip(parts[1:], weights[1:], strict=True):
                d_x.addmm_(part, of)
        return d_x, d_weight, d_bias

    def rows(self) -> list[Tensor | None]:
        program = self.loaded.program
        return [
            None if leaf.gradient < 0 else self.columns(direction, leaf.gradient, leaf.size)
            for direction in range(self.directions)
            for leaf in program.rows
        ]

    def vectors(self, sums: Sequence[Tensor]) -> list[Tensor | None]:
        program = self.loaded.program
        gradients: list[Tensor | None] = []
        for direction in range(self.directions):
            parts: dict[int, list[tuple[int, Tensor]]] = {}
            own = share(sums, len(program.vector_gradients), direction)
            for accumulator, total in zip(program.vector_gradients, own, strict=True):
                value = total.sum().view(1) if accumulator.total else total
                parts.setdefault(accumulator.vector, []).append((accumulator.offset, value))
            for vector, (_, size) in enumerate(program.vectors):
                gradients.append(_assemble(parts.get(vector, []), size))
        return gradients

    def source(self, direction: int, kind: Kind, index: int, offset: int, length: int) -> Tensor:
        """(N, length): a value of each step that a recurrent matrix was multiplied with."""
        program = self.loaded.program
        if kind == Kind.ARRAY and program.arrays[index].linear >= 0:
            first = direction * program.linear_width + program.arrays[index].linear
            return self.linear_buffer.narrow(1, first + offset, length)
        if kind == Kind.ARRAY:
            count = len(self.loaded.kept)
            array = share(self.arrays, count, direction)[self.loaded.kept.index(index)]
            return array.narrow(1, offset, length)
        if index == 0:
            return self.output.narrow(1, direction * program.states[0] + offset, length)
        return self.histories[direction * (len(program.states) - 1) + index - 1].narrow(1, offset, length)

    def matrices(self) -> list[Tensor | None]:
        program = self.loaded.program
        gradients: list[Tensor | None] = []
        for direction in range(self.directions):
            parts: dict[int, list[tuple[int, Tensor]]] = {}
            for part in program.weight_gradients:
                source = part.source
                length = program.matrices[part.matrix][2]
                values = self.source(direction, source.kind, source.index, source.offset, length)
                flow = self.columns(direction, part.column, part.rows)
                if source.kind == Kind.STATE:
                    initial = self.inputs.initial
                    begun = initial[direction * len(program.states) + source.index] if initial else None
                    begun = None if begun is None else begun.narrow(1, source.offset, length)
                    gradient = _product_with_previous(self.packed, flow, values, direction == 1, begun)
                else:
                    gradient = flow.t() @ values
                parts.setdefault(part.matrix, []).append((part.offset, gradient))
            for matrix, (_, rows, _) in enumerate(program.matrices):
                gradients.append(_assemble(parts.get(matrix, []), rows))
        return gradients

    def initial(self, carries: Sequence[Tensor]) -> list[Tensor | None]:
        program = self.loaded.program
        if not self.inputs.initial:
            return []
        for direction in range(self.directions):
            first = self.packed.first_positions(direction == 1)
            matrices = share(self.inputs.matrices, len(program.matrices), direction)
            for state, products in enumerate(program.initial_gradients):
                target = carries[direction * len(program.states) + state]
                for product in products:
                    column = product.source.offset
                    for segment in product.gates[0]:
                        flow = self.columns(direction, column, segment.length)[first]
                        block = matrices[segment.matrix][segment.offset : segment.offset + segment.length]
                        target[: len(first)] += flow @ block
                        column += segment.length
        return list(carries)


def _product_with_previous(
    rows: PackedRows, flow: Tensor, history: Tensor, turned: bool, initial: Tensor | None
) -> Tensor:
    """``flow^T`` times what each packed row's state was before its step: the gradient of a recurrent matrix.

    Args:
        flow: (N, rows of the matrix).
        history: (N, size) the state after each step.
        initial: (B, size), zeros where there is none.
    """
    total = len(history)
    if rows.counts is None:
        inner = total - min(rows.batch, total)
        after, before = (slice(None, inner), slice(total - inner, None))[:: 1 if turned else -1]
        result = flow[after].t() @ history[before]
    elif turned:  # what follows a packed row in time lies further on, what it precedes is scattered
        previous = torch.zeros_like(history).index_copy_(0, rows.previous, history[rows.first :])
        result = flow.t() @ previous
    else:
        result = flow[rows.first :].t() @ history.index_select(0, rows.previous)
    if initial is not None:
        first = rows.first_positions(turned)
        result.addmm_(flow[first].t(), initial[: len(first)])
    return result


def _assemble(parts: Sequence[tuple[int, Tensor]], size: int) -> Tensor | None:
    """One gradient from those of its blocks of rows; blocks may overlap (a shared matrix) or leave gaps."""
    if not parts:
        return None
    if len(parts) == 1 and len(parts[0][1]) == size:
        return parts[0][1]
    whole = parts[0][1].new_zeros(size, *parts[0][1].shape[1:])
    for offset, part in parts:
        whole[offset : offset + len(part)] += part
    return whole
