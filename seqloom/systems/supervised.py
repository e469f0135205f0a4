"""Supervised training: a network with a loss on batches of examples, as the one task of the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqloom.data.batching import batches
from seqloom.learning.diagnosis import DiagnosticBatch
from seqloom.training.config import TrainingConfig

__all__ = ["Corpus", "Indices", "Network", "SupervisedTask", "diagnostic_batch", "evaluating"]

Indices: TypeAlias = NDArray[np.int64]

# Epoch, number of the batch within it, and its examples: what a batch's own random choices are seeded with.
Description: TypeAlias = tuple[int, int, Indices]


class Network(nn.Module, ABC):
    """A network whose call gives the loss of a batch."""

    @abstractmethod
    def forward(self, batch: Any) -> Tensor:
        """The loss of a batch: a scalar to be minimised, the mean over the terms that `terms` counts."""

    def terms(self, batch: Any) -> float:
        """How many terms the loss of a batch is the mean of: its examples, if a network does not say otherwise."""
        return float(len(batch.lengths))


class Corpus(ABC):
    """Encoded examples, cut into batches of tensors; a batch has ``lengths`` (B,), the steps of each of its rows.

    Attributes:
        lengths: (S,) the steps of each example.
    """

    lengths: Indices

    @abstractmethod
    def batch(self, indices: Indices, random: np.random.Generator | None = None) -> Any:
        """The tensors of these examples, padded to the longest of them.

        Args:
            random: where chances of training come from; without it nothing is left to chance.
        """

    def plan(self, training: TrainingConfig, epoch: int) -> Sequence[Indices]:
        """The batches of an epoch: examples of like length together, in an order that seed and epoch decide."""
        tokens = training.batch_tokens or None
        examples = None if tokens else training.batch_size
        return batches(self.lengths, sentences=examples, tokens=tokens, seed=training.seed, epoch=epoch)


class SupervisedTask:
    """A network and its training examples, as :class:`seqloom.training.task.Task`.

    Args:
        network: what is trained.
        corpus: the encoded training examples.
        config: batch size and seed.
        evaluate: the scores on development data, with the decoding of prediction.
        save: writes the model into a directory.
    """

    def __init__(
        self,
        network: Network,
        corpus: Corpus,
        config: TrainingConfig,
        evaluate: Callable[[], dict[str, float]],
        save: Callable[[Path], None],
    ):
        self.module: nn.Module = network
        self.evaluate, self.save_model = evaluate, save
        self._network, self._corpus, self._config = network, corpus, config

    def plan(self, epoch: int) -> Sequence[Description]:
        plan = self._corpus.plan(self._config, epoch)
        return [(epoch, number, indices) for number, indices in enumerate(plan)]

    def split(self, description: Description, rank: int, world: int) -> Description | None:
        epoch, number, indices = description
        share = indices[rank::world]
        return (epoch, number, share) if len(share) else None

    def batch(self, description: Description) -> Any:
        epoch, number, indices = description
        return self._corpus.batch(indices, np.random.default_rng([self._config.seed, epoch, number]))

    def loss(self, batch: Any) -> Tensor:
        loss: Tensor = self.module(batch)
        return loss

    def weight(self, batch: Any) -> float:
        return self._network.terms(batch)

    def size(self, batch: Any) -> int:
        return int(batch.lengths.sum())


def diagnostic_batch(network: Network, corpus: Corpus, limit: int) -> DiagnosticBatch:
    """The training loss on the first examples of a corpus, for a look into the recurrent layers."""
    batch = corpus.batch(np.arange(min(limit, len(corpus.lengths))))
    return DiagnosticBatch(network, lambda: network(batch), len(batch.lengths))


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """While it lasts, a network is neither training nor recording gradients."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)
