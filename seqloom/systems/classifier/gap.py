"""Global average precision, the score of multi-label video (Abu-El-Haija et al. 2016; Miech et al. 2017)."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["global_average_precision"]


def global_average_precision(
    scores: NDArray[np.floating], gold: NDArray[np.bool_], best: int = 20, seed: int = 0
) -> float:
    """``sum_i precision(i) [i right] / P`` over the ``best`` classes of every example, all pooled and sorted by score.

    P counts all true labels, also those that are not among the best. Ties are broken by a fixed shuffle.

    Args:
        scores: (S, K).
        gold: (S, K) true labels.
        best: how many classes of each example count.

    >>> scores = np.array([[0.9, 0.8], [0.2, 0.7]])
    >>> round(global_average_precision(scores, np.array([[True, False], [True, False]])), 4)
    0.75
    """
    classes = scores.shape[1]
    order = np.random.default_rng(seed).permutation(classes)
    shuffled, truth = scores[:, order], gold[:, order]
    taken = np.argsort(-shuffled, axis=1, kind="stable")[:, : min(best, classes)]
    pooled, right = np.take_along_axis(shuffled, taken, 1).ravel(), np.take_along_axis(truth, taken, 1).ravel()
    mixed = np.random.default_rng(seed).permutation(len(pooled))
    pooled, right = pooled[mixed], right[mixed]
    right = right[np.argsort(-pooled, kind="stable")]
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    total = int(gold.sum())
    return float((precision * right).sum() / total) if total else float("nan")
