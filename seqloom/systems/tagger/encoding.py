"""Sentences as arrays: all features of a corpus encoded once, then cut into padded batches by fancy indexing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.data.vocabulary import UNKNOWN
from seqloom.systems.tagger.features import PAIRS, FeatureSet, Ids, Tokens

__all__ = ["EncodedCorpus", "Spelling", "TaggerBatch"]


@dataclass(frozen=True)
class Spelling:
    """The distinct tokens of a batch as characters: ids (U, L), lengths (U,), and which token stands where (B, T)."""

    ids: Tensor
    lengths: Tensor
    index: Tensor


@dataclass(frozen=True)
class TaggerBatch:
    """Padded sentences: (B, T) ids per feature, (B,) lengths, (B, T) tags for training, spellings where wanted."""

    ids: dict[str, Tensor]
    lengths: Tensor
    targets: Tensor | None = None
    spelling: Spelling | None = None

    def to(self, device: torch.device | str) -> "TaggerBatch":
        """The same batch on another device."""
        spelling = self.spelling and Spelling(
            self.spelling.ids.to(device), self.spelling.lengths.to(device), self.spelling.index.to(device)
        )
        targets = None if self.targets is None else self.targets.to(device)
        ids = {name: values.to(device) for name, values in self.ids.items()}
        return TaggerBatch(ids, self.lengths.to(device), targets, spelling)


class EncodedCorpus:
    """Encoded sentences, ready to be cut into batches.

    Args:
        features: what encoded them.
        sentences: the sentences.
        targets: (N,) the tag ids of all their tokens, one after the other.
        training_words: the words of each sentence, where these are the sentences that a lexicon was fitted on.
    """

    def __init__(
        self,
        features: FeatureSet,
        sentences: Sequence[Tokens],
        targets: Ids | None = None,
        training_words: Sequence[Sequence[str]] | None = None,
    ):
        self.offsets: Ids = np.zeros(len(sentences) + 1, dtype=np.int64)
        np.cumsum([len(sentence) for sentence in sentences], out=self.offsets[1:])
        self.lengths: Ids = np.diff(self.offsets)
        self.targets = targets
        self._flat = features.encode(sentences, training_words=training_words)
        self._seen_once = {name: features.seen_once(name) for name in self._flat}
        self._features = features
        self._distinct: list[str] = []
        if features.spelling is not None:
            index: dict[str, int] = {}
            order = [index.setdefault(token, len(index)) for sentence in sentences for token in sentence]
            self._spelled: Ids = np.array(order, dtype=np.int64)
            self._distinct = list(index)

    def batch(
        self,
        indices: NDArray[Any],
        unknown_rate: float = 0.0,
        pair_dropout: float = 0.0,
        random: np.random.Generator | None = None,
    ) -> TaggerBatch:
        """The sentences of these indices, padded to the longest of them.

        Args:
            unknown_rate: probability that a value which training has seen once is read as unknown.
            pair_dropout: probability that any pair of characters is read as unknown.
            random: where these chances come from; without it nothing is left to chance.
        """
        starts, lengths = self.offsets[indices], self.lengths[indices]
        columns = np.arange(int(lengths.max(initial=0)))
        real = columns < lengths[:, None]
        place = (starts[:, None] + columns)[real]
        ids = {}
        for name, flat in self._flat.items():
            values = flat[place]
            if unknown_rate > 0.0 and random is not None:
                values[self._seen_once[name][values] & (random.random(values.shape) < unknown_rate)] = UNKNOWN
            if pair_dropout > 0.0 and random is not None and name in PAIRS:
                values[random.random(values.shape) < pair_dropout] = UNKNOWN
            ids[name] = _padded(values, real)
        targets = None if self.targets is None else _padded(self.targets[place], real)
        return TaggerBatch(ids, torch.from_numpy(lengths), targets, self._spelling(place, real))

    def _spelling(self, place: Ids, real: NDArray[np.bool_]) -> Spelling | None:
        if self._features.spelling is None:
            return None
        which, index = np.unique(self._spelled[place], return_inverse=True)
        ids, lengths = self._features.spelling.spell([self._distinct[token] for token in which])
        return Spelling(torch.from_numpy(ids), torch.from_numpy(lengths), _padded(index, real))


def _padded(values: Ids, real: NDArray[np.bool_]) -> Tensor:
    padded = np.zeros(real.shape, dtype=np.int64)
    padded[real] = values
    return torch.from_numpy(padded)
