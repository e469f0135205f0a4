"""The reference backend: a plain loop over ``cell.step``, on any device, differentiable as often as one likes.

It is the oracle of every other backend, and runs what no other does: any cell, and noise on the state.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqloom.engine.contract import Noise, Ragged, SequenceCell, States, Work, concatenate_directions, zero_states

__all__ = ["advance", "drawback", "limitation", "run"]


def limitation(cells: Sequence[SequenceCell], noise: Noise) -> str | None:
    """Why this backend cannot run a layer: it always can."""
    return None


def drawback(cells: Sequence[SequenceCell], work: Work) -> str | None:
    """Why another backend that can run the layer would run this work faster: the order of preference knows."""
    return None


def run(
    cells: Sequence[SequenceCell], x: Tensor, ragged: Ragged | None, initial: Sequence[States] | None, noise: Noise
) -> tuple[Tensor, list[States]]:
    """One layer; see :func:`seqloom.engine.runtime.backend.run_layer`."""
    outputs, final = [], []
    beginning = [zero_states(cell, x) for cell in cells] if initial is None else initial
    for direction, (cell, states) in enumerate(zip(cells, beginning, strict=True)):
        output, last = _run_direction(cell, x, ragged, states, noise, backward=direction == 1)
        outputs.append(output)
        final.append(last)
    return concatenate_directions(outputs), final


def _run_direction(
    cell: SequenceCell, x: Tensor, ragged: Ragged | None, states: States, noise: Noise, *, backward: bool
) -> tuple[Tensor, States]:
    # Right-padded rows run from their last step to their first by holding the initial state through the padding.
    times = range(x.shape[1])
    inputs, outputs = x.unbind(1), []
    valid = None if ragged is None else ragged.mask.unsqueeze(-1).unbind(1)
    with cell.cached_parameters(), cell.recurrent_mask(_draw_mask(states[0], noise)):
        for t in reversed(times) if backward else times:
            new = advance(cell, inputs[t], states, noise)
            if valid is not None:
                new = tuple(torch.where(valid[t], value, old) for value, old in zip(new, states, strict=True))
            states = new
            outputs.append(states[0] if valid is None else states[0].masked_fill(~valid[t], 0.0))
    if backward:
        outputs.reverse()
    empty = x.new_zeros(x.shape[0], 0, cell.state_sizes[0])
    return torch.stack(outputs, 1) if outputs else empty, states


def _promoted(value: Tensor, old: Tensor) -> bool:
    """Whether a state has torch's own type, of a truth times a number; any other change of type is the cell's mistake."""
    if value.dtype is old.dtype:
        return False
    return old.dtype in (torch.bfloat16, torch.float16) or (value.dtype, old.dtype) == (torch.float32, torch.float64)


def _as_state(value: Tensor, old: Tensor) -> Tensor:
    value = value.to(old.dtype) if _promoted(value, old) else value
    return value if value.dim() == 2 else value.expand_as(old).clone()  # never memory of a parameter


def advance(cell: SequenceCell, x: Tensor, states: States, noise: Noise) -> States:
    """One step of a batch, with zoneout: x (B, D) and states (B, H) to new states."""
    returned = cell.step(x, *states)
    new: States = returned if isinstance(returned, tuple) else (returned,)
    if any(value.dim() != 2 or _promoted(value, old) for value, old in zip(new, states, strict=True)):
        # What is the same for all rows; and a truth times a number, which torch makes float32 beside any shorter type.
        new = tuple(_as_state(value, old) for value, old in zip(new, states, strict=True))
    if not noise.zones:
        return new
    return tuple(
        _zone_out(value, old, rate, noise.training)
        for value, old, rate in zip(new, states, noise.rates(len(new)), strict=True)
    )


def _zone_out(new: Tensor, old: Tensor, rate: float, training: bool) -> Tensor:
    if rate == 0.0:
        return new
    return torch.where(torch.rand_like(new) < rate, old, new) if training else torch.lerp(new, old, rate)


def _draw_mask(like: Tensor, noise: Noise) -> Tensor | None:
    if not (noise.training and noise.dropout > 0.0):
        return None
    if noise.dropout >= 1.0:
        return torch.zeros_like(like)
    return torch.empty_like(like).bernoulli_(1.0 - noise.dropout) / (1.0 - noise.dropout)
