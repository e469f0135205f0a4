"""From the strokes of a pen to the features of a network, in a fixed order, for whole batches at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.features import Flat, Offsets
from seqloom.data.ink.augmentation import distorted, thinned, warps
from seqloom.data.ink.config import PenConfig
from seqloom.data.ink.strokes import Ink, Reals, laid_out, normalised, resampled, speeds
from seqloom.data.scaling import Scaling
from seqloom.errors import ConfigError

__all__ = ["PEN_CHANNELS", "PenFeatures"]

PEN_CHANNELS = ("x", "y", "pen_up")


class PenFeatures:
    """Repeated points left out, box centred and scaled, speed, points at equal distances, directions, standardised.

    Features of a step are, in this order, those of ``names``. ``dx`` and ``dy`` lead to the point from the one before it; at
    the first point of a stroke that is the jump of the lifted pen, and at the first of a character they are 0. ``pen_up`` is 1
    at the last point of a stroke and is not standardised.

    Args:
        config: what there is to choose.
        channels: the columns of the series: x, y, perhaps t, pen_up.
    Raises:
        ConfigError: the columns are others, or time is asked for where there is none.
    """

    def __init__(self, config: PenConfig | None = None, channels: Sequence[str] = PEN_CHANNELS) -> None:
        self.config = config or PenConfig()
        self.channels = tuple(channels)
        if self.channels not in (PEN_CHANNELS, ("x", "y", "t", "pen_up")):
            raise ConfigError(f"the columns of the ink are {', '.join(channels)}; expected x, y, perhaps t, pen_up")
        self._timed = "t" in self.channels
        if self.config.resample == "time" and not self._timed:
            raise ConfigError("resample: time needs ink with time, and this has none; choose arc or none")
        self.names = self._names()
        self.output_size = len(self.names)
        self.augments = any(vars(self.config.augmentation).values())
        self.stepwise = False  # the box of a character is known when it is whole
        self._scaling = Scaling(self.output_size - 1)

    def _names(self) -> tuple[str, ...]:
        config = self.config
        names = ["dx", "dy"]
        if config.features == "full":
            names += ["cos", "sin"]
            names += ["speed"] if self._timed and config.speed == "auto" else []
        names += ["x", "y"] if config.position else []
        names += ["turn_cos", "turn_sin"] if config.curvature else []
        return (*names, "pen_up")

    def fit(self, flat: Flat, offsets: Offsets) -> None:
        """Learns mean and deviation of each feature."""
        features, _ = self._features(self._prepared(flat, offsets, None), len(offsets) - 1)
        self._scaling.fit(features[:, :-1])

    def apply(self, flat: Flat, offsets: Offsets, random: np.random.Generator | None = None) -> tuple[Flat, Offsets]:
        """(N', F) and (S + 1,); a character without points has no steps."""
        features, offsets = self._features(self._prepared(flat, offsets, random), len(offsets) - 1)
        features[:, :-1] = self._scaling.apply(features[:, :-1])
        return features.astype(np.float32), offsets

    def statistics(self) -> dict[str, NDArray[Any]]:
        """``mean`` and ``deviation`` of all features but pen_up."""
        return self._scaling.statistics()

    def restore(self, statistics: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what `statistics` gave."""
        self._scaling.restore(statistics)

    def _prepared(self, flat: Flat, offsets: Offsets, random: np.random.Generator | None) -> Ink:
        config = self.config
        ink = laid_out(flat, offsets, self._timed)
        if random is not None:
            ink = thinned(ink, config.augmentation, random)
        ink = normalised(ink)
        if "speed" in self.names:
            ink = speeds(ink)
        warp = None
        if random is not None:
            ink = distorted(ink, config.augmentation, random)
            warp = warps(ink, config.augmentation, random)
        return ink if config.resample == "none" else resampled(ink, config.delta, config.resample == "time", warp)

    def _features(self, ink: Ink, count: int) -> tuple[Reals, Offsets]:
        owner = ink.owner
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum(np.bincount(owner, minlength=count), out=offsets[1:])
        first = np.ones(len(owner), bool)
        first[1:] = owner[1:] != owner[:-1]
        columns: dict[str, Reals] = {}
        step = np.zeros((len(owner), 2))
        step[1:] = np.diff(ink.points, axis=0)
        step[first] = 0.0
        columns["dx"], columns["dy"] = step.T
        way = np.hypot(columns["dx"], columns["dy"])
        columns["cos"], columns["sin"] = (step / np.where(way > 0, way, 1.0)[:, None]).T
        if ink.speed is not None:
            columns["speed"] = np.log1p(ink.speed)
        columns["x"], columns["y"] = ink.points.T
        if self.config.curvature:
            columns["turn_cos"], columns["turn_sin"] = _turns(columns["cos"], columns["sin"], first)
        columns["pen_up"] = np.zeros(len(owner))
        columns["pen_up"][ink.begins - 1] = 1.0  # the last point of each stroke; that of the last by the index -1
        return np.stack([columns[name] for name in self.names], axis=1), offsets


def _turns(cosine: Reals, sine: Reals, first: NDArray[np.bool_]) -> tuple[Reals, Reals]:
    """Cosine and sine of the angle between each step and the one before it; 0 and 0 where one of them does not exist."""
    before = np.zeros((2, len(cosine)))
    before[0, 1:], before[1, 1:] = cosine[:-1], sine[:-1]
    before[:, first] = 0.0
    return cosine * before[0] + sine * before[1], sine * before[0] - cosine * before[1]
