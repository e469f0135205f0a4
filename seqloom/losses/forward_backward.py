"""The forward-backward algorithm of a linear chain over a whole padded batch.

Two implementations of one quantity, log Z:

- :func:`forward_backward` sums probabilities that are rescaled as it goes (Rabiner 1989, section V.A), in float64. One
  product per time step carries the forward sums and, on the reversed rows, the backward sums together; rows are sorted
  by length, so a step works on a prefix of them and padding is never touched. It yields the expected counts as well.
- :func:`log_partition_by_logarithms` is the textbook recursion of log-sum-exp, differentiated by autograd as often as
  one likes. It is the oracle, and it takes over the rows whose scores are too far apart for the first.

**When the first may be trusted.** A sum that is too small for float64 could still have been the beginning of the best
path. So no factor of a move is below a floor of 1e-250: what is lost is over-estimated, never forgotten. What a floor
adds at a step is at most the floor, times the sums on both sides of it, over the total; a row counts as exact where all
sums stay above 1e-30 and below 1e200 times the total, which keeps that far below rounding whatever K is. Any other row,
one that spans more than some 460 nats, is done again by logarithms.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqloom.engine.ragged import PackedRows

__all__ = ["ForwardBackward", "forward_backward", "log_partition_by_logarithms"]

_FLOOR = 1e-250
_LARGEST = 1e200  # floor * largest leaves 1e-50, room for sums that have grown by K per step since they were rescaled
_SMALLEST = 1e-30  # floor * smallest stays above what underflows
_RESCALE_EVERY = 4  # steps


class _Blocks(NamedTuple):
    """Where packed positions stand in the blocks of both directions; see :func:`_sweep`."""

    forward: Tensor
    """(N,) going forwards."""
    backward: Tensor
    """(N,) going backwards."""

    @classmethod
    def of(cls, rows: PackedRows) -> "_Blocks":
        assert rows.counts is not None
        step, place = rows.positions
        forward = 2 * rows.starts[step] + place
        return cls(forward, (forward + rows.counts[step])[rows.mirror])


class ForwardBackward(NamedTuple):
    """log Z of every row and all that its gradient needs; counts of pairs stay factored until they are weighted."""

    rows: PackedRows
    log_partition: Tensor  # (B,)
    marginals: Tensor  # (N, K) packed
    leaving: Tensor  # (N - first, K) forward sums one step earlier, over the total
    arriving: Tensor  # (N - first, K) backward sums including the emission
    transition: Tensor  # (K, K) exp(transitions - their maximum)
    redone: Tensor  # (F,) rows done by logarithms, whose leaving and arriving are zero
    redone_pairs: Tensor  # (F, K, K) their expected counts of transitions

    def expected_transitions(self, weight: Tensor) -> Tensor:
        """(K, K) sum over rows of weight (B,) times the row's expected counts of transitions."""
        leaving = self.leaving * weight[self.rows.row[self.rows.first :], None]
        counts = self.transition * (leaving.T @ self.arriving)
        return counts + torch.einsum("f,fjk->jk", weight[self.redone], self.redone_pairs)


