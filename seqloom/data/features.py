"""What stands between a series as it was recorded and what a network reads: alike in training, offline and live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Features", "Flat", "Offsets"]

Flat: TypeAlias = NDArray[np.float32]
"""(N, D) the steps of several series, one after the other."""
Offsets: TypeAlias = NDArray[np.int64]
"""(S + 1,) where each of S series begins in it, and the last one ends."""


class Features(Protocol):
    """A way from recorded series to features, whole batches at once.

    Attributes:
        output_size: D of a step of the features; known before `fit`.
        augments: whether `apply` changes anything by chance.
        stepwise: whether each step becomes one step that depends on nothing else: what a stream needs.
    """

    output_size: int
    augments: bool
    stepwise: bool

    def fit(self, flat: Flat, offsets: Offsets) -> None:
        """Learns what the way needs of the training series, such as means and deviations."""
        ...

    def apply(self, flat: Flat, offsets: Offsets, random: np.random.Generator | None = None) -> tuple[Flat, Offsets]:
        """The features of series, each as if it were alone. Lengths may change.

        Args:
            random: where the changes of training come from (augmentation); without it nothing is left to chance.
        """
        ...

    def statistics(self) -> dict[str, NDArray[Any]]:
        """What `fit` learned, for a saved model."""
        ...

    def restore(self, statistics: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what `statistics` gave.

        Raises:
            ValueError: an array is missing or of another shape.
        """
        ...
