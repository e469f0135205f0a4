"""The word segmenter as a product: raw text in, words with offsets out, whatever the method."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any, Self

from seqloom.errors import ConfigError, ModelError, did_you_mean
from seqloom.systems.card import model_card
from seqloom.systems.directory import ModelDirectory, write_model
from seqloom.systems.segmentation.dictionary import Dictionary
from seqloom.systems.segmentation.method import WordSegmenter
from seqloom.systems.segmentation.neural import NeuralSegmenter
from seqloom.systems.segmentation.pieces import PieceStream, fold_width, pieces
from seqloom.systems.tagger.tagger import Tagger

__all__ = ["Segmentation", "SegmentationStream", "Segmenter"]


@dataclass(frozen=True)
class Segmentation:
    """A text and its words.

    Attributes:
        text: the text as it was given.
        spans: for each word the offsets (start, end) of its characters in the text.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    @property
    def words(self) -> list[str]:
        """The words; joined they are the text without its whitespace."""
        return [self.text[start:end] for start, end in self.spans]

    def __str__(self) -> str:
        return " ".join(self.words)

    def with_spaces(self) -> "Segmentation":
        """The same with each run of whitespace as a word of its own, so that the words joined are the text."""
        spans: list[tuple[int, int]] = []
        for start, end in (*self.spans, (len(self.text), len(self.text))):
            before = spans[-1][1] if spans else 0
            if before < start:
                spans.append((before, start))
            if start < end:
                spans.append((start, end))
        return Segmentation(self.text, tuple(spans))

    def to_dict(self) -> dict[str, Any]:
        """Text and words with offsets, for JSON."""
        words = [{"w": self.text[start:end], "start": start, "end": end} for start, end in self.spans]
        return {"text": self.text, "words": words}


class Segmenter:
    """Segments raw text by one method.

    Args:
        method: the name of the method.
        words: the training words with their counts; what recall of unknown words is measured against.
        implementation: the method itself.
        fold: whether full-width digits, letters and punctuation are read as half-width ones.
        maximum_length: longer sentences are cut.
    """

    def __init__(
        self, method: str, words: Dictionary, implementation: WordSegmenter, *, fold: bool = True, maximum_length: int = 200
    ):
        self.method, self.words, self.implementation = method, words, implementation
        self.fold, self.maximum_length = fold, maximum_length
        self.about: dict[str, Any] = {}

    def predict(self, texts: Iterable[str]) -> list[Segmentation]:
        """Segments texts together: far faster than one at a time.

        Args:
            texts: any strings; whitespace separates words and belongs to none.
        """
        given = list(texts)
        spans = [pieces(text, self.maximum_length) for text in given]
        found = iter(
            self._segment([text[start:end] for text, some in zip(given, spans, strict=True) for start, end in some])
        )
        results = []
        for text, some in zip(given, spans, strict=True):
            placed: list[tuple[int, int]] = []
            for start, _ in some:
                for word in next(found):
                    placed.append((start, start + len(word)))
                    start += len(word)
            results.append(Segmentation(text, tuple(placed)))
        return results

    def n_best(self, text: str, k: int) -> list[tuple[Segmentation, float]]:
        """Up to k segmentations of one text with their scores, best first.

        Each sentence of the text has its own k best; the best k combinations of them are exact, since scores add up.
        """
        if k < 1:
            raise ConfigError(f"nbest is {k}; expected 1 or more")
        spans = pieces(text, self.maximum_length)
        ranked = [self.implementation.n_best(self._read(text[start:end]), k) for start, end in spans]
        results = []
        for choice, score in _best_combinations([[score for _, score in some] for some in ranked], k):
            placed: list[tuple[int, int]] = []
            for (start, _), some, rank in zip(spans, ranked, choice, strict=True):
                for word in some[rank][0]:
                    placed.append((start, start + len(word)))
                    start += len(word)
            results.append((Segmentation(text, tuple(placed)), score))
        return results

    def stream(self) -> "SegmentationStream":
        """A stream: text goes in as chunks, the words of each sentence come out as soon as it is complete."""
        return SegmentationStream(self)

    def with_dictionary(self, user: Dictionary) -> "Segmenter":
        """The same segmenter under a user's words; their priorities are documented in ``dictionary.py``."""
        base = self.words.with_words(user.user)
        if isinstance(self.implementation, NeuralSegmenter):
            implementation: WordSegmenter = self.implementation.with_dictionary(user)
        else:
            implementation = methods.with_dictionary(self.implementation, base)
        return self._like(self.method, implementation)

    def with_method(self, method: str) -> "Segmenter":
        """Another method on the same words, such as ``fmm`` as a fast path; it must need nothing but the words.

        Raises:
            ConfigError: the method has to be trained.
        """
        if method == self.method:
            return self
        if method not in methods.DICTIONARY_METHODS:
            raise ConfigError(
                f"method {method!r} is not in this model of method {self.method!r}: beside its own method a model can run "
                f"{', '.join(methods.DICTIONARY_METHODS)}; train one with --method {method}"
            )
        return self._like(method, methods.dictionary_method(method, self.words))

    def _like(self, method: str, implementation: WordSegmenter) -> "Segmenter":
        return Segmenter(method, self.words, implementation, fold=self.fold, maximum_length=self.maximum_length)

    def _read(self, text: str) -> str:
        return fold_width(text) if self.fold else text

    def _segment(self, texts: Sequence[str]) -> list[list[str]]:
        return self.implementation.segment([self._read(text) for text in texts])
