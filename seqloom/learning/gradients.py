"""Backpropagation through time, whole and truncated: gradients of a module on given sequences.

These, and the algorithms that go forward in time (:mod:`seqloom.learning.real_time`), take the same arguments and give the same
:class:`Gradients`, so that they can be compared number by number. To train a model in the ordinary way, call the layer and
``backward()``; these are for studying gradients, for streams that never end, and for updates within a sequence.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.learning.transition import (
    StepLoss,
    StepModule,
    differentiate,
    measure_loss,
    remake,
    run_sequence,
    trainable,
    valid_steps,
    with_parameters,
)

__all__ = ["Gradients", "bptt", "truncated_bptt", "truncated_bptt_chunks"]


@dataclass(frozen=True)
class Gradients:
    """What an algorithm found on a batch of sequences; nothing in it is part of a graph.

    Args:
        loss: scalar, the sum over steps and rows.
        gradients: of the loss (or an estimate), by the names of ``named_parameters``; only those that want one.
        state: after each row's own last step, to go on from.
        inputs: (B, T, D) gradient with respect to x, where x wants one and the algorithm goes backwards.
    """

    loss: Tensor
    gradients: dict[str, Tensor]
    state: Any
    inputs: Tensor | None = None

    @torch.no_grad()
    def add_to(self, module: nn.Module) -> None:
        """Add the gradients to the ``grad`` of the module's parameters, for an optimiser to use."""
        for name, gradient in self.gradients.items():
            parameter = module.get_parameter(name)
            parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad + gradient


def bptt(
    layer: StepModule,
    x: Tensor,
    loss: StepLoss,
    state: Sequence[Tensor] | None = None,
    lengths: Tensor | None = None,
) -> Gradients:
    """The exact gradient of the loss summed over all steps (Werbos 1990).

    Args:
        layer: a :class:`~seqloom.layers.recurrent.Recurrent`, in both directions too, or any module with ``step``.
        x: (B, T, D).
        loss: ``loss(output, t)`` of each step; see :data:`~seqloom.learning.transition.StepLoss`.
        state: to begin with, a constant; the layer's initial state by default.
        lengths: (B,) integers in 0..T; whole rows by default.
    Raises:
        ValueError: shapes that do not fit, or a loss that is neither a scalar nor one number per row.
    Cost: O(T) memory for what the backward pass needs.

    >>> from seqloom.layers.recurrent import Recurrent
    >>> result = bptt(Recurrent("rnn", 2, 3), torch.ones(1, 4, 2), lambda output, t: output.sum())
    >>> {name: tuple(gradient.shape) for name, gradient in result.gradients.items()}
    {'cells.0.weight_x': (3, 2), 'cells.0.weight_h': (3, 3), 'cells.0.bias': (3,)}
    """
    time = max(1, x.shape[1])
    return truncated_bptt(layer, x, loss, time, time, state, lengths)


def truncated_bptt(
    layer: StepModule,
    x: Tensor,
    loss: StepLoss,
    k1: int,
    k2: int | None = None,
    state: Sequence[Tensor] | None = None,
    lengths: Tensor | None = None,
) -> Gradients:
    """The gradient that truncated backpropagation sees of a sequence, the weights being frozen (Williams & Peng 1990).

    After every ``k1`` steps the losses of these steps go back through the last ``k2`` steps at most. So a loss at t reaches
    an input at t' only where t - t' < k2, and surely where t - t' <= k2 - k1; the terms beyond are missing: it is biased.
    The usual "cut in chunks and detach" is k2 = k1, where half of a chunk is the mean reach. A shorter last chunk goes back
    to where it would if it were whole.

    Args:
        layer, x, loss, state, lengths: as :func:`bptt` takes them.
        k1: steps between two backward passes.
        k2: steps that each goes back, at least ``k1``; ``k1`` by default.
    Raises:
        ConfigError: k1 < 1 or k2 < k1.
    """
    chunks = list(truncated_bptt_chunks(layer, x, loss, k1, k2, state, lengths))
    names, inputs = chunks[0].gradients, [chunk.inputs for chunk in chunks if chunk.inputs is not None]
    return Gradients(
        loss=torch.stack([chunk.loss for chunk in chunks]).sum(),
        gradients={name: torch.stack([chunk.gradients[name] for chunk in chunks]).sum(0) for name in names},
        state=chunks[-1].state,
        inputs=torch.stack(inputs).sum(0) if inputs else None,
    )


