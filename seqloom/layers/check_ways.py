"""The part of the standard battery that asks for what nobody trains on: zeros of both signs, infinities, NaN, huge numbers.

There the ways of running a step part first: where one of them simplifies what another computes, where a comparison with
NaN goes the other way, where a number is taken for an integer. They agree if the same results are NaN, the same
infinite, and all others near.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from seqloom.cells.cell import Cell
from seqloom.engine.contract import NO_NOISE
from seqloom.engine.runtime.backend import BACKENDS
from seqloom.layers.check_subject import INPUT, Subject, gradients, random_state, require
from seqloom.layers.recurrent import Recurrent

__all__ = ["UNUSUAL", "check_ways", "compare_ways"]

UNUSUAL = (0.0, -0.0, math.nan, math.inf, -math.inf, 88.0, -88.0, 1e4, -1e4, 1e-40, 0.3)
_NEAR = {torch.float32: 1e-4, torch.float64: 1e-6}  # torch's own type, float32, may stand between two of float64
_Results = dict[str, Tensor]


def check_ways(subject: Subject) -> None:
    """The plain loop, single steps, streams and every backend agree on unusual numbers, in float32 and float64."""
    layer = subject.layer(backend=None)
    time, rows = 3, len(UNUSUAL)
    x, state = torch.randn(rows, time, INPUT, dtype=torch.float64), random_state(layer, rows)
    unusual = torch.tensor(UNUSUAL, dtype=torch.float64)
    odd = x.clone()
    odd[:, 1, 0] = unusual
    for dtype in (torch.float32, torch.float64):
        layer = layer.to(dtype)
        cases = [(odd, list(state))]
        for k, name in enumerate(state._fields):
            fields = [field.clone() for field in state]
            fields[k][:, 0, 0] = unusual.abs() if name in layer.first_cell.positive else unusual
            cases.append((x, fields))
        for given, fields in cases:
            for steps in (slice(None), slice(1, 2)):
                found = compare_ways(layer, given[:, steps].to(dtype), [field.to(dtype) for field in fields])
                require(subject, found is None, f"{found} in {str(dtype).removeprefix('torch.')}")


def compare_ways(layer: Recurrent, x: Tensor, state: list[Tensor]) -> str | None:
    """The first disagreement between the ways of running a layer, in words: outputs and final states; of one step, gradients.

    Over more steps a zero that one way multiplies by an infinite slope may be one that autograd never met.
    """
    wanted = _by_backend(layer, "reference", x, state)
    ways: dict[str, Callable[[], _Results]] = {"single steps": lambda: _by_steps(layer, x, state)}
    cells = [cell for cell in layer.cells if isinstance(cell, Cell)]
    for name, backend in BACKENDS.items():
        if name != "reference" and backend.limitation(cells, NO_NOISE) is None:
            ways[f"the {name} backend"] = lambda name=name: _by_backend(layer, name, x, state)  # type: ignore[misc]
    if not layer.bidirectional:
        ways["a stream"] = lambda: _by_stream(layer, x, state)
    for way, run in ways.items():
        for what, value in run().items():
            difference = _difference(value, wanted[what], _NEAR[x.dtype])
            if difference:
                return f"{what} of {way} and of the plain loop: {difference}"
    return None


def _difference(value: Tensor, wanted: Tensor, near: float) -> str | None:
    if (value.shape, value.dtype) != (wanted.shape, wanted.dtype):
        return f"{tuple(value.shape)} of {value.dtype}, expected {tuple(wanted.shape)} of {wanted.dtype}"
    finite = wanted.isfinite()
    scale = max(1.0, float(wanted[finite].abs().max())) if bool(finite.any()) else 1.0
    right = torch.where(
        finite, (value - wanted).abs() <= near * scale, (value == wanted) | value.isnan() & wanted.isnan()
    )
    if bool(right.all()):
        return None
    at = tuple((~right).nonzero()[0].tolist())
    return f"{float(value[at]):g} at {at}, expected {float(wanted[at]):g}"


def _leaves(x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    return x.clone().requires_grad_(), [field.clone().requires_grad_() for field in state]


def _results(layer: Recurrent, outputs: Tensor, final: tuple[Tensor, ...], leaves: list[Tensor]) -> _Results:
    names = ["x", *layer.first_cell.state]
    found = {"outputs": outputs.detach()}
    found |= {f"final {name}": field.detach() for name, field in zip(names[1:], final, strict=True)}
    loss = outputs.sum() + sum(field.sum() for field in final)
    if outputs.shape[1] > 1:
        return found
    return found | {f"gradient of {name}": value for name, value in zip(names, gradients(loss, leaves), strict=True)}


def _by_backend(layer: Recurrent, backend: str, x: Tensor, state: list[Tensor]) -> _Results:
    given, fields = _leaves(x, state)
    before, layer.backend = layer.backend, backend
    try:
        outputs, final = layer(given, fields)
    finally:
        layer.backend = before
    return _results(layer, outputs, tuple(final), [given, *fields])


def _by_steps(layer: Recurrent, x: Tensor, state: list[Tensor]) -> _Results:
    given, fields = _leaves(x, state)
    outputs, final = [], layer.initial_state(len(x))._make(fields)
    for t in range(x.shape[1]):
        output, final = layer.step(given[:, t], final)
        outputs.append(output)
    return _results(layer, torch.stack(outputs, 1), tuple(final), [given, *fields])


def _by_stream(layer: Recurrent, x: Tensor, state: list[Tensor]) -> _Results:
    stream = layer.stream(batch=len(x), state=state)
    outputs = torch.cat([stream.step(x[:, 0].contiguous()).unsqueeze(1), stream.push(x[:, 1:])], 1)
    return {"outputs": outputs} | {
        f"final {name}": field for name, field in zip(layer.first_cell.state, stream.state, strict=True)
    }
