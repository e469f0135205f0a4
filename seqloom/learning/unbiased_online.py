"""Unbiased online recurrent optimisation: the influence matrix as one random product of two vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqloom.learning.gradients import Gradients
from seqloom.learning.influence import Learner, StepGraph, run_learner
from seqloom.learning.transition import StepLoss, StepModule

__all__ = ["UnbiasedOnlineRecurrentOptimisation", "uoro"]

_EPSILON = 1e-7  # as in algorithm 1 there


class UnbiasedOnlineRecurrentOptimisation(Learner):
    """Learning at every step with an unbiased estimate of rank one of the influence (Tallec & Ollivier 2017, algorithm 1).

    ``P ~ s theta'`` for each row, where ``s <- rho0 J s + rho1 nu`` and ``theta <- theta / rho0 + nu' I / rho1`` with random
    signs nu and factors that balance the norms. The mean over nu is P, since the mean of ``nu nu'`` is the identity. The
    variance is high and grows with the size: learn more slowly than with exact gradients.

    Args:
        layer: any module with ``step``.
        generator: of the signs; torch's global one by default.

    Cost: a step costs one forward pass, two products with the transposed Jacobian and one with the Jacobian; the memory
    is that of one copy of the parameters per row.
    """

    def __init__(self, layer: StepModule, generator: torch.Generator | None = None) -> None:
        super().__init__(layer)
        self.generator = generator
        self._states: Tensor | None = None  # (B, S)
        self._parameters: Tensor | None = None  # (B, N)

    def _influence(self) -> Sequence[Tensor]:
        return [] if self._states is None or self._parameters is None else [self._states, self._parameters]

    def _forget(self) -> None:
        self._states = self._parameters = None

    def _direction(self) -> Tensor | None:
        return self._states

    def _credit(self, through: Tensor) -> Tensor:
        if self._states is None or self._parameters is None:
            return through.new_zeros(())
        return (through * self._states).sum(1) @ self._parameters

    def _advance(self, graph: StepGraph, valid: Tensor | None) -> None:
        signs = torch.randint(0, 2, graph.new.shape, generator=self.generator, device=graph.new.device)
        noise = signs.to(graph.new.dtype).mul_(2).sub_(1)
        direct = graph.back(noise)
        states, parameters = noise, direct
        if graph.moved is not None and self._states is not None and self._parameters is not None:
            keep = _balance(self._parameters, graph.moved)
            mix = _balance(direct, noise)
            states = keep * graph.moved + mix * noise
            parameters = self._parameters / keep + direct / mix
            if valid is not None:
                states = torch.where(valid.unsqueeze(1), states, self._states)
                parameters = torch.where(valid.unsqueeze(1), parameters, self._parameters)
        elif valid is not None:
            states, parameters = states * valid.unsqueeze(1), parameters * valid.unsqueeze(1)
        self._states, self._parameters = states, parameters


def _balance(first: Tensor, second: Tensor) -> Tensor:
    """(B, 1) the factor that makes the two norms of a product of vectors equal."""
    ratio: Tensor = first.norm(dim=1, keepdim=True) / (second.norm(dim=1, keepdim=True) + _EPSILON)
    return torch.sqrt(ratio) + _EPSILON


def uoro(
    layer: StepModule,
    x: Tensor,
    loss: StepLoss,
    state: Sequence[Tensor] | None = None,
    lengths: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Gradients:
    """An unbiased estimate of the gradient of the loss summed over all steps; each row draws for itself.

    Arguments and errors as those of :func:`~seqloom.learning.bptt`, but for layers that go forward in time only.
    """
    return run_learner(UnbiasedOnlineRecurrentOptimisation(layer, generator), x, loss, state, lengths)
