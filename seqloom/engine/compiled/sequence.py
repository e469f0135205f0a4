"""A program over the rows of a packed batch: the memory it needs, the products around it, and the call of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from seqloom.engine.compiled import native
from seqloom.engine.compiled.form import KernelProgram, Kind

__all__ = ["Gradients", "Inputs", "Operation", "Rows", "run_backward", "run_forward"]

_FORWARD, _INFERENCE, _BACKWARD = range(3)
ROWS_INSIDE = 16


@dataclass(frozen=True, eq=False)
class Operation:
    """A program that is loaded into the machine."""

    program: KernelProgram
    machine: Any = field(repr=False)

    @classmethod
    def of(cls, program: KernelProgram) -> Operation:
        return cls(program, native.load(program))

    @cached_property
    def kept(self) -> list[int]:
        """Arrays that training keeps in memory of their own."""
        return [i for i, array in enumerate(self.program.arrays) if array.kept and array.linear < 0]

    @cached_property
    def recomputes_linear(self) -> bool:
        """Whether the backward pass reads the input product, which must then be kept."""
        return any(stream.kind == Kind.LINEAR for stage in self.program.backward for stream in stage.streams)

    @cached_property
    def overwrites_linear(self) -> bool:
        """Whether training keeps arrays where the input product lay."""
        return any(array.kept and array.linear >= 0 for array in self.program.arrays)

    def multiplies_inside(self, batch: int, save: bool) -> bool:
        """Whether the input product is computed step by step inside the kernel instead of before it.

        That spares writing and reading it; but each step then reads the input's weights, too, which only many rows
        make worthwhile.
        """
        return batch >= ROWS_INSIDE and self.program.linear_width > 0 and not (save and self.recomputes_linear)

    def linear_columns(self, batch: int) -> int:
        """Columns of a direction's linear buffer in training."""
        unused = self.multiplies_inside(batch, save=True) and not self.overwrites_linear
        return 0 if unused else self.program.linear_width

    def states_of(self, direction: int) -> range:
        """Positions of a direction's states in a list of all directions' states."""
        count = len(self.program.states)
        return range(direction * count, (direction + 1) * count)


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a packed batch: ordered by time, the longest sequence first within a time step."""

    time: int
    batch: int
    counts: Tensor | None = None
    """(T,) int64 rows that have each step; all of them where there is none."""

    @cached_property
    def starts(self) -> Tensor | None:
        """(T,) first packed row of each step."""
        return None if self.counts is None else self.counts.cumsum(0) - self.counts

    @cached_property
    def total(self) -> int:
        """Packed rows."""
        return self.time * self.batch if self.counts is None else int(self.counts.sum())

    @cached_property
    def before(self) -> tuple[Tensor, Tensor]:
        """For ragged rows: the packed rows that have one before them in time, and which that is."""
        assert self.counts is not None and self.starts is not None
        first = int(self.counts[0]) if self.time else 0
        owner = torch.repeat_interleave(torch.arange(self.time), self.counts)
        rank = torch.arange(self.total) - self.starts[owner]
        later = torch.arange(first, self.total)
        return later, self.starts[owner[first:] - 1] + rank[first:]

    def previous(self, history: Tensor, turned: bool, initial: Tensor | None) -> Tensor:
        """(N, size): what each packed row's state was before its step."""
        result = torch.empty_like(history)
        if self.counts is None:
            edge = slice(self.total - self.batch, None) if turned else slice(None, self.batch)
            if turned:
                result[: self.total - self.batch] = history[self.batch :]
            else:
                result[self.batch :] = history[: self.total - self.batch]
            result[edge] = 0.0 if initial is None else initial
            return result
        later, earlier = self.before
        if turned:
            # A row begins where no later step of it exists: at its own last one.
            begins = torch.ones(self.total, dtype=torch.bool)
            begins[earlier] = False
            result[earlier] = history[later]
            result[begins] = 0.0 if initial is None else initial[self.ranks[begins]]
        else:
            result[later] = history[earlier]
            first = int(self.counts[0])
            result[:first] = 0.0 if initial is None else initial[:first]
        return result

    @cached_property
    def ranks(self) -> Tensor:
        """(N,) the row of the batch to which each packed row belongs."""
        if self.counts is None or self.starts is None:
            return torch.arange(self.batch).repeat(self.time)
        owner = torch.repeat_interleave(torch.arange(self.time), self.counts)
        return torch.arange(self.total) - self.starts[owner]

    def first_steps(self, turned: bool) -> Tensor:
        """For each row of the batch that has steps, the packed row with which its recurrence begins."""
        if self.counts is None:
            return torch.arange(self.batch) + (self.total - self.batch if turned else 0)
        if not turned:
            return torch.arange(int(self.counts[0]) if self.time else 0)
        assert self.starts is not None
        lengths = (self.counts.unsqueeze(0) > torch.arange(self.batch).unsqueeze(1)).sum(1)
        rows = torch.arange(self.batch)[lengths > 0]
        return self.starts[lengths[rows] - 1] + rows

    def addresses(self) -> tuple[int, int]:
        """Of counts and starts, for the machine."""
        if self.counts is None or self.starts is None:
            return 0, 0
        return self.counts.data_ptr(), self.starts.data_ptr()


