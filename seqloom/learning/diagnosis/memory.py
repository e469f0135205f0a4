"""How far back a recurrence's memory reaches, measured from the end and from the beginning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.engine.contract import States
from seqloom.learning.diagnosis.gradients import gradient_norms
from seqloom.learning.diagnosis.recurrence import Recurrence, unroll

__all__ = ["Reach", "effective_memory", "forward_memory"]


@dataclass(frozen=True)
class Reach:
    """An effective memory length.

    Attributes:
        steps: the smallest distance from which on the effect stays below the share of its largest value; an input at a
            smaller distance counts. Where the data are too short to see that, their length: a lower bound.
        reached: whether the data were long enough.
        effect: the effect at each distance 0, 1, ..., as a share of the largest.
        share: below which it counts as gone.
    """

    steps: int
    reached: bool
    effect: tuple[float, ...]
    share: float

    @classmethod
    def of(cls, effect: Sequence[float], share: float) -> Reach:
        """The reach of an effect by distance.

        >>> Reach.of([0.5, 1.0, 0.001, 0.2, 0.001], share=0.01)
        Reach(steps=4, reached=True, effect=(0.5, 1.0, 0.001, 0.2, 0.001), share=0.01)
        """
        largest = max(effect, default=0.0)
        if not (0.0 < largest < math.inf):
            return cls(0, largest == 0.0, tuple(effect), share)
        relative = tuple(value / largest for value in effect)
        steps = 1 + max(distance for distance, value in enumerate(relative) if value >= share)
        return cls(steps, steps < len(relative), relative, share)


def effective_memory(recurrence: Recurrence, *, share: float = 0.01) -> Reach:
    """Backward: how far before the last step an input still reaches the last step's loss.

    The effect at distance d is the norm of the loss's gradient by the input of step T - d, as in
    :func:`~seqloom.learning.diagnosis.gradients.gradient_norms`, whose ``input_norms`` say the same.
    """
    return Reach.of(gradient_norms(recurrence).input_norms, share)


@torch.no_grad()
def forward_memory(recurrence: Recurrence, *, share: float = 0.01, size: float = 0.1) -> Reach:
    """Forward: how long the state shows that the first input was another one.

    The effect at distance d is the distance of the full state, d steps after the perturbed one, from that of the
    undisturbed run; root mean square over the rows that are long enough.

    Args:
        size: norm of the perturbation, as a share of the inputs' root-mean-square norm. Its direction is random, from a
            generator of its own.
    """
    inputs, lengths = recurrence.inputs, recurrence.lengths
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(len(inputs), inputs.shape[2], generator=generator, dtype=torch.float64).to(inputs)
    real = inputs.square().sum(2).sum() / lengths.sum()
    norm = real.sqrt() if bool(real > 0) else real + 1.0
    other = inputs.clone()
    other[:, 0] += size * norm * direction / direction.norm(dim=1, keepdim=True)
    initial = tuple(field[:, 0] for field in recurrence.states)
    moved = unroll(recurrence, other, initial)
    return Reach.of(_differences(moved, recurrence.states, lengths), share)


def _differences(moved: States, states: States, lengths: Tensor) -> list[float]:
    squares = torch.stack(
        [(a[:, 1:] - b[:, 1:]).double().square().sum(2) for a, b in zip(moved, states, strict=True)]
    ).sum(0)
    running = torch.arange(squares.shape[1], device=lengths.device) < lengths[:, None]
    rows = running.sum(0)
    return ((squares * running).sum(0) / rows).sqrt().tolist()
