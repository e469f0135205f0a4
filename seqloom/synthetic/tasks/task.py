"""What every generated task has: batches from a generator, a loss, a count of wrong sequences, a chance level, a criterion."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seqloom.errors import ConfigError

__all__ = ["IGNORED", "Criterion", "SequenceTask", "Split", "Tally", "TaskBatch", "random_generator", "require"]

Split = Literal["train", "dev", "test"]
_SPLITS: tuple[Split, ...] = ("train", "dev", "test")

IGNORED = -100
"""Target of a step at which nothing is asked."""

_TOLERANCE = 0.04  # of a real answer (Hochreiter & Schmidhuber 1997, section 5.4)
_HELD_OUT_BATCH = 500


@dataclass(frozen=True)
class TaskBatch:
    """Sequences with their answers.

    Attributes:
        inputs: (B, T, D), zero past a row's length.
        lengths: (B,) steps of each row.
        targets: (B, 1) real answers, or (B,) class ids at the end, or (B, T) class ids with ``IGNORED`` where none is asked.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Criterion:
    """When a task counts as solved: a metric below a bound on held-out sequences.

    >>> Criterion("wrong", 0.01).met({"wrong": 0.002}), str(Criterion("wrong", 0.01))
    (True, 'wrong < 0.01')
    """

    metric: Literal["wrong", "loss"]
    below: float

    def met(self, metrics: dict[str, float]) -> bool:
        """Whether these metrics pass; NaN never does."""
        return metrics[self.metric] < self.below

    def __str__(self) -> str:
        return f"{self.metric} < {self.below:.4g}"


def random_generator(seed: int, split: Split, number: int = 0) -> torch.Generator:
    """The generator of batch ``number`` of a split: those of different splits, seeds or numbers share nothing.

    >>> torch.equal(*(torch.rand(3, generator=random_generator(1, split)) for split in ("train", "test")))
    False
    """
    sequence = np.random.SeedSequence([_SPLITS.index(split), seed, number])
    return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))


class SequenceTask(ABC):
    """A problem made of fresh random sequences (or of images read as sequences), whose subclasses are frozen dataclasses.

    The network's outputs are (B, output_size) after each row's last step where ``answer`` is ``last``, and
    (B, T, output_size) where it is ``every``.
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["real", "class"]] = "class"

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Features D of a step."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Real answers, or classes."""

    @property
    def answer(self) -> Literal["last", "every"]:
        """Where the answer is read: after the last step, or at every step."""
        return "last"

    @property
    @abstractmethod
    def chance(self) -> float:
        """Loss of the best predictor that remembers nothing: mean squared error, or nats per asked step."""

    @property
    @abstractmethod
    def chance_wrong(self) -> float:
        """Share of wrong sequences of that predictor."""

    @property
    def criterion(self) -> Criterion:
        """When the task counts as solved: fewer than 1 % of the held-out sequences wrong, unless a task says otherwise."""
        return Criterion("wrong", 0.01)

    @property
    def longest(self) -> int:
        """Steps of the longest sequence that training shows."""
        return int(getattr(self, "length"))  # noqa: B009

    @abstractmethod
    def batch(self, size: int, generator: torch.Generator, split: Split = "train") -> TaskBatch:
        """Fresh sequences.

        Args:
            size: rows B.
            generator: where all chances come from; see :func:`random_generator`.
            split: what the sequences are for; matters where training sees shorter sequences or other images than the test.
        """

    def held_out(self, split: Split, count: int, seed: int = 0) -> Iterator[TaskBatch]:
        """The same ``count`` sequences of a split every time, in batches."""
        for number, start in enumerate(range(0, count, _HELD_OUT_BATCH)):
            yield self.batch(min(_HELD_OUT_BATCH, count - start), random_generator(seed, split, number), split)

    def loss(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """To be minimised: mean squared error, or mean nats over the asked steps."""
        if self.kind == "real":
            return F.mse_loss(outputs, batch.targets)
        return F.cross_entropy(outputs.flatten(0, -2), batch.targets.flatten(), ignore_index=IGNORED)

    def wrong(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """(B,) whether a row is wrong: off by 0.04 or more, or a wrong class at any asked step."""
        if self.kind == "real":
            # Written so that NaN is wrong.
            return ~((outputs - batch.targets).abs() < _TOLERANCE).all(-1)
        different = (outputs.argmax(-1) != batch.targets) & (batch.targets != IGNORED)
        return different if different.dim() == 1 else different.any(-1)

    def terms(self, batch: TaskBatch) -> int:
        """Answers over which ``loss`` is the mean."""
        return len(batch.targets) if self.kind == "real" else int((batch.targets != IGNORED).sum())


class Tally:
    """Loss and share of wrong sequences over many batches."""

    def __init__(self, task: SequenceTask):
        self.task = task
        self._loss, self._terms, self._wrong, self._rows = 0.0, 0, 0, 0

    def add(self, outputs: Tensor, batch: TaskBatch) -> None:
        """Count a batch."""
        terms = self.task.terms(batch)
        if terms:
            self._loss += float(self.task.loss(outputs, batch)) * terms
        self._terms += terms
        self._wrong += int(self.task.wrong(outputs, batch).sum())
        self._rows += len(batch.lengths)

    def metrics(self) -> dict[str, float]:
        """``loss`` as the task's loss, ``wrong`` as a share of the sequences, and ``accuracy``, the rest of them."""
        wrong = self._wrong / self._rows if self._rows else math.nan
        return {"loss": self._loss / self._terms if self._terms else math.nan, "wrong": wrong, "accuracy": 1 - wrong}


def require(task: SequenceTask, field: str, at_least: int) -> None:
    """Refuses a task whose ``field`` is too small.

    Raises:
        ConfigError: it is below ``at_least``.
    """
    value = getattr(task, field)
    if value < at_least:
        raise ConfigError(f"{task.name}: {field} is {value}, expected at least {at_least}")
