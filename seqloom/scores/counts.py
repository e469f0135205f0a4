"""Right, given out and expected: the counts behind precision, recall and F1, in all and by class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Counts", "class_counts", "confusion_matrix", "ratio"]


def ratio(part: float, whole: float, empty: float = 0.0) -> float:
    """A part over the whole; ``empty`` where there is nothing to divide by."""
    return part / whole if whole else empty


@dataclass(frozen=True, slots=True)
class Counts:
    """How many were right, given out and expected.

    Attributes:
        empty: a rate with nothing to divide by: 0, as in the CoNLL scorer, or NaN.

    >>> counts = Counts(correct=2, predicted=4, support=3)
    >>> counts.precision, round(counts.recall, 3), round(counts.f1, 3)
    (0.5, 0.667, 0.571)
    """

    correct: int = 0
    predicted: int = 0
    support: int = 0
    empty: float = field(default=0.0, compare=False, repr=False)

    @property
    def precision(self) -> float:
        """The part of what was given out that was right."""
        return ratio(self.correct, self.predicted, self.empty)

    @property
    def recall(self) -> float:
        """The part of what was expected that was given out."""
        return ratio(self.correct, self.support, self.empty)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return ratio(2 * self.correct, self.predicted + self.support, self.empty)

    def to_dict(self) -> dict[str, float]:
        """Rates and counts, for JSON."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "correct": self.correct,
            "predicted": self.predicted,
            "support": self.support,
        }


def confusion_matrix(pairs: Mapping[tuple[str, str], int], names: Sequence[str]) -> NDArray[np.int64]:
    """(K, K) how often each class (row) was taken for each class (column), from how often each ``(gold, predicted)`` occurs.

    >>> confusion_matrix({("N", "N"): 3, ("N", "V"): 1}, ["N", "V"]).tolist()
    [[3, 1], [0, 0]]
    """
    place = {name: index for index, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    for (gold, predicted), count in pairs.items():
        matrix[place[gold], place[predicted]] = count
    return matrix


def class_counts(names: Sequence[str], confusion: NDArray[Any]) -> dict[str, Counts]:
    """The counts of each class, by name.

    Args:
        confusion: (K, K) how often each class (row) was taken for each class (column).

    >>> class_counts(["N", "V"], np.array([[3, 1], [0, 0]]))["V"]
    Counts(correct=0, predicted=1, support=0)
    """
    columns = confusion.diagonal().tolist(), confusion.sum(0).tolist(), confusion.sum(1).tolist()
    return {name: Counts(*numbers) for name, *numbers in zip(names, *columns, strict=True)}
