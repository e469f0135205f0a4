"""What can be configured about the taggers without a network."""

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["BASELINES", "Baseline", "StatisticsConfig"]

Baseline = Literal["most_frequent", "hmm", "crf"]
BASELINES: tuple[str, ...] = get_args(Baseline)


@dataclass(frozen=True)
class StatisticsConfig:
    """Settings of the methods without a network.

    Args:
        longest_suffix: of the hidden Markov model: characters of the longest ending that tells of an unknown word.
        rare: words seen at most so often tell what endings mean.
        algorithm: how the feature CRF is trained: as an averaged perceptron, or by L-BFGS in ten times the time.
        c2: strength of its L2 penalty under L-BFGS.
        iterations: of its training; L-BFGS needs 100 to 200, the perceptron about 10.
    """

    longest_suffix: int = 10
    rare: int = 10
    algorithm: Literal["lbfgs", "perceptron"] = "perceptron"
    c2: float = 0.5
    iterations: int = 10
