"""What can be configured about the taggers without a network."""

from dataclasses import dataclass
from typing import Literal, get_args

from seqloom.systems.crfsuite import FeatureCrfConfig

__all__ = ["BASELINES", "Baseline", "StatisticsConfig"]

Baseline = Literal["most_frequent", "hmm", "crf"]
BASELINES: tuple[str, ...] = get_args(Baseline)


@dataclass(frozen=True)
class StatisticsConfig(FeatureCrfConfig):
    """Settings of the methods without a network; those of the feature CRF are :class:`FeatureCrfConfig`'s.

    Args:
        longest_suffix: of the hidden Markov model: characters of the longest ending that tells of an unknown word.
        rare: words seen at most so often tell what endings mean.
    """

    longest_suffix: int = 10
    rare: int = 10
