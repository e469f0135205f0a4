"""What all algorithms share that carry credit forward in time: one step with its graph, and the learner that takes it.

They keep what the parameters did to the state so far, the influence ``P = ds/dtheta``, in full or in short, for each row:
``P_t = J_t P_{t-1} + I_t`` with ``J_t = ds_t/ds_{t-1}`` and the immediate ``I_t``, the derivative of one step alone. The
gradient of a loss is then there at once, and no past is kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from seqloom.learning.gradients import Gradients
from seqloom.learning.transition import (
    StateForm,
    StepLoss,
    StepModule,
    differentiate,
    hold,
    measure_loss,
    trainable,
    valid_steps,
    with_parameters,
)

__all__ = ["Learner", "OnlineStep", "StepGraph", "run_learner"]


@dataclass(frozen=True)
class OnlineStep:
    """One step taken, and the gradient of its loss.

    Args:
        output: (B, H).
        state: to take the next step with.
        gradients: of this step's loss, summed over the rows, by the names of ``named_parameters``.
    """

    output: Tensor
    state: Any
    gradients: dict[str, Tensor]


@dataclass(frozen=True)
class StepGraph:
    """A step of a batch with its graph, in which each row has parameters of its own.

    Args:
        theta: (B, N) leaf, all trainable parameters in a row.
        state: (B, S) leaf, the state before.
        output: (B, H).
        new: (B, S) the state behind.
        moved: (B, S) ``J v`` for the direction v that was asked for.
        others: fields of the new state that cannot be differentiated.
    """

    theta: Tensor
    state: Tensor
    output: Tensor
    new: Tensor
    moved: Tensor | None
    others: list[Tensor]

    def back(self, cotangent: Tensor) -> Tensor:
        """(B, S), or (K, B, S) for K products at once, through the new state to theta: (..., B, N)."""
        return differentiate([self.new], [self.theta], [cotangent], keep=True, batched=cotangent.dim() == 3)[0]

    def jacobian(self) -> Tensor:
        """(S, B, S) of the new state with respect to the old one, rows of J in front."""
        return differentiate([self.new], [self.state], [self.basis()], keep=True, batched=True)[0]

    def basis(self) -> Tensor:
        """(S, B, S) every unit vector, the same for all rows of the batch."""
        batch, size = self.new.shape
        return torch.eye(size, dtype=self.new.dtype, device=self.new.device).unsqueeze(1).expand(size, batch, size)


class Learner(ABC):
    """A module that learns at every step of streams: it holds their influence, as a stream holds its state.

    The weights may change in place between steps; the influence then mixes derivatives at the weights of different times,
    which is a good approximation while updates are small. With frozen weights the sum over the steps is that of the
    sequence.

    Args:
        layer: any module with ``step``, which must neither mix rows nor branch on what it computes.
    """

    def __init__(self, layer: StepModule) -> None:
        self.layer = layer

    def step(
        self,
        x: Tensor,
        state: Sequence[Tensor] | None = None,
        output_gradient: Callable[[Tensor], Tensor] | None = None,
        valid: Tensor | None = None,
    ) -> OnlineStep:
        """Take one step, find the gradient of its loss, and carry the influence on.

        Args:
            x: (B, D).
            state: of the step before; none begins new sequences, as :meth:`restart` does.
            output_gradient: from the outputs (B, H) to the gradient of this step's loss with respect to them; none where
                the step has no loss.
            valid: (B,) which rows have this step; the others keep their state and influence.
        Raises:
            ValueError: another number of rows than before without a restart.
        """
        if state is None:
            state = self.layer.initial_state(len(x))
            self.restart()
        for influence in self._influence():
            if len(influence) != len(x):
                raise ValueError(
                    f"x has {len(x)} rows but the influence is of {len(influence)}; call restart() before another batch"
                )
        with torch.enable_grad():
            graph, form = self.trace(x, state)
        output = graph.output.detach()
        total = graph.theta.new_zeros(graph.theta.shape[1])
        if output_gradient is not None:
            cotangent = output_gradient(output)
            cotangent = cotangent if valid is None else cotangent.masked_fill(~valid.unsqueeze(1), 0.0)
            direct, through = differentiate([graph.output], [graph.theta, graph.state], [cotangent], keep=True)
            total = direct.sum(0) + self._credit(through)
        self._advance(graph, valid)
        new = hold(form.build(graph.new.detach(), graph.others), state, valid)
        return OnlineStep(output, new, self._by_name(total))

    @property
    def size(self) -> int:
        """N, how many numbers are learned."""
        return sum(parameter.numel() for parameter in trainable(self.layer).values())

    def restart(self, rows: Tensor | None = None) -> None:
        """Forget the influence of all rows, or of some (a (B,) mask or indices): what comes is another sequence."""
        for influence in self._influence():
            if rows is not None:
                influence[rows] = 0.0
        if rows is None:
            self._forget()

    @abstractmethod
    def _influence(self) -> Sequence[Tensor]:
        """What is kept, each (B, ...); nothing before the first step."""

    @abstractmethod
    def _forget(self) -> None:
        """Keep nothing."""

    @abstractmethod
    def _credit(self, through: Tensor) -> Tensor:
        """(B, S) gradient with respect to the state before to a (N,) gradient of the parameters, through the past."""

    @abstractmethod
    def _advance(self, graph: StepGraph, valid: Tensor | None) -> None:
        """Carry the influence over a step."""

    def _direction(self) -> Tensor | None:
        """(B, S) the direction whose product with J a step has to give."""
        return None

    def trace(self, x: Tensor, state: Sequence[Tensor], theta: Tensor | None = None) -> tuple[StepGraph, StateForm]:
        """The graph of a step, at parameters theta (B, N) if given, and how its states are laid out."""
        parameters, form = trainable(self.layer), StateForm(state)
        sizes = [parameter.numel() for parameter in parameters.values()]
        if theta is None:
            flat = torch.cat([x.new_zeros(0), *(parameter.detach().flatten() for parameter in parameters.values())])
            theta = flat.expand(len(x), -1)
        theta = theta.detach().requires_grad_()
        before = form.flatten(state).detach().requires_grad_()

        def row(theta: Tensor, before: Tensor, others: list[Tensor], x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
            parts = zip(parameters.items(), torch.split(theta, sizes), strict=True)
            values = {name: part.view(parameter.shape) for (name, parameter), part in parts}
            old = form.build(before.unsqueeze(0), [other.unsqueeze(0) for other in others])
            output, new = with_parameters(self.layer, values, _take_step, x.unsqueeze(0), old)
            return output.squeeze(0), form.flatten(new).squeeze(0), [other.squeeze(0) for other in form.others(new)]

        batch = torch.vmap(row, randomness="different")
        others, direction = form.others(state), self._direction()
        if direction is None:
            output, new, others = batch(theta, before, others, x)
            return StepGraph(theta, before, output, new, None, others), form

        def of_state(before: Tensor) -> tuple[Tensor, tuple[Tensor, list[Tensor]]]:
            output, new, rest = batch(theta, before, others, x)
            return new, (output, rest)

        moved: Tensor
        new, moved, (output, others) = cast(Any, torch.func.jvp(of_state, (before,), (direction,), has_aux=True))
        return StepGraph(theta, before, output, new, moved.detach(), others), form

    def _by_name(self, total: Tensor) -> dict[str, Tensor]:
        parameters = trainable(self.layer)
        parts = torch.split(total, [parameter.numel() for parameter in parameters.values()])
        return {name: part.view(p.shape) for (name, p), part in zip(parameters.items(), parts, strict=True)}


def _take_step(module: StepModule, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    return module.step(x, state)


def run_learner(
    learner: Learner, x: Tensor, loss: StepLoss, state: Sequence[Tensor] | None, lengths: Tensor | None
) -> Gradients:
    """A learner over whole sequences with frozen weights; arguments as those of :func:`~seqloom.learning.bptt`."""
    learner.restart()
    valid = valid_steps(x, lengths)
    total = x.new_zeros(())
    current: Any = learner.layer.initial_state(len(x)) if state is None else state
    gradients = {name: torch.zeros_like(parameter) for name, parameter in trainable(learner.layer).items()}
    for t, features in enumerate(x.detach().unbind(1)):
        here = None if valid is None else valid[t]
        if here is not None and not bool(here.any()):
            break
        losses: list[Tensor] = []

        def output_gradient(
            output: Tensor, t: int = t, here: Tensor | None = here, losses: list[Tensor] = losses
        ) -> Tensor:
            leaf = output.clone().requires_grad_()
            shown = leaf if here is None else leaf.masked_fill(~here.unsqueeze(1), 0.0)
            with torch.enable_grad():
                value = measure_loss(loss, shown, t, here)
            losses.append(value.detach())
            return differentiate([value], [leaf], [torch.ones_like(value)], keep=False)[0]

        features = features if here is None else features.masked_fill(~here.unsqueeze(1), 0.0)
        taken = learner.step(features, current, output_gradient, here)
        current, total = taken.state, total + losses[0]
        for name, gradient in taken.gradients.items():
            gradients[name] += gradient
    return Gradients(total, gradients, current)
