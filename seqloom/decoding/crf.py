"""Exact decoding of a linear chain: the best tag path, and the k best, of a whole padded batch at once.

The potentials are those of ``seqloom.losses.LinearChainCRF``, but nothing here knows of a model: a softmax tagger
decodes under constraints with zero for legal and a large negative number for illegal transitions.

    score(y) = start(y_1) + sum_t emission_t(y_t) + sum_{t>=2} transition(y_{t-1}, y_t) + end(y_len)
"""

from itertools import pairwise

import torch
from torch import Tensor

from seqloom.engine.ragged import PackedRows

__all__ = ["PAD_TAG", "check_potentials", "viterbi", "viterbi_k_best"]

PAD_TAG = -1
"""Stands in a tag path past the end of its row, and fills a path that does not exist."""


def check_potentials(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor | None
) -> Tensor:
    """Check the shapes of a chain's potentials and return the lengths (B,), int64, on the device of ``emissions``.

    Raises:
        ValueError: a shape does not fit, or a length is outside 0..T; names the row.
    """
    if emissions.dim() != 3 or not emissions.is_floating_point():
        raise ValueError(
            f"emissions must be a floating-point tensor of shape (B, T, K), got {emissions.dtype} of shape "
            f"{tuple(emissions.shape)}"
        )
    batch, time, tags = emissions.shape
    expected = {"transitions": (transitions, (tags, tags)), "start": (start, (tags,)), "end": (end, (tags,))}
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}, expected {shape} for emissions with K = {tags} tags"
            )
    if lengths is None:
        return torch.full((batch,), time, dtype=torch.int64, device=emissions.device)
    lengths = torch.as_tensor(lengths)
    if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ValueError(
            f"lengths must be integers of shape ({batch},), got {lengths.dtype} of shape {tuple(lengths.shape)}"
        )
    lengths = lengths.to(device=emissions.device, dtype=torch.int64)
    wrong = (lengths < 0) | (lengths > time)
    if wrong.any():
        row = int(wrong.nonzero()[0, 0])
        raise ValueError(f"lengths[{row}] is {int(lengths[row])} but emissions has T = {time} time steps")
    return lengths


