"""How large gradients are at every distance from the step whose loss they come from (spoken of as vanishing, exploding)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seqloom.learning.diagnosis.recurrence import Recurrence, backpropagate

__all__ = ["GradientFlow", "gradient_norms", "rate_of"]


@dataclass(frozen=True)
class GradientFlow:
    """The gradient of the last step's loss, followed back in time (Pascanu, Mikolov & Bengio 2013, section 2.1).

    Attributes:
        norms: at each distance 0, 1, ... from a row's last step, the norm of its gradient by the full state divided by
            that at the last step; the root of the mean square over the rows that are long enough.
        input_norms: the same by the input of the step at that distance, divided by the same number.
        rows: how many rows reach each distance of ``norms``.
        slope: of the logarithm of ``norms`` against the distance, by least squares over all that are not zero, weighted by
            ``rows``; negative where gradients vanish, NaN where there are not two to compare.
        loss_norms: at each step of the order of reading, the norm of the whole loss's gradient by the state after that
            step, root mean square over the rows; None where there is no loss.
    """

    norms: tuple[float, ...]
    input_norms: tuple[float, ...]
    rows: tuple[int, ...]
    slope: float
    loss_norms: tuple[float, ...] | None = None

    @property
    def half_life(self) -> float:
        """Steps in which the gradient halves, or doubles where the slope is positive: ln 2 / |slope|."""
        return math.log(2.0) / abs(self.slope) if self.slope else math.inf


def gradient_norms(recurrence: Recurrence) -> GradientFlow:
    """Norms of the gradient of the last step's loss at every earlier step; see :meth:`Recurrence.probe`.

    The gradient is carried back by one product with the step's Jacobian at a time, over the full state, and renormalised
    after each, so that neither the smallest nor the largest norms are lost to the range of numbers.

    Cost: T steps forward and backward of the plain loop.
    """
    inner, outer = _log_norms(recurrence)
    lengths = recurrence.lengths
    logarithms, rows = _by_distance(inner, lengths + 1)
    of_inputs, _ = _by_distance(outer, lengths)
    return GradientFlow(
        norms=tuple(logarithms.exp().tolist()),
        input_norms=tuple(of_inputs.exp().tolist()),
        rows=tuple(rows.tolist()),
        slope=rate_of(logarithms, rows),
        loss_norms=_loss_norms(recurrence),
    )


def rate_of(logarithms: Tensor, rows: Tensor) -> float:
    """Slope of the least-squares line through the finite values, each weighted by its rows; NaN for fewer than two."""
    y, weights = logarithms.cpu().double().numpy(), rows.cpu().double().numpy()
    kept = np.isfinite(y)
    if kept.sum() < 2:
        return math.nan
    distances = np.flatnonzero(kept).astype(float)
    return float(np.polyfit(distances, y[kept], 1, w=np.sqrt(weights[kept]))[0])


def _log_norms(recurrence: Recurrence) -> tuple[Tensor, Tensor]:
    """Relative to that at the last step: (B, T + 1) by the states, from the initial one on, and (B, T) by the inputs."""
    probe, lengths = recurrence.probe(), recurrence.lengths
    batch, time = recurrence.inputs.shape[:2]
    rows = torch.arange(batch, device=lengths.device)
    sizes = torch.stack([field.double().square().sum(1) for field in probe]).sum(0).sqrt()
    arriving = tuple(torch.zeros_like(field[:, 1:]) for field in recurrence.states)
    for field, value in zip(arriving, probe, strict=True):
        field[rows, lengths - 1] = torch.where(sizes[:, None] > 0, value / sizes[:, None], 0.0).to(value.dtype)
    inner = sizes.new_full((batch, time + 1), -math.inf)
    outer = sizes.new_full((batch, time), -math.inf)
    inner[rows, lengths] = torch.zeros_like(sizes).masked_fill(sizes == 0, -math.inf)
    scale = torch.zeros_like(sizes)
    for t, of_input, of_states in backpropagate(recurrence, arriving):
        running = t < lengths
        outer[:, t] = torch.where(running, scale + of_input.double().norm(dim=1).log(), -math.inf)
        norms = torch.stack([field.double().square().sum(1) for field in of_states]).sum(0).sqrt()
        inner[:, t] = torch.where(running, scale + norms.log(), inner[:, t])
        scale = torch.where(norms > 0, scale + norms.log(), scale)
        for field in of_states:
            field.div_(torch.where(norms > 0, norms, 1.0).unsqueeze(1))
    return inner, outer


def _by_distance(logarithms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Log of the root mean square at each distance from the last of ``lengths`` entries, and the rows that reach it."""
    longest = int(lengths.max())
    distances = torch.arange(longest, device=lengths.device)
    place = lengths[:, None] - 1 - distances
    values = logarithms.gather(1, place.clamp(min=0)).masked_fill(place < 0, -math.inf)
    rows = (place >= 0).sum(0)
    return 0.5 * (torch.logsumexp(2.0 * values, 0) - rows.double().log()), rows


def _loss_norms(recurrence: Recurrence) -> tuple[float, ...] | None:
    arriving = recurrence.arriving
    if arriving is None:
        return None
    last = recurrence.inputs.shape[1] - 1
    squares = {last: _squares(tuple(field[:, last] for field in arriving))}
    for t, _, of_states in backpropagate(recurrence, arriving):
        if t:
            reached = zip(of_states, arriving, strict=True)
            squares[t - 1] = _squares(tuple(value + field[:, t - 1] for value, field in reached))
    rows = [int((recurrence.lengths > t).sum()) for t in range(last + 1)]
    return tuple(float((squares[t] / rows[t]).sqrt()) for t in range(last + 1))


def _squares(fields: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([field.double().square().sum() for field in fields]).sum()
