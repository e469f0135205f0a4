"""A program over the rows of a packed batch: the memory it needs, the products around it, and the call of the machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqloom.engine.lowering.form import KernelProgram
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime.gradients import Collection, InputGradients
from seqloom.engine.runtime.loaded import Inputs, LoadedProgram, share

__all__ = ["InputGradients", "Inputs", "LoadedProgram", "run_backward", "run_forward"]

_FORWARD, _INFERENCE, _BACKWARD = range(3)


def _flat(tensor: Tensor) -> Tensor:
    return tensor if tensor.dim() == 0 or tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def _rows_flat(tensor: Tensor) -> Tensor:
    """A matrix whose rows lie one after the other, possibly apart, each without gaps."""
    good = tensor.stride(-1) == 1 and (tensor.shape[0] < 2 or tensor.stride(0) >= tensor.shape[1])
    return tensor if good else tensor.contiguous()


def _check(loaded: LoadedProgram, rows: PackedRows, inputs: Inputs, directions: int) -> None:
    """Refuse tensors that do not fit the program: the machine trusts their sizes.

    Raises:
        ValueError: names the tensor.
    """
    features = inputs.x.shape[-1]
    single = (
        ("x", inputs.x, (rows.total, features)),
        ("weight", inputs.weight, (loaded.widths[directions], features)),
    )
    for name, tensor, shape in single:
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise _misfit(name, tensor, shape)
    if inputs.bias is not None and inputs.bias.shape != (loaded.widths[directions],):
        raise _misfit("bias", inputs.bias, (loaded.widths[directions],))
    for name in ("rows", "vectors", "matrices", "initial"):
        tensors, sizes = getattr(inputs, name), loaded.sizes[name]
        if len(tensors) != directions * len(sizes) and (tensors or name != "initial"):
            raise ValueError(f"{name} has {len(tensors)} tensors; expected {directions * len(sizes)}")
        before = {"rows": (rows.total,), "initial": (rows.batch,)}.get(name, ())
        for tensor, size in zip(tensors, sizes * directions, strict=False):
            if tensor.shape != before + size or tensor.dtype != torch.float32:
                raise _misfit(name, tensor, before + size)


def _misfit(name: str, tensor: Tensor, shape: tuple[int, ...]) -> ValueError:
    return ValueError(f"{name} has shape {tuple(tensor.shape)} and type {tensor.dtype}; expected float32 {shape}")


class _Memory:
    """Describes the directions of a run to the machine, and keeps what it describes alive."""

    def __init__(
        self, loaded: LoadedProgram, rows: PackedRows, inputs: Inputs, linear: Tensor, *, inside: bool = False
    ) -> None:
        self.loaded, self.rows, self.linear, self.inside = loaded, rows, linear, inside
        program = loaded.program
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
        program = self.loaded.program
        offset = direction * program.linear_width * 4
        numbers = [direction, self.linear.data_ptr() + offset, self.linear.shape[-1]]
        if self.inside:
            first = direction * program.linear_width
            numbers += [self.x.data_ptr(), self.x.stride(0) if len(self.x) else 0]
            numbers += [self.weight.data_ptr() + first * self.weight.stride(0) * 4, self.weight.stride(0)]
            numbers.append(0 if self.bias is None else self.bias.data_ptr() + first * 4)
        else:
            numbers += [0] * 5
        for tensor in share(self.leaves, len(program.rows), direction):
            numbers += [tensor.data_ptr(), tensor.stride(0) if len(tensor) else 0]
        numbers += [tensor.data_ptr() for tensor in share(self.vectors, len(program.vectors), direction)]
        for tensor in share(self.matrices, len(program.matrices), direction):
            numbers += [tensor.data_ptr(), tensor.stride(0)]
        return numbers

    def initial_address(self, position: int) -> int:
        return self.initial[position].data_ptr() if self.initial else self.zeros.data_ptr()

    def state(self, position: int, output: Tensor, histories: Sequence[Tensor], final: int) -> list[int]:
        """Where one state of one direction lies: in the output, in a history, or in two copies of one step."""
        count = len(self.loaded.program.states)
        direction, state = divmod(position, count)
        if state == 0:
            width = self.loaded.program.states[0]
            place = [output.data_ptr() + direction * width * 4, output.shape[-1], 1]
        else:
            memory = histories[direction * (count - 1) + state - 1]
            place = [memory.data_ptr(), memory.shape[-1], int(memory.dim() == 2)]
        return [*place, self.initial_address(position), final]


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
    descriptions = []
    for direction in range(directions):
        numbers = memory.common(direction)
        for position in loaded.states_of(direction):
            numbers += memory.state(position, output, histories, finals[position].data_ptr())
        descriptions.append(numbers + _arrays(program, kept, share(arrays, len(kept), direction)))
    _call(loaded, _FORWARD if save else _INFERENCE, rows, memory.features, descriptions, threads)
    return [output, *finals, *([linear, *histories, *arrays] if save else [])]


def _arrays(program: KernelProgram, kept: Sequence[int], tensors: Sequence[Tensor]) -> list[int]:
    addresses = [0] * len(program.arrays)
    for position, tensor in zip(kept, tensors, strict=True):
        addresses[position] = tensor.data_ptr()
    return addresses


def _call(
    loaded: LoadedProgram,
    which: int,
    rows: PackedRows,
    features: int,
    descriptions: list[list[int]],
    threads: int | None,
) -> None:
    if rows.time and rows.batch:
        counts, starts = rows.addresses()
        number = torch.get_num_threads() if threads is None else threads
        loaded.machine.run(which, rows.time, rows.batch, features, counts, starts, descriptions, number, 0, 0)


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
    output, linear = results[0], results[finals]
    extra = len(program.states) - 1
    histories = results[finals + 1 : finals + 1 + directions * extra]
    kept = loaded.kept
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
    memory = _Memory(loaded, rows, inputs, linear)
    descriptions = []
    for direction in range(directions):
        numbers = memory.common(direction)
        for position in loaded.states_of(direction):
            numbers += memory.state(position, output, histories, 0)
        numbers += _arrays(program, kept, share(arrays, len(kept), direction))
        numbers += [d_output.data_ptr() + direction * program.states[0] * 4, d_output.stride(0) if len(d_output) else 0]
        numbers += [gradient.data_ptr() + direction * program.gradient * 4, gradient.shape[-1]]
        numbers += [carries[position].data_ptr() for position in loaded.states_of(direction)]
        numbers += [total.data_ptr() for total in share(sums, len(program.vector_gradients), direction)]
        descriptions.append(numbers)
    _call(loaded, _BACKWARD, rows, 0, descriptions, threads)
    collect = Collection(loaded, rows, inputs, output, linear, histories, arrays, gradient, directions)
    return InputGradients(
        *collect.linear(wants_x), collect.rows(), collect.vectors(sums), collect.matrices(), collect.initial(carries)
    )
