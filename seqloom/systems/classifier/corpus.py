"""Examples as arrays: all features of a corpus at once, cut into padded batches; with augmentation, anew for each batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqloom.data.batching import pad_rows
from seqloom.data.features import Features, Flat, Offsets
from seqloom.errors import DataError
from seqloom.systems.classifier.network import ClassifierBatch
from seqloom.systems.supervised import Corpus

__all__ = ["VectorCorpus", "target_tensor"]


class VectorCorpus(Corpus):
    """Series of vectors.

    Args:
        flat, offsets: the recorded series, one after the other.
        features: what a network reads of them.
        targets: (S, ...) a row for each series, or (N, K) one for each step.
        stepwise: whether there is one for each step.
        augment: whether batches of training are changed by chance, if the features can do so.
    """

    def __init__(
        self,
        flat: Flat,
        offsets: Offsets,
        features: Features,
        targets: NDArray[Any] | None = None,
        *,
        stepwise: bool = False,
        augment: bool = False,
    ):
        self._flat, self._offsets = features.apply(flat, offsets)
        self.lengths = np.diff(self._offsets)
        self._targets, self._stepwise, self._features = targets, stepwise, features
        if stepwise and not np.array_equal(self._offsets, offsets):
            raise DataError(
                "targets of each step need features that keep the steps; switch resampling and thinning off"
            )
        augment = augment and features.augments
        self._recorded = (flat, offsets) if augment else None

    def batch(self, indices: NDArray[Any], random: np.random.Generator | None = None) -> ClassifierBatch:
        """The series of these indices, padded to the longest of them; with ``random``, as augmentation changes them."""
        if random is None or self._recorded is None:
            padded, lengths = pad_rows(self._flat, self._offsets, indices)
        else:
            flat, offsets = self._features.apply(*picked(*self._recorded, indices), random)
            padded, lengths = pad_rows(flat, offsets, np.arange(len(indices)))
        inputs, steps = torch.from_numpy(padded), torch.from_numpy(lengths)
        return ClassifierBatch(inputs, steps, target_tensor(self._targets, indices, self._of_steps()))

    def _of_steps(self) -> Offsets | None:
        return self._offsets if self._stepwise else None


def target_tensor(
    targets: NDArray[Any] | None, indices: NDArray[Any], steps: Offsets | None = None
) -> torch.Tensor | None:
    """The targets of some examples; with ``steps``, those of all their steps, one after the other."""
    if targets is None:
        return None
    rows = targets[indices] if steps is None else picked(targets, steps, indices)[0]
    return torch.from_numpy(np.ascontiguousarray(rows))


def picked(flat: NDArray[Any], offsets: Offsets, indices: NDArray[Any]) -> tuple[NDArray[Any], Offsets]:
    """Some of the rows of different lengths, one after the other, and where each begins."""
    chosen = np.asarray(indices, np.int64)
    lengths = offsets[chosen + 1] - offsets[chosen]
    ends = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    places = np.repeat(offsets[chosen] - ends[:-1], lengths) + np.arange(ends[-1])
    return flat[places], ends
