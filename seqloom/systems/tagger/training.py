"""Training a tagger: what the loop asks of a task, answered with encoded sentences."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from seqloom.data.batching import batches
from seqloom.systems.tagger.encoding import EncodedCorpus, TaggerBatch
from seqloom.systems.tagger.features import Ids
from seqloom.systems.tagger.tagger import Tagger
from seqloom.training.config import TrainingConfig

__all__ = ["TaggerTask"]

# Epoch, number of the batch within it, and its sentences: what a batch's own random choices are seeded with.
Description = tuple[int, int, Ids]


class TaggerTask:
    """A tagger and its training sentences, as :class:`seqloom.training.task.Task`.

    Args:
        tagger: what is trained.
        corpus: the encoded training sentences with their tags.
        config: batch size and seed.
        evaluate: scores the tagger on development data with the decoding of prediction.
        save: writes the model into a directory.
    """

    def __init__(
        self,
        tagger: Tagger,
        corpus: EncodedCorpus,
        config: TrainingConfig,
        evaluate: Callable[[], dict[str, float]],
        save: Callable[[Path], None],
    ):
        self.module: nn.Module = tagger.network
        self._per_sentence = tagger.config.output == "crf"
        self.evaluate, self.save_model = evaluate, save
        self._corpus, self._config, self._model = corpus, config, tagger.config

    def plan(self, epoch: int) -> Sequence[Description]:
        tokens = self._config.batch_tokens or None
        sentences = None if tokens else self._config.batch_size
        plan = batches(self._corpus.lengths, sentences=sentences, tokens=tokens, seed=self._config.seed, epoch=epoch)
        return [(epoch, number, indices) for number, indices in enumerate(plan)]

    def split(self, description: Description, rank: int, world: int) -> Description | None:
        epoch, number, indices = description
        share = indices[rank::world]
        return (epoch, number, share) if len(share) else None

    def batch(self, description: Description) -> TaggerBatch:
        epoch, number, indices = description
        random = np.random.default_rng([self._config.seed, epoch, number])
        return self._corpus.batch(
            indices, self._model.unknown_rate, self._model.pair_dropout, random, self._model.word_dropout
        )

    def loss(self, batch: TaggerBatch) -> Tensor:
        loss: Tensor = self.module(batch)
        return loss

    def weight(self, batch: Any) -> float:
        return float(len(batch.lengths)) if self._per_sentence else float(batch.lengths.sum())

    def size(self, batch: TaggerBatch) -> int:
        return int(batch.lengths.sum())