@dataclass(frozen=True, eq=False)
class Inputs:
    """The tensors of a run; lists are direction by direction.

    Args:
        x: (N, D) packed rows.
        weight: (columns of all directions, D) of the input product.
        bias: (columns of all directions,), or none.
        rows: hoisted values, (N, size) each.
        vectors: (size,) each.
        matrices: recurrent.
        initial: (B, size) each, in the order of the packed rows; empty: zeros.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    rows: Sequence[Tensor]
    vectors: Sequence[Tensor]
    matrices: Sequence[Tensor]
    initial: Sequence[Tensor]


def _flat(tensor: Tensor) -> Tensor:
    return tensor if tensor.dim() == 0 or tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def _rows_flat(tensor: Tensor) -> Tensor:
    """A matrix whose rows lie one after the other, possibly apart, each without gaps."""
    good = tensor.stride(-1) == 1 and (tensor.shape[0] < 2 or tensor.stride(0) >= tensor.shape[1])
    return tensor if good else tensor.contiguous()


def _share(tensors: Sequence[Tensor], count: int, direction: int) -> Sequence[Tensor]:
    return tensors[direction * count : (direction + 1) * count]


class _Memory:
    """Describes the directions of a run to the machine, and keeps what it describes alive."""

    def __init__(self, operation: Operation, rows: Rows, inputs: Inputs, linear: Tensor, *, inside: bool = False) -> None:
        self.operation, self.rows, self.linear, self.inside = operation, rows, linear, inside
        program = operation.program
        self.x, self.weight, self.bias = _rows_flat(inputs.x), _rows_flat(inputs.weight), inputs.bias
        self.features = inputs.x.shape[1] if inside else 0
        self.leaves = [_rows_flat(tensor) for tensor in inputs.rows]
        self.vectors = [_flat(tensor) for tensor in inputs.vectors]
        self.matrices = [_rows_flat(tensor) for tensor in inputs.matrices]
        self.initial = [tensor.contiguous() for tensor in inputs.initial]
        if not self.initial:
            self.zeros = linear.new_zeros(rows.batch * max(program.states))

    def common(self, direction: int) -> list[int]:
        """The part of a direction's description that precedes its states."""
        program = self.operation.program
        offset = direction * program.linear_width * 4
        numbers = [direction, self.linear.data_ptr() + offset, self.linear.shape[-1]]
        if self.inside:
            first = direction * program.linear_width
            numbers += [self.x.data_ptr(), self.x.stride(0) if len(self.x) else 0]
            numbers += [self.weight.data_ptr() + first * self.weight.stride(0) * 4, self.weight.stride(0)]
            numbers.append(0 if self.bias is None else self.bias.data_ptr() + first * 4)
        else:
            numbers += [0] * 5
        for tensor in _share(self.leaves, len(program.rows), direction):
            numbers += [tensor.data_ptr(), tensor.stride(0) if len(tensor) else 0]
        numbers += [tensor.data_ptr() for tensor in _share(self.vectors, len(program.vectors), direction)]
        for tensor in _share(self.matrices, len(program.matrices), direction):
            numbers += [tensor.data_ptr(), tensor.stride(0)]
        return numbers

    def initial_address(self, position: int) -> int:
        return self.initial[position].data_ptr() if self.initial else self.zeros.data_ptr()

    def state(self, position: int, output: Tensor, histories: Sequence[Tensor], final: int) -> list[int]:
        """Where one state of one direction lies: in the output, in a history, or in two copies of one step."""
        count = len(self.operation.program.states)
        direction, state = divmod(position, count)
        if state == 0:
            width = self.operation.program.states[0]
            place = [output.data_ptr() + direction * width * 4, output.shape[-1], 1]
        else:
            memory = histories[direction * (count - 1) + state - 1]
            place = [memory.data_ptr(), memory.shape[-1], int(memory.dim() == 2)]
        return [*place, self.initial_address(position), final]


