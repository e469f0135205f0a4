"""Tasks that ask for symbols seen long ago, in order: copy memory, noiseless and noisy memorisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional as F

from seqloom.synthetic.tasks.registry import register
from seqloom.synthetic.tasks.task import IGNORED, Criterion, SequenceTask, Split, TaskBatch, require

__all__ = ["Copy", "Memorisation", "Memorisation20Bit", "NoisyMemorisation"]


@dataclass(frozen=True)
class _Recall(SequenceTask):
    """``positions`` symbols out of ``values``, a wait, a signal, and as many steps in which they are asked in order."""

    length: int = 100
    positions: int = 10
    values: int = 8

    def __post_init__(self) -> None:
        require(self, "length", 1)
        require(self, "positions", 1)
        require(self, "values", 2)

    @property
    def answer(self) -> Literal["last", "every"]:
        return "every"

    @property
    def input_size(self) -> int:
        return self.values + 2  # a blank and the signal

    @property
    def output_size(self) -> int:
        return self.values

    @property
    def chance(self) -> float:
        return math.log(self.values)

    @property
    def chance_wrong(self) -> float:
        return 1 - float(self.values) ** -self.positions

    @property
    def longest(self) -> int:
        return 2 * self.positions + self.waiting + 1

    @property
    def waiting(self) -> int:
        """Blank steps between the symbols and the signal."""
        return self.length

    def batch(self, size: int, generator: torch.Generator, split: Split = "train") -> TaskBatch:
        symbols = torch.randint(self.values, (size, self.positions), generator=generator)
        shown = torch.full((size, self.longest), self.values)
        shown[:, : self.positions] = symbols
        shown[:, self.positions + self.waiting] = self.values + 1
        return self._asked(shown, symbols)

    def _asked(self, shown: torch.Tensor, symbols: torch.Tensor, elsewhere: int = IGNORED) -> TaskBatch:
        targets = torch.full(shown.shape, elsewhere)
        targets[:, -self.positions :] = symbols
        inputs = F.one_hot(shown, self.input_size).float()
        return TaskBatch(inputs, torch.full((len(shown),), shown.shape[1]), targets)


@register("copy")
@dataclass(frozen=True)
class Copy(_Recall):
    """Ten symbols, T - 1 blanks, a delimiter, ten blanks in which they are repeated (Arjovsky, Shah & Bengio 2016).

    The answer is a blank at all steps but the last ten; T + 20 steps in all. Solved: cross-entropy, averaged over all
    steps, below a tenth of ``10 ln 8 / (T + 20)``, which who remembers nothing can reach.

    Args:
        length: T.
        positions: symbols to be copied.
        values: of how many kinds.
    """

    @property
    def output_size(self) -> int:
        return self.values + 1

    @property
    def waiting(self) -> int:
        return self.length - 1

    @property
    def chance(self) -> float:
        return self.positions * math.log(self.values) / (self.length + 2 * self.positions)

    @property
    def criterion(self) -> Criterion:
        return Criterion("loss", self.chance / 10)

    def _asked(self, shown: torch.Tensor, symbols: torch.Tensor, elsewhere: int = IGNORED) -> TaskBatch:
        return super()._asked(shown, symbols, elsewhere=self.values)


@register("memorisation")
@dataclass(frozen=True)
class Memorisation(_Recall):
    """Noiseless memorisation: symbols, T blanks, a trigger, recall (Martens & Sutskever 2011, after Hochreiter 1997).

    Only the recalled symbols are asked. Solved: all of them right in more than 99 % of the sequences.

    Args:
        length: T.
        positions: symbols to be recalled; 5 for the 5-bit problem.
        values: of how many kinds; 2 for the 5-bit problem.
    """

    positions: int = 5
    values: int = 2


@register("memorisation_20bit")
@dataclass(frozen=True)
class Memorisation20Bit(Memorisation):
    """Noiseless memorisation of ten symbols of five kinds, somewhat more than 20 bits (Martens & Sutskever 2011)."""

    positions: int = 10
    values: int = 5


@register("noisy_memorisation")
@dataclass(frozen=True)
class NoisyMemorisation(_Recall):
    """Memorisation of symbols scattered among distractors: the harder variant; the classic suite is noiseless.

    The symbols stand at random steps of the first T, in the order in which they are asked after the trigger; each other
    step of these shows one of ``distractors`` symbols that are never asked.

    Args:
        length: T, at least ``positions``.
        positions: symbols to be recalled.
        values: of how many kinds.
        distractors: kinds of symbols that do not matter.
    """

    positions: int = 5
    values: int = 2
    distractors: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "length", self.positions)
        require(self, "distractors", 1)

    @property
    def input_size(self) -> int:
        return self.values + 2 + self.distractors

    @property
    def longest(self) -> int:
        return self.length + 1 + self.positions

    def batch(self, size: int, generator: torch.Generator, split: Split = "train") -> TaskBatch:
        symbols = torch.randint(self.values, (size, self.positions), generator=generator)
        shown = torch.full((size, self.longest), self.values)
        noise = torch.randint(self.distractors, (size, self.length), generator=generator)
        shown[:, : self.length] = self.values + 2 + noise
        shown[:, self.length] = self.values + 1
        # The first ``positions`` of a random order of the steps are a random set of them.
        order = torch.rand(size, self.length, generator=generator).argsort(1)
        shown.scatter_(1, order[:, : self.positions].sort(1).values, symbols)
        return self._asked(shown, symbols)
