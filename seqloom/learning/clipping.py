"""Clipping dense and sparse gradients: by their joint norm (Pascanu et al. 2013, algorithm 1), or value by value."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["clip_gradients", "clip_values", "gradient_norm", "merge_rows"]


def merge_rows(gradient: Tensor) -> Tensor:
    """A sparse gradient whose rows are unique: the values of a row that was looked up several times are added.

    Done once per step; norm, clipping and update share the result. A merged gradient is handed back as it is.

    >>> twice = torch.sparse_coo_tensor([[2, 2]], [[1.0], [3.0]], (4, 1), check_invariants=True)
    >>> merge_rows(twice).values().tolist()
    [[4.0]]
    """
    return gradient if gradient.is_coalesced() else gradient.coalesce()


def _values(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The numbers of every gradient, sharing its memory; a sparse ``grad`` is replaced by its merged form."""
    values = []
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is None:
            continue
        if gradient.is_sparse:
            gradient = parameter.grad = merge_rows(gradient)
            values.append(gradient.values())
        else:
            values.append(gradient)
    return values


@torch.no_grad()
def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """Euclidean norm over all gradients as one vector; zero where there is no gradient at all."""
    return float(nn.utils.get_total_norm(_values(parameters)))


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> float:
    """Scale all gradients by ``limit / norm`` where their joint norm is larger than ``limit``; 0 clips nothing.

    Returns:
        The norm before clipping. Where it is not finite, the gradients are left alone: skip the step.
    """
    values = _values(parameters)
    norm = float(nn.utils.get_total_norm(values))
    if limit and limit < norm < float("inf"):
        torch._foreach_mul_(values, limit / norm)
    return norm


@torch.no_grad()
def clip_values(parameters: Iterable[nn.Parameter], limit: float) -> None:
    """Cut every number of every gradient to -limit..limit, which changes its direction; 0 clips nothing.

    An infinite number would become ``limit``: look at the norm first, and skip the step where it is not finite.
    """
    if limit:
        for values in _values(parameters):
            values.clamp_(-limit, limit)
