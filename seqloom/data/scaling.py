"""Mean and deviation of features over the training data, and features in deviations from that mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scaling"]


class Scaling:
    """Standardises the columns of features; before `fit` it changes nothing.

    Args:
        size: how many columns there are.
        groups: (size,) of which group each column is, from 0: columns of a group are divided by one deviation, which keeps
            their proportions. Without it each column has its own.
    """

    def __init__(self, size: int, groups: NDArray[np.int64] | None = None) -> None:
        self._groups = groups
        self.mean, self.deviation = np.zeros(size, np.float32), np.ones(size, np.float32)

    def fit(self, features: NDArray[Any]) -> None:
        """Learns mean and deviation of (N, size) features; a column that never changes keeps the deviation 1."""
        if not len(features):
            return
        mean = features.mean(axis=0, dtype=np.float64)
        variance = np.maximum(np.square(features - mean).mean(axis=0, dtype=np.float64), 0.0)
        if self._groups is not None:
            variance = (np.bincount(self._groups, variance) / np.maximum(np.bincount(self._groups), 1))[self._groups]
        deviation = np.sqrt(variance)
        self.mean = mean.astype(np.float32)
        self.deviation = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)

    def apply(self, features: NDArray[Any]) -> NDArray[Any]:
        """The features in deviations from the mean."""
        return (features - self.mean) / self.deviation

    def statistics(self) -> dict[str, NDArray[Any]]:
        """``mean`` and ``deviation``, float32."""
        return {"mean": self.mean, "deviation": self.deviation}

    def restore(self, statistics: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what `statistics` gave.

        Raises:
            ValueError: one of them is missing, of another shape, or impossible.
        """
        found = {}
        for name, now in self.statistics().items():
            array = statistics.get(name)
            if array is None:
                raise ValueError(f"the statistics have no {name!r}")
            if array.shape != now.shape or array.dtype.kind != "f":
                raise ValueError(
                    f"{name!r} is {array.dtype} of shape {array.shape}; expected floats of shape {now.shape}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"{name!r} holds values that are no finite numbers")
            found[name] = array.astype(np.float32)
        if not (found["deviation"] > 0).all():
            raise ValueError("'deviation' holds values that are not above 0")
        self.mean, self.deviation = found["mean"], found["deviation"]
