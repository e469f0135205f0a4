"""A module's time step as a pure function of its parameters and its state: what every gradient algorithm starts from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import torch
from torch import Tensor, nn

from seqloom.engine.runtime.backend import measure_lengths
from seqloom.layers.recurrent import Recurrent

__all__ = [
    "StateForm",
    "StepLoss",
    "StepModule",
    "differentiate",
    "hold",
    "measure_loss",
    "remake",
    "run_sequence",
    "trainable",
    "valid_steps",
    "with_parameters",
]

StepLoss: TypeAlias = Callable[[Tensor, int], Tensor]
"""``loss(output, t)``: the loss of step t, from its outputs (B, H): one number per row (B,), or a scalar for all rows.

It is to be minimised and is summed over time (and rows), never averaged: divide in it what should be a mean. Where rows
differ in length it must give one number per row; those of rows that have no step t are left out. The outputs of such rows
are zeros without a gradient. It sees the outputs of one module; its own parameters get no gradient here.
"""


class StepModule(Protocol):
    """What is differentiated: any :class:`torch.nn.Module` with these two methods, such as every layer that streams.

    The state is a (named) tuple of tensors with the batch first. ``step`` must not mix rows.
    """

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]: ...
    def initial_state(self, batch: int) -> Any: ...


class _Carrier(nn.Module):
    """A module around a module, so that any function of it can be called while its parameters have other values."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(self.module, *arguments)


def with_parameters(
    module: StepModule, parameters: Mapping[str, Tensor], function: Callable[..., Any], *arguments: Any
) -> Any:
    """``function(module, *arguments)`` while these tensors act in place of the parameters of the same names."""
    values = {f"module.{name}": value for name, value in parameters.items()}
    return torch.func.functional_call(_Carrier(cast(nn.Module, module)), values, (function, *arguments))


def trainable(module: StepModule) -> dict[str, nn.Parameter]:
    """The parameters that want a gradient, by name."""
    return {name: p for name, p in cast(nn.Module, module).named_parameters() if p.requires_grad}


@dataclass(frozen=True)
class StateForm:
    """How the floating-point fields of a state become one vector per row and back; other fields (counters) are carried."""

    like: Sequence[Tensor]

    def flatten(self, state: Sequence[Tensor]) -> Tensor:
        """(B, S) from all differentiable fields."""
        return torch.cat([field.flatten(1) for field in state if field.is_floating_point()], 1)

    def others(self, state: Sequence[Tensor]) -> list[Tensor]:
        """The fields that :meth:`flatten` leaves out."""
        return [field for field in state if not field.is_floating_point()]

    def build(self, flat: Tensor, others: Sequence[Tensor]) -> Any:
        """The state from its parts: (B, S), and the other fields."""
        sizes = [math.prod(field.shape[1:]) for field in self.like if field.is_floating_point()]
        parts, rest = iter(torch.split(flat, sizes, 1)), iter(others)
        fields = [
            next(parts).reshape(len(flat), *field.shape[1:]) if field.is_floating_point() else next(rest)
            for field in self.like
        ]
        return remake(self.like, fields)


def remake(state: Sequence[Tensor], fields: Sequence[Tensor]) -> Any:
    """A state of the same type with other fields."""
    make = getattr(type(state), "_make", tuple)
    return make(fields)


def hold(new: Sequence[Tensor], old: Sequence[Tensor], valid: Tensor | None) -> Any:
    """The new state for the rows that have the step (B,), the old one for the others."""
    if valid is None:
        return new
    return remake(
        old,
        [
            torch.where(valid.view(-1, *[1] * (field.dim() - 1)), field, before)
            for field, before in zip(new, old, strict=True)
        ],
    )


def valid_steps(x: Tensor, lengths: Tensor | None) -> list[Tensor] | None:
    """For each step, which rows have it (B,); none where all have all."""
    ragged = measure_lengths(lengths, x)
    return None if ragged is None else list(ragged.mask.unbind(1))


def run_sequence(
    module: StepModule, x: Tensor, state: Sequence[Tensor], lengths: Tensor | None
) -> tuple[Sequence[Tensor], Any]:
    """The outputs (B, H) of all steps, zero for rows that have ended, and each row's final state.

    A :class:`~seqloom.layers.recurrent.Recurrent` runs whole, on its backend; any other module step by step.
    """
    if isinstance(module, Recurrent):
        outputs, final = module(x if module.batch_first else x.transpose(0, 1), state, lengths)
        return outputs.unbind(1 if module.batch_first else 0), final
    valid, outputs = valid_steps(x, lengths), []
    for t, features in enumerate(x.unbind(1)):
        here = None if valid is None else valid[t]
        # Garbage in the padding must not overflow: the gradient of what is not chosen would be 0 times infinity.
        features = features if here is None else features.masked_fill(~here.unsqueeze(1), 0.0)
        output, new = module.step(features, state)
        state = hold(new, state, here)
        outputs.append(output if here is None else output.masked_fill(~here.unsqueeze(1), 0.0))
    return outputs, state


def measure_loss(loss: StepLoss, output: Tensor, t: int, valid: Tensor | None) -> Tensor:
    """The scalar loss of a step over the rows that have it; see :data:`StepLoss`.

    Raises:
        ValueError: neither a scalar nor one number per row, or a scalar where some row has ended.
    """
    value = loss(output, t)
    if value.dim() == 0:
        if valid is not None and not bool(valid.all()):
            row = int((~valid).nonzero()[0])
            raise ValueError(
                f"loss returned a scalar at step {t}, where row {row} has ended; return one number per row, "
                f"({len(output)},), so that ended rows can be left out"
            )
        return value
    if value.shape != output.shape[:1]:
        raise ValueError(
            f"loss returned shape {tuple(value.shape)} at step {t}; expected a scalar or one number per row, "
            f"({len(output)},)"
        )
    return (value if valid is None else value.masked_fill(~valid, 0.0)).sum()


def differentiate(
    targets: Sequence[Tensor],
    leaves: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    *,
    keep: bool,
    batched: bool = False,
) -> list[Tensor]:
    """Vector-Jacobian products, one per leaf; zero where nothing depends on it or it wants no gradient.

    Args:
        keep: whether the graph is needed again.
        batched: whether the cotangents have one more dimension, in front, as the products then have.
    """
    pairs = [(target, cotangent) for target, cotangent in zip(targets, cotangents, strict=True) if target.requires_grad]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    gradients: dict[int, Tensor] = {}
    if pairs and wanted:
        products = torch.autograd.grad(
            [target for target, _ in pairs],
            wanted,
            [cotangent for _, cotangent in pairs],
            retain_graph=keep,
            allow_unused=True,
            is_grads_batched=batched,
        )
        gradients = {id(leaf): product for leaf, product in zip(wanted, products, strict=True) if product is not None}
    front = cotangents[0].shape[:1] if batched else ()
    return [gradients[id(leaf)] if id(leaf) in gradients else leaf.new_zeros(*front, *leaf.shape) for leaf in leaves]
