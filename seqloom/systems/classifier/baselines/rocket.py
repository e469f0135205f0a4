"""Very many small fixed convolutions and a ridge regression on how often each is positive: MiniRocket.

Dempster, Schmidt, Webb: MiniRocket, a very fast (almost) deterministic transform for time series classification, KDD 2021; with
several channels as in its authors' code: a kernel sums a random few of them. Series may have any length: they are continued with
zeros, and shares are over their own steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.series.filters import complete

__all__ = ["MiniRocket", "Ridge"]

_LENGTH = 9
_KERNELS = np.array(list(combinations(range(_LENGTH), 3)))  # where a kernel is 2; it is -1 elsewhere
_MOST_DILATIONS = 32
_VALUES = 2_000_000  # of one batch and dilation, 16 MB for each of 9 shifts
_GOLDEN = (np.sqrt(5) + 1) / 2


class MiniRocket:
    """Classifies series by MiniRocket's features.

    Args:
        features: about how many; the paper's 10,000 by default.
        seed: of the choice of channels, and of the training series that give the thresholds.
    """

    def __init__(self, features: int = 10_000, seed: int = 0) -> None:
        if features < len(_KERNELS):
            raise ValueError(f"features is {features}; expected at least {len(_KERNELS)}, one for each kernel")
        self.features, self.seed = features, seed

    def fit(
        self,
        series: Sequence[NDArray[Any]],
        labels: Sequence[int] | NDArray[Any],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Self:
        """Learns from series (T, D), each with at least one step, and their classes, 0 to K - 1.

        Raises:
            ValueError: there are none, or one does not fit; says which.
        """
        if not len(series) or len(series) != len(labels):
            raise ValueError(f"{len(series)} series and {len(labels)} labels; expected as many, and at least one")
        self.width_ = int(np.shape(series[0])[-1])
        self._check(series)
        random = np.random.default_rng(self.seed)
        longest = max(len(one) for one in series)
        self.dilations_, self.counts_ = _dilations(self.features // len(_KERNELS), longest)
        self.channels_ = _channels(len(self.dilations_) * len(_KERNELS), self.width_, random)
        self.thresholds_ = self._thresholds(series, random)
        transformed = self.transform(series, progress)
        self.ridge_ = Ridge().fit(transformed, np.asarray(labels, np.int64))
        return self

    def _check(self, series: Sequence[NDArray[Any]]) -> None:
        for index, one in enumerate(series):
            shape = np.shape(one)
            if len(shape) != 2 or shape[1] != self.width_ or not shape[0]:
                raise ValueError(
                    f"series[{index}] has the shape {shape}; expected (T, {self.width_}) with at least one step"
                )

    def _thresholds(self, series: Sequence[NDArray[Any]], random: np.random.Generator) -> NDArray[np.float32]:
        """Quantiles of what each kernel gives on one training series of chance."""
        chosen = random.integers(0, len(series), (len(self.dilations_), len(_KERNELS)))
        total = int(self.counts_.sum()) * len(_KERNELS)
        quantiles = (np.arange(1, total + 1) * _GOLDEN) % 1
        thresholds = np.empty(total, np.float32)
        start = 0
        for row, (dilation, count) in enumerate(zip(self.dilations_.tolist(), self.counts_.tolist(), strict=True)):
            examples = sorted(set(chosen[row].tolist()))
            shifts = {index: _shifts(complete([series[index]])[0][None], dilation) for index in examples}
            for kernel in range(len(_KERNELS)):
                output = self._output(shifts[int(chosen[row, kernel])], row, kernel)[0]
                end = start + count
                thresholds[start:end] = np.quantile(output, quantiles[start:end])
                start = end
        return thresholds

    def _output(self, shifts: NDArray[np.float32], row: int, kernel: int) -> NDArray[np.float32]:
        """(B, T) a kernel at a dilation on (10, B, D, T) shifted series, of which the last is minus their sum."""
        channels = np.flatnonzero(self.channels_[row * len(_KERNELS) + kernel])
        a, b, c = _KERNELS[kernel]
        if len(channels) == 1:
            (channel,) = channels
            summed: NDArray[np.float32] = shifts[a, :, channel] + shifts[b, :, channel] + shifts[c, :, channel]
            return shifts[_LENGTH, :, channel] + 3 * summed
        summed = shifts[a][:, channels] + shifts[b][:, channels] + shifts[c][:, channels]
        output: NDArray[np.float32] = (shifts[_LENGTH][:, channels] + 3 * summed).sum(axis=1)
        return output

    def transform(
        self, series: Sequence[NDArray[Any]], progress: Callable[[int, int], None] = lambda done, total: None
    ) -> NDArray[np.float32]:
        """(S, features) the share of steps at which each kernel exceeds its threshold."""
        result = np.empty((len(series), len(self.thresholds_)), np.float32)
        order = np.argsort([len(one) for one in series], kind="stable")
        start = 0
        while start < len(series):
            longest, size = len(series[order[start]]), 1
            while start + size < len(series):
                longest = len(series[order[start + size]])
                if (size + 1) * longest * self.width_ > _VALUES:
                    break
                size += 1
            rows = order[start : start + size]
            result[rows] = self._batch(complete([series[row] for row in rows]))
            start += size
            progress(start, len(series))
        return result

    def _batch(self, series: list[NDArray[np.float64]]) -> NDArray[np.float32]:
        lengths = np.array([len(one) for one in series])
        steps = int(lengths.max())
        padded = np.zeros((len(series), steps, self.width_))
        for index, one in enumerate(series):
            padded[index, : len(one)] = one
        result = np.empty((len(series), len(self.thresholds_)), np.float32)
        start = 0
        for row, (dilation, count) in enumerate(zip(self.dilations_.tolist(), self.counts_.tolist(), strict=True)):
            shifts = _shifts(padded, dilation)
            margin = (_LENGTH // 2) * dilation
            whole = np.arange(steps) < lengths[:, None]
            # Every second kernel looks only where it lies inside the series, if it does anywhere.
            inner = whole & (np.arange(steps) >= margin) & (np.arange(steps) < lengths[:, None] - margin)
            inner = np.where(inner.any(axis=1, keepdims=True), inner, whole)
            for kernel in range(len(_KERNELS)):
                counted = whole if (row + kernel) % 2 == 0 else inner
                output = np.where(counted, self._output(shifts, row, kernel), -np.inf)
                for feature in range(start, start + count):
                    result[:, feature] = np.count_nonzero(output > self.thresholds_[feature], axis=1)
                result[:, start : start + count] /= counted.sum(axis=1, keepdims=True)
                start += count
        return result

    def scores(self, series: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """(S, K) of each class, about 1 for and -1 against.

        Raises:
            ValueError: a series has other channels than training, or no steps; says which.
        """
        self._check(series)
        return self.ridge_.scores(self.transform(series))

    def predict(self, series: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
        """The class of each series. Raises as `scores`."""
        labels: NDArray[np.int64] = self.scores(series).argmax(axis=1)
        return labels

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it has learned, as numbers."""
        own = {
            "dilations": self.dilations_,
            "counts": self.counts_,
            "channels": self.channels_,
            "thresholds": self.thresholds_,
        }
        return own | {f"ridge_{name}": array for name, array in self.ridge_.arrays().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What `arrays` gave, again.

        Raises:
            ValueError: an array is missing or does not fit the others.
        """
        made = cls()
        try:
            made.dilations_ = arrays["dilations"].astype(np.int64)
            made.counts_ = arrays["counts"].astype(np.int64)
            made.channels_ = arrays["channels"].astype(bool)
            made.thresholds_ = arrays["thresholds"].astype(np.float32)
            ridge = {name: arrays[f"ridge_{name}"] for name in ("centre", "scale", "weights", "bias")}
        except KeyError as missing:
            raise ValueError(f"the MiniRocket has no array {missing}") from None
        count = len(made.thresholds_)
        fits = (
            made.dilations_.shape == made.counts_.shape == (len(made.dilations_),)
            and bool((made.dilations_ > 0).all() and (made.dilations_ < 2**20).all() and (made.counts_ >= 0).all())
            and made.thresholds_.shape == (int(made.counts_.sum()) * len(_KERNELS),)
            and made.channels_.ndim == 2
            and len(made.channels_) == len(made.dilations_) * len(_KERNELS)
            and ridge["centre"].shape == ridge["scale"].shape == (count,)
            and ridge["bias"].ndim == 1
            and ridge["weights"].shape == (count, len(ridge["bias"]))
        )
        if not fits:
            raise ValueError("the arrays of the MiniRocket do not fit each other")
        made.width_ = made.channels_.shape[1]
        made.ridge_ = Ridge.from_arrays(ridge)
        return made


def _dilations(per_kernel: int, steps: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Dilations, spread exponentially up to the length of the series, and how many features of a kernel each has."""
    most = min(per_kernel, _MOST_DILATIONS)
    exponent = max(0.0, float(np.log2(max(steps - 1, 1) / (_LENGTH - 1))))
    dilations, counts = np.unique(np.logspace(0, exponent, most, base=2).astype(np.int64), return_counts=True)
    counts = (counts * (per_kernel / most)).astype(np.int64)
    for index in range(per_kernel - int(counts.sum())):
        counts[index % len(counts)] += 1
    return dilations, counts


def _channels(count: int, width: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """(count, D) which channels each kernel sums: few rather than many, at most nine."""
    most = min(width, _LENGTH)
    sizes = (2 ** random.uniform(0, np.log2(most + 1), count)).astype(np.int64)
    ranks = random.random((count, width)).argsort(axis=1).argsort(axis=1)
    return ranks < sizes[:, None]


def _shifts(padded: NDArray[np.float64], dilation: int) -> NDArray[np.float32]:
    """(10, B, D, T): the series (B, T, D) as each place of a kernel sees it, and minus the sum of these."""
    batch, steps, width = padded.shape
    margin = (_LENGTH // 2) * dilation
    wide = np.zeros((batch, width, steps + 2 * margin), np.float32)
    wide[:, :, margin : margin + steps] = padded.transpose(0, 2, 1)
    shifts = np.empty((_LENGTH + 1, batch, width, steps), np.float32)
    for place in range(_LENGTH):
        shifts[place] = wide[:, :, place * dilation : place * dilation + steps]
    shifts[_LENGTH] = -shifts[:_LENGTH].sum(axis=0)
    return shifts


class Ridge:
    """Ridge regression on 1 for the class and -1 for the others, its penalty chosen by leaving each example out.

    Args:
        penalties: to choose from.
    """

    def __init__(self, penalties: Sequence[float] = tuple(np.logspace(-3, 3, 10))) -> None:
        self.penalties = penalties

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> Self:
        """Learns from (S, F) features, which are scaled to the deviation 1. Cost: O(S F min(S, F))."""
        features = features.astype(np.float64)
        self.centre_ = features.mean(axis=0)
        deviation = features.std(axis=0)
        self.scale_ = np.where(deviation > 1e-8, deviation, 1.0)
        x = (features - self.centre_) / self.scale_
        targets = np.where(labels[:, None] == np.arange(int(labels.max()) + 1), 1.0, -1.0)
        self.bias_ = targets.mean(axis=0)
        y = targets - self.bias_
        # x = u s v; of the two Gram matrices the smaller one gives it.
        wide = len(x) <= x.shape[1]
        values, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
        kept = values > values[-1] * 1e-10 if values[-1] > 0 else np.zeros(len(values), bool)
        squares, vectors = values[kept], vectors[:, kept]
        u = vectors if wide else x @ vectors / np.sqrt(squares)
        projected = u.T @ y
        best, self.penalty_ = np.inf, float(self.penalties[0])
        for penalty in self.penalties:
            shrunk = squares / (squares + penalty)
            leverage = np.minimum(1 / len(x) + np.square(u) @ shrunk, 1 - 1e-9)
            error = float(np.square((y - u @ (shrunk[:, None] * projected)) / (1 - leverage)[:, None]).mean())
            if error < best:
                best, self.penalty_ = error, float(penalty)
        if wide:
            self.weights_ = x.T @ (u @ (projected / (squares + self.penalty_)[:, None]))
        else:
            self.weights_ = vectors @ (np.sqrt(squares)[:, None] * projected / (squares + self.penalty_)[:, None])
        return self

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """(S, K) of each class."""
        scores: NDArray[np.float64] = ((features - self.centre_) / self.scale_) @ self.weights_ + self.bias_
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it has learned, as numbers."""
        return {"centre": self.centre_, "scale": self.scale_, "weights": self.weights_, "bias": self.bias_}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What `arrays` gave, again."""
        made = cls()
        made.centre_, made.scale_ = arrays["centre"], arrays["scale"]
        made.weights_, made.bias_ = arrays["weights"], arrays["bias"]
        return made
