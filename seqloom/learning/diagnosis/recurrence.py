"""One recurrence under examination: a cell with what it read, the states it went through, and what the loss asks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from seqloom.cells.cell import Cell
from seqloom.engine.contract import Noise, Ragged, States, zero_states
from seqloom.engine.runtime.backend import measure_lengths
from seqloom.engine.runtime.reference import advance
from seqloom.layers.recurrent import Recurrent

__all__ = ["Recurrence", "backpropagate", "evaluating", "recurrences", "unroll"]


@dataclass(frozen=True, eq=False)
class Recurrence:
    """A cell that has read a batch in one direction; a backward direction is reversed, so that time runs forward here.

    Attributes:
        name: where it stands in the model, such as ``encoder.1.forward``.
        cell: what computes a step.
        noise: zoneout takes the mean of old and new state, as in any evaluation; dropout is off.
        inputs: (B, T, D) in the order of reading.
        lengths: (B,) steps of each row, at least 1.
        states: for each state (B, T + 1, H): the initial one and the one after each step, held past a row's end.
        arriving: for each state (B, T, H) the loss's gradient that reaches it from outside the recurrence, or None.
        effective_weights: while it lasts, the cell has the weights that it is evaluated with.
    """

    name: str
    cell: Cell
    noise: Noise
    inputs: Tensor
    lengths: Tensor
    states: States
    arriving: States | None = None
    effective_weights: Callable[[], AbstractContextManager[None]] = nullcontext

    def step(self, x: Tensor, *states: Tensor) -> States:
        """One step of some rows: x (N, D) and states (N, H) to the new states."""
        with self.effective_weights():
            return advance(self.cell, x, states, self.noise)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each state."""
        return tuple(self.cell.state_sizes)

    @property
    def has_loss(self) -> bool:
        """Whether the loss reads the last output of any row."""
        return self.arriving is not None and any(bool(field.any()) for field in _at_end(self.arriving, self.lengths))

    def probe(self) -> States:
        """For each state (B, H) the gradient that is followed back from the last step.

        It is the loss's own at the last output, and ones on the output where there is no loss or it does not look there.
        """
        if self.arriving is not None and self.has_loss:
            return _at_end(self.arriving, self.lengths)
        return tuple(
            torch.full_like(field[:, 0], 1.0 if position == 0 else 0.0) for position, field in enumerate(self.states)
        )


def _at_end(values: States, lengths: Tensor) -> States:
    rows = torch.arange(len(lengths), device=lengths.device)
    return tuple(field[rows, lengths - 1] for field in values)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode while it lasts; every part is put back into the mode that it had."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@torch.no_grad()
def unroll(recurrence: Recurrence, inputs: Tensor, initial: States) -> States:
    """For each state (B, T + 1, H) the initial one and the one after each step of inputs (B, T, D), by the plain loop."""
    states, passed = initial, [initial]
    for t in range(inputs.shape[1]):
        new, valid = recurrence.step(inputs[:, t], *states), (t < recurrence.lengths).unsqueeze(1)
        states = tuple(torch.where(valid, value, old) for value, old in zip(new, states, strict=True))
        passed.append(states)
    return tuple(torch.stack(field, 1) for field in zip(*passed, strict=True))


def backpropagate(recurrence: Recurrence, arriving: States) -> Iterator[tuple[int, Tensor, States]]:
    """Carry gradients back through the recurrence, from its last step to its first, one step at a time.

    Args:
        arriving: for each state (B, T, H) what reaches the state after each step from outside.
    Yields:
        t; (B, D) the gradient of the input of step t; and for each state (B, H) that of the state before step t. Whoever
        consumes this may scale the latter in place: the recursion continues with it.
    """
    gradients: States = tuple(torch.zeros_like(field[:, 0]) for field in arriving)
    for t in reversed(range(recurrence.inputs.shape[1])):
        total = tuple(value + field[:, t] for value, field in zip(gradients, arriving, strict=True))
        with torch.enable_grad():
            leaves = [recurrence.inputs[:, t].detach().requires_grad_()]
            leaves += [field[:, t].detach().requires_grad_() for field in recurrence.states]
            new = recurrence.step(*leaves)
            pairs = [(value, want) for value, want in zip(new, total, strict=True) if value.requires_grad]
            if pairs:
                values, wants = zip(*pairs, strict=True)
                x, *before = torch.autograd.grad(values, leaves, wants, allow_unused=True, materialize_grads=True)
            else:
                x, *before = [torch.zeros_like(leaf) for leaf in leaves]
        valid = (t < recurrence.lengths).unsqueeze(1)
        x = x.masked_fill(~valid, 0.0)
        gradients = tuple(value.masked_fill(~valid, 0.0) for value in before)
        yield t, x, gradients


def recurrences(
    layer: Recurrent,
    x: Tensor,
    lengths: Tensor | None = None,
    state: Sequence[Tensor] | None = None,
    *,
    name: str = "layer",
    gradients: Sequence[Tensor | None] | None = None,
    rows: int | None = None,
) -> tuple[Recurrence, ...]:
    """Each layer and direction of a recurrent layer as it reads a batch, dropout switched off.

    Args:
        layer: the layer, or stack.
        x, lengths, state: as the layer takes them.
        name: what the names of the recurrences begin with.
        gradients: of a loss by the outputs and by each field of the returned state; None where it does not use one.
        rows: at most so many rows are examined, the longest ones; all by default.
    Raises:
        ValueError: shapes that do not fit, or no row has a step.
    """
    with evaluating(layer):
        return _Replay(layer, x, lengths, state, gradients, rows).results(name)


