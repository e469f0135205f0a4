"""Sentences as arrays: all features of a corpus encoded once, then cut into padded batches by fancy indexing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.systems.tagger.features import (
    UNKNOWN,
    AnyFeature,
    CharactersFeature,
    Ids,
    PairFeature,
    Tokens,
    make_feature,
    sentence_offsets,
)

__all__ = ["EncodedCorpus", "FeatureSet", "TaggerBatch"]


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

    @property
    def tokens(self) -> int:
        return int(self.lengths.sum())

    def to(self, device: torch.device) -> "TaggerBatch":
        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        spelling = self.spelling and Spelling(*map(move, (self.spelling.ids, self.spelling.lengths, self.spelling.index)))
        targets = None if self.targets is None else move(self.targets)
        return TaggerBatch({name: move(ids) for name, ids in self.ids.items()}, move(self.lengths), targets, spelling)


class FeatureSet:
    """The features of one tagger, in the order of its configuration."""

    def __init__(self, features: dict[str, AnyFeature]):
        self.features = features

    @classmethod
    def fit(cls, config: TaggerModelConfig, sentences: Sequence[Tokens]) -> Self:
        """Collects the values of every feature with a size above 0 from the training sentences."""
        features: dict[str, AnyFeature] = {}
        for name, size in config.features.items():
            if size > 0:
                features[name] = make_feature(
                    name, features, lambda kind, leading: kind.fit(*leading, sentences, config.minimum_count)
                )
        return cls(features)

    def to_json(self) -> dict[str, Any]:
        return {name: feature.to_json() for name, feature in self.features.items()}

    @classmethod
    def from_json(cls, vocab: dict[str, Any]) -> Self:
        """Reads the features back, in the order given."""
        features: dict[str, AnyFeature] = {}
        for name, content in vocab.items():
            features[name] = make_feature(
                name, features, lambda kind, leading, content=content: kind.from_json(*leading, content)
            )
        return cls(features)

    def encode(self, sentences: Sequence[Tokens], targets: Ids | None = None) -> "EncodedCorpus":
        """All sentences as flat arrays; ``targets`` are the (N,) tag ids of all tokens."""
        offsets = sentence_offsets(sentences)
        flat: dict[str, Ids] = {}
        spelled: Ids | None = None
        distinct: list[str] = []
        for name, feature in self.features.items():
            if isinstance(feature, CharactersFeature):
                index: dict[str, int] = {}
                spelled = np.array([index.setdefault(t, len(index)) for s in sentences for t in s], dtype=np.int64)
                distinct = list(index)
            elif isinstance(feature, PairFeature):
                flat[name] = feature.encode_ids(flat["token"], offsets)
            else:
                flat[name] = feature.encode(sentences)
        return EncodedCorpus(self, flat, offsets, targets, spelled, distinct)


class EncodedCorpus:
    """Encoded sentences, ready to be cut into batches."""

    def __init__(
        self,
        features: FeatureSet,
        flat: dict[str, Ids],
        offsets: Ids,
        targets: Ids | None,
        spelled: Ids | None,
        distinct: list[str],
    ):
        self.features, self.flat, self.offsets, self.targets = features, flat, offsets, targets
        self._spelled, self._distinct = spelled, distinct
        self._seen_once = {
            name: feature.seen_once()
            for name, feature in features.features.items()
            if not isinstance(feature, CharactersFeature)
        }

    @property
    def lengths(self) -> Ids:
        return np.diff(self.offsets)

    def batch(
        self, indices: NDArray[Any], unknown_rate: float = 0.0, random: np.random.Generator | None = None
    ) -> TaggerBatch:
        """The sentences of these indices, padded to the longest of them.

        Args:
            unknown_rate: probability that a value which training has seen once is read as unknown.
            random: where that chance comes from; required when the rate is above 0.
        """
        starts, lengths = self.offsets[indices], self.lengths[indices]
        columns = np.arange(int(lengths.max(initial=0)))
        real = columns < lengths[:, None]
        place = np.where(real, starts[:, None] + columns, 0)
        ids = {}
        for name, flat in self.flat.items():
            values = np.where(real, flat[place], 0) if len(flat) else np.zeros(place.shape, dtype=np.int64)
            if unknown_rate > 0.0 and random is not None:
                values[self._seen_once[name][values] & (random.random(values.shape) < unknown_rate)] = UNKNOWN
            ids[name] = torch.from_numpy(values)
        targets = None
        if self.targets is not None:
            targets = torch.from_numpy(np.where(real, self.targets[place], 0))
        return TaggerBatch(ids, torch.from_numpy(lengths), targets, self._spelling(place, real))

    def _spelling(self, place: Ids, real: NDArray[np.bool_]) -> Spelling | None:
        if self._spelled is None:
            return None
        feature = self.features.features["characters"]
        if not isinstance(feature, CharactersFeature):
            raise TypeError("the feature 'characters' must spell tokens")
        which, index = np.unique(self._spelled[place[real]], return_inverse=True)
        ids, lengths = feature.spell([self._distinct[token] for token in which])
        where = np.zeros(place.shape, dtype=np.int64)
        where[real] = index
        return Spelling(torch.from_numpy(ids), torch.from_numpy(lengths), torch.from_numpy(where))
