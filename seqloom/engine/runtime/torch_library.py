"""The engine as operators of torch: what the dispatcher, autograd, ``torch.compile`` and ``torch.export`` see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from seqloom.engine.lowering import written
from seqloom.engine.lowering.form import KernelProgram
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime import recorded
from seqloom.engine.runtime.entrance import all_plain, is_recorded, is_transformed
from seqloom.engine.runtime.sequence import Inputs, LoadedProgram, run_backward, run_forward

__all__ = ["loaded_program", "register", "run"]

_INPUTS = "Tensor x, Tensor weight, Tensor? bias, Tensor[] rows, Tensor[] vectors, Tensor[] matrices, Tensor[] initial"
_ROWS = "Tensor? counts, SymInt time, SymInt batch, int directions"

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_library: Any = torch.library.Library("seqloom", "DEF")  # type: ignore[no-untyped-call]
_library.define(f"sequence(str program, {_INPUTS}, {_ROWS}, bool save) -> Tensor[]")
_library.define(
    f"sequence_backward(str program, {_INPUTS}, {_ROWS}, Tensor[] results, Tensor?[] given, bool wants_x) -> Tensor[]"
)

_loaded: WeakValueDictionary[str, LoadedProgram] = WeakValueDictionary()
"""Those that a cell's graph holds on to; it knows their text."""


def register(program: KernelProgram) -> tuple[str, LoadedProgram]:
    """A program's name in the operators: its text, which an exported graph can be run from in another process.

    Returns:
        the text, and the loaded program, which lives as long as somebody keeps it.
    """
    text = written.write(program)
    known = _loaded.get(text)
    if known is None:
        known = _loaded[text] = LoadedProgram.of(program)
    return text, known


@lru_cache(maxsize=64)
def _from_text(text: str) -> LoadedProgram:
    return LoadedProgram.of(written.read(text))


def loaded_program(text: str) -> LoadedProgram:
    """The loaded program of a text.

    Raises:
        ModelError: not the text of a program.
        ValueError: a program that would read or write out of bounds.
    """
    return _loaded.get(text) or _from_text(text)


def run(
    text: str, loaded: LoadedProgram, inputs: Inputs, rows: PackedRows, *, directions: int, save: bool
) -> list[Tensor]:
    """A program over packed rows: the output and the final states of each direction.

    Where nobody traces, the machine is called without the dispatcher: that costs more than a short sequence does.
    """
    lists = (inputs.rows, inputs.vectors, inputs.matrices, inputs.initial)
    flat = [tensor for part in lists for tensor in part]
    if is_recorded() or not all_plain((inputs.x, inputs.weight, inputs.bias, *flat)):
        traced: list[Tensor] = torch.ops.seqloom.sequence(
            text, inputs.x, inputs.weight, inputs.bias, *lists, rows.counts, rows.time, rows.batch, directions, save
        )
        return traced[: 1 + directions * len(loaded.program.states)]
    if not save:
        return run_forward(loaded, rows, inputs, directions=directions, save=False)
    call = _Call(loaded, rows, directions, tuple(map(len, lists)))
    results: tuple[Tensor, ...] = _Sequence.apply(call, inputs.x, inputs.weight, inputs.bias, *flat)  # type: ignore[no-untyped-call]
    return list(results)


@dataclass(frozen=True, eq=False)
class _Call:
    """What a run is besides its tensors; ``lengths`` are those of the lists of :class:`Inputs`."""

    loaded: LoadedProgram
    rows: PackedRows
    directions: int
    lengths: tuple[int, ...]

    def inputs(self, tensors: Sequence[Any]) -> Inputs:
        """The inputs from one flat sequence: x, weight, bias, then the lists."""
        lists, first = [], 3
        for length in self.lengths:
            lists.append(list(tensors[first : first + length]))
            first += length
        return Inputs(*tensors[:3], *lists)

    @property
    def results(self) -> int:
        """How many tensors a run returns: the output and the final states."""
        return 1 + self.directions * len(self.loaded.program.states)


class _Output:
    """What becomes of the output of a run whose way back reads it.

    People write into outputs (``nn.ReLU(inplace=True)``), as they may with torch's layers. So the way back reads an alias
    that knows nothing of that, and asks here whether to run the program once more instead.
    """

    def __init__(self, output: Tensor) -> None:
        self._counter = output.detach()  # has the output's count of changes, and lets go of its memory
        # A tensor of its own: one that was made when this module was imported would be what that moment made tensors, such as
        # those of inference mode.
        self._counter.data = output.new_empty(0)
        self._version = self._counter._version

    @property
    def overwritten(self) -> bool:
        return self._counter._version != self._version