def run_forward(
    operation: Operation, rows: Rows, inputs: Inputs, *, directions: int, save: bool, threads: int | None = None
) -> list[Tensor]:
    """The program over packed rows.

    Returns:
        the output (N, directions * H), the final states (B, size) of each direction, and, with ``save``, what
        :func:`run_backward` reads: the linear buffer, the other states' histories, the arrays of each direction.
    """
    program, x = operation.program, inputs.x
    inside = operation.multiplies_inside(rows.batch, save)
    if inside:
        linear = x.new_empty(len(x), directions * operation.linear_columns(rows.batch) if save else 0)
    elif program.linear_width:
        weight = inputs.weight.t()
        linear = torch.mm(x, weight) if inputs.bias is None else torch.addmm(inputs.bias, x, weight)
    else:
        linear = x.new_empty(len(x), 0)
    output = x.new_empty(rows.total, directions * program.states[0])
    finals = [x.new_empty(rows.batch, size) for _ in range(directions) for size in program.states]
    shape = (rows.total,) if save else (2, rows.batch)
    histories = [x.new_empty(*shape, size) for _ in range(directions) for size in program.states[1:]]
    kept = operation.kept if save else []
    arrays = [x.new_empty(rows.total, program.arrays[i].width) for _ in range(directions) for i in kept]
    memory = _Memory(operation, rows, inputs, linear, inside=inside)
    descriptions = []
    for direction in range(directions):
        numbers = memory.common(direction)
        for position in operation.states_of(direction):
            numbers += memory.state(position, output, histories, finals[position].data_ptr())
        descriptions.append(numbers + _arrays(program, kept, _share(arrays, len(kept), direction)))
    _call(operation, _FORWARD if save else _INFERENCE, rows, memory.features, descriptions, threads)
    return [output, *finals, *([linear, *histories, *arrays] if save else [])]


def _arrays(program: KernelProgram, kept: Sequence[int], tensors: Sequence[Tensor]) -> list[int]:
    addresses = [0] * len(program.arrays)
    for position, tensor in zip(kept, tensors, strict=True):
        addresses[position] = tensor.data_ptr()
    return addresses


def _call(
    operation: Operation, which: int, rows: Rows, features: int, descriptions: list[list[int]], threads: int | None
) -> None:
    if rows.time and rows.batch:
        counts, starts = rows.addresses()
        number = torch.get_num_threads() if threads is None else threads
        operation.machine.run(which, rows.time, rows.batch, features, counts, starts, descriptions, number, 0, 0)


@dataclass(frozen=True, eq=False)
class Gradients:
    """The gradients of :class:`Inputs`, in the same order; none where nothing arrives or nobody asked."""

    x: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    rows: list[Tensor | None]
    vectors: list[Tensor | None]
    matrices: list[Tensor | None]
    initial: list[Tensor | None]


def run_backward(
    operation: Operation,
    rows: Rows,
    inputs: Inputs,
    results: Sequence[Tensor],
    given: Sequence[Tensor | None],
    *,
    directions: int,
    wants_x: bool = True,
    threads: int | None = None,
) -> Gradients:
    """Gradients from those of the output and the final states.

    Args:
        results: what :func:`run_forward` returned with ``save``.
        given: the gradients of the output and of the final states; none: zero.
    """
    program, x = operation.program, inputs.x
    finals = 1 + directions * len(program.states)
    output, linear = results[0], results[finals]
    extra = len(program.states) - 1
    histories = results[finals + 1 : finals + 1 + directions * extra]
    kept = operation.kept
    arrays = results[finals + 1 + directions * extra :]
    d_output = output.new_zeros(1).expand_as(output).contiguous() if given[0] is None else _rows_flat(given[0])
    carries = [
        x.new_zeros(rows.batch, program.states[position % len(program.states)])
        if gradient is None
        else gradient.clone(memory_format=torch.contiguous_format)
        for position, gradient in enumerate(given[1:])
    ]
    gradient = x.new_empty(rows.total, directions * program.gradient)
    sums = [x.new_zeros(part.width) for _ in range(directions) for part in program.vector_gradients]
    memory = _Memory(operation, rows, inputs, linear)
    descriptions = []
    for direction in range(directions):
        numbers = memory.common(direction)
        for position in operation.states_of(direction):
            numbers += memory.state(position, output, histories, 0)
        numbers += _arrays(program, kept, _share(arrays, len(kept), direction))
        numbers += [d_output.data_ptr() + direction * program.states[0] * 4, d_output.stride(0) if len(d_output) else 0]
        numbers += [gradient.data_ptr() + direction * program.gradient * 4, gradient.shape[-1]]
        numbers += [carries[position].data_ptr() for position in operation.states_of(direction)]
        numbers += [total.data_ptr() for total in _share(sums, len(program.vector_gradients), direction)]
        descriptions.append(numbers)
    _call(operation, _BACKWARD, rows, 0, descriptions, threads)
    collect = _Collection(operation, rows, inputs, output, linear, histories, arrays, gradient, directions)
    return Gradients(
        *collect.linear(wants_x), collect.rows_(), collect.vectors(sums), collect.matrices(), collect.initial(carries)
    )


