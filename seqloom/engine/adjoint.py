"""Reverse mode: for each operation of the graph, how the gradient of its result reaches its operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from seqloom.engine.operations import holds

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True)
class Rule:
    """A function of the gradient, of operands (by position) and of the result; no function passes the gradient on."""

    function: Callable[..., Any] | None
    reads: tuple[int | Literal["gradient", "result"], ...] = ("gradient",)


def _take_smaller(gradient: Tensor, chosen: Any, other: Any) -> Any:
    return _share(gradient, chosen == other, chosen > other)


def _take_larger(gradient: Tensor, chosen: Any, other: Any) -> Any:
    return _share(gradient, chosen == other, chosen < other)


def _share(gradient: Tensor, equal: Tensor, left: Tensor) -> Tensor:
    """What an operand gets: ties share, the one that was left gets nothing, and beside NaN both get all, as in torch."""
    return torch.where(left, 0.0, torch.where(equal, gradient / 2, gradient))


def _reach_divisor(gradient: Tensor, dividend: Any, result: Tensor, divisor: Tensor) -> Tensor:
    if isinstance(dividend, float):  # torch computes number / v as number * reciprocal(v)
        inverse = divisor.reciprocal()
        return -(gradient * dividend) * (inverse * inverse)
    return -gradient * (result / divisor)


def _where_held(gradient: Tensor, condition: Any) -> Tensor:
    held = holds(condition)
    return torch.where(held, gradient, 0.0) if isinstance(held, Tensor) else gradient * float(held)


def _where_not_held(gradient: Tensor, condition: Any) -> Tensor:
    held = holds(condition)
    return torch.where(held, 0.0, gradient) if isinstance(held, Tensor) else gradient * float(not held)


def _layer_norm(eps: float, gradient: Tensor, vector: Tensor) -> Tensor:
    shape = list(vector.shape[-1:])
    vector = vector.to(gradient.dtype)
    _, mean, deviation = torch.native_layer_norm(vector, shape, None, None, eps)
    result: Tensor = torch.ops.aten.native_layer_norm_backward(
        gradient.contiguous(), vector, shape, mean, deviation, None, None, [True, False, False]
    )[0]
    return result


_sigmoid = torch.ops.aten.sigmoid_backward
_tanh = torch.ops.aten.tanh_backward

RULES: dict[str, tuple[Rule | None, ...]] = {
    "add": (Rule(None), Rule(None)),
    "sub": (Rule(None), Rule(torch.neg)),
    "mul": (Rule(torch.mul, ("gradient", 1)), Rule(torch.mul, ("gradient", 0))),
    "div": (
        Rule(torch.div, ("gradient", 1)),
        Rule(_reach_divisor, ("gradient", 0, "result", 1)),
    ),
    "neg": (Rule(torch.neg),),
    "less": (None, None),
    "less_equal": (None, None),
    "sigmoid": (Rule(_sigmoid, ("gradient", "result")),),
    "tanh": (Rule(_tanh, ("gradient", "result")),),
    "relu": (Rule(lambda gradient, result: torch.where(result <= 0, 0.0, gradient), ("gradient", "result")),),
    "exp": (Rule(torch.mul, ("gradient", "result")),),
    "log": (Rule(torch.div, ("gradient", 0)),),
    "softplus": (Rule(lambda gradient, vector: gradient * torch.sigmoid(vector), ("gradient", 0)),),
    "abs": (Rule(lambda gradient, vector: gradient * torch.sign(vector), ("gradient", 0)),),
    "sqrt": (Rule(lambda gradient, result: gradient / (2 * result), ("gradient", "result")),),
    "minimum": (Rule(_take_smaller, ("gradient", 0, 1)), Rule(_take_smaller, ("gradient", 1, 0))),
    "maximum": (Rule(_take_larger, ("gradient", 0, 1)), Rule(_take_larger, ("gradient", 1, 0))),
    "where": (
        None,
        Rule(_where_held, ("gradient", 0)),
        Rule(_where_not_held, ("gradient", 0)),
    ),
    "layer_norm": (Rule(_layer_norm, ("gradient", 0)),),
}
"""By operation, one rule per operand; none where no gradient passes."""
