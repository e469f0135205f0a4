"""The judge of a backend: no further from the truth than eight times what the plain float32 loop is.

The truth is the reference loop in float64 on the same numbers. What the float32 loop errs by is one sample of how well
conditioned a configuration is, and a lucky one may be far too small; so a result that it rejects is held against more
samples before it is condemned: of inputs that differ in their last bits, and of a loop whose functions round otherwise.

The latter because inputs do not move a saturated unit. Its slope 1 - y * y is computed from a y next to 1, so it errs by
what y does, which is relative to 1 and not to the slope: one unit in the last place of y is 6e-8, be the slope 1e-6 or
0.5, and a y that the loop happens to round rightly says nothing of it. A float32 loop whose tanh is another by one unit
is as good a loop; the kernels' functions are right to less than 3 units (csrc/mathematics.h), inside the factor of 8.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from seqloom.engine.contract import NO_NOISE
from seqloom.engine.runtime.backend import BACKENDS
from seqloom.layers.recurrent import Recurrent

from .cells import class_of, kinks_of
from .configurations import Configuration, Data, build_layer, shape_input

__all__ = ["Outcome", "Truth", "judge", "layer_of", "limitation", "outcome", "require", "truth_of"]

FACTOR, VALUE_FLOOR, GRADIENT_FLOOR, SAMPLES = 8.0, 1e-6, 1e-5, 4


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a layer gave: outputs and final states, with and without recording, and gradients, each by name."""

    values: dict[str, Tensor]
    gradients: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Truth:
    """A float64 outcome, how far the float32 loop is from it, and whether gradients are certain."""

    outcome: Outcome
    errors: dict[str, float]
    smooth: bool
    """False where a value lies so close to a kink that a rounding error may change slopes or choices."""


def limitation(name: str, configuration: Configuration) -> str | None:
    """Why a backend does not run the configuration's layer, or none where it does."""
    cell = class_of(configuration.cell)(configuration.input_size, configuration.hidden_size, bias=configuration.bias)
    found: str | None = BACKENDS[name].limitation([cell], NO_NOISE)
    return found


def require(configuration: Configuration, backend: str) -> None:
    """Fail with every tensor of the configuration that the backend has wrong."""
    complaints = judge(configuration, backend)
    if complaints:
        raise AssertionError("\n".join([f"{configuration!r} on the {backend} backend:", *complaints]))


def judge(configuration: Configuration, backend: str) -> list[str]:
    """One sentence for each tensor that is too far from the truth, or not what it should be at all."""
    data, truth = Data.of(configuration), truth_of(configuration)
    found = outcome(configuration, data, backend)
    complaints = dict(_compare(truth, found, truth.errors))
    if complaints:
        samples = [truth.errors, *(_sample(configuration, data, number) for number in range(1, SAMPLES + 1))]
        errors = {name: max(sample[name] for sample in samples) for name in truth.errors}
        complaints = dict(_compare(truth, found, errors))
    return [*complaints.values(), *_stray(data, found)]


@functools.lru_cache(maxsize=64)
def truth_of(configuration: Configuration) -> Truth:
    """The truth of a configuration."""
    data = Data.of(configuration)
    with _Kinks() as kinks:
        right = outcome(configuration, data, "reference", torch.float64)
    errors = _errors(right, outcome(configuration, data, "reference"))
    smooth = kinks.nearest > FACTOR * max(VALUE_FLOOR, *(errors[name] for name in right.values))
    return Truth(right, errors, smooth or not kinks_of(class_of(configuration.cell)(1, 1)))


