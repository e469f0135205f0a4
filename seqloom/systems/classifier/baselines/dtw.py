"""The nearest neighbour under dynamic time warping, the usual yardstick of series classification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.series.filters import complete

__all__ = ["NearestWarped", "warped_distances"]

_FIRST, _VALUES = 32, 1_000_000  # candidates of the first batch; numbers of a diagonal, 8 MB


def warped_distances(
    query: NDArray[np.float64], candidates: NDArray[np.float64], lengths: NDArray[np.int64], window: float = 1.0
) -> NDArray[np.float64]:
    """Distances of a series to several: the least sum of squared distances along a path that warps time (Sakoe & Chiba 1978).

    All channels are warped together. Steps i and j may meet where |i - j| is at most ``window`` times the longer length, or the
    difference of the lengths. Cost: O(C D T^2) time in 2 T vectorised steps, O(C D T) memory.

    Args:
        query: (T, D), at least one step.
        candidates: (C, M, D), padded.
        lengths: (C,) from 1 to M.
    Returns:
        (C,).
    """
    n, (count, m, _) = len(query), candidates.shape
    band = np.maximum(np.floor(window * np.maximum(n, lengths)), np.abs(n - lengths)).astype(np.int64)
    widest, narrow = int(band.max()), bool((band < max(n, m) - 1).any())
    steps = np.ascontiguousarray(candidates.transpose(1, 0, 2))
    result = np.empty(count)
    # Cells on a diagonal, i + j, do not depend on each other. Row i + 1 of the tables is step i; row 0 stays unreachable.
    before, last, now = (np.full((n + 1, count), np.inf) for _ in range(3))
    for diagonal in range(n + m - 1):
        low = max(0, diagonal - m + 1, -((widest - diagonal) // 2))
        high = min(n - 1, diagonal, (diagonal + widest) // 2)
        now.fill(np.inf)
        if low <= high:
            apart = query[low : high + 1, None] - steps[diagonal - high : diagonal - low + 1][::-1]
            cost = np.einsum("icd,icd->ic", apart, apart)
            if diagonal:
                reached = np.minimum(last[low + 1 : high + 2], last[low : high + 1])
                cost += np.minimum(reached, before[low : high + 1], out=reached)
            if narrow:
                cost[np.abs(2 * np.arange(low, high + 1) - diagonal)[:, None] > band] = np.inf
            now[low + 1 : high + 2] = cost
        ends = np.flatnonzero(lengths + n - 2 == diagonal)
        result[ends] = now[n, ends]
        before, last, now = last, now, before
    return result


class NearestWarped:
    """The class of the training series that is nearest under dynamic time warping.

    Series are compared as they are; scale channels before. Candidates are taken in the order of a lower bound (the ends: Kim et
    al. 2001; the envelope: Keogh & Ratanamahatana 2005) until it exceeds the distance of the best.

    Args:
        window: how far warping may move a step, as a share of the length; 1 as far as it wants.
    """

    def __init__(self, window: float = 1.0) -> None:
        if not 0 <= window <= 1:
            raise ValueError(f"window is {window}; expected a share, 0 to 1")
        self.window = window

    def fit(self, series: Sequence[NDArray[Any]], labels: Sequence[int] | NDArray[Any]) -> Self:
        """Keeps the training series, (T, D) each with at least one step, and their classes, 0 to K - 1.

        Raises:
            ValueError: there are none, or one does not fit; says which.
        """
        if not len(series) or len(series) != len(labels):
            raise ValueError(f"{len(series)} series and {len(labels)} labels; expected as many, and at least one")
        _check(series, np.shape(series[0])[-1])
        whole = complete(series)
        self.labels_ = np.asarray(labels, np.int64)
        self.lengths_ = np.array([len(one) for one in whole], np.int64)
        self.candidates_ = np.zeros((len(whole), int(self.lengths_.max()), whole[0].shape[1]))
        for row, one in zip(self.candidates_, whole, strict=True):
            row[: len(one)] = one
            row[len(one) :] = one[-1]
        self._bound()
        return self

    def _bound(self) -> None:
        """The range of each channel that a step of a query can meet; the whole of it where lengths differ."""
        m = self.candidates_.shape[1]
        self._equal = bool((self.lengths_ == m).all())
        reach = int(np.floor(self.window * m)) if self._equal else m
        # What is padded repeats the last step, so the range over the padded rows is that of the series.
        self._high, self._low = self.candidates_.copy(), self.candidates_.copy()
        if reach >= m - 1:
            self._high = self.candidates_.max(axis=1, keepdims=True)
            self._low = self.candidates_.min(axis=1, keepdims=True)
            return
        for shift in range(1, reach + 1):
            for high, low, other in (
                (self._high[:, shift:], self._low[:, shift:], self.candidates_[:, :-shift]),
                (self._high[:, :-shift], self._low[:, :-shift], self.candidates_[:, shift:]),
            ):
                np.maximum(high, other, out=high)
                np.minimum(low, other, out=low)

    def _lower_bounds(self, query: NDArray[np.float64]) -> NDArray[np.float64]:
        n, m = len(query), self.candidates_.shape[1]
        first = np.square(self.candidates_[:, 0] - query[0]).sum(axis=1)
        last = np.square(self.candidates_[:, -1] - query[-1]).sum(axis=1)
        ends: NDArray[np.float64] = np.where(np.maximum(self.lengths_, n) > 1, first + last, first)
        if self._high.shape[1] > 1 and n != m:
            return ends
        outside = np.maximum(np.maximum(query - self._high, self._low - query), 0.0)
        bounds: NDArray[np.float64] = np.maximum(ends, np.square(outside).sum(axis=(1, 2)))
        return bounds

    def nearest(self, query: NDArray[np.float64]) -> tuple[int, float]:
        """The training series that is nearest to a complete series (T, D), the first of equals, and its distance."""
        bounds = self._lower_bounds(query)
        order = np.argsort(bounds, kind="stable")
        best, distance = int(order[0]), np.inf
        most = max(1, _VALUES // query.size)
        start, size = 0, min(_FIRST, most)
        # Bounds and distances are rounded differently: a tie is looked at.
        while start < len(order) and bounds[order[start]] <= distance * (1 + 1e-9):
            rows = order[start : start + size]
            longest = int(self.lengths_[rows].max())
            found = warped_distances(query, self.candidates_[rows, :longest], self.lengths_[rows], self.window)
            nearest = float(found.min())
            row = int(rows[found == nearest].min())
            if nearest < distance or (nearest == distance and row < best):
                best, distance = row, nearest
            start, size = start + size, min(2 * size, most)
        return best, distance

    def predict(
        self, series: Sequence[NDArray[Any]], progress: Callable[[int, int], None] = lambda done, total: None
    ) -> NDArray[np.int64]:
        """The class of each series (T, D).

        Raises:
            ValueError: one has other channels than training, or no steps; says which.
        """
        _check(series, self.candidates_.shape[2])
        labels = np.empty(len(series), np.int64)
        for index, query in enumerate(complete(series)):
            labels[index] = self.labels_[self.nearest(query)[0]]
            progress(index + 1, len(series))
        return labels

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it keeps, as numbers."""
        rows = [row[:length] for row, length in zip(self.candidates_, self.lengths_.tolist(), strict=True)]
        return {
            "flat": np.concatenate(rows),
            "lengths": self.lengths_,
            "labels": self.labels_,
            "window": np.array(self.window),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What `arrays` gave, again.

        Raises:
            ValueError: an array is missing or does not fit.
        """
        try:
            flat, lengths, labels = arrays["flat"], arrays["lengths"].astype(np.int64), arrays["labels"]
            if flat.ndim != 2 or (lengths < 1).any() or lengths.sum() != len(flat) or (labels < 0).any():
                raise ValueError(f"flat {flat.shape} does not fit lengths with the sum {lengths.sum()}")
            return cls(float(arrays["window"])).fit(np.split(flat, np.cumsum(lengths)[:-1]), labels)
        except KeyError as missing:
            raise ValueError(f"the nearest neighbour has no array {missing}") from None


def _check(series: Sequence[NDArray[Any]], width: int) -> None:
    for index, one in enumerate(series):
        shape = np.shape(one)
        if len(shape) != 2 or shape[1] != width or not shape[0]:
            raise ValueError(f"series[{index}] has the shape {shape}; expected (T, {width}) with at least one step")
