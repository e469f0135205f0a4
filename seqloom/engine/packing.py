"""A ragged batch without its padding: the rows that have a step, step by step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.engine.contract import Ragged

__all__ = ["Packing"]


@dataclass(frozen=True)
class Packing:
    """A batch as rows in order of time, those of one time step together, the longest sequence first."""

    counts: tuple[int, ...]
    """Rows that have a step, for each time step."""
    batch: int
    order: Tensor | None = None
    inverse: Tensor | None = None
    index: Tensor | None = None

    @classmethod
    def of(cls, x: Tensor, ragged: Ragged | None) -> Packing:
        batch, time = x.shape[:2]
        if ragged is None:
            return cls((batch,) * time, batch)
        order = ragged.lengths.argsort(descending=True, stable=True)
        mask = ragged.mask.index_select(0, order).t()
        position = order * time + torch.arange(time, device=x.device).unsqueeze(1)
        return cls(tuple(mask.sum(1).tolist()), batch, order, order.argsort(), position[mask])

    def pack(self, x: Tensor) -> Tensor:
        """(B, T, D) to (N, D), N the sum of the lengths."""
        return x.transpose(0, 1).flatten(0, 1) if self.index is None else x.flatten(0, 1).index_select(0, self.index)

    def unpack(self, packed: Tensor) -> Tensor:
        """(N, H) to (B, T, H), zero in the padding."""
        if self.index is None:
            return packed.view(len(self.counts), self.batch, -1).transpose(0, 1)
        full = packed.new_zeros(self.batch * len(self.counts), packed.shape[-1])
        return full.index_copy(0, self.index, packed).view(self.batch, len(self.counts), -1)

    def sort(self, state: Tensor) -> Tensor:
        return state if self.order is None else state.index_select(0, self.order)

    def unsort(self, state: Tensor) -> Tensor:
        return state if self.inverse is None else state.index_select(0, self.inverse)
