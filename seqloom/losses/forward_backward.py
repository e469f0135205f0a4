"""The forward-backward algorithm of a linear chain, over a whole padded batch, and its analytic gradient.

Two implementations of one quantity, log Z:

- :func:`log_partition` sums probabilities that are rescaled as it goes (Rabiner 1989, section V.A), in float64. One
  product per time step carries the forward sums and, on the reversed rows, the backward sums together; rows are sorted
  by length, so a step works on a prefix of them and padding is never touched. The gradient is the expected counts.
- :func:`log_partition_by_logarithms` is the textbook recursion of log-sum-exp, differentiated by autograd as often as
  one likes. It is the oracle, and it takes over the rows whose scores are too far apart for the first.

**When the first may be trusted.** An entry that is too small for float64 could still have been the beginning of the
best path. So entries never go below a floor of 1e-280: what is lost is over-estimated, never forgotten. The weight that
a floor put on an entry can have in the total is at most floor * (largest opposite sum) / (product of both sums), and a
row counts as exact where that stays under 1e-20 at every step. Any other row is done again by logarithms.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqloom.decoding.crf import RowsByLength, check_potentials

__all__ = ["ForwardBackward", "forward_backward", "log_partition", "log_partition_by_logarithms"]

_FLOOR = 1e-280
_TRUSTED = 1e260  # floor * trusted = the largest relative error that is accepted, far below rounding
_RESCALE_EVERY = 4  # steps; sums may drift by e^60 per step before a row is handed over


class _Packing(NamedTuple):
    """Where the valid positions of a padded batch stand when packed step by step, longest rows first (N positions)."""

    rows: RowsByLength
    flat: Tensor  # (N,) position in the padded batch, row * T + step
    row: Tensor  # (N,) row in the padded batch
    mirror: Tensor  # (N,) packed position of the same row at length - 1 - step
    previous: Tensor  # (N - rows at step 0,) packed position one step earlier, for every position after the first

    @classmethod
    def of(cls, lengths: Tensor, time: int) -> "_Packing":
        rows = RowsByLength.of(lengths)
        per_step = torch.tensor(rows.counts, dtype=torch.int64, device=lengths.device)
        offset = per_step.cumsum(0) - per_step
        steps = torch.arange(len(rows.counts), device=lengths.device)
        step, place = (rows.lengths > steps[:, None]).nonzero(as_tuple=True)
        row = rows.order[place]
        mirror = offset[rows.lengths[place] - 1 - step] + place
        first = rows.counts[0] if rows.counts else 0
        return cls(rows, row * time + step, row, mirror, offset[step[first:] - 1] + place[first:])

    @property
    def first(self) -> int:
        """How many rows are not empty; their first steps are the first packed positions."""
        return self.rows.counts[0] if self.rows.counts else 0

    def pack(self, padded: Tensor) -> Tensor:
        return padded.reshape(-1, padded.shape[-1]).index_select(0, self.flat)

    def unpack(self, packed: Tensor, like: Tensor) -> Tensor:
        """(N, K) into the shape and dtype of ``like``, zero at padding."""
        padded = torch.zeros_like(like, memory_format=torch.contiguous_format)
        padded.view(-1, like.shape[-1]).index_copy_(0, self.flat, packed.to(like.dtype))
        return padded


class ForwardBackward(NamedTuple):
    """log Z of every row and all that its gradient needs; counts of pairs stay factored until they are weighted."""

    packing: _Packing
    log_partition: Tensor  # (B,)
    marginals: Tensor  # (N, K) packed
    leaving: Tensor  # (N - first, K) forward sums one step earlier, over the total
    arriving: Tensor  # (N - first, K) backward sums including the emission
    transition: Tensor  # (K, K) exp(transitions - their maximum)
    redone: Tensor  # (F,) rows done by logarithms, whose leaving and arriving are zero
    redone_pairs: Tensor  # (F, K, K) their expected counts of transitions

    def expected_transitions(self, weight: Tensor) -> Tensor:
        """(K, K) sum over rows of weight (B,) times the row's expected counts of transitions."""
        leaving = self.leaving * weight[self.packing.row[self.packing.first :], None]
        counts = self.transition * (leaving.T @ self.arriving)
        return counts + torch.einsum("f,fjk->jk", weight[self.redone], self.redone_pairs)


