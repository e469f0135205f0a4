"""Adding and multiplication: two marked numbers, far apart, whose sum or product is asked at the end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from seqloom.errors import ConfigError
from seqloom.synthetic.tasks.registry import register
from seqloom.synthetic.tasks.task import SequenceTask, Split, TaskBatch, require

__all__ = ["Adding", "Multiplication"]


@register("adding")
@dataclass(frozen=True)
class Adding(SequenceTask):
    """Sum of two marked numbers out of [0, 1] (Hochreiter & Schmidhuber 1997, section 5.4).

    A step is (value, marker). Solved: less than 0.04 off in more than 99 % of the sequences.

    Args:
        length: steps T.
        placement: ``halves`` marks one step in each half; ``windows`` one in [0, T/10) and one in [T/10, T/2) of a
            sequence whose length is drawn from [T, 1.1 T].
    """

    kind: ClassVar[Literal["real", "class"]] = "real"

    length: int = 100
    placement: Literal["halves", "windows"] = "halves"

    def __post_init__(self) -> None:
        require(self, "length", 2 if self.placement == "halves" else 10)
        if self.placement not in ("halves", "windows"):
            raise ConfigError(f"{self.name}: placement is {self.placement!r}, expected 'halves' or 'windows'")

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 1

    @property
    def chance(self) -> float:
        return 1 / 6  # the variance of a sum of two; the often printed 0.1767 is not the value of this sampling

    @property
    def chance_wrong(self) -> float:
        return 0.96**2  # the two ends of the triangular density of the sum, further than 0.04 from its mean 1

    def combine(self, marked: Tensor) -> Tensor:
        """(B, 1) answers to the marked numbers (B, 2)."""
        return marked.sum(1, keepdim=True)

    def batch(self, size: int, generator: torch.Generator, split: Split = "train") -> TaskBatch:
        whole, half = self.length, self.length // 2
        if self.placement == "halves":
            bounds = (0, half, whole)
            lengths = torch.full((size,), whole)
        else:
            bounds = (0, whole // 10, half)
            lengths = torch.randint(whole, whole * 11 // 10 + 1, (size,), generator=generator)
        longest = int(lengths.max()) if size else whole
        values = torch.rand(size, longest, generator=generator)
        places = [torch.randint(low, high, (size, 1), generator=generator) for low, high in itertools.pairwise(bounds)]
        marked = torch.cat(places, 1)
        markers = torch.zeros(size, longest).scatter_(1, marked, 1.0)
        inputs = torch.stack([values, markers], -1)
        inputs[torch.arange(longest) >= lengths[:, None]] = 0.0
        return TaskBatch(inputs, lengths, self.combine(values.gather(1, marked)))


@register("multiplication")
@dataclass(frozen=True)
class Multiplication(Adding):
    """Product of two marked numbers out of [0, 1] (Hochreiter & Schmidhuber 1997, section 5.5); else as adding."""

    @property
    def chance(self) -> float:
        return 7 / 144  # the variance of a product of two

    @property
    def chance_wrong(self) -> float:
        # The product's density is -ln p, so P(p < a) = a - a ln a; the loss's best constant is the mean 1/4.
        low, high = torch.tensor([0.21, 0.29], dtype=torch.float64)
        return float(1 - ((high - high * high.log()) - (low - low * low.log())))

    def combine(self, marked: Tensor) -> Tensor:
        return marked.prod(1, keepdim=True)
