"""The methods of word segmentation by name: how each is fitted on segmented lines and read back from a model."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from seqloom.errors import ConfigError, did_you_mean
from seqloom.systems.tagger.segmentation.best_path import FewestWords
from seqloom.systems.tagger.segmentation.bigrams import BigramCounts
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.hmm import HiddenMarkovModel
from seqloom.systems.tagger.segmentation.maximum_matching import Direction, MaximumMatching
from seqloom.systems.tagger.segmentation.method import Arrays, Settings, StoredSegmenter
from seqloom.systems.tagger.segmentation.ngram import BigramPaths, UnigramPaths

if TYPE_CHECKING:
    from seqloom.systems.tagger.segmentation.config import StatisticsConfig

__all__ = ["DICTIONARY_METHODS", "NETWORK_METHODS", "STATISTICAL_METHODS", "dictionary_method", "fit", "restore"]

NETWORK_METHODS = ("blstm", "blstm-crf")

# Methods that need nothing but words and their counts, so every trained segmenter can run them as well.
DICTIONARY_METHODS = ("fmm", "bmm", "bimm", "fewest", "unigram")

STATISTICAL_METHODS = (*DICTIONARY_METHODS, "bigram", "hmm", "crf")
"""All methods without a network."""

_DIRECTIONS: dict[str, Direction] = {"fmm": "fmm", "bmm": "bmm", "bimm": "bimm"}


def _classes() -> dict[str, Any]:
    from seqloom.systems.tagger.segmentation.feature_crf import FeatureCRF

    return {
        **dict.fromkeys(_DIRECTIONS, MaximumMatching),
        "fewest": FewestWords,
        "unigram": UnigramPaths,
        "bigram": BigramPaths,
        "hmm": HiddenMarkovModel,
        "crf": FeatureCRF,
    }


def dictionary_method(method: str, words: Dictionary) -> StoredSegmenter:
    """A method that needs nothing but words.

    Raises:
        ConfigError: it needs more, or there is no such method.
    """
    if method in _DIRECTIONS:
        return MaximumMatching(words, _DIRECTIONS[method])
    if method == "fewest":
        return FewestWords(words)
    if method == "unigram":
        return UnigramPaths(words)
    raise ConfigError(f"method {method!r} needs more than words{did_you_mean(method, DICTIONARY_METHODS)}")


def fit(
    method: str,
    lines: Sequence[list[str]],
    words: Dictionary,
    settings: "StatisticsConfig",
    progress: Callable[[int, int], None] | None = None,
) -> StoredSegmenter:
    """A method without a network, fitted on segmented lines.

    Args:
        lines: the words of each training line.
        words: the same words with their counts.
        progress: called with the iteration, and the last there can be, by the one method that takes minutes.
    """
    if method in ("unigram", "bigram"):
        # Runs of single characters are mostly unknown words, which a model of characters reads better than a list of words.
        unknown = HiddenMarkovModel.fit(lines)
        if method == "unigram":
            return UnigramPaths(words, delta=settings.delta, unknown=unknown)
        bigrams = BigramCounts.count(words, lines)
        return BigramPaths(words, bigrams, weight=settings.interpolation, delta=settings.delta, unknown=unknown)
    if method in DICTIONARY_METHODS:
        return dictionary_method(method, words)
    if method == "hmm":
        return HiddenMarkovModel.fit(lines)
    from seqloom.systems.tagger.segmentation.feature_crf import FeatureCRF

    return FeatureCRF.fit(
        lines, c2=settings.c2, iterations=settings.iterations, algorithm=settings.algorithm, progress=progress
    )


def restore(method: str, arrays: Arrays, settings: Settings) -> StoredSegmenter:
    """The method that was saved as these arrays and settings."""
    classes = _classes()
    if method not in classes:
        raise ConfigError(f"method {method!r} is not known{did_you_mean(method, classes)}")
    segmenter: StoredSegmenter = classes[method].from_state(arrays, settings)
    return segmenter
