"""The taggers without a network by name: how each is fitted on tagged sentences and read back from a model."""

from collections.abc import Callable
from typing import Any

from seqloom.data.vocabulary import TagVocabulary, Vocabulary
from seqloom.errors import ConfigError, did_you_mean
from seqloom.systems.tagger.baselines.config import BASELINES, StatisticsConfig
from seqloom.systems.tagger.baselines.method import BaselineMethod, Stored, TaggedCorpus

__all__ = ["fit", "restore"]


def fit(
    method: str,
    corpus: TaggedCorpus,
    settings: StatisticsConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BaselineMethod:
    """A method fitted on tagged sentences.

    Args:
        progress: called with the iteration, and the last there can be, by the one method that takes minutes.
    Raises:
        ConfigError: there is no such method.
    """
    chosen = settings or StatisticsConfig()
    if method == "most_frequent":
        from seqloom.systems.tagger.baselines.most_frequent import MostFrequentTag

        return MostFrequentTag.fit(corpus, rare=chosen.rare)
    if method == "hmm":
        from seqloom.systems.tagger.baselines.hmm import TrigramTagger

        return TrigramTagger.fit(corpus, longest_suffix=chosen.longest_suffix, rare=chosen.rare)
    if method == "crf":
        from seqloom.systems.tagger.baselines.feature_crf import FeatureCRF

        return FeatureCRF.fit(
            corpus, c2=chosen.c2, iterations=chosen.iterations, algorithm=chosen.algorithm, progress=progress
        )
    raise ConfigError(f"method {method!r} is not known{did_you_mean(method, BASELINES)}")


def restore(method: str, words: Vocabulary, tags: TagVocabulary, stored: Stored) -> BaselineMethod:
    """The method that was saved. Raises ConfigError where there is none of that name."""
    from seqloom.systems.tagger.baselines.feature_crf import FeatureCRF
    from seqloom.systems.tagger.baselines.hmm import TrigramTagger
    from seqloom.systems.tagger.baselines.most_frequent import MostFrequentTag

    classes: dict[str, Any] = {"most_frequent": MostFrequentTag, "hmm": TrigramTagger, "crf": FeatureCRF}
    if method not in classes:
        raise ConfigError(f"method {method!r} is not known{did_you_mean(method, classes)}")
    restored: BaselineMethod = classes[method].restored(words, tags, stored)
    return restored
