"""Tasks of symbols of which a few matter: temporal order and random permutation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from seqloom.errors import ConfigError
from seqloom.synthetic.tasks.registry import register
from seqloom.synthetic.tasks.task import SequenceTask, Split, TaskBatch, require

__all__ = ["Permutation", "TemporalOrder", "TemporalOrder3Bit"]

_RELEVANT, _DISTRACTORS = 2, 4


@register("temporal_order")
@dataclass(frozen=True)
class TemporalOrder(SequenceTask):
    """In which order a few relevant symbols came (Hochreiter & Schmidhuber 1997, section 5.6).

    A step is one of six symbols, one-hot: A and B are relevant, c to f are not. The classes count the relevant ones in
    binary, the first as the highest bit.

    Args:
        length: steps T.
        symbols: 2 relevant ones, in [T/10, 2T/10) and [5T/10, 6T/10), four classes; or 3, in windows of T/10 that begin
            at T/10, T/3 and 2T/3, eight classes.
    """

    length: int = 60
    symbols: int = 2

    def __post_init__(self) -> None:
        require(self, "length", 10)
        if self.symbols not in (2, 3):
            raise ConfigError(f"{self.name}: symbols is {self.symbols}, expected 2 or 3")

    @property
    def input_size(self) -> int:
        return _RELEVANT + _DISTRACTORS

    @property
    def output_size(self) -> int:
        return 4 if self.symbols == 2 else 8

    @property
    def chance(self) -> float:
        return math.log(self.output_size)

    @property
    def chance_wrong(self) -> float:
        return 1 - 1 / self.output_size

    def windows(self) -> list[tuple[int, int]]:
        """First step and the step after the last of each window."""
        tenth = self.length // 10
        starts = (
            (tenth, 5 * self.length // 10) if self.symbols == 2 else (tenth, self.length // 3, 2 * self.length // 3)
        )
        return [(start, start + tenth) for start in starts]

    def batch(self, size: int, generator: torch.Generator, split: Split = "train") -> TaskBatch:
        shown = torch.randint(_RELEVANT, self.input_size, (size, self.length), generator=generator)
        places = torch.cat([torch.randint(*window, (size, 1), generator=generator) for window in self.windows()], 1)
        relevant = torch.randint(_RELEVANT, places.shape, generator=generator)
        shown.scatter_(1, places, relevant)
        weights = _RELEVANT ** torch.arange(self.symbols - 1, -1, -1)
        inputs = F.one_hot(shown, self.input_size).float()
        return TaskBatch(inputs, torch.full((size,), self.length), (relevant * weights).sum(1))


@register("temporal_order_3bit")
@dataclass(frozen=True)
class TemporalOrder3Bit(TemporalOrder):
    """In which order three relevant symbols came, eight classes (Hochreiter & Schmidhuber 1997, section 5.6, task 6b)."""

    symbols: int = 3


@register("permutation")
@dataclass(frozen=True)
class Permutation(SequenceTask):
    """The last symbol repeats the first; those between are random (Martens & Sutskever 2011, after Hochreiter 1997).

    A step is one of ``symbols``, one-hot; the first is 0 or 1, no other is. The last is not shown but asked.

    Args:
        length: steps T, the last of which is only asked for.
        symbols: how many there are.
    """

    length: int = 100
    symbols: int = 100

    def __post_init__(self) -> None:
        require(self, "length", 2)
        require(self, "symbols", 3)

    @property
    def input_size(self) -> int:
        return self.symbols

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance(self) -> float:
        return math.log(2)

    @property
    def chance_wrong(self) -> float:
        return 0.5

    def batch(self, size: int, generator: torch.Generator, split: Split = "train") -> TaskBatch:
        shown = torch.randint(2, self.symbols, (size, self.length - 1), generator=generator)
        first = torch.randint(2, (size,), generator=generator)
        shown[:, 0] = first
        return TaskBatch(F.one_hot(shown, self.symbols).float(), torch.full((size,), self.length - 1), first)
