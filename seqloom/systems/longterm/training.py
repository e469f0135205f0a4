"""Training on a generated task: what the loop asks of a task, answered with fresh sequences."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from seqloom.synthetic.tasks import TaskBatch, random_generator
from seqloom.systems.longterm.model import LongtermModel
from seqloom.training.config import TrainingConfig

__all__ = ["LongtermTask"]

# Number of the batch since the start of the run, and the share of it: first row and stride.
Description = tuple[int, int, int]


class LongtermTask:
    """A model and its generated sequences, as :class:`seqloom.training.task.Task`.

    Args:
        model: what is trained.
        config: batch size and seed.
        updates_per_epoch: batches of an epoch.
        dev_sequences: held-out sequences that an evaluation scores.
    """

    def __init__(self, model: LongtermModel, config: TrainingConfig, updates_per_epoch: int, dev_sequences: int):
        self.module: nn.Module = model.network
        self.model = model
        self._config, self._updates, self._dev_sequences = config, updates_per_epoch, dev_sequences

    def plan(self, epoch: int) -> Sequence[Description]:
        first = epoch * self._updates
        return [(number, 0, 1) for number in range(first, first + self._updates)]

    def split(self, description: Description, rank: int, world: int) -> Description | None:
        return (description[0], rank, world) if rank < self._config.batch_size else None

    def batch(self, description: Description) -> TaskBatch:
        number, first, stride = description
        batch = self.model.task.batch(self._config.batch_size, random_generator(self._config.seed, "train", number))
        if stride == 1:
            return batch
        rows = torch.arange(first, len(batch.lengths), stride)
        return TaskBatch(batch.inputs[rows], batch.lengths[rows], batch.targets[rows])

    def loss(self, batch: TaskBatch) -> Tensor:
        return self.model.task.loss(self.module(batch.inputs, batch.lengths), batch)

    def weight(self, batch: TaskBatch) -> float:
        return float(self.model.task.terms(batch))

    def size(self, batch: TaskBatch) -> int:
        return int(batch.lengths.sum())

    def evaluate(self) -> dict[str, float]:
        return self.model.score("dev", self._dev_sequences)

    def save_model(self, directory: Path) -> None:
        self.model.fill(directory)
