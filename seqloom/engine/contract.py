"""What the engine asks of a cell, and what surrounds one layer of it: lengths, directions and noise on the state."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from seqloom.engine.graph import Graph
from seqloom.engine.ragged import Ragged

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
        return cls(x.shape[0], x.shape[1], ragged is not None, torch.is_grad_enabled(), x.device.type)


def concatenate_directions(outputs: Sequence[Tensor]) -> Tensor:
    """One tensor (B, T, directions * H)."""
    return outputs[0] if len(outputs) == 1 else torch.cat(tuple(outputs), -1)


def zero_states(cell: SequenceCell, x: Tensor) -> States:
    """The states that a batch x (B, T, D) or (B, D) begins with where nobody gave any."""
    return tuple(x.new_zeros(x.shape[0], size) for size in cell.state_sizes)