def forward_backward(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> ForwardBackward:
    """Both recursions, for potentials as in ``chain.log_partition`` that were checked; no gradient flows through."""
    rows = PackedRows.of(lengths, emissions.shape[1])
    result, untrusted = _rescaled(
        rows.pack(emissions.detach()).double(),
        transitions.detach().double(),
        start.detach().double(),
        end.detach().double(),
        rows,
    )
    if len(untrusted):
        result = _redo_by_logarithms(result, untrusted, emissions, transitions, start, end, lengths)
    return result


def _rescaled(
    emission: Tensor, transitions: Tensor, start: Tensor, end: Tensor, rows: PackedRows
) -> tuple[ForwardBackward, Tensor]:
    """The recursion on probabilities, which overwrites ``emission``, and the rows (F,) that may not be trusted to it."""
    first = rows.first
    empty = emission.new_empty
    if not first:
        zeros = emission.new_zeros(rows.batch)
        none = empty(0, len(start))
        nobody = ForwardBackward(
            rows, zeros, none, none, none, transitions, rows.order[:0], empty(0, *transitions.shape)
        )
        return nobody, rows.order[:0]
    peak = emission.amax(1)
    likelihood = emission.sub_(peak[:, None]).exp_()
    peaks = transitions.max(), start.max(), end.max()
    transition = (transitions - peaks[0]).exp_().clamp_(min=_FLOOR)
    ends = torch.stack([start - peaks[1], end - peaks[2]]).exp_().clamp_(min=_FLOOR)
    blocks = _Blocks.of(rows)
    before, after, scale = _sweep(likelihood, transition, ends, rows, blocks)

    forward = after.index_select(0, blocks.forward)
    backward = before.index_select(0, blocks.backward)
    largest = forward.amax(1), backward.amax(1)
    joint = backward.mul_(forward)
    total = joint.sum(1, keepdim=True)
    untrusted = _untrusted(*largest, scale, total[:, 0], rows, blocks)
    logs = peak + scale[blocks.forward].log()
    logs[first:] += peaks[0]
    log_partition = emission.new_zeros(rows.batch).index_add_(0, rows.row, logs)
    log_partition[rows.order[:first]] += total[rows.mirror[:first], 0].log() + peaks[1] + peaks[2]
    result = ForwardBackward(
        rows,
        log_partition,
        joint.div_(total),
        forward.div_(total).index_select(0, rows.previous),
        after.index_select(0, blocks.backward[first:]),
        transition,
        untrusted,
        empty(0, *transitions.shape),
    )
    return result, untrusted


def _untrusted(
    forward: Tensor, backward: Tensor, scale: Tensor, total: Tensor, rows: PackedRows, blocks: _Blocks
) -> Tensor:
    """The rows (F,) with a step at which a floor may show, given the largest sums of each position (N,).

    NaN fails every comparison and so is among them.
    """
    both_scales = torch.minimum(scale[blocks.forward], scale[blocks.backward])
    exact = torch.maximum(forward, backward) < _LARGEST * total * both_scales.clamp(max=1.0)
    exact &= torch.minimum(torch.minimum(forward, backward), both_scales) > _SMALLEST
    return rows.order.new_tensor(sorted(set(rows.row[~exact].tolist())))


def _sweep(
    likelihood: Tensor, transition: Tensor, ends: Tensor, packed: PackedRows, places: _Blocks
) -> tuple[Tensor, Tensor, Tensor]:
    """Forward sums and, on the reversed rows, backward sums, in one pass.

    The backward sums that include the emission obey the forward recursion of the reversed chain, so one batched product
    serves both directions, which halves the number of small operations. Each step is one block, first the rows going
    forwards and then the same rows going backwards; ``places`` says where they stand.

    Returns sums before and after the emission, (2 N, K), and the scales (2 N,) divided out of those after it.
    """
    counts, (positions, tags) = packed.sizes[: packed.longest], likelihood.shape
    likely = likelihood.new_empty(2 * positions, tags)
    likely.index_copy_(0, places.forward, likelihood).index_copy_(0, places.backward, likelihood)
    before, after = torch.empty_like(likely), torch.empty_like(likely)
    scale = likelihood.new_ones(2 * positions, 1)
    both_ways = torch.stack([transition, transition.T])
    blocks = [torch.split(tensor, [2 * n for n in counts]) for tensor in (before, likely, after, scale)]
    state, rows = ends[:, None], counts[0]
    for step, (n, arrived, emitted, left, sums) in enumerate(zip(counts, *blocks, strict=True)):
        product = arrived.view(2, n, tags)
        if step == 0:
            product.copy_(state)
        else:
            torch.bmm(state if n == rows else state[:, :n], both_ways, out=product)
        torch.mul(arrived, emitted, out=left)
        if (step + 1) % _RESCALE_EVERY == 0:
            torch.sum(left, 1, keepdim=True, out=sums)
            left.div_(sums)
        state, rows = left.view(2, n, tags), n
    return before, after, scale[:, 0]


def _redo_by_logarithms(
    result: ForwardBackward,
    redone: Tensor,
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    lengths: Tensor,
) -> ForwardBackward:
    """``result`` with the rows ``redone`` (F,) computed by logarithms."""
    with torch.enable_grad():
        chain = emissions.detach()[redone].double().requires_grad_()
        pairwise = transitions.detach().double().expand(len(redone), -1, -1).clone().requires_grad_()
        log_z = log_partition_by_logarithms(chain, pairwise, start.detach(), end.detach(), lengths[redone])
        marginals, pairs = torch.autograd.grad(log_z.sum(), (chain, pairwise), materialize_grads=True)
    rows = result.rows
    is_redone = torch.zeros_like(lengths, dtype=torch.bool).index_fill_(0, redone, True)[rows.row]
    place = torch.zeros_like(lengths).index_copy_(0, redone, torch.arange(len(redone), device=lengths.device))
    row, time = rows.row[is_redone], emissions.shape[1]
    result.log_partition[redone] = log_z.detach()
    result.marginals[is_redone] = marginals[place[row], rows.index[is_redone] - row * time]
    result.leaving[is_redone[rows.first :]] = 0.0
    result.arriving[is_redone[rows.first :]] = 0.0
    return result._replace(redone=redone, redone_pairs=pairs)


def log_partition_by_logarithms(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> Tensor:
    """log Z (B,) in float64 by log-sum-exp: for potentials however far apart, differentiable twice, slower.

    Shapes are those of ``chain.log_partition``, and nothing is checked. The scores of moves may also differ from row to
    row: ``transitions`` (B, K, K), ``start`` and ``end`` (B, K).
    Cost: O(B T K^2) time and, under autograd, O(B T K^2) memory.
    """
    rows = PackedRows.of(lengths, emissions.shape[1])
    zeros = emissions.new_zeros(rows.batch, dtype=torch.float64)
    if not rows.first:
        return zeros
    used = rows.order[: rows.first]
    batch, _, tags = emissions.shape
    chain = emissions[used].double()
    pairwise = transitions.double().expand(batch, tags, tags)[used]
    first, last = (part.double().expand(batch, tags)[used] for part in (start, end))
    alpha = chain[:, 0] + first
    for step in range(1, rows.longest):
        n = rows.sizes[step]
        arrived = torch.logsumexp(alpha[:n, :, None] + pairwise[:n], dim=1) + chain[:n, step]
        alpha = torch.cat([arrived, alpha[n:]])
    return zeros.index_copy(0, used, torch.logsumexp(alpha + last, dim=1))
