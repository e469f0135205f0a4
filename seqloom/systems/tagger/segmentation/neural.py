"""Segmentation as tagging: characters in, begin / middle / end / single out (Xue 2003; Chen et al. 2015; Ma et al. 2018)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from seqloom.data.tagged.words import BMES
from seqloom.data.vocabulary import TagVocabulary
from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.systems.tagger.encoding import EncodedCorpus, Hiding
from seqloom.systems.tagger.features import FeatureSet, Ids
from seqloom.systems.tagger.segmentation.dictionary import Dictionary, UserEntry
from seqloom.systems.tagger.segmentation.user_words import forced_spans
from seqloom.systems.tagger.tagger import Tagger

__all__ = ["NeuralSegmenter", "bmes_ids"]

_B, _M, _E, _S = range(4)

# What a user's word weighs, in nats per character. Two readings differ in at least two tags, so a preferred word wins
# against a reading that the network holds for up to about ten million times as probable (16 nats). A choice, not tuned.
PREFERENCE = 8.0
FORCE = 1e4


class NeuralSegmenter:
    """A tagger of characters whose tags are read as words.

    A user's words change the scores before decoding: ``prefer`` adds 8 nats to each character's tag in the word, ``force``
    leaves no other reading. Where words overlap, the leftmost wins, and the longest of those that begin there.

    Args:
        tagger: tags characters with B, M, E, S in this order.
        dictionary: the user's words.
    """

    def __init__(self, tagger: Tagger, dictionary: Dictionary | None = None):
        self.tagger = tagger
        self._forced = self._preferred = None
        if dictionary is not None:
            self._forced = _words_of(dictionary, "force")
            self._preferred = _words_of(dictionary, "prefer")

    @classmethod
    def untrained(cls, config: TaggerModelConfig, lines: Sequence[Sequence[str]]) -> "NeuralSegmenter":
        """A segmenter with fresh weights whose features are fitted on segmented training lines."""
        names = [name for name, size in config.features.items() if size > 0]
        texts = ["".join(words) for words in lines]
        features = FeatureSet.fit(names, texts, config.minimum_count, words=lines, fold_digits=config.fold_digits)
        return cls(Tagger(config, features, TagVocabulary(list(BMES)), "bmes"))

    def with_dictionary(self, dictionary: Dictionary) -> "NeuralSegmenter":
        """The same network under a user's words."""
        return NeuralSegmenter(self.tagger, dictionary)

    def encode(self, lines: Sequence[Sequence[str]], hiding: Hiding | None = None) -> EncodedCorpus:
        """The segmented lines that the features were fitted on, as training sentences."""
        texts = ["".join(words) for words in lines]
        return EncodedCorpus(self.tagger.features, texts, bmes_ids(lines), lines, hiding=hiding)

    def segment(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text."""
        paths = self.tagger.decode(texts, self._adjustment(texts))
        return [_words(text, path) for text, path in zip(texts, paths, strict=True)]

    def n_best(self, text: str, k: int) -> list[tuple[list[str], float]]:
        """Up to k readings with their log-probabilities (given a user's words, where there are any), best first."""
        if not text:
            return [([], 0.0)]
        (paths,) = self.tagger.k_best([text], k, self._adjustment([text]))
        return [(_words(text, path), score) for path, score in paths]

    def _adjustment(self, texts: Sequence[str]):  # type: ignore[no-untyped-def]
        if self._forced is None and self._preferred is None:
            return None
        weighted = [
            (forced_spans(words, texts), weight)
            for words, weight in ((self._preferred, PREFERENCE), (self._forced, FORCE))
            if words is not None
        ]

        def adjust(indices: Ids, emissions: Tensor) -> Tensor:
            bonus = torch.zeros_like(emissions)
            for spans, weight in weighted:
                for row, index in enumerate(indices.tolist()):
                    for start, end in spans[index]:
                        if end - start == 1:
                            bonus[row, start, _S] += weight
                        else:
                            bonus[row, start, _B] += weight
                            bonus[row, start + 1 : end - 1, _M] += weight
                            bonus[row, end - 1, _E] += weight
            return emissions + bonus

        return adjust


def bmes_ids(lines: Sequence[Sequence[str]]) -> Ids:
    """(N,) tag ids of all characters of segmented lines, one after the other.

    >>> bmes_ids([["我", "是"], ["中国人"]]).tolist()
    [3, 3, 0, 1, 2]
    """
    lengths = np.array([len(word) for words in lines for word in words], dtype=np.int64)
    ends = np.cumsum(lengths)
    tags = np.full(int(ends[-1]) if len(ends) else 0, _M, dtype=np.int64)
    tags[ends - 1] = _E
    tags[ends - lengths] = np.where(lengths == 1, _S, _B)
    return tags


def _words(text: str, path: Ids) -> list[str]:
    # Decoding is constrained, so a word ends exactly where E or S stands.
    ends = (np.flatnonzero(path >= _E) + 1).tolist()
    return [text[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []


def _words_of(dictionary: Dictionary, priority: str) -> Dictionary | None:
    """The user's words of one priority, as words that are found wherever they match."""
    chosen = {word: UserEntry("force") for word, entry in dictionary.user.items() if entry.priority == priority}
    return Dictionary.from_counts({}).with_words(chosen) if chosen else None