def outcome(configuration: Configuration, data: Data, backend: str, dtype: torch.dtype = torch.float32) -> Outcome:
    """What the layer gives on a backend; gradients by the names of :attr:`Data.wanted`."""
    layer = build_layer(configuration, backend).to(dtype)
    base = data.x.to(dtype, copy=True)
    x = shape_input(configuration, base)
    state = (
        None if data.state is None else layer.initial_state(0)._make(field.to(dtype, copy=True) for field in data.state)
    )
    if backend != "reference":  # what a backend makes of the weights must not outlive a change of them
        with torch.no_grad():
            layer(x, state, data.lengths)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(data.parameters[name])
        plain = _named(*layer(x, state, data.lengths))
    leaves = {**dict(layer.named_parameters()), "x": base}
    leaves |= (
        {} if state is None else {f"state.{name}": field for name, field in zip(state._fields, state, strict=True)}
    )
    for name, leaf in leaves.items():
        leaf.requires_grad_(name in data.wanted)
    recorded = _named(*layer(shape_input(configuration, base), state, data.lengths))
    loss = _loss(configuration, data, list(recorded.values()))
    if loss.requires_grad:
        torch.autograd.backward(loss)
    values = {name: value.detach() for name, value in recorded.items()}
    values |= {f"{name} without gradients": value for name, value in plain.items()}
    zero = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    gradients = {name: zero[name] if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    return Outcome(values, gradients)


def _named(outputs: Tensor, final: Any) -> dict[str, Tensor]:
    return {"outputs": outputs, **{f"final {name}": f for name, f in zip(final._fields, final, strict=True)}}


def _loss(configuration: Configuration, data: Data, results: list[Tensor]) -> Tensor:
    if configuration.loss == "sum":
        return results[0].sum()
    weights = [data.output_gradient, *data.final_gradients]
    terms = [(result * weight.to(result.dtype)).sum() for result, weight in zip(results, weights, strict=True)]
    chosen = {"outputs": terms[:1], "final": terms[1:], "both": terms}[configuration.loss]
    return functools.reduce(torch.add, chosen)


def _distance(found: Tensor, right: Tensor) -> float:
    return float((found.double() - right).abs().max()) if right.numel() else 0.0


def _errors(right: Outcome, loop: Outcome) -> dict[str, float]:
    errors = {name: _distance(loop.values[name], value) for name, value in right.values.items()}
    return errors | {f"gradient of {n}": _distance(loop.gradients[n], value) for n, value in right.gradients.items()}


def _sample(configuration: Configuration, data: Data, number: int) -> dict[str, float]:
    """The float32 loop's errors where the inputs differ in their last bits, and each function's results do."""
    nudged = replace(data, x=data.x * (1 + 3 * number * 2.0**-24))
    right = outcome(configuration, nudged, "reference", torch.float64)
    with _OtherRounding(number):
        return _errors(right, outcome(configuration, nudged, "reference"))


def _compare(truth: Truth, found: Outcome, errors: dict[str, float]) -> Iterator[tuple[str, str]]:
    for name, right in truth.outcome.values.items():
        yield from _complaint(name, found.values[name], right, errors[name], VALUE_FLOOR)
    if not truth.smooth:
        return
    for name, right in truth.outcome.gradients.items():
        floor = GRADIENT_FLOOR * float(right.abs().max()) if right.numel() else 0.0
        named = f"gradient of {name}"
        yield from _complaint(named, found.gradients[name], right, errors[named], floor)


def _complaint(name: str, found: Tensor, right: Tensor, error: float, floor: float) -> Iterator[tuple[str, str]]:
    if found.shape != right.shape or found.dtype != torch.float32:
        wanted = f"expected {tuple(right.shape)} of torch.float32"
        yield name, f"  {name}: is {tuple(found.shape)} of {found.dtype}, {wanted}"
        return
    distance, allowed = _distance(found, right), FACTOR * max(error, floor)
    if not distance <= allowed:  # not a number is too far too
        yield name, f"  {name}: off by {distance:.3g}, allowed {allowed:.3g}; the float32 loop is off by {error:.3g}"


def _stray(data: Data, found: Outcome) -> Iterator[str]:
    """What is wrong however small it is: something in the padding, a gradient that nobody asked for."""
    if data.lengths is not None:
        outputs = found.values["outputs"]
        padding = torch.arange(outputs.shape[1]) >= data.lengths.unsqueeze(1)
        for name in ("outputs", "outputs without gradients"):
            if bool(found.values[name][padding].any()):
                yield f"  {name}: not zero in the padding"
    for name, gradient in found.gradients.items():
        if name not in data.wanted and bool(gradient.any()):
            yield f"  gradient of {name}: there is one, but nobody asked for it"


class _Kinks(TorchFunctionMode):
    """Watches the reference loop for the distance of its values from kinks and jumps; an exact tie is none."""

    COMPARISONS = frozenset({"minimum", "maximum", "lt", "le", "gt", "ge"})
    nearest = float("inf")

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "").strip("_")
        if name in ("relu", "abs"):
            self._see(args[0])
        elif name in self.COMPARISONS and isinstance(args[0], Tensor) and args[0].is_floating_point():
            self._see(args[0] - args[1])
        return function(*args, **(kwargs or {}))

    def _see(self, difference: Tensor) -> None:
        sizes = difference.detach().abs()
        sizes = sizes[sizes > 0]
        if sizes.numel():
            self.nearest = min(self.nearest, float(sizes.min()))


class _OtherRounding(TorchFunctionMode):
    """Moves each result of a function to a float32 beside it, within the function's limits; slopes follow."""

    LIMITS = types.MappingProxyType({"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "exp": (0.0, math.inf)})

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        limits = self.LIMITS.get(getattr(function, "__name__", ""))
        if limits and isinstance(result, Tensor):
            with torch.no_grad():
                up = torch.rand(result.shape, generator=self.generator) < 0.5
                beside = torch.where(up, torch.nextafter(result, result + 1), torch.nextafter(result, result - 1))
                result.data.copy_(beside.clamp(*limits))  # where reverse mode finds it, too
        return result


def layer_of(configuration: Configuration, backend: str) -> Recurrent:
    """The configuration's layer with the configuration's parameters."""
    layer, data = build_layer(configuration, backend), Data.of(configuration)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(data.parameters[name])
    return layer
