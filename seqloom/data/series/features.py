"""Features of sensors: units, rate, gravity, smoothing, further channels, scaling; the same offline and live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.features import Flat, Offsets
from seqloom.data.series.augmentation import augmented
from seqloom.data.series.config import SensorFeaturesConfig
from seqloom.data.series.filters import at, difference, firsts, held, interpolated, moving_mean, one_pole
from seqloom.errors import ConfigError, did_you_mean

__all__ = ["SensorFeatures"]

_QUARTILES = 1.349  # quartile distance of a normal distribution, in deviations


class SensorFeatures:
    """Features of series of sensors, see `SensorFeaturesConfig`; a `seqloom.data.features.Features`.

    Args:
        channels: names of the D recorded columns.
        rate: steps in a second of the recordings; none where it is not known.
    Raises:
        ConfigError: a channel is not among them, or another rate is wanted and that of the data not known.
    """

    def __init__(self, config: SensorFeaturesConfig, channels: Sequence[str], rate: float | None = None) -> None:
        self.config, self.channels = config, tuple(str(name) for name in channels)
        if config.rate and not rate:
            raise ConfigError(
                f"features.rate is {config.rate:g}, and the data do not say their own; name it, such as --data.rate 50"
            )
        self._ratio = rate / config.rate if rate and config.rate else 1.0
        self._factors = np.ones(len(self.channels), np.float32)
        for name, factor in config.units.items():
            self._factors[self._column(name, "units")] = factor
        self._triples = {
            triple: np.array([self._column(name, "triples") for name in triple.split()]) for triple in config.triples
        }
        self.output_size = len(self.channels) + len(self._triples) * config.magnitudes
        self.output_size *= 1 + config.differences
        changes = config.augmentation
        self.augments = changes.probability > 0 and any(
            (changes.jitter, changes.scaling, changes.rotation, changes.warp, changes.crop)
        )
        self.stepwise = config.low_pass == "none" and not (config.rate or config.gravity or config.differences)
        self._spread = np.ones(len(self.channels), np.float32)
        self._centre = np.zeros(self.output_size, np.float32)
        self._scale = np.ones(self.output_size, np.float32)

    def _column(self, name: str, key: str) -> int:
        if name not in self.channels:
            raise ConfigError(f"features.{key}: {name!r} is not a channel{did_you_mean(name, self.channels)}")
        return self.channels.index(name)

    def fit(self, flat: Flat, offsets: Offsets) -> None:
        """Learns the deviation of the channels, and what the scaling needs."""
        recorded, offsets = self._recorded(flat, offsets)
        if not len(recorded):
            return
        self._spread = _spread(recorded)
        features = self._features(recorded, offsets)
        kind = self.config.scaling
        centre: NDArray[Any]
        scale: NDArray[Any]
        if kind == "none":
            return
        with np.errstate(invalid="ignore"):
            if kind == "deviation":
                centre, scale = _nan(np.nanmean, features), _spread(features)
            elif kind == "range":
                low, high = _nan(np.nanmin, features), _nan(np.nanmax, features)
                centre, scale = (low + high) / 2, (high - low) / 2
            else:
                centre = _nan(np.nanmedian, features)
                low, high = (_nan(lambda x, axis, q=q: np.nanquantile(x, q, axis), features) for q in (0.25, 0.75))
                scale = (high - low) / _QUARTILES
        self._centre = np.nan_to_num(centre).astype(np.float32)
        # A channel that never changes stays 0, whatever the rounding of its mean.
        scale = np.nan_to_num(scale).astype(np.float64)
        self._scale = np.where(scale > 1e-6 * np.abs(self._centre) + 1e-12, scale, 1.0).astype(np.float32)

    def apply(self, flat: Flat, offsets: Offsets, random: np.random.Generator | None = None) -> tuple[Flat, Offsets]:
        """The features of series, each as if it were alone. Lengths change with the rate, and with augmentation."""
        flat, offsets = self._recorded(flat, offsets)
        if random is not None:
            triples = list(self._triples.values())
            flat, offsets = augmented(flat, offsets, self.config.augmentation, self._spread, triples, random)
        features = (self._features(flat, offsets) - self._centre) / self._scale
        return np.nan_to_num(features, copy=False, nan=0.0), offsets

    def _recorded(self, flat: Flat, offsets: Offsets) -> tuple[Flat, Offsets]:
        """In the units and at the rate that are wanted, without gaps."""
        flat = np.asarray(flat, np.float32).reshape(-1, len(self.channels)) * self._factors
        offsets = np.asarray(offsets, np.int64)
        first = firsts(offsets)
        flat = held(flat, first) if self.config.missing == "hold" else interpolated(flat, first)
        if self._ratio == 1.0:
            return flat, offsets
        lengths = np.diff(offsets)
        # 1e-9: the last step stays the last where a quotient of rates is rounded.
        after = np.where(lengths > 0, np.floor((lengths - 1) / self._ratio + 1e-9).astype(np.int64) + 1, 0)
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(after)])
        positions = (np.arange(bounds[-1]) - np.repeat(bounds[:-1], after)) * self._ratio
        return at(flat, offsets, after, np.minimum(positions, np.repeat(lengths - 1, after))), bounds

    def _features(self, flat: Flat, offsets: Offsets) -> Flat:
        config, first = self.config, firsts(offsets)
        if config.gravity:
            flat = flat.copy()
            for triple in config.gravity:
                columns = self._triples[triple]
                flat[:, columns] -= one_pole(flat[:, columns], first, config.gravity_steps)
        if config.low_pass == "mean":
            flat = moving_mean(flat, first, config.low_pass_steps)
        elif config.low_pass == "pole":
            flat = one_pole(flat, first, config.low_pass_steps)
        if config.magnitudes:
            lengths = [np.sqrt(np.square(flat[:, columns]).sum(axis=1)) for columns in self._triples.values()]
            flat = np.concatenate([flat, np.stack(lengths, axis=1)], axis=1)
        if config.differences:
            flat = np.concatenate([flat, difference(flat, first)], axis=1)
        return flat

    def statistics(self) -> dict[str, NDArray[Any]]:
        """Deviation of the channels, and centre and scale of the features."""
        return {"spread": self._spread, "centre": self._centre, "scale": self._scale}

    def restore(self, statistics: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what `statistics` gave.

        Raises:
            ValueError: an array is missing, of another shape, or no numbers.
        """
        taken = {}
        for name, own in self.statistics().items():
            given = statistics.get(name)
            if given is None:
                raise ValueError(f"the statistics of the features have no {name!r}")
            if given.shape != own.shape or given.dtype.kind != "f" or not np.isfinite(given).all():
                raise ValueError(f"{name} of the features is {given.dtype} {given.shape}; expected {own.shape} numbers")
            taken[name] = given.astype(np.float32)
        if not (taken["scale"] > 0).all():
            raise ValueError("scale of the features has numbers that are not positive")
        self._spread, self._centre, self._scale = taken["spread"], taken["centre"], taken["scale"]


def _nan(reduce: Any, features: Flat) -> NDArray[np.float64]:
    """A reduction over the steps that leaves out what is missing; NaN of a channel without values."""
    result = np.full(features.shape[1], np.nan)
    there = ~np.isnan(features).all(axis=0)
    result[there] = reduce(features[:, there].astype(np.float64), axis=0)
    return result


def _spread(flat: Flat) -> NDArray[np.float32]:
    spread = np.nan_to_num(_nan(np.nanstd, flat))
    return np.where(spread > 0, spread, 1.0).astype(np.float32)