@dataclass(frozen=True, eq=False)
class _Collection:
    """The gradients of what goes into a run, from the gradient array of all rows and steps."""

    operation: Operation
    rows: Rows
    inputs: Inputs
    output: Tensor
    linear_buffer: Tensor
    histories: Sequence[Tensor]
    arrays: Sequence[Tensor]
    gradient: Tensor
    directions: int

    def columns(self, direction: int, first: int, count: int) -> Tensor:
        return self.gradient.narrow(1, direction * self.operation.program.gradient + first, count)

    def linear(self, wants_x: bool) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        program, x, weight = self.operation.program, self.inputs.x, self.inputs.weight
        width = program.linear_width
        if not width or program.linear_gradient < 0:
            return None, None, None
        whole = width == program.gradient or self.directions == 1
        if whole:
            parts = [self.columns(0, program.linear_gradient, width * self.directions)]
            weights = [weight]
        else:
            parts = [self.columns(d, program.linear_gradient, width) for d in range(self.directions)]
            weights = list(weight.split(width))
        d_weight = torch.cat([part.t() @ x for part in parts]) if len(parts) > 1 else parts[0].t() @ x
        d_bias = None if self.inputs.bias is None else torch.cat([part.sum(0) for part in parts])
        d_x: Tensor | None = None
        if wants_x:
            d_x = parts[0] @ weights[0]
            for part, of in zip(parts[1:], weights[1:], strict=True):
                d_x.addmm_(part, of)
        return d_x, d_weight, d_bias

    def rows_(self) -> list[Tensor | None]:
        program = self.operation.program
        return [
            None if leaf.gradient < 0 else self.columns(direction, leaf.gradient, leaf.size)
            for direction in range(self.directions)
            for leaf in program.rows
        ]

    def vectors(self, sums: Sequence[Tensor]) -> list[Tensor | None]:
        program = self.operation.program
        found: list[Tensor | None] = []
        for direction in range(self.directions):
            parts: dict[int, list[tuple[int, Tensor]]] = {}
            own = _share(sums, len(program.vector_gradients), direction)
            for accumulator, total in zip(program.vector_gradients, own, strict=True):
                value = total.sum().view(1) if accumulator.total else total
                parts.setdefault(accumulator.vector, []).append((accumulator.offset, value))
            for vector, (_, size) in enumerate(program.vectors):
                found.append(_assemble(parts.get(vector, []), size))
        return found

    def source(self, direction: int, kind: Kind, index: int, offset: int, length: int) -> Tensor:
        """(N, length): what a recurrent matrix was multiplied with."""
        program = self.operation.program
        if kind == Kind.ARRAY and program.arrays[index].linear >= 0:
            first = direction * program.linear_width + program.arrays[index].linear
            return self.linear_buffer.narrow(1, first + offset, length)
        if kind == Kind.ARRAY:
            count = len(self.operation.kept)
            array = _share(self.arrays, count, direction)[self.operation.kept.index(index)]
            return array.narrow(1, offset, length)
        if index == 0:
            history = self.output.narrow(1, direction * program.states[0], program.states[0])
        else:
            history = self.histories[direction * (len(program.states) - 1) + index - 1]
        if kind == Kind.STATE:
            initial = self.inputs.initial
            begun = initial[direction * len(program.states) + index] if initial else None
            history = self.rows.previous(history, direction == 1, begun)
        return history.narrow(1, offset, length)

    def matrices(self) -> list[Tensor | None]:
        program = self.operation.program
        found: list[Tensor | None] = []
        for direction in range(self.directions):
            parts: dict[int, list[tuple[int, Tensor]]] = {}
            sources: dict[Any, Tensor] = {}
            for part in program.weight_gradients:
                _, _, length = program.matrices[part.matrix]
                key = (part.source, length)
                if key not in sources:
                    source = part.source
                    sources[key] = self.source(direction, source.kind, source.index, source.offset, length)
                value = self.columns(direction, part.column, part.rows).t() @ sources[key]
                parts.setdefault(part.matrix, []).append((part.offset, value))
            for matrix, (_, rows, _) in enumerate(program.matrices):
                found.append(_assemble(parts.get(matrix, []), rows))
        return found

    def initial(self, carries: Sequence[Tensor]) -> list[Tensor | None]:
        program = self.operation.program
        if not self.inputs.initial:
            return []
        for direction in range(self.directions):
            first = self.rows.first_steps(direction == 1)
            matrices = _share(self.inputs.matrices, len(program.matrices), direction)
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
