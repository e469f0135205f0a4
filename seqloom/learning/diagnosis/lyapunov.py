"""How fast neighbouring states drift apart, or together, while a sequence is read."""

from __future__ import annotations

import torch

from seqloom.learning.diagnosis.jacobian import Linearised
from seqloom.learning.diagnosis.recurrence import Recurrence

__all__ = ["lyapunov_exponents"]


def lyapunov_exponents(recurrence: Recurrence, *, count: int = 1) -> tuple[float, ...]:
    """The leading finite-time Lyapunov exponents, per step and largest first: ``(1/T) sum log ||J_t v_t||``.

    ``count`` directions are carried forward through the steps' Jacobians and made orthonormal again after each by a QR
    decomposition, whose diagonal tells how much they grew (Benettin et al. 1980). Steps of all rows count alike. -inf
    where the state is forgotten altogether.

    Raises:
        ValueError: fewer exponents than 1, or more than there are units of state.
    """
    size = sum(recurrence.sizes)
    if not 1 <= count <= size:
        raise ValueError(f"count is {count}; expected 1 to {size}, the units of the state")
    batch, time = recurrence.inputs.shape[:2]
    generator = torch.Generator().manual_seed(0)
    # Drawn one by one, so that the first of several exponents is the one that would be found alone.
    drawn = [torch.randn(batch, size, generator=generator, dtype=torch.float64) for _ in range(count)]
    start = torch.stack(drawn, -1)
    directions = torch.linalg.qr(start)[0].to(recurrence.states[0])
    total = torch.zeros(count, dtype=torch.float64, device=directions.device)
    for t in range(time):
        running = t < recurrence.lengths
        step = Linearised(recurrence, recurrence.inputs[:, t], tuple(field[:, t] for field in recurrence.states))
        pushed = torch.stack([step.push(directions[..., column]) for column in range(count)], -1)
        directions, triangle = torch.linalg.qr(pushed)
        total += triangle.diagonal(dim1=1, dim2=2)[running].abs().double().log().sum(0)
    return tuple((total / int(recurrence.lengths.sum())).tolist())
