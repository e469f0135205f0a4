"""Generated sequences by number: the fresh ones that train, and the held-out ones that choose and score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seqloom.synthetic.tasks import IGNORED, SequenceTask, Split, TaskBatch, random_generator

__all__ = ["Example", "FreshSequences", "HeldOutSequences", "Indices", "batch_of", "batches_of", "examples_of"]

Indices: TypeAlias = NDArray[np.int64]
_BATCH = 500


@dataclass(frozen=True)
class Example:
    """One sequence and its answer.

    Attributes:
        inputs: (T, D).
        target: (1,) a real answer, () a class at the end, or (T,) classes.
    """

    inputs: Tensor
    target: Tensor


class _Generated(Sequence[Example]):
    """Sequences that are made when they are looked at, a batch at a time."""

    rows: int  # of a batch
    total: int  # of all batches

    def __init__(self) -> None:
        self._latest: tuple[int, list[Example]] = (-1, [])

    def whole_batch(self, number: int) -> TaskBatch:
        """The batch that sequence ``number * rows`` begins."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(self.total))]
        number, row = divmod(range(self.total)[index], self.rows)
        if self._latest[0] != number:
            self._latest = number, examples_of(self.whole_batch(number))
        return self._latest[1][row]


class FreshSequences(_Generated):
    """All training sequences of a run, none of which comes twice: sequence n is row ``n % B`` of batch ``n // B``.

    Args:
        task: what they are of.
        seed: of the run.
        batch_size: rows B of a batch.
        updates_per_epoch: batches of an epoch.
        epochs: of the run.
    """

    def __init__(self, task: SequenceTask, seed: int, batch_size: int, updates_per_epoch: int, epochs: int):
        super().__init__()
        self.task, self.rows, self.total = task, batch_size, batch_size * updates_per_epoch * epochs
        self._seed, self._updates = seed, updates_per_epoch

    def plan(self, epoch: int) -> list[Indices]:
        """The numbers of the sequences of each batch of an epoch."""
        first = epoch * self._updates
        return [np.arange(self.rows) + number * self.rows for number in range(first, first + self._updates)]

    def whole_batch(self, number: int) -> TaskBatch:
        return self.task.batch(self.rows, random_generator(self._seed, "train", number))

    def batch(self, indices: Indices) -> TaskBatch:
        """The sequences of these numbers; a share of a planned batch is padded as the whole batch is."""
        numbers = np.unique(indices // self.rows)
        if len(numbers) != 1:
            return batch_of([self[int(index)] for index in indices])
        batch = self.whole_batch(int(numbers[0]))
        if len(indices) == self.rows:
            return batch
        rows = torch.from_numpy(indices % self.rows)
        return TaskBatch(batch.inputs[rows], batch.lengths[rows], batch.targets[rows])


class HeldOutSequences(_Generated):
    """The same sequences of a split every time.

    Args:
        task: what they are of.
        split: which.
        count: how many.
    """

    rows = _BATCH

    def __init__(self, task: SequenceTask, split: Split, count: int):
        super().__init__()
        self.task, self.split, self.total = task, split, count

    def batches(self) -> Iterator[TaskBatch]:
        """All of them."""
        return self.task.held_out(self.split, self.total)

    def whole_batch(self, number: int) -> TaskBatch:
        return next(islice(self.batches(), number, None))


def examples_of(batch: TaskBatch) -> list[Example]:
    """The rows of a batch, without its padding."""
    each_step = batch.targets.dim() == 2 and not batch.targets.is_floating_point()
    return [
        Example(inputs[:length], target[:length] if each_step else target)
        for inputs, target, length in zip(batch.inputs, batch.targets, batch.lengths.tolist(), strict=True)
    ]


def batch_of(examples: Sequence[Example]) -> TaskBatch:
    """Sequences padded to the longest of them."""
    inputs = pad_sequence([example.inputs for example in examples], batch_first=True)
    lengths = torch.tensor([len(example.inputs) for example in examples])
    targets = [example.target for example in examples]
    each_step = targets[0].dim() == 1 and not targets[0].is_floating_point()
    padded = pad_sequence(targets, batch_first=True, padding_value=IGNORED) if each_step else torch.stack(targets)
    return TaskBatch(inputs, lengths, padded)


def batches_of(examples: Sequence[Example]) -> Iterable[TaskBatch]:
    """Examples in batches, held-out ones as they were generated."""
    if isinstance(examples, HeldOutSequences):
        return examples.batches()
    return (batch_of(examples[start : start + _BATCH]) for start in range(0, len(examples), _BATCH))
