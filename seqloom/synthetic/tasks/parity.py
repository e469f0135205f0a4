"""Parity: whether the number of ones so far is odd, the simplest state that has to be tracked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from seqloom.errors import ConfigError
from seqloom.synthetic.tasks.registry import register
from seqloom.synthetic.tasks.task import IGNORED, SequenceTask, Split, TaskBatch, require

__all__ = ["Parity"]


@register("parity")
@dataclass(frozen=True)
class Parity(SequenceTask):
    """Parity of the bits so far, learned on short sequences and asked on longer ones.

    A step is a bit, one-hot. Training shows lengths 1 to ``length``; development and test sequences are longer than any
    of these, up to ``test_length``, so that solving it means having the rule: recurrences that are linear in their state
    with positive real gates cannot (Grazzi et al. 2024, whose lengths 40 and 256 these are). A sequence is wrong where
    its final parity is.

    Args:
        length: longest training sequence.
        test_length: longest test sequence.
        answers: ``every`` asks after each bit, as in word problems of groups (Merrill, Petty & Sabharwal 2024); ``last``
            after the last bit alone (Delétang et al. 2023).
    """

    length: int = 40
    test_length: int = 256
    answers: Literal["every", "last"] = "every"

    def __post_init__(self) -> None:
        require(self, "length", 1)
        require(self, "test_length", self.length + 1)
        if self.answers not in ("every", "last"):
            raise ConfigError(f"{self.name}: answers is {self.answers!r}, expected 'every' or 'last'")

    @property
    def answer(self) -> Literal["last", "every"]:
        return self.answers

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 2

    @property
    def chance(self) -> float:
        return math.log(2)

    @property
    def chance_wrong(self) -> float:
        return 0.5

    def batch(self, size: int, generator: torch.Generator, split: Split = "train") -> TaskBatch:
        low, high = (1, self.length) if split == "train" else (self.length + 1, self.test_length)
        lengths = torch.randint(low, high + 1, (size,), generator=generator)
        steps = torch.arange(int(lengths.max()) if size else 0)
        valid = steps < lengths[:, None]
        bits = torch.randint(2, valid.shape, generator=generator) * valid
        parity = bits.cumsum(1) % 2
        inputs = F.one_hot(bits, 2).float() * valid.unsqueeze(-1)
        if self.answers == "last":
            return TaskBatch(inputs, lengths, parity[:, -1])  # padding is zero, so the last sum is that of the row
        return TaskBatch(inputs, lengths, parity.masked_fill(~valid, IGNORED))

    def wrong(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        if self.answers == "last":
            return super().wrong(outputs, batch)
        last = (batch.lengths - 1).unsqueeze(1)
        return outputs.argmax(-1).gather(1, last).ne(batch.targets.gather(1, last)).squeeze(1)
