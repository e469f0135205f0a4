"""Sentences as arrays: all features of a corpus encoded once, then cut into padded batches by fancy indexing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.data.batching import pad_rows
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import IGNORED, UNKNOWN, TagVocabulary
from seqloom.systems.supervised import Corpus
from seqloom.systems.tagger.features import PAIRS, FeatureSet, Ids, Tokens

__all__ = ["EncodedCorpus", "Hiding", "Spelling", "TaggerBatch", "label_ids", "sentence_labels", "tag_ids"]


@dataclass(frozen=True)
class Spelling:
    """The distinct tokens of a batch as characters: ids (U, L), lengths (U,), and which token stands where (B, T)."""

    ids: Tensor
    lengths: Tensor
    index: Tensor


@dataclass(frozen=True)
class TaggerBatch:
    """Padded sentences: (B, T) ids per feature, (B,) lengths, spellings where wanted; for training (B, T) tags and, where
    sentences are labelled, (B,) labels."""

    ids: dict[str, Tensor]
    lengths: Tensor
    targets: Tensor | None = None
    spelling: Spelling | None = None
    labels: Tensor | None = None

    def to(self, device: torch.device | str) -> "TaggerBatch":
        """The same batch on another device."""
        spelling = self.spelling and Spelling(
            self.spelling.ids.to(device), self.spelling.lengths.to(device), self.spelling.index.to(device)
        )
        targets = None if self.targets is None else self.targets.to(device)
        labels = None if self.labels is None else self.labels.to(device)
        ids = {name: values.to(device) for name, values in self.ids.items()}
        return TaggerBatch(ids, self.lengths.to(device), targets, spelling, labels)


@dataclass(frozen=True)
class Hiding:
    """How often training reads what it knows as unknown, which trains the unknown entries.

    Attributes:
        unknown_rate: probability for a value that training has seen once.
        pair_dropout: probability for any pair of tokens.
        word_dropout: alpha of the probability alpha / (alpha + count) for a word.
    """

    unknown_rate: float = 0.0
    pair_dropout: float = 0.0
    word_dropout: float = 0.0


class EncodedCorpus(Corpus):
    """Encoded sentences, ready to be cut into batches.

    Args:
        features: what encoded them.
        sentences: the sentences.
        targets: (N,) the tag ids of all their tokens, one after the other.
        training_words: the words of each sentence, where these are the sentences that a lexicon was fitted on.
        labels: (S,) the label ids of the sentences; :data:`~seqloom.data.vocabulary.IGNORED` where one has none.
        hiding: what batches of training hide.
    """

    def __init__(
        self,
        features: FeatureSet,
        sentences: Sequence[Tokens],
        targets: Ids | None = None,
        training_words: Sequence[Sequence[str]] | None = None,
        labels: Ids | None = None,
        hiding: Hiding | None = None,
    ):
        self.hiding = hiding or Hiding()
        self.offsets: Ids = np.zeros(len(sentences) + 1, dtype=np.int64)
        np.cumsum([len(sentence) for sentence in sentences], out=self.offsets[1:])
        self.lengths: Ids = np.diff(self.offsets)
        self.targets, self.labels = targets, labels
        distinct = features.distinct(sentences)
        self._flat = features.encode(sentences, training_words=training_words, distinct=distinct)
        self._features = features
        self._rates: dict[str, NDArray[np.float64]] = {}
        self._spelled: tuple[Ids, Ids, Ids] | None = None
        if features.spelling is not None and distinct is not None:
            self._spelled = (*features.spelling.spell(distinct.tokens), distinct.which)

    def batch(self, indices: NDArray[Any], random: np.random.Generator | None = None) -> TaggerBatch:
        """The sentences of these indices, padded to the longest of them; with ``random``, some of it is hidden."""
        starts, lengths = self.offsets[indices], self.lengths[indices]
        columns = np.arange(int(lengths.max(initial=0)))
        real = columns < lengths[:, None]
        place = (starts[:, None] + columns)[real]
        ids, hiding = {}, self.hiding
        for name, flat in self._flat.items():
            values = flat[place]
            if (hiding.unknown_rate > 0.0 or hiding.word_dropout > 0.0) and random is not None:
                values[random.random(values.shape) < self._unknown_rates(name)[values]] = UNKNOWN
            if hiding.pair_dropout > 0.0 and random is not None and name in PAIRS:
                values[random.random(values.shape) < hiding.pair_dropout] = UNKNOWN
            ids[name] = _padded(values, real)
        targets = None if self.targets is None else _padded(self.targets[place], real)
        labels = None if self.labels is None else torch.from_numpy(self.labels[indices])
        return TaggerBatch(ids, torch.from_numpy(lengths), targets, self._spelling(place, real), labels)

    def _unknown_rates(self, name: str) -> NDArray[np.float64]:
        if name not in self._rates:
            self._rates[name] = self._features.unknown_rates(name, self.hiding.unknown_rate, self.hiding.word_dropout)
        return self._rates[name]

    def _spelling(self, place: Ids, real: NDArray[np.bool_]) -> Spelling | None:
        if self._spelled is None:
            return None
        characters, offsets, which = self._spelled
        rows, index = np.unique(which[place], return_inverse=True)
        ids, lengths = pad_rows(characters, offsets, rows)
        return Spelling(torch.from_numpy(ids), torch.from_numpy(lengths), _padded(index, real))


def sentence_labels(sentences: Sequence[Sentence]) -> tuple[TagVocabulary, Ids] | tuple[None, None]:
    """The labels of training sentences and (S,) the id of each; nothing where fewer than two labels are told apart."""
    given = [sentence.label for sentence in sentences if sentence.label is not None]
    if len(set(given)) < 2:
        return None, None
    labels = TagVocabulary.build(given)
    return labels, label_ids(sentences, labels)


def tag_ids(sentences: Sequence[Sentence], tags: TagVocabulary) -> Ids:
    """(N,) the tags of all tokens of sentences, one after the other. Raises DataError where a tag is unknown."""
    if not sentences:
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([tags.lookup_sentence(sentence) for sentence in sentences])


def label_ids(sentences: Sequence[Sentence], labels: TagVocabulary) -> Ids:
    """(S,) the label of each sentence; :data:`~seqloom.data.vocabulary.IGNORED` where it has none that is known."""
    number = {name: index for index, name in enumerate(labels.entries)}
    return np.array([number.get(sentence.label or "", IGNORED) for sentence in sentences], dtype=np.int64)


def _padded(values: Ids, real: NDArray[np.bool_]) -> Tensor:
    padded = np.zeros(real.shape, dtype=np.int64)
    padded[real] = values
    return torch.from_numpy(padded)