def forward_backward(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> ForwardBackward:
    """Both recursions for valid potentials (see :func:`log_partition`); no gradient flows through the result."""
    packing = _Packing.of(lengths, emissions.shape[1])
    result, untrusted = _rescaled(
        packing.pack(emissions.detach()).double(),
        transitions.detach().double(),
        start.detach().double(),
        end.detach().double(),
        packing,
    )
    if len(untrusted):
        result = _redo_by_logarithms(result, untrusted, emissions, transitions, start, end, lengths)
    return result


def _rescaled(
    emission: Tensor, transitions: Tensor, start: Tensor, end: Tensor, packing: _Packing
) -> tuple[ForwardBackward, Tensor]:
    """The recursion on probabilities, and the rows (F,) for which it may not be trusted."""
    first, rows = packing.first, packing.rows
    empty = emission.new_empty
    if not first:
        zeros = emission.new_zeros(len(rows.order))
        none = empty(0, len(start))
        nobody = ForwardBackward(
            packing, zeros, none, none, none, transitions, rows.order[:0], empty(0, *transitions.shape)
        )
        return nobody, rows.order[:0]
    peak = emission.amax(1)
    likelihood = (emission - peak[:, None]).exp_()
    peaks = transitions.max(), start.max(), end.max()
    transition = (transitions - peaks[0]).exp_()
    ends = torch.stack([start - peaks[1], end - peaks[2]]).exp_()
    before, after, scale = _sweep(torch.stack([likelihood, likelihood[packing.mirror]]), transition, ends, rows.counts)

    mirror = packing.mirror
    forward, backward, arriving = after[0], before[1][mirror], after[1][mirror]
    joint = forward * backward
    total = joint.sum(1)
    smallest = total * scale[0].clamp(max=1.0) * scale[1][mirror].clamp(max=1.0)
    exact = torch.maximum(forward.amax(1), backward.amax(1)) < _TRUSTED * smallest  # false for NaN and zero as well
    untrusted = torch.unique(packing.row[~exact])

    logs = peak + scale[0].log()
    logs[first:] += peaks[0]
    log_partition = emission.new_zeros(len(rows.order)).index_add_(0, packing.row, logs)
    log_partition[rows.order[:first]] += total[mirror[:first]].log() + peaks[1] + peaks[2]
    result = ForwardBackward(
        packing,
        log_partition,
        joint.div_(total[:, None]),
        forward[packing.previous] / total[packing.previous, None],
        arriving[first:],
        transition,
        untrusted,
        empty(0, *transitions.shape),
    )
    return result, untrusted


def _sweep(likelihood: Tensor, transition: Tensor, ends: Tensor, counts: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Forward sums (index 0) and, on the reversed rows, backward sums (index 1), all packed.

    The backward sums that include the emission obey the forward recursion of the reversed chain, so one batched product
    serves both directions, which halves the number of small operations.

    Returns sums before and after the emission, (2, N, K), and the scales (2, N) divided out of those after it.
    """
    before, after = torch.empty_like(likelihood), torch.empty_like(likelihood)
    scale = likelihood.new_ones(*likelihood.shape[:2], 1)
    both_ways = torch.stack([transition, transition.T])
    offset, state = 0, after
    for step, n in enumerate(counts):
        block = slice(offset, offset + n)
        arrived, state_now = before[:, block], after[:, block]
        if step == 0:
            arrived.copy_(ends[:, None])
        else:
            torch.bmm(state[:, :n], both_ways, out=arrived)
        arrived.clamp_(min=_FLOOR)
        torch.mul(arrived, likelihood[:, block], out=state_now)
        if (step + 1) % _RESCALE_EVERY == 0:
            torch.sum(state_now, 2, keepdim=True, out=scale[:, block])
            state_now.div_(scale[:, block])
        offset, state = offset + n, state_now
    return before, after, scale[:, :, 0]


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
    packing = result.packing
    is_redone = torch.zeros_like(lengths, dtype=torch.bool).index_fill_(0, redone, True)[packing.row]
    place = torch.zeros_like(lengths).index_copy_(0, redone, torch.arange(len(redone), device=lengths.device))
    row, time = packing.row[is_redone], emissions.shape[1]
    result.log_partition[redone] = log_z.detach()
    result.marginals[is_redone] = marginals[place[row], packing.flat[is_redone] - row * time]
    result.leaving[is_redone[packing.first :]] = 0.0
    result.arriving[is_redone[packing.first :]] = 0.0
    return result._replace(redone=redone, redone_pairs=pairs)


class _LogPartition(torch.autograd.Function):
    """log Z with expected counts for its gradient, both found on the way forward."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
    ) -> Tensor:
        result = forward_backward(emissions, transitions, start, end, lengths)
        ctx.packing = result.packing
        ctx.save_for_backward(emissions, transitions, start, end, *result[2:])
        return result.log_partition

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # torch's once_differentiable would let a gradient penalty pass as a constant
            raise RuntimeError(
                "log_partition is differentiable once, but its gradient was asked for with create_graph=True; "
                "use log_partition_by_logarithms for second derivatives"
            )
        emissions, transitions, start, end, *parts = ctx.saved_tensors
        packing: _Packing = ctx.packing
        result = ForwardBackward(packing, weight, *parts)
        expected = result.marginals * weight[packing.row, None]
        first = packing.first
        return (
            packing.unpack(expected, emissions) if ctx.needs_input_grad[0] else None,
            result.expected_transitions(weight).to(transitions.dtype) if ctx.needs_input_grad[1] else None,
            expected[:first].sum(0).to(start.dtype),
            expected[packing.mirror[:first]].sum(0).to(end.dtype),
            None,
        )


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
        RuntimeError: a second derivative is asked for; :func:`log_partition_by_logarithms` has all of them.
    Cost: O(B T K^2) time and O(B T K) memory.

    >>> flat = torch.zeros(2)
    >>> log_partition(torch.zeros(1, 3, 2), torch.zeros(2, 2), flat, flat).exp()
    tensor([8.0000], dtype=torch.float64)
    """
    lengths = check_potentials(emissions, transitions, start, end, lengths)
    log_z: Tensor = _LogPartition.apply(emissions, transitions, start, end, lengths)  # type: ignore[no-untyped-call]
    return log_z


def log_partition_by_logarithms(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> Tensor:
    """The same as :func:`log_partition` for potentials however far apart, differentiable twice, slower (core form).

    The potentials of moves may also differ from row to row: ``transitions`` (B, K, K), ``start`` and ``end`` (B, K).
    Nothing is checked.
    Cost: O(B T K^2) time and, under autograd, O(B T K^2) memory.
    """
    rows = RowsByLength.of(lengths)
    zeros = emissions.new_zeros(len(rows.order), dtype=torch.float64)
    if not rows.counts:
        return zeros
    used = rows.order[: rows.counts[0]]
    batch, _, tags = emissions.shape
    chain = emissions[used].double()
    pairwise = transitions.double().expand(batch, tags, tags)[used]
    first, last = (part.double().expand(batch, tags)[used] for part in (start, end))
    alpha = chain[:, 0] + first
    for step in range(1, len(rows.counts)):
        n = rows.counts[step]
        arrived = torch.logsumexp(alpha[:n, :, None] + pairwise[:n], dim=1) + chain[:n, step]
        alpha = torch.cat([arrived, alpha[n:]])
    return zeros.index_copy(0, used, torch.logsumexp(alpha + last, dim=1))