class _Replay:
    """Runs a stack once more by the plain loop, then carries the loss's gradient down from layer to layer."""

    def __init__(
        self,
        layer: Recurrent,
        x: Tensor,
        lengths: Tensor | None,
        state: Sequence[Tensor] | None,
        gradients: Sequence[Tensor | None] | None,
        rows: int | None,
    ) -> None:
        self.layer = layer
        values = (x if layer.batch_first else x.transpose(0, 1)).detach()
        ragged = measure_lengths(lengths, values)
        if ragged is None:
            known = torch.full((len(values),), values.shape[1], dtype=torch.int64, device=values.device)
        else:
            known = ragged.lengths
        longest = torch.argsort(known, descending=True, stable=True)[: len(known) if rows is None else rows]
        self.chosen = longest[known[longest] > 0]
        if not len(self.chosen):
            raise ValueError("no row of the batch has a step; there is nothing to examine")
        self.lengths = known[self.chosen]
        self.time = int(self.lengths.max())
        self.ragged = Ragged(self.lengths, self.time)
        self.x = self.ragged.clear(values[self.chosen, : self.time])
        self.initial = (
            None if state is None else layer.split_state([field[self.chosen] for field in state], len(self.x))
        )
        self.gradients = gradients

    @torch.no_grad()
    def results(self, name: str) -> tuple[Recurrence, ...]:
        below, made, inputs = self.x, list[list[Recurrence]](), list[Tensor]()
        for position in range(self.layer.layers):
            both = [self._run(name, position, direction, below) for direction in range(self.layer.directions)]
            inputs.append(below)
            made.append(both)
            below = self.layer.output_of(position, below, self._outputs(both))
        if self.gradients is not None:
            made = self._with_loss(made, inputs)
        return tuple(recurrence for both in made for recurrence in both)

    def _run(self, name: str, position: int, direction: int, below: Tensor) -> Recurrence:
        cell, noise = self.layer.cells_of(position)[direction], self.layer.noise
        inputs = self.ragged.reverse(below) if direction else below
        first = position * self.layer.directions + direction
        initial = zero_states(cell, inputs) if self.initial is None else self.initial[first]
        reading = (".forward", ".backward")[direction] if self.layer.bidirectional else ""
        recurrence = Recurrence(
            f"{name}.{position + 1}{reading}", cell, noise, inputs, self.lengths, (),
            effective_weights=partial(self.layer.effective_weights, position),
        )  # fmt: skip
        return replace(recurrence, states=unroll(recurrence, inputs, tuple(field.detach() for field in initial)))

    def _outputs(self, both: Sequence[Recurrence]) -> Tensor:
        parts = [self.ragged.clear(recurrence.states[0][:, 1:]) for recurrence in both]
        return torch.cat([self.ragged.reverse(part) if way else part for way, part in enumerate(parts)], -1)

    def _with_loss(self, made: list[list[Recurrence]], inputs: list[Tensor]) -> list[list[Recurrence]]:
        wanted, *of_states = self.gradients or (None,)
        # A layer that is not batch first has outputs (T, B, H); states are batch first in any case.
        if wanted is not None and not self.layer.batch_first:
            wanted = wanted.transpose(0, 1)
        arriving = None if wanted is None else wanted[self.chosen, : self.time]
        layers: list[list[Recurrence]] = []
        for position in reversed(range(self.layer.layers)):
            both, below = made[position], inputs[position]
            to_outputs, to_below = self._through_finish(position, below, self._outputs(both), arriving)
            examined = []
            for direction, recurrence in enumerate(both):
                part = to_outputs.chunk(self.layer.directions, -1)[direction]
                which = position * self.layer.directions + direction
                reached = self._reached(recurrence, self.ragged.reverse(part) if direction else part, of_states, which)
                examined.append(replace(recurrence, arriving=reached))
                if position:
                    gradient = torch.zeros_like(below)
                    for t, of_input, _ in backpropagate(recurrence, reached):
                        gradient[:, t] = of_input
                    to_below = to_below + (self.ragged.reverse(gradient) if direction else gradient)
            layers.insert(0, examined)
            arriving = to_below
        return layers

    def _through_finish(
        self, position: int, below: Tensor, outputs: Tensor, arriving: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What reaches the cells' outputs, and past them (a residual connection) the layer's input."""
        if arriving is None:
            return torch.zeros_like(outputs), torch.zeros_like(below)
        with torch.enable_grad():
            leaves = outputs.requires_grad_(), below.detach().requires_grad_()
            finished = self.layer.output_of(position, leaves[1], leaves[0])
            gradients = torch.autograd.grad(finished, leaves, arriving, allow_unused=True, materialize_grads=True)
        return self.ragged.clear(gradients[0]), self.ragged.clear(gradients[1])

    def _reached(
        self, recurrence: Recurrence, outputs: Tensor, of_states: Sequence[Tensor | None], which: int
    ) -> States:
        fields = [torch.zeros_like(field[:, 1:]) for field in recurrence.states]
        fields[0] += outputs
        rows = torch.arange(len(self.lengths), device=outputs.device)
        for field, gradient in zip(fields, of_states, strict=False):
            if gradient is not None:
                field[rows, self.lengths - 1] += gradient[self.chosen, which, : field.shape[-1]]
        return tuple(fields)
