"""Differentiable sums over the paths of a linear chain, with expected counts for their gradients."""

from typing import Any

import torch
from torch import Tensor

from seqloom.decoding.crf import check_potentials
from seqloom.engine.ragged import PackedRows
from seqloom.losses.forward_backward import ForwardBackward, forward_backward

__all__ = ["log_partition", "negative_log_likelihood", "path_score"]


def log_partition(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor | None = None
) -> Tensor:
    """The logarithm of the sum of exp(score) over all tag paths of each row; differentiable once.

    Its gradients are expectations: of tags (the marginals) for ``emissions``, of transition counts for ``transitions``.

    Args:
        emissions: (B, T, K) score of each tag at each step; what stands past a row's length is never read.
        transitions: (K, K) score of going from the row's tag to the column's tag.
        start: (K,) score of the first tag.
        end: (K,) score of the last tag.
        lengths: (B,) steps used per row, 0..T; all T where none is given.
    Returns:
        (B,) in nats, float64 whatever the dtype of the potentials, since a loss is a small difference of such sums;
        zero for a row of length zero, which has one path with score zero.
    Raises:
        ValueError: a shape does not fit, or a length is outside 0..T; names the row.
        RuntimeError: a second derivative is asked for; ``log_partition_by_logarithms`` has it.
    Cost: O(B T K^2) time and O(B T K) memory.

    >>> flat = torch.zeros(2)
    >>> log_partition(torch.zeros(1, 3, 2), torch.zeros(2, 2), flat, flat).exp()
    tensor([8.0000], dtype=torch.float64)
    """
    lengths = check_potentials(emissions, transitions, start, end, lengths)
    return _PathSum.apply(emissions, transitions, start, end, lengths, None)  # type: ignore[no-any-return, no-untyped-call]


def negative_log_likelihood(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, tags: Tensor, lengths: Tensor
) -> Tensor:
    """log Z minus the score of one path per row, to be minimised: (B,) nats in float64; differentiable once.

    Equal to ``log_partition(...) - path_score(...)``, with one gradient, expected minus observed counts, for both.

    Args:
        tags: (B, T) int64, the path, any valid tag at padding; other arguments as in :func:`log_partition`, checked.
    """
    return _PathSum.apply(emissions, transitions, start, end, lengths, tags)  # type: ignore[no-any-return, no-untyped-call]


def path_score(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, tags: Tensor, lengths: Tensor
) -> Tensor:
    """The score (B,) of one path per row in float64, arguments as in :func:`negative_log_likelihood`."""
    if not tags.shape[1]:
        return emissions.new_zeros(len(tags), dtype=torch.float64)
    inside = torch.arange(tags.shape[1], device=tags.device) < lengths[:, None]
    emitted = emissions.gather(2, tags[:, :, None])[:, :, 0].double()
    moved = transitions.flatten()[tags[:, :-1] * len(start) + tags[:, 1:]].double()
    total = torch.where(inside, emitted, 0.0).sum(1) + torch.where(inside[:, 1:], moved, 0.0).sum(1)
    last = tags.gather(1, (lengths - 1).clamp(min=0)[:, None])[:, 0]
    return total + torch.where(lengths > 0, start[tags[:, 0]].double() + end[last].double(), 0.0)


class _PathSum(torch.autograd.Function):
    """log Z, less the score of a path where one is given. All counts are found on the way forward."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        lengths: Tensor,
        tags: Tensor | None,
    ) -> Tensor:
        result = forward_backward(emissions, transitions, start, end, lengths)
        total, rows = result.log_partition, result.rows
        moves = lengths[:0]
        if tags is not None:
            total = total - path_score(emissions, transitions, start, end, tags, lengths)
            observed = tags.reshape(-1)[rows.index]
            moves = observed[rows.previous] * len(start) + observed[rows.first :]
            counts = result.marginals
            counts.scatter_add_(1, observed[:, None], counts.new_full((1, 1), -1.0).expand(len(counts), 1))
        ctx.rows = rows
        ctx.save_for_backward(emissions, transitions, start, end, moves, *result[2:])
        return total

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # torch's once_differentiable would let a gradient penalty pass as a constant
            raise RuntimeError(
                "a CRF's loss is differentiable once, but its gradient was asked for with create_graph=True; "
                "use log_partition_by_logarithms for second derivatives"
            )
        emissions, transitions, start, end, moves, *parts = ctx.saved_tensors
        rows: PackedRows = ctx.rows
        counts = ForwardBackward(rows, weight, *parts)
        first = rows.first
        expected = counts.marginals * weight[rows.row, None]
        pairs = None
        if ctx.needs_input_grad[1]:
            pairs = counts.expected_transitions(weight)
            pairs.view(-1).index_add_(0, moves, weight[rows.row[first:][: len(moves)]], alpha=-1)
        return (
            rows.unpack(expected.to(emissions.dtype)) if ctx.needs_input_grad[0] else None,
            None if pairs is None else pairs.to(transitions.dtype),
            expected[:first].sum(0).to(start.dtype),
            expected[rows.mirror[:first]].sum(0).to(end.dtype),
            None,
            None,
        )