def truncated_bptt_chunks(
    layer: StepModule,
    x: Tensor,
    loss: StepLoss,
    k1: int,
    k2: int | None = None,
    state: Sequence[Tensor] | None = None,
    lengths: Tensor | None = None,
) -> Iterator[Gradients]:
    """The same, chunk by chunk: whoever iterates may change the weights in place between two chunks.

    The state goes on from chunk to chunk, as the weights of its time made it; its gradient is cut k2 steps back. Where
    k2 > k1, graphs outlive an update, so each chunk gets a copy of the weights, and a gradient with respect to any of the
    copies counts. After the last chunk ``state`` is the one to carry on with, unless the next batch is of other sequences.

    >>> from seqloom.layers.recurrent import Recurrent
    >>> layer, x = Recurrent("gru", 2, 3), torch.randn(4, 10, 2)
    >>> optimiser = torch.optim.SGD(layer.parameters(), 0.01)
    >>> for chunk in truncated_bptt_chunks(layer, x, lambda output, t: output.square().sum(), k1=5):
    ...     optimiser.zero_grad()
    ...     chunk.add_to(layer)
    ...     optimiser.step()
    """
    k2 = k1 if k2 is None else k2
    if not 1 <= k1 <= k2:
        raise ConfigError(f"k1 is {k1} and k2 is {k2}; expected 1 <= k1 <= k2")
    return _chunks(_Sequences(layer, x, loss, lengths), k1, k2, layer.initial_state(len(x)) if state is None else state)


@dataclass(frozen=True)
class _Piece:
    """Steps ``start`` to ``stop`` with a graph of their own, from leaves to the state behind them."""

    start: int
    stop: int
    parameters: Mapping[str, Tensor]
    x: Tensor
    begin: list[Tensor]
    end: list[Tensor]
    loss: Tensor


class _Sequences:
    """The batch, which runs piece by piece."""

    def __init__(self, layer: StepModule, x: Tensor, loss: StepLoss, lengths: Tensor | None) -> None:
        self.layer, self.x, self.loss, self.lengths = layer, x, loss, lengths
        self.valid = valid_steps(x, lengths)

    def run(
        self, start: int, stop: int, parameters: Mapping[str, Tensor], state: Sequence[Tensor]
    ) -> tuple[_Piece, Any]:
        """A piece, and the state behind it."""
        begin = [field.detach().requires_grad_(field.is_floating_point()) for field in state]
        x = self.x[:, start:stop].detach().requires_grad_(self.x.requires_grad)
        lengths = None if self.lengths is None else (self.lengths - start).clamp(0, stop - start)
        with torch.enable_grad():
            outputs, final = with_parameters(self.layer, parameters, run_sequence, x, remake(state, begin), lengths)
            total = x.new_zeros(())
            for t, output in enumerate(outputs, start):
                here = None if self.valid is None else self.valid[t]
                if here is None or bool(here.any()):
                    total = total + measure_loss(self.loss, output, t, here)
        return _Piece(start, stop, parameters, x, begin, list(final), total), final

    def values(self, copied: bool) -> dict[str, Tensor]:
        """The weights as leaves of a graph, or copies of them, which later changes of the weights leave alone."""
        parameters = trainable(self.layer)
        if not copied:
            return dict(parameters)
        return {name: parameter.detach().clone().requires_grad_() for name, parameter in parameters.items()}


def _chunks(sequences: _Sequences, k1: int, k2: int, state: Sequence[Tensor]) -> Iterator[Gradients]:
    time = sequences.x.shape[1]
    begins = [*range(0, time, k1)] or [0]
    # Where each backward pass ends. Cut there too, so that it always ends between two graphs. A last chunk that is shorter
    # reaches as far as its steps would in a whole one, so that chunks do not depend on where the sequence ends.
    reaches = [max(0, begin + k1 - k2) for begin in begins]
    cuts = sorted({*begins, *reaches, time})
    window: deque[_Piece] = deque()
    for begin, reach, following in zip(begins, reaches, [*reaches[1:], time], strict=True):
        parameters = sequences.values(copied=k2 > k1)
        for start, stop in itertools.pairwise(cut for cut in cuts if begin <= cut <= begin + k1):
            piece, final = sequences.run(start, stop, parameters, state)
            window.append(piece)
            state = remake(final, [field.detach() for field in final])
        while window and window[0].start < reach:
            window.popleft()
        # A graph is freed by its last backward pass.
        yield _backward(sequences, window, begin, following, state)


def _backward(sequences: _Sequences, window: Sequence[_Piece], begin: int, kept: int, state: Any) -> Gradients:
    """The losses of the pieces from ``begin`` on, back through all; the graphs of pieces from ``kept`` on remain."""
    x = sequences.x
    totals = {name: torch.zeros_like(p) for name, p in trainable(sequences.layer).items()}
    inputs = torch.zeros_like(x) if x.requires_grad else None
    loss, credit = x.new_zeros(()), [torch.zeros_like(field) for field in state]
    for piece in reversed(window):
        targets, cotangents = list(piece.end), credit
        if piece.start >= begin:
            loss = loss + piece.loss.detach()
            targets, cotangents = [*targets, piece.loss], [*cotangents, torch.ones_like(piece.loss)]
        leaves = [*piece.parameters.values(), *piece.begin, piece.x]
        gradients = differentiate(targets, leaves, cotangents, keep=piece.start >= kept)
        credit = gradients[len(totals) : -1]
        for total, gradient in zip(totals.values(), gradients, strict=False):
            total += gradient
        if inputs is not None:
            inputs[:, piece.start : piece.stop] = gradients[-1]
    return Gradients(loss, totals, state, inputs)
