"""The vocabulary of a step: functions that act on tensors, or on the symbols of a traced step.

A cell written in these and in arithmetic runs on plain tensors (the reference, differentiated by autograd) and can be
read as a graph, without being written twice.

>>> import torch
>>> sigmoid(torch.zeros(1, 2))
tensor([[0.5000, 0.5000]])
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from seqloom.engine.graph import StepError, Symbol, as_number

__all__ = [
    "abs", "exp", "layer_norm", "log", "maximum", "minimum", "relu", "sigmoid", "softplus", "split", "sqrt", "tanh",
    "where",
]  # fmt: skip

Vector = TypeVar("Vector", Tensor, Symbol)


def _unary(name: str, function: Callable[[Tensor], Tensor]) -> Any:
    def operation(vector: Vector) -> Vector:
        if isinstance(vector, Symbol):
            return vector.graph.elementwise(name, vector)
        return function(vector)

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"{name}, element by element."
    return operation


sigmoid = _unary("sigmoid", torch.sigmoid)
tanh = _unary("tanh", torch.tanh)
relu = _unary("relu", torch.relu)
exp = _unary("exp", torch.exp)
log = _unary("log", torch.log)
# From 40 on the sum is the vector itself, to the last digit of float64 too; torch's own border of 20 costs half of them.
softplus = _unary("softplus", partial(F.softplus, threshold=40.0))
abs = _unary("abs", torch.abs)
sqrt = _unary("sqrt", torch.sqrt)


def _graph_of(*values: object) -> Any:
    return next((value.graph for value in values if isinstance(value, Symbol)), None)


def _as_tensors(*values: Any) -> list[Tensor]:
    """Of values among which is a tensor; a number takes part as in arithmetic, which makes numbers of truths."""
    values = tuple(map(as_number, values))
    like = next(value for value in values if isinstance(value, Tensor))
    dtype = functools.reduce(torch.promote_types, (torch.result_type(like, value) for value in values))
    return [torch.as_tensor(value, dtype=dtype, device=like.device) for value in values]


def _are_numbers(*values: object) -> bool:
    return not any(isinstance(value, Tensor) for value in values)


def holds(condition: Any) -> Any:
    """Where a condition holds: a truth as it is; numbers where they are not zero."""
    if isinstance(condition, Tensor):
        return condition if condition.dtype == torch.bool else condition != 0
    return bool(condition)


def as_short(vector: Tensor, weight: Tensor) -> Tensor:
    """A vector as a product with a weight of another type takes it: torch makes a truth times a number float32."""
    short = weight.dtype in (torch.bfloat16, torch.float16, torch.float64) and vector.dtype is torch.float32
    return vector.to(weight.dtype) if short and not torch.is_autocast_enabled(vector.device.type) else vector


def minimum(first: Any, second: Any) -> Any:
    """The smaller of two values, element by element; one of them may be a number."""
    graph = _graph_of(first, second)
    if graph:
        return graph.elementwise("minimum", first, second)
    return min(first, second) if _are_numbers(first, second) else torch.minimum(*_as_tensors(first, second))


def maximum(first: Any, second: Any) -> Any:
    """The larger of two values, element by element; one of them may be a number."""
    graph = _graph_of(first, second)
    if graph:
        return graph.elementwise("maximum", first, second)
    return max(first, second) if _are_numbers(first, second) else torch.maximum(*_as_tensors(first, second))


def where(condition: Any, chosen: Any, otherwise: Any) -> Any:
    """``chosen`` where the condition holds, ``otherwise`` elsewhere; NaN in the other branch does not leak."""
    graph = _graph_of(condition, chosen, otherwise)
    if graph:
        return graph.elementwise("where", condition, chosen, otherwise)
    held = holds(condition)
    if isinstance(held, Tensor):
        return torch.where(held, chosen, otherwise)
    if _are_numbers(chosen, otherwise):
        return chosen if held else otherwise
    tensors = _as_tensors(chosen, otherwise)
    return torch.where(torch.as_tensor(held, device=tensors[0].device), *tensors)


def split(vector: Any, parts: int) -> tuple[Any, ...]:
    """A vector in so many blocks of equal size, in their order: the gates of a stack, the two halves of a state.

    >>> split(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), 2)
    (tensor([[1., 2.]]), tensor([[3., 4.]]))

    Raises:
        StepError: the size is no multiple of ``parts``.
    """
    size = vector.size if isinstance(vector, Symbol) else vector.shape[-1]
    if size % parts:
        raise StepError(f"a vector of {size} units cannot be split into {parts} equal blocks")
    if isinstance(vector, Symbol):
        return tuple(vector.graph.block(vector, position, size // parts) for position in range(parts))
    return tuple(vector.chunk(parts, -1))


def layer_norm(vector: Any, gain: Any = None, shift: Any = None, *, eps: float = 1e-5) -> Any:
    """Each row minus its mean, divided by its standard deviation, times ``gain``, plus ``shift`` (Ba et al. 2016)."""
    if isinstance(vector, Symbol):
        normal: Any = vector.graph.node("layer_norm", (vector,), vector.size, (eps,))
    else:
        normal = F.layer_norm(vector, vector.shape[-1:], eps=eps)
    normal = normal if gain is None else normal * gain
    return normal if shift is None else normal + shift
