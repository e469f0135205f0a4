"""Is one model better than another, or was it luck? The paired bootstrap over the sentences of a test (Koehn 2004)."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Difference", "paired_bootstrap"]

# Resampled counts held at once, 8 bytes each.
_HELD = 4_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better the first of two models is, and how sure that is.

    Attributes:
        metric: its name.
        first, second: the metric of each on the test itself.
        low, high: ends of the 95 % percentile interval of the difference.
        p_value: share of samples in which the model that is ahead is not; one-sided, at least 1 / (samples + 1).
        units: how many sentences were resampled.
        samples, seed: how often, and from where.
    """

    metric: str
    first: float
    second: float
    low: float
    high: float
    p_value: float
    units: int
    samples: int
    seed: int

    @property
    def difference(self) -> float:
        """The first minus the second."""
        return self.first - self.second

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{self.metric} {self.difference:+.4f}, 95 % interval {self.low:+.4f} to {self.high:+.4f}, p = {self.p_value:.4f} "
            f"(paired bootstrap, {self.samples:,} samples of {self.units:,} sentences, seed {self.seed})"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "difference": self.difference}


def paired_bootstrap(
    metric: str, first: NDArray[Any], second: NDArray[Any], *, samples: int = 10_000, seed: int = 0
) -> Difference:
    """Compares a metric that is a ratio of sums over sentences, as accuracy and micro-averaged F1 are.

    Both models are scored on the same sentences, drawn with replacement, again and again. Sentences whose counts are
    the same for both models are one kind, and how many of each kind are drawn is multinomial: the same distribution as
    drawing them singly, at a cost that grows with the kinds rather than with the sentences.

    Args:
        first, second: (S, 2) each sentence's part of the ratio's numerator and denominator.
        samples: how often to draw.
    Raises:
        ValueError: the two are not of the same sentences, there is none, or ``samples`` is not positive.

    >>> right, wrong = np.array([[9, 10]] * 50), np.array([[8, 10]] * 50)
    >>> print(paired_bootstrap("accuracy", right, wrong, samples=99))
    accuracy +0.1000, 95 % interval +0.1000 to +0.1000, p = 0.0100 (paired bootstrap, 99 samples of 50 sentences, seed 0)
    """
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != 2:
        raise ValueError(
            f"counts of shapes {first.shape} and {second.shape}; expected (sentences, 2) twice, of one test"
        )
    if not len(first) or samples < 1:
        raise ValueError(f"{len(first)} sentences and {samples} samples; expected at least one of each")
    kinds, times = np.unique(np.concatenate([first, second], axis=1), axis=0, return_counts=True)
    random = np.random.default_rng(seed)
    differences = []
    for begin in range(0, samples, block := max(1, _HELD // len(kinds))):
        drawn = random.multinomial(len(first), times / len(first), size=min(block, samples - begin))
        differences.append(_differences(drawn.astype(np.float64) @ kinds))
    sampled = np.concatenate(differences)
    whole = first.sum(0), second.sum(0)
    ours, theirs = (float(_ratio(*counts.astype(np.float64))) for counts in whole)
    against = int(((sampled <= 0) if ours >= theirs else (sampled >= 0)).sum())
    low, high = np.percentile(sampled, [2.5, 97.5]).tolist()
    return Difference(metric, ours, theirs, low, high, (against + 1) / (samples + 1), len(first), samples, seed)


def _differences(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return _ratio(sums[:, 0], sums[:, 1]) - _ratio(sums[:, 2], sums[:, 3])


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zero where there is nothing to divide by, as in the scores themselves."""
    ratio: NDArray[np.float64] = np.where(denominator > 0, numerator / np.maximum(denominator, 1), 0.0)
    return ratio
