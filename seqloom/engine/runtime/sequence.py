"""A program over the rows of a packed batch: the memory it needs, the products around it, and the call of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqloom.engine.lowering.form import KernelProgram, Pass
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime import native
from seqloom.engine.runtime.gradients import Collection, InputGradients
from seqloom.engine.runtime.loaded import Inputs, LoadedProgram, share
from seqloom.engine.runtime.native import kernels

__all__ = ["InputGradients", "Inputs", "LoadedProgram", "run_backward", "run_forward"]


def _flat(tensor: Tensor) -> Tensor:
    """A tensor whose numbers lie one after the other, as they read."""
    good = tensor.is_contiguous() and not tensor.is_neg()
    return tensor if good else tensor.resolve_neg().contiguous()


def _rows_flat(tensor: Tensor) -> Tensor:
    """A matrix whose rows lie one after the other, possibly apart, each without gaps, and as they read."""
    apart, step = tensor.stride()
    good = step == 1 and (apart >= tensor.shape[1] or tensor.shape[0] < 2) and not tensor.is_neg()
    return tensor if good else tensor.resolve_neg().contiguous()


def _check(loaded: LoadedProgram, rows: PackedRows, inputs: Inputs, directions: int) -> None:
    """Refuse tensors that do not fit the program: the machine trusts their sizes.

    Raises:
        ValueError: names the tensor.
    """
    features, width, float32 = inputs.x.shape[-1], loaded.widths[directions], torch.float32
    _check_one("x", inputs.x, (rows.total, features))
    _check_one("weight", inputs.weight, (width, features))
    if inputs.bias is not None:
        _check_one("bias", inputs.bias, (width,))
    for name, sizes in loaded.sizes.items():
        tensors = getattr(inputs, name)
        if not tensors and (name == "initial" or not sizes):
            continue
        if len(tensors) != directions * len(sizes):
            raise ValueError(f"{name} has {len(tensors)} tensors; expected {directions * len(sizes)}")
        before = (rows.total,) if name == "rows" else (rows.batch,) if name == "initial" else ()
        for tensor, size in zip(tensors, sizes * directions, strict=False):
            if tensor.dtype is not float32 or tensor.shape != before + size:
                raise _misfit(name, tensor, before + size)


def _check_one(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.dtype is not torch.float32 or tensor.shape != shape:
        raise _misfit(name, tensor, shape)


def _misfit(name: str, tensor: Tensor, shape: tuple[int, ...]) -> ValueError:
    return ValueError(f"{name} has shape {tuple(tensor.shape)} and type {tensor.dtype}; expected float32 {shape}")


class _Memory:
    """Describes the directions of a run to the machine, and keeps what it describes alive."""

    def __init__(
        self, loaded: LoadedProgram, rows: PackedRows, inputs: Inputs, linear: Tensor, *, inside: bool = False
    ) -> None:
        self.loaded, self.linear, self.inside = loaded, linear, inside
        program = loaded.program
        self.features = 0
        if inside:
            self.x, self.weight = _rows_flat(inputs.x), _rows_flat(inputs.weight)
            self.bias = None if inputs.bias is None else _flat(inputs.bias)
            self.features = inputs.x.shape[1]
        self.leaves = [_rows_flat(tensor) for tensor in inputs.rows]
        self.vectors = [_flat(tensor) for tensor in inputs.vectors]
        self.matrices = [_rows_flat(tensor) for tensor in inputs.matrices]
        self.initial = [_flat(tensor) for tensor in inputs.initial]
        if not self.initial:
            self.zeros = linear.new_zeros(rows.batch * max(program.states))

    def direction(self, number: int, **other: Any) -> Any:
        """One direction; its states, its arrays and what only the backward pass has are given."""
        program, place = self.loaded.program, kernels().Place
        first = number * program.linear_width
        if self.inside:
            other["x"] = place(self.x)
            other["weight"] = place(self.weight, row=first)
            if self.bias is not None:
                other["bias"] = place(self.bias, column=first)
        return kernels().Direction(
            turned=number == 1,
            linear=place(self.linear, column=first),
            rows=share(self.leaves, len(program.rows), number),
            vectors=share(self.vectors, len(program.vectors), number),
            matrices=share(self.matrices, len(program.matrices), number),
            **other,
        )

    def state(self, position: int, output: Tensor, histories: Sequence[Tensor], final: Tensor | None = None) -> Any:
        """Where one state of one direction lies: in the output, in a history, or in two copies of one step."""
        count = len(self.loaded.program.states)
        direction, state = divmod(position, count)
        if state == 0:
            memory, column = output, direction * self.loaded.program.states[0]
        else:
            memory, column = histories[direction * (count - 1) + state - 1], 0
        initial = self.initial[position] if self.initial else self.zeros
        return kernels().StateMemory(memory, column=column, history=memory.dim() == 2, initial=initial, final=final)


def run_forward(
    loaded: LoadedProgram, rows: PackedRows, inputs: Inputs, *, directions: int, save: bool, threads: int | None = None
) -> list[Tensor]:
    """The program over packed rows; not under autocast, which would hand the machine half as many bytes as it reads.

    Returns:
        the output (N, directions * H), the final states (B, size) of each direction, and, with ``save``, what
        :func:`run_backward` reads: the linear buffer, the other states' histories, the arrays of each direction.
    """
    _check(loaded, rows, inputs, directions)
    program, x = loaded.program, inputs.x
    inside = loaded.multiplies_inside(rows.batch, save)
    if inside:
        linear = x.new_empty(len(x), directions * loaded.linear_columns(rows.batch) if save else 0)
    elif program.linear_width:
        weight = inputs.weight.t()
        linear = torch.mm(x, weight) if inputs.bias is None else torch.addmm(inputs.bias, x, weight)
    else:
        linear = x.new_empty(len(x), 0)
    output = x.new_empty(rows.total, directions * program.states[0])
    finals = [x.new_empty(rows.batch, size) for _ in range(directions) for size in program.states]
    shape = (rows.total,) if save else (2, rows.batch)
    histories = [x.new_empty(*shape, size) for _ in range(directions) for size in program.states[1:]]
    kept = loaded.kept if save else []
    arrays = [x.new_empty(rows.total, program.arrays[i].width) for _ in range(directions) for i in kept]
    memory = _Memory(loaded, rows, inputs, linear, inside=inside)
    described = [
        memory.direction(
            direction,
            states=[memory.state(at, output, histories, finals[at]) for at in loaded.states_of(direction)],
            arrays=_arrays(program, kept, share(arrays, len(kept), direction)),
        )
        for direction in range(directions)
    ]
    which = Pass.FORWARD if save else Pass.INFERENCE
    _run(loaded, rows, which=which, features=memory.features, directions=described, threads=threads)
    return [output, *finals, *([linear, *histories, *arrays] if save else [])]


def _arrays(program: KernelProgram, kept: Sequence[int], tensors: Sequence[Tensor]) -> list[Tensor | None]:
    """The memory of each array, or none where it has none of its own."""
    arrays: list[Tensor | None] = [None] * len(program.arrays)
    for position, tensor in zip(kept, tensors, strict=True):
        arrays[position] = tensor
    return arrays


def _run(loaded: LoadedProgram, rows: PackedRows, *, which: Pass, threads: int | None, **described: Any) -> None:
    if rows.time and rows.batch:
        threads = torch.get_num_threads() if threads is None else threads
        loaded.machine.run(which=which.value, batch=native.batch(rows), threads=threads, **described)


def run_backward(
    loaded: LoadedProgram,
    rows: PackedRows,
    inputs: Inputs,
    results: Sequence[Tensor],
    given: Sequence[Tensor | None],
    *,
    directions: int,
    wants_x: bool = True,
    threads: int | None = None,
) -> InputGradients:
    """Gradients from those of the output and the final states; not under autocast.

    Args:
        results: what :func:`run_forward` returned with ``save``.
        given: the gradients of the output and of the final states; none: zero.
    """
    _check(loaded, rows, inputs, directions)
    program, x = loaded.program, inputs.x
    finals = 1 + directions * len(program.states)
    # Saved tensors come back as somebody's hooks unpacked them: their numbers may lie otherwise than when they were saved.
    output, linear = _flat(results[0]), _flat(results[finals])
    extra = len(program.states) - 1
    histories = [_flat(tensor) for tensor in results[finals + 1 : finals + 1 + directions * extra]]
    kept = loaded.kept
    arrays = [_flat(tensor) for tensor in results[finals + 1 + directions * extra :]]
    d_output = output.new_zeros(1).expand_as(output).contiguous() if given[0] is None else _rows_flat(given[0])
    carries = [
        x.new_zeros(rows.batch, program.states[position % len(program.states)])
        if gradient is None
        else gradient.clone(memory_format=torch.contiguous_format).resolve_neg()
        for position, gradient in enumerate(given[1:])
    ]
    gradient = x.new_empty(rows.total, directions * program.gradient)
    sums = [x.new_zeros(part.width) for _ in range(directions) for part in program.vector_gradients]
    memory = _Memory(loaded, rows, inputs, linear)
    described = [
        memory.direction(
            direction,
            states=[memory.state(at, output, histories) for at in loaded.states_of(direction)],
            arrays=_arrays(program, kept, share(arrays, len(kept), direction)),
            output_gradient=kernels().Place(d_output, column=direction * program.states[0]),
            gradient=kernels().Place(gradient, column=direction * program.gradient),
            carries=share(carries, len(program.states), direction),
            vector_gradients=share(sums, len(program.vector_gradients), direction),
        )
        for direction in range(directions)
    ]
    _run(loaded, rows, which=Pass.BACKWARD, features=0, directions=described, threads=threads)
    collect = Collection(loaded, rows, inputs, output, linear, histories, arrays, gradient, directions)
    return InputGradients(
        *collect.linear(wants_x), collect.rows(), collect.vectors(sums), collect.matrices(), collect.initial(carries)
    )
