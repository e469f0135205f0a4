"""What passes through the recurrent layers of a model while it computes a loss, and the loss's gradients."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.learning.diagnosis.recurrence import Recurrence, evaluating, recurrences

__all__ = ["ParameterGradient", "Recording", "record"]


@dataclass(frozen=True)
class ParameterGradient:
    """Norms of a parameter and of the loss's gradient by it; their ratio is comparable between parameters."""

    name: str
    gradient_norm: float
    parameter_norm: float

    @property
    def ratio(self) -> float:
        """Gradient norm over parameter norm; infinite for a parameter of zeros that has a gradient."""
        if self.parameter_norm:
            return self.gradient_norm / self.parameter_norm
        return float("inf") if self.gradient_norm else 0.0


@dataclass(frozen=True, eq=False)
class Recording:
    """The recurrences of a model on a batch, the value of the loss where there is one, and its gradients."""

    recurrences: tuple[Recurrence, ...]
    loss: float | None
    parameters: tuple[ParameterGradient, ...]
    unseen: tuple[str, ...]
    """Recurrent layers that no sequence passed through."""


@dataclass(frozen=True, eq=False)
class _Call:
    layer: Recurrent
    x: Tensor
    lengths: Tensor | None
    state: Sequence[Tensor] | None
    results: tuple[Tensor, ...]
    """Outputs, and the fields of the returned state."""

    @property
    def steps(self) -> int:
        return self.x.shape[1 if self.layer.batch_first else 0]


def record(module: nn.Module, run: Callable[[], Any], *, rows: int | None = None) -> Recording:
    """Run a model in evaluation mode and keep what its recurrent layers read; ``.grad`` of no parameter changes.

    Args:
        module: holds :class:`~seqloom.Recurrent` layers, or is one.
        run: computes with it. Where a scalar comes back that depends on the parameters, it is the loss.
        rows: at most so many rows of each layer's batch are kept, the longest ones.
    Raises:
        ConfigError: the module has no recurrent layer, or no sequence passed through any.
    """
    names = {part: name for name, part in module.named_modules() if isinstance(part, Recurrent)}
    if not names:
        raise ConfigError(
            f"{type(module).__name__} holds no seqloom.Recurrent layer; there is no recurrence to examine"
        )
    calls: dict[Recurrent, _Call] = {}
    with evaluating(module), torch.inference_mode(False), torch.enable_grad():
        with _listening(names, calls):
            loss = run()
        if not calls:
            raise ConfigError(f"no sequence passed through {' or '.join(map(_title, names.values()))}")
        usable = isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad
        gradients, parameters = _differentiate(module, loss, list(calls.values())) if usable else ({}, ())
        recorded: list[Recurrence] = []
        for layer, call in calls.items():
            recorded += recurrences(
                layer, call.x, call.lengths, call.state,
                name=_title(names[layer]), gradients=gradients.get(layer), rows=rows,
            )  # fmt: skip
    unseen = tuple(_title(name) for layer, name in names.items() if layer not in calls)
    return Recording(tuple(recorded), float(loss.detach()) if usable else None, parameters, unseen)


def _title(name: str) -> str:
    return name or "layer"


@contextmanager
def _listening(names: dict[Recurrent, str], calls: dict[Recurrent, _Call]) -> Iterator[None]:
    """Keep each layer's call; of several the first one of the most steps."""

    def keep(layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], returned: Any) -> None:
        if not isinstance(layer, Recurrent):
            return
        given = inspect.signature(layer.forward).bind(*arguments, **named)
        given.apply_defaults()
        outputs, state = returned
        x, lengths, before = (given.arguments[name] for name in ("x", "lengths", "state"))
        call = _Call(layer, x, lengths, before, (outputs, *state))
        if call.x.numel() and (layer not in calls or call.steps > calls[layer].steps):
            calls[layer] = call

    handles = [layer.register_forward_hook(keep, with_kwargs=True) for layer in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _differentiate(
    module: nn.Module, loss: Tensor, calls: Sequence[_Call]
) -> tuple[dict[Recurrent, list[Tensor | None]], tuple[ParameterGradient, ...]]:
    """The loss's gradients by what each call returned, and the norms of those by the parameters."""
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    results = [value for call in calls for value in call.results]
    wanted = [value for value in (*results, *trained.values()) if value.requires_grad]
    gradients = dict(zip(map(id, wanted), torch.autograd.grad(loss, wanted, allow_unused=True), strict=True))
    by_call = {call.layer: [gradients.get(id(value)) for value in call.results] for call in calls}
    parameters = [
        ParameterGradient(name, _norm(gradient), float(value.detach().norm()))
        for name, value in trained.items()
        if (gradient := gradients[id(value)]) is not None
    ]
    return by_call, tuple(parameters)


def _norm(gradient: Tensor) -> float:
    return float((gradient.coalesce().values() if gradient.is_sparse else gradient).norm())
