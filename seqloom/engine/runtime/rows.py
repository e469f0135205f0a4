"""The rows of a packed batch: which time steps they have, and which row comes before which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from seqloom.engine.runtime.native import kernels

__all__ = ["Rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a packed batch: ordered by time, the longest sequence first within a time step."""

    time: int
    batch: int
    counts: Tensor | None = None
    """(T,) int64 rows that have each step; all of them where there is none."""

    @cached_property
    def starts(self) -> Tensor | None:
        """(T,) first packed row of each step."""
        return None if self.counts is None else self.counts.cumsum(0) - self.counts

    @cached_property
    def total(self) -> int:
        """Packed rows."""
        return self.time * self.batch if self.counts is None else int(self.counts.sum())

    @cached_property
    def before(self) -> tuple[Tensor, Tensor]:
        """For ragged rows: the packed rows that have one before them in time, and which that is."""
        assert self.counts is not None
        assert self.starts is not None
        first = int(self.counts[0]) if self.time else 0
        owner = torch.repeat_interleave(torch.arange(self.time), self.counts)
        rank = torch.arange(self.total) - self.starts[owner]
        later = torch.arange(first, self.total)
        return later, self.starts[owner[first:] - 1] + rank[first:]

    def product_with_previous(self, flow: Tensor, history: Tensor, turned: bool, initial: Tensor | None) -> Tensor:
        """``flow^T`` times what each packed row's state was before its step: the gradient of a recurrent matrix.

        Args:
            flow: (N, rows of the matrix).
            history: (N, size) the state after each step.
            initial: (B, size), zeros where there is none.
        """
        total = len(history)
        if self.counts is None:
            inner = total - min(self.batch, total)
            after, before = (slice(None, inner), slice(total - inner, None))[:: 1 if turned else -1]
            result = flow[after].t() @ history[before]
        elif turned:  # what follows a packed row in time lies further on, what it precedes is scattered
            later, earlier = self.before
            previous = torch.zeros_like(history).index_copy_(0, earlier, history[total - len(later) :])
            result = flow.t() @ previous
        else:
            later, earlier = self.before
            result = flow[total - len(later) :].t() @ history.index_select(0, earlier)
        if initial is not None:
            first = self.first_steps(turned)
            result.addmm_(flow[first].t(), initial[: len(first)])
        return result

    def first_steps(self, turned: bool) -> Tensor:
        """For each row of the batch that has steps, the packed row with which its recurrence begins."""
        if self.counts is None:
            return torch.arange(self.batch) + (self.total - self.batch if turned else 0)
        if not turned:
            return torch.arange(int(self.counts[0]) if self.time else 0)
        assert self.starts is not None
        lengths = (self.counts.unsqueeze(0) > torch.arange(self.batch).unsqueeze(1)).sum(1)
        rows = torch.arange(self.batch)[lengths > 0]
        return self.starts[lengths[rows] - 1] + rows

    def described(self) -> Any:
        """The same for the kernels."""
        return kernels().Batch(time=self.time, rows=self.batch, counts=self.counts, starts=self.starts)
