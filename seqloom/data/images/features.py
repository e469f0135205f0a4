"""From grey values to steps: rows, columns or pixels, scaled, and in training moved, turned and bent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.features import Flat, Offsets
from seqloom.data.images.config import ImageFeatureConfig
from seqloom.errors import ConfigError, DataError

__all__ = ["ImageFeatures"]

_CHUNK = 256  # images at once, so that the places of their pixels stay small
_BENDS = 4  # how many smooth bends a distortion has in each direction


class ImageFeatures:
    """The `Features` of images whose recorded steps are their rows.

    Args:
        height, width: of all images.
    Raises:
        ConfigError: the pixels of an image do not make whole steps.

    >>> features = ImageFeatures(ImageFeatureConfig(order="columns", highest=4), 2, 3)
    >>> features.apply(np.arange(6, dtype=np.float32).reshape(2, 3), np.array([0, 2]))[0].tolist()
    [[0.0, 0.75], [0.25, 1.0], [0.5, 1.25]]
    """

    def __init__(self, config: ImageFeatureConfig, height: int, width: int):
        self.config, self.height, self.width = config, height, width
        pixels = height * width
        if config.order in ("pixels", "permuted") and pixels % config.pixels:
            raise ConfigError(f"pixels is {config.pixels}; expected a divisor of the {pixels} of an image")
        self.output_size = {"rows": width, "columns": height}.get(config.order, config.pixels)
        self.steps = pixels // self.output_size
        self.augments = bool(config.shift or config.rotation or config.zoom or config.elastic)
        self.stepwise = config.order == "rows" and not self.augments
        self._order: NDArray[np.int64] | None = None
        if config.order == "permuted":
            self._order = np.random.RandomState(config.seed).permutation(pixels).astype(np.int64)
        self._highest, self._mean, self._deviation = config.highest or 1.0, 0.0, 1.0

    def fit(self, flat: Flat, offsets: Offsets) -> None:
        """Learns the highest value, the mean and the deviation of the training images."""
        if not self.config.highest:
            self._highest = float(flat.max(initial=0.0)) or 1.0
        if self.config.standardise and flat.size:
            # Of rows of some images at a time, so that no copy of all is made.
            self._mean = float(flat.mean(dtype=np.float64)) / self._highest
            squares = sum(float((chunk.astype(np.float64) ** 2).sum()) for chunk in _chunks(flat, 1 << 14))
            variance = squares / flat.size / self._highest**2 - self._mean**2
            self._deviation = math.sqrt(max(variance, 0.0)) or 1.0

    def apply(self, flat: Flat, offsets: Offsets, random: np.random.Generator | None = None) -> tuple[Flat, Offsets]:
        """Steps of whole images; changed by chance where ``random`` is given.

        Raises:
            DataError: an image has another size than those of training.
        """
        lengths = np.diff(offsets)
        if flat.shape[1:] != (self.width,) or (lengths != self.height).any():
            if self.stepwise and flat.shape[1:] == (self.width,):
                return self._values(flat), offsets  # a piece of a stream
            rows = lengths[lengths != self.height][:1].tolist() or [self.height]
            raise DataError(
                f"an image has {rows[0]} rows of {flat.shape[-1]} pixels; expected {self.height} of {self.width}, as in training"
            )
        images = flat.reshape(-1, self.height, self.width)
        if random is not None and self.augments:
            images = np.concatenate([self._changed(chunk, random) for chunk in _chunks(images, _CHUNK)] or [images])
        if self.config.order == "columns":
            images = images.transpose(0, 2, 1)
        ordered = images.reshape(len(images), -1)
        if self._order is not None:
            ordered = ordered[:, self._order]
        steps = ordered.reshape(-1, self.output_size)
        return self._values(steps), np.arange(len(images) + 1, dtype=np.int64) * self.steps

    def statistics(self) -> dict[str, NDArray[Any]]:
        """The scaling, and the order of the pixels."""
        kept: dict[str, NDArray[Any]] = {"scaling": np.array([self._highest, self._mean, self._deviation])}
        if self._order is not None:
            kept["order"] = self._order
        return kept

    def restore(self, statistics: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what `statistics` gave. Raises ValueError where an array is missing or of another shape."""
        scaling = statistics.get("scaling")
        if (
            scaling is None
            or scaling.shape != (3,)
            or not np.isfinite(scaling).all()
            or scaling[0] <= 0
            or scaling[2] <= 0
        ):
            raise ValueError("the scaling of the images is missing or damaged")
        self._highest, self._mean, self._deviation = (float(value) for value in scaling)
        if self._order is not None:
            order = statistics.get("order")
            pixels = self.height * self.width
            if order is None or order.shape != (pixels,) or (np.sort(order) != np.arange(pixels)).any():
                raise ValueError("the order of the pixels is missing or damaged")
            self._order = order.astype(np.int64)

    def _values(self, steps: Flat) -> Flat:
        values = steps.astype(np.float32) / np.float32(self._highest)
        if self.config.standardise:
            values = (values - np.float32(self._mean)) / np.float32(self._deviation)
        return values

    def _changed(self, images: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        """Each image as it is seen through a grid that is turned, stretched, moved and bent; beyond its border all is 0."""
        config, count = self.config, len(images)
        rows = np.arange(self.height, dtype=np.float32)[:, None] - (self.height - 1) / 2
        columns = np.arange(self.width, dtype=np.float32)[None, :] - (self.width - 1) / 2
        turn = np.radians(random.uniform(-config.rotation, config.rotation, count))
        stretch = 1.0 / (1.0 + random.uniform(-config.zoom, config.zoom, count))
        cosine, sine = (_each(f(turn) * stretch) for f in (np.cos, np.sin))
        down = cosine * rows - sine * columns + (self.height - 1) / 2
        along = sine * rows + cosine * columns + (self.width - 1) / 2
        moved = random.uniform(-config.shift, config.shift, (2, count))
        down, along = down + _each(moved[0]), along + _each(moved[1])
        if config.elastic:
            field = random.normal(0.0, config.elastic, (2, count, _BENDS, _BENDS)).astype(np.float32)
            bent = _smooth(self.height) @ field @ _smooth(self.width).T
            down, along = down + bent[0], along + bent[1]
        return _seen(images, down, along)


def _each(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float32)[:, None, None]


def _chunks(array: NDArray[Any], size: int) -> list[NDArray[Any]]:
    return [array[start : start + size] for start in range(0, len(array), size)]


def _smooth(size: int) -> NDArray[np.float32]:
    """(size, bends) weights of raised cosines, whose squares sum to 1, so that each place bends by the same deviation."""
    centres = np.linspace(0, size - 1, _BENDS)
    distance = np.abs(np.arange(size)[:, None] - centres) / max((size - 1) / (_BENDS - 1), 1.0)
    weights = np.where(distance < 2, 1 + np.cos(np.pi * distance / 2), 0.0)
    normed: NDArray[np.float32] = (weights / np.sqrt((weights**2).sum(1, keepdims=True))).astype(np.float32)
    return normed


def _seen(images: NDArray[np.float32], down: Any, along: Any) -> NDArray[np.float32]:
    """The values between pixels, by bilinear interpolation; (B, H, W) of images and of both coordinates."""
    count, height, width = images.shape
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2))).reshape(count, -1)  # so that nothing needs a look at its border
    down, along = np.clip(down + 1, 0, height + 1), np.clip(along + 1, 0, width + 1)
    row, column = down.astype(np.int64), along.astype(np.int64)
    below, right = (down - row).astype(np.float32), (along - column).astype(np.float32)
    stride = width + 3
    place = (row * stride + column).reshape(count, -1)

    def at(offset: int) -> NDArray[np.float32]:
        taken: NDArray[np.float32] = np.take_along_axis(padded, place + offset, 1).reshape(images.shape)
        return taken

    upper = at(0) * (1 - right) + at(1) * right
    lower = at(stride) * (1 - right) + at(stride + 1) * right
    seen: NDArray[np.float32] = upper * (1 - below) + lower * below
    return seen
