"""Batches whose rows differ in length: padded, and packed step by step. Sorted, laid out and split nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["PackedRows", "Ragged"]


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
    def packed(self) -> PackedRows:
        """The same batch without its padding; one value for all layers that read it."""
        return PackedRows.of(self.lengths, self.time)

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


@dataclass(frozen=True, eq=False)
class PackedRows:
    """The steps of a batch without its padding: N positions, step by step, the longest row first within a step.

    So the rows that have a step are always the first ones, and no mask is needed. Rows of equal length keep their order.
    Where every row has every step there is nothing to sort: then ``counts`` is none. All else is computed when it is asked
    for.

    Args:
        time: T, steps of the padded batch.
        batch: B.
        counts: (T,) int64 rows that have each step.

    >>> rows = PackedRows.of(torch.tensor([1, 3, 0]), 4)
    >>> rows.sizes, rows.order.tolist(), rows.index.tolist()
    ([2, 1, 1, 0], [1, 0, 2], [4, 0, 5, 6])
    """

    time: int
    batch: int
    counts: Tensor | None = None
    _order: Tensor | None = field(default=None, repr=False)
    _lengths: Tensor | None = field(default=None, repr=False)

    @classmethod
    def of(cls, lengths: Tensor, time: int) -> PackedRows:
        """The rows of a batch padded to ``time`` steps, of which each has ``lengths`` (B,)."""
        longest_first, order = lengths.sort(descending=True, stable=True)
        steps = torch.arange(time, device=lengths.device)
        return cls(time, len(lengths), (longest_first > steps.unsqueeze(1)).sum(1), order, longest_first)

    @cached_property
    def order(self) -> Tensor:
        """(B,) the row of the batch that stands at each place."""
        return torch.arange(self.batch) if self._order is None else self._order

    @cached_property
    def inverse(self) -> Tensor:
        """(B,) the place of each row of the batch."""
        return self.order.argsort()

    @cached_property
    def lengths(self) -> Tensor:
        """(B,) of the row at each place, not increasing."""
        if self._lengths is not None:
            return self._lengths
        return (self._per_step.unsqueeze(0) > torch.arange(self.batch).unsqueeze(1)).sum(1)

    @cached_property
    def sizes(self) -> list[int]:
        """How many rows have each of the T steps, as numbers."""
        return [self.batch] * self.time if self.counts is None else self.counts.tolist()

    @cached_property
    def first(self) -> int:
        """How many rows have a step at all; their first steps are the first packed positions."""
        return self.sizes[0] if self.time else 0

    @cached_property
    def longest(self) -> int:
        """Steps of the longest row."""
        return sum(1 for size in self.sizes if size)

    @cached_property
    def starts(self) -> Tensor:
        """(T,) the first packed position of each step."""
        return self._per_step.cumsum(0) - self._per_step

    @cached_property
    def total(self) -> int:
        """N."""
        return self.time * self.batch if self.counts is None else int(self.counts.sum())

    @cached_property
    def positions(self) -> tuple[Tensor, Tensor]:
        """(N,) the step of each packed position, and its place among the rows of that step."""
        places = torch.arange(self.batch, device=self._per_step.device)
        step, place = (places < self._per_step.unsqueeze(1)).nonzero(as_tuple=True)
        return step, place

    @cached_property
    def row(self) -> Tensor:
        """(N,) the row of the batch that a packed position belongs to."""
        return self.order[self.positions[1]]

    @cached_property
    def index(self) -> Tensor:
        """(N,) where a packed position stands in the padded batch: row * T + step."""
        return self.row * self.time + self.positions[0]

    @cached_property
    def previous(self) -> Tensor:
        """(N - first,) for every position behind the first step, that of the same row one step earlier."""
        step, place = self.positions
        return self.starts[step[self.first :] - 1] + place[self.first :]

    @cached_property
    def mirror(self) -> Tensor:
        """(N,) the packed position of the same row at its length - 1 - step."""
        step, place = self.positions
        return self.starts[self.lengths[place] - 1 - step] + place

    @property
    def _per_step(self) -> Tensor:
        return torch.full((self.time,), self.batch) if self.counts is None else self.counts

    def first_positions(self, turned: bool) -> Tensor:
        """For each row that has steps, in order of length, the packed position with which it begins, or ends."""
        if not turned:
            return torch.arange(self.first)
        places = torch.arange(self.first)
        return self.starts[self.lengths[: self.first] - 1] + places

    def pack(self, padded: Tensor) -> Tensor:
        """(B, T, D) to (N, D)."""
        if self.counts is None:
            return padded.transpose(0, 1).flatten(0, 1)
        return padded.flatten(0, 1).index_select(0, self.index)

    def unpack(self, packed: Tensor) -> Tensor:
        """(N, H) to (B, T, H), zero in the padding."""
        if self.counts is None:
            return packed.view(self.time, self.batch, packed.shape[-1]).transpose(0, 1)
        padded = packed.new_zeros(self.batch * self.time, packed.shape[-1])
        return padded.index_copy(0, self.index, packed).view(self.batch, self.time, packed.shape[-1])

    def sort(self, rows: Tensor) -> Tensor:
        """(B, ...) in the order of the batch to the order of length."""
        return rows if self._order is None else rows.index_select(0, self._order)

    def unsort(self, rows: Tensor) -> Tensor:
        """The inverse of :meth:`sort`."""
        return rows if self._order is None else rows.index_select(0, self.inverse)
