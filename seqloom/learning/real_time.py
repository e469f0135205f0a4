"""Real-time recurrent learning: the exact gradient, forward in time, with a memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqloom.learning.gradients import Gradients
from seqloom.learning.influence import Learner, StepGraph, run_learner
from seqloom.learning.transition import StepLoss, StepModule

__all__ = ["RealTimeRecurrentLearning", "rtrl"]


class RealTimeRecurrentLearning(Learner):
    """Learning at every step with the whole influence matrix (Robinson & Fallside 1987; Williams & Zipser 1989).

    It takes the derivatives of any cell or stack from autograd, so no cell needs rules of its own. S is the size of the
    state (of an LSTM's h and c together), N the number of parameters.

    Cost: B S N numbers of memory and O(B S^2 N) time for a step; for m units m^3 and m^4.

    >>> from seqloom.layers.recurrent import Recurrent
    >>> learner = RealTimeRecurrentLearning(Recurrent("lstm", 2, 3))
    >>> first = learner.step(torch.ones(1, 2))
    >>> second = learner.step(torch.ones(1, 2), first.state, output_gradient=lambda output: output - 1.0)
    >>> second.gradients["cells.0.bias_ifgo"].shape
    torch.Size([12])
    """

    def __init__(self, layer: StepModule) -> None:
        super().__init__(layer)
        self._matrix: Tensor | None = None  # (B, S, N)

    def _influence(self) -> Sequence[Tensor]:
        return [] if self._matrix is None else [self._matrix]

    def _forget(self) -> None:
        self._matrix = None

    def _credit(self, through: Tensor) -> Tensor:
        if self._matrix is None:
            return through.new_zeros(())
        return torch.einsum("bs,bsn->n", through, self._matrix)

    def _advance(self, graph: StepGraph, valid: Tensor | None) -> None:
        new = graph.back(graph.basis()).transpose(0, 1)
        if self._matrix is not None:
            new = new + torch.einsum("sbk,bkn->bsn", graph.jacobian(), self._matrix)
        old = torch.zeros_like(new) if self._matrix is None else self._matrix
        self._matrix = new if valid is None else torch.where(valid.view(-1, 1, 1), new, old)


def rtrl(
    layer: StepModule,
    x: Tensor,
    loss: StepLoss,
    state: Sequence[Tensor] | None = None,
    lengths: Tensor | None = None,
) -> Gradients:
    """The gradient of the loss summed over all steps, by real-time recurrent learning: that of ``bptt``, for more work.

    Arguments and errors as those of :func:`~seqloom.learning.bptt`, but for layers that go forward in time only.
    Cost: see :class:`RealTimeRecurrentLearning`, whatever the number of steps.
    """
    return run_learner(RealTimeRecurrentLearning(layer), x, loss, state, lengths)
