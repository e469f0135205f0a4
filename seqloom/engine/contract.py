"""What the engine asks of a cell, and what surrounds one layer of it: lengths, directions and noise on the state."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from seqloom.engine.graph import Graph

__all__ = ["NO_NOISE", "Noise", "Ragged", "SequenceCell", "States", "Work", "concatenate_directions", "zero_states"]

States: TypeAlias = tuple[Tensor, ...]
"""One (B, H) tensor per name of the cell's state."""


class SequenceCell(Protocol):
    """A cell, as the engine sees it; :class:`seqloom.cells.Cell` is the one that people write."""

    @property
    def input_size(self) -> int: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def state(self) -> tuple[str, ...]: ...
    @property
    def state_sizes(self) -> tuple[int, ...]: ...
    @property
    def vendor(self) -> str | None: ...
    @property
    def graph(self) -> Graph: ...
    def step(self, *args: Any, **kwargs: Any) -> Any: ...
    def parameter(self, name: str) -> Tensor: ...
    def vendor_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]: ...
    def cached_parameters(self) -> AbstractContextManager[None]: ...
    def recurrent_mask(self, mask: Tensor | None) -> AbstractContextManager[None]: ...


@dataclass(frozen=True)
class Noise:
    """Noise on the recurrence of one layer.

    Args:
        dropout: probability of dropping a unit from the recurrent products, one mask per sequence (Gal & Ghahramani
            2016).
        zoneout: probability that a unit of a state keeps its old value in a step (Krueger et al. 2016): of every state,
            or one for each in the cell's order.
        training: draw; otherwise no dropout, and zoneout takes the mean of old and new.
    """

    dropout: float = 0.0
    zoneout: float | tuple[float, ...] = 0.0
    training: bool = False

    @property
    def active(self) -> bool:
        """Whether a step is anything else than the cell's own."""
        return self.zones or (self.training and self.dropout > 0.0)

    @property
    def zones(self) -> bool:
        """Whether any state is zoned out."""
        return any(self.zoneout) if isinstance(self.zoneout, tuple) else self.zoneout > 0.0

    def rates(self, count: int) -> tuple[float, ...]:
        """The zoneout of each of ``count`` states."""
        return self.zoneout if isinstance(self.zoneout, tuple) else (self.zoneout,) * count


NO_NOISE = Noise()


@dataclass(frozen=True)
class Work:
    """What a backend is asked to do, as far as its speed depends on it."""

    rows: int
    steps: int
    ragged: bool
    gradients: bool
    device: str

    @classmethod
    def of(cls, x: Tensor, ragged: Ragged | None) -> Work:
        """The work of a batch x (B, T, D), now."""
        return cls(len(x), x.shape[1], ragged is not None, torch.is_grad_enabled(), x.device.type)


@dataclass(frozen=True)
class Ragged:
    """The lengths of a right-padded batch whose rows differ, or do not fill it.

    Args:
        lengths: (B,) int64 on the device of the data, each in 0..time.
        time: steps of the padded batch.
    """

    lengths: Tensor
    time: int

    @cached_property
    def mask(self) -> Tensor:
        """(B, T) true where a row has a step."""
        return torch.arange(self.time, device=self.lengths.device) < self.lengths.unsqueeze(1)

    @cached_property
    def reversal(self) -> Tensor:
        """(B, T) for each step the one that it swaps with when a row is reversed within its length; its own inverse."""
        steps = torch.arange(self.time, device=self.lengths.device).expand(len(self.lengths), -1)
        return torch.where(self.mask, self.lengths.unsqueeze(1) - 1 - steps, steps)

    def reverse(self, values: Tensor) -> Tensor:
        """(B, T, D) with each row reversed within its length; padding stays where it is."""
        return values.gather(1, self.reversal.unsqueeze(-1).expand_as(values))

    def clear(self, values: Tensor) -> Tensor:
        """(B, T, D) with zeros, which let no gradient through, in place of the padding."""
        return values.masked_fill(~self.mask.unsqueeze(-1), 0.0)

    def last(self, outputs: Tensor, initial: Tensor) -> Tensor:
        """(B, H) each row's output at its own last step; ``initial`` where a row has none."""
        index = (self.lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, outputs.shape[-1])
        return torch.where(self.lengths.unsqueeze(1) > 0, outputs.gather(1, index).squeeze(1), initial)


def concatenate_directions(outputs: Sequence[Tensor]) -> Tensor:
    """One tensor (B, T, directions * H)."""
    return outputs[0] if len(outputs) == 1 else torch.cat(tuple(outputs), -1)


def zero_states(cell: SequenceCell, x: Tensor) -> States:
    """The states that a batch x (B, T, D) or (B, D) begins with where nobody gave any."""
    return tuple(x.new_zeros(x.shape[0], size) for size in cell.state_sizes)