class _Sequence(torch.autograd.Function):
    """A run as one operation of autograd, without the dispatcher's detours."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Any) -> tuple[Tensor, ...]:
        results = run_forward(call.loaded, call.rows, call.inputs(tensors), directions=call.directions, save=True)
        ctx.call, ctx.output = call, _Output(results[0])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, results[0].data, *results[call.results :])
        return tuple(results[: call.results])

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Any, ...]:
        if torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return _Sequence.backward(ctx, *given)
        call: _Call = ctx.call
        saved = ctx.saved_tensors
        count = 3 + sum(call.lengths)
        inputs = call.inputs(saved[:count])
        # Somebody wants gradients of these gradients, or many of them at once.
        if torch.is_grad_enabled() or is_transformed() or is_recorded() or not all_plain(given):
            recorded_gradients = _recorded(call.loaded.program, inputs, call.rows, call.directions, given)
            return None, *recorded_gradients[:3], *(gradient for part in recorded_gradients[3:] for gradient in part)
        results: list[Any] = [saved[count], *[None] * (call.results - 1), *saved[count + 1 :]]
        if ctx.output.overwritten:
            results = list(run_forward(call.loaded, call.rows, inputs, directions=call.directions, save=True))
        gradients = run_backward(
            call.loaded,
            call.rows,
            inputs,
            results,
            given,
            directions=call.directions,
            wants_x=ctx.needs_input_grad[1],
        )
        return None, *gradients.flat()


def _in_float32(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Outside autocast, which would hand half as many bytes to the machine as it reads."""

    @wraps(function)
    def exact(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        if not torch.is_autocast_enabled("cpu"):
            return function(*arguments, **named)
        with torch.autocast("cpu", enabled=False):
            return function(*arguments, **named)

    return exact


def _inputs(values: Sequence[Any]) -> Inputs:
    return Inputs(*values)


@_in_float32
def _forward(text: str, *values: Any) -> list[Tensor]:
    *inputs, counts, time, batch, directions, save = values
    loaded, rows = loaded_program(text), PackedRows(time, batch, counts)
    results = run_forward(loaded, rows, _inputs(inputs), directions=directions, save=save)
    if save and results[0].shape[0]:  # of one shape for all batches, so that one graph serves them all
        linear = 1 + directions * len(loaded.program.states)
        width = directions * loaded.program.linear_width
        if results[linear].shape[1] != width:
            results[linear] = results[linear].new_empty(len(results[linear]), width)
    return results


@_in_float32
def _backward(text: str, *values: Any) -> list[Tensor]:
    *inputs, counts, time, batch, directions, results, given, wants_x = values
    gradients = run_backward(
        loaded_program(text),
        PackedRows(time, batch, counts),
        _inputs(inputs),
        results,
        given,
        directions=directions,
        wants_x=wants_x,
    )
    absent = inputs[0].new_empty(0)
    return [absent if gradient is None else gradient.contiguous() for gradient in gradients.flat()]


def _forward_shapes(text: str, *values: Any) -> list[Tensor]:
    x, *_, batch, directions, save = values
    program, total = loaded_program(text).program, x.shape[0]
    shapes: list[tuple[Any, ...]] = [(total, directions * program.states[0])]
    shapes += [(batch, size) for _ in range(directions) for size in program.states]
    if save:
        shapes.append((total, program.linear_width * directions))
        shapes += [(total, size) for _ in range(directions) for size in program.states[1:]]
        kept = loaded_program(text).kept
        shapes += [(total, program.arrays[i].width) for _ in range(directions) for i in kept]
    return [x.new_empty(shape) for shape in shapes]


def _backward_shapes(text: str, *values: Any) -> list[Tensor]:
    x, weight, bias, rows, vectors, matrices, initial, *_, directions, _results, _given, wants_x = values
    program = loaded_program(text).program
    absent = x.new_empty(0)
    linear = program.linear_width > 0 and program.linear_gradient >= 0
    shapes = [x if linear and wants_x else absent, weight if linear else absent]
    shapes.append(bias if linear and bias is not None else absent)
    arriving = [leaf.gradient >= 0 for leaf in program.rows] * directions
    known = {part.vector for part in program.vector_gradients}
    arriving += [vector in known for vector in range(len(program.vectors))] * directions
    used = {part.matrix for part in program.weight_gradients}
    arriving += [matrix in used for matrix in range(len(program.matrices))] * directions
    arriving += [True] * len(initial)
    tensors = [*rows, *vectors, *matrices, *initial]
    shapes += [tensor if arrives else absent for tensor, arrives in zip(tensors, arriving, strict=True)]
    return [tensor.new_empty(tensor.shape) for tensor in shapes]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    text, x, weight, bias, rows, vectors, matrices, initial, counts, time, batch, directions, save = inputs
    if not save:
        raise RuntimeError("seqloom::sequence was run with save=False, but a gradient is wanted; pass save=True")
    ctx.numbers = (text, time, batch, directions, bias is not None, counts is not None)
    ctx.lengths = [len(rows), len(vectors), len(matrices), len(initial)]
    optional = [tensor for tensor in (bias, counts) if tensor is not None]
    ctx.save_for_backward(x, weight, *rows, *vectors, *matrices, *initial, *optional, *output)


def _differentiate(ctx: Any, given: Sequence[Tensor | None]) -> tuple[Any, ...]:
    text, time, batch, directions, biased, ragged = ctx.numbers
    saved = list(ctx.saved_tensors)
    take = iter(saved)
    x, weight = next(take), next(take)
    lists = [[next(take) for _ in range(length)] for length in ctx.lengths]
    bias = next(take) if biased else None
    counts = next(take) if ragged else None
    results = list(take)
    program = loaded_program(text).program
    finals = 1 + directions * len(program.states)
    rest = (None, None, None, None, None)
    compiling = torch.compiler.is_compiling()
    if not compiling and (torch.is_grad_enabled() or is_transformed()):
        inputs, rows = Inputs(x, weight, bias, *lists), PackedRows(time, batch, counts)
        return None, *_recorded(program, inputs, rows, directions, given[:finals]), *rest
    gradients = torch.ops.seqloom.sequence_backward(
        text,
        x,
        weight,
        bias,
        *lists,
        counts,
        time,
        batch,
        directions,
        results,
        list(given[:finals]),
        ctx.needs_input_grad[1],
    )
    flat = iter(None if gradient.numel() == 0 else gradient for gradient in gradients)
    first = [next(flat) for _ in range(3)]
    return None, *first, *([next(flat) for _ in range(length)] for length in ctx.lengths), *rest


def _recorded(
    program: KernelProgram, inputs: Inputs, rows: PackedRows, directions: int, given: Sequence[Tensor | None]
) -> tuple[Any, ...]:
    """Gradients that can be differentiated again: the program in torch's operations, recorded by autograd."""

    def own(tensor: Tensor) -> Tensor:  # a tensor that comes twice gets a gradient for each place
        return tensor.view_as(tensor)

    again = torch.is_grad_enabled()
    with torch.enable_grad():
        inputs = Inputs(
            own(inputs.x),
            own(inputs.weight),
            None if inputs.bias is None else own(inputs.bias),
            *([own(t) for t in part] for part in (inputs.rows, inputs.vectors, inputs.matrices, inputs.initial)),
        )
        single = [inputs.x, inputs.weight, *([] if inputs.bias is None else [inputs.bias])]
        lists = [inputs.rows, inputs.vectors, inputs.matrices, inputs.initial]
        results = recorded.replay(program, rows, inputs, directions)
    pairs = [(r, g) for r, g in zip(results, given, strict=True) if g is not None and r.requires_grad]
    sought = [tensor for tensor in (*single, *(t for part in lists for t in part)) if tensor.requires_grad]
    gradients = torch.autograd.grad(
        [r for r, _ in pairs], sought, [g for _, g in pairs], create_graph=again, allow_unused=True
    )
    by_tensor = {id(tensor): gradient for tensor, gradient in zip(sought, gradients, strict=True)}
    first = [None if tensor is None else by_tensor.get(id(tensor)) for tensor in (inputs.x, inputs.weight, inputs.bias)]
    return *first, *([by_tensor.get(id(tensor)) for tensor in part] for part in lists)


_library.impl("sequence", _forward, "CPU")
_library.impl("sequence_backward", _backward, "CPU")
torch.library.register_fake("seqloom::sequence", _forward_shapes, lib=_library)
torch.library.register_fake("seqloom::sequence_backward", _backward_shapes, lib=_library)
torch.library.register_autograd("seqloom::sequence", _differentiate, setup_context=_remember, lib=_library)