@torch.no_grad()
def viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The best tag path of each row and its score (Viterbi 1967; Rabiner 1989, section III.B).

    Computed in float64 whatever the dtype of the potentials. Between paths of equal score the one with the lower last
    tag wins, then the one with the lower tag before it, and so on towards the start.

    Args:
        emissions: (B, T, K) score of each tag at each step; what stands past a row's length is never read.
        transitions: (K, K) score of going from the row's tag to the column's tag.
        start: (K,) score of the first tag.
        end: (K,) score of the last tag.
        lengths: (B,) steps used per row, 0..T; all T where none is given.
    Returns:
        The paths (B, T), int64, ``PAD_TAG`` (-1) past each row's length, and their scores (B,), float64. A row of
        length zero has the empty path with score zero. Neither carries a gradient.
    Raises:
        ValueError: a shape does not fit, or a length is outside 0..T; names the row.
    Cost: O(B T K^2) time for the scores; tracing back is O(B T K), for the arg max is taken along the best path only.

    >>> emissions = torch.tensor([[[1.0, 0.0], [0.5, 2.0], [0.0, 1.0]]])
    >>> transitions = torch.tensor([[0.2, -0.3], [0.1, 0.4]])
    >>> tags, scores = viterbi(emissions, transitions, torch.tensor([0.0, -1.0]), torch.tensor([0.3, 0.0]))
    >>> tags.tolist(), round(scores.item(), 6)
    ([[0, 1, 1]], 4.1)
    """
    rows = PackedRows.of(check_potentials(emissions, transitions, start, end, lengths), emissions.shape[1])
    tags = emissions.new_full(emissions.shape[:2], PAD_TAG, dtype=torch.int64)
    scores = emissions.new_zeros(emissions.shape[0], dtype=torch.float64)
    if not rows.first:
        return tags, scores
    counts, used = rows.sizes[: rows.longest], rows.first
    best = _by_step(emissions, rows)
    arriving = transitions.double().T.contiguous()  # (to, from): the maximum runs along the contiguous dimension
    best[0] += start.double()
    steps = [best_here[:n] for best_here, n in zip(best.unbind(), counts, strict=True)]
    for before, here in pairwise(steps):
        here += (before[: len(here), None] + arriving).amax(2)

    total = best[rows.lengths[:used] - 1, torch.arange(used, device=best.device)] + end.double()
    current = total.argmax(1)
    scores[rows.order[:used]] = total.gather(1, current[:, None])[:, 0]
    path = tags.new_full((len(counts), rows.batch), PAD_TAG)
    following = 0  # rows that have a next step; the others end here, with the tag that `current` begins with
    for here, path_here in zip(reversed(steps), reversed(path.unbind()), strict=True):
        if following:
            going_on = current[:following]
            torch.argmax(here[:following] + arriving.index_select(0, going_on), 1, out=going_on)
        following = len(here)
        path_here[:following] = current[:following]
    tags[rows.order, : len(counts)] = path.T
    return tags, scores


@torch.no_grad()
def viterbi_k_best(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor | None = None, *, k: int
) -> tuple[Tensor, Tensor]:
    """The k best tag paths of each row, best first, and their scores (Seshadri & Sundberg 1994, in parallel).

    Every tag of every step keeps its k best ways to arrive. Ties go as in :func:`viterbi`, of which rank 0 is the path.

    Args:
        emissions, transitions, start, end, lengths: as in :func:`viterbi`.
        k: how many paths, at least 1.
    Returns:
        The paths (B, k, T), int64, padded with ``PAD_TAG``, and their scores (B, k), float64, not increasing. Where a
        row has fewer than k paths the rest have the score -inf and hold nothing but ``PAD_TAG``.
    Raises:
        ValueError: ``k`` is below 1, a shape does not fit, or a length is outside 0..T; names the row.
    Cost: O(B T K^2 k) time and O(B T K k) memory.

    >>> flat = torch.zeros(2)
    >>> tags, scores = viterbi_k_best(torch.tensor([[[3.0, 1.0]]]), torch.zeros(2, 2), flat, flat, k=3)
    >>> tags.tolist(), scores.tolist()
    ([[[0], [1], [-1]]], [[3.0, 1.0, -inf]])
    """
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1 path")
    rows = PackedRows.of(check_potentials(emissions, transitions, start, end, lengths), emissions.shape[1])
    batch, time, tag_count = emissions.shape
    tags = emissions.new_full((batch, k, time), PAD_TAG, dtype=torch.int64)
    scores = emissions.new_full((batch, k), -torch.inf, dtype=torch.float64)
    scores[:, 0] = 0.0
    if not rows.first:
        return tags, scores
    counts, used = rows.sizes[: rows.longest], rows.first
    steps = _by_step(emissions, rows)
    arriving = transitions.double().T.contiguous()
    # Each tag has a list of k + 1 ways to end in it; the last is always -inf and marks the end of the list.
    best = steps.new_full((used, tag_count, k + 1), -torch.inf)
    best[:, :, 0] = steps[0] + start.double()
    origin = best.new_zeros((len(counts), used, tag_count, k + 1), dtype=torch.int64)
    for step in range(1, len(counts)):
        n = counts[step]
        arrived, origin[step, :n, :, :k] = _merge_k_best(best[:n], arriving)
        best[:n, :, :k] = arrived + steps[step, :n, :, None]

    total, place = (best + end.double()[:, None]).flatten(1).sort(descending=True, stable=True)
    scores[rows.order[:used]] = total[:, :k]
    current = place[:, :k].clone()
    path = tags.new_full((len(counts), rows.batch, k), PAD_TAG)
    for step in range(len(counts) - 1, -1, -1):
        if step + 1 < len(counts):
            n = counts[step + 1]
            current[:n] = origin[step + 1, :n].flatten(1).gather(1, current[:n])
        path[step, : counts[step]] = current[: counts[step]] // (k + 1)
    tags[rows.order, :, : len(counts)] = path.permute(1, 2, 0)
    return tags.masked_fill_(scores.isneginf()[:, :, None], PAD_TAG), scores


def _by_step(emissions: Tensor, rows: PackedRows) -> Tensor:
    """A float64 copy of the emissions as (longest, rows that are not empty, K), longest rows first."""
    ordered = emissions.index_select(0, rows.order[: rows.first])[:, : rows.longest]
    return ordered.transpose(0, 1).to(torch.float64, memory_format=torch.contiguous_format, copy=True).contiguous()


def _merge_k_best(best: Tensor, arriving: Tensor) -> tuple[Tensor, Tensor]:
    """For each tag the k best of all ways to arrive, given the lists (n, from, k + 1) of each tag one step earlier.

    The lists are sorted, so k times the best of their K heads is taken and that list advanced: cheaper than a top k of
    all K k ways, and the order among ties is defined.
    Returns scores (n, to, k) and, for each, where in the flattened lists it came from, ``from * (k + 1) + rank``.
    """
    n, tag_count, length = best.shape
    ways = (best[:, None] + arriving[:, :, None]).flatten(2)  # (n, to, from * (k + 1) + rank)
    heads = ways[:, :, ::length].clone()
    position = torch.arange(0, ways.shape[2], length, device=best.device).repeat(n, tag_count, 1)
    scores, origins = [], []
    for _ in range(length - 1):
        source = heads.argmax(2, keepdim=True)
        scores.append(heads.gather(2, source))
        origins.append(position.gather(2, source))
        following = origins[-1] + (scores[-1] > -torch.inf)  # never beyond the -inf that ends a list
        position.scatter_(2, source, following)
        heads.scatter_(2, source, ways.gather(2, following))
    return torch.cat(scores, 2), torch.cat(origins, 2)
