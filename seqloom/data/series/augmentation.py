"""Changes of sensor series in training: noise, scale, the frame of the sensor, time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqloom.data.features import Flat, Offsets
from seqloom.data.series.config import SensorAugmentation
from seqloom.data.series.filters import at

__all__ = ["augmented", "rotations"]

_WAVES = 3


def augmented(
    flat: Flat,
    offsets: Offsets,
    config: SensorAugmentation,
    spread: NDArray[np.float32],
    triples: Sequence[NDArray[np.int64]],
    random: np.random.Generator,
) -> tuple[Flat, Offsets]:
    """The series, each changed by chance.

    Args:
        spread: (D,) deviation of each channel.
        triples: (3,) columns of x, y and z.
    """
    count, width = len(offsets) - 1, flat.shape[1]
    if not count or not config.probability:
        return flat, offsets

    def taken() -> NDArray[np.float64]:
        return (random.random(count) < config.probability).astype(np.float64)

    if config.crop:
        flat, offsets = _cropped(flat, offsets, config.crop * taken() * random.random(count), random.random(count))
    if config.warp:
        speed = np.exp(np.log1p(config.warp) * taken() * random.uniform(-1, 1, count))
        local = config.warp * taken() * random.uniform(-1, 1, count)
        flat, offsets = _warped(flat, offsets, speed, local, random.integers(1, _WAVES + 1, count))
    series = np.repeat(np.arange(count), np.diff(offsets))
    if config.rotation:
        angles = np.deg2rad(config.rotation) * taken() * random.random(count)
        turned = rotations(random.standard_normal((count, 3)), angles)
        flat = flat.copy()
        for columns in triples:
            vectors = np.einsum("nij,nj->ni", turned[series], flat[:, columns])
            # One channel without values must not take the others with it.
            flat[:, columns] = np.where(np.isnan(vectors), flat[:, columns], vectors)
    if config.scaling:
        factors = np.exp(config.scaling * taken()[:, None] * random.standard_normal((count, width)))
        flat = flat * factors[series].astype(np.float32)
    if config.jitter:
        noise = random.standard_normal(flat.shape, np.float32) * spread
        flat = flat + noise * (config.jitter * taken()).astype(np.float32)[series, None]
    return flat.astype(np.float32, copy=False), offsets


def rotations(axes: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S, 3, 3) turns about axes (S, 3) by angles (S,) in radians (Rodrigues)."""
    axes = axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-12)
    cross = np.zeros((len(axes), 3, 3))
    for (row, column), (axis, sign) in {
        (0, 1): (2, -1), (0, 2): (1, 1), (1, 0): (2, 1), (1, 2): (0, -1), (2, 0): (1, -1), (2, 1): (0, 1),
    }.items():  # fmt: skip
        cross[:, row, column] = sign * axes[:, axis]
    sine, cosine = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    return np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def _cropped(
    flat: Flat, offsets: Offsets, shares: NDArray[np.float64], places: NDArray[np.float64]
) -> tuple[Flat, Offsets]:
    lengths = np.diff(offsets)
    left_out = np.minimum((shares * lengths).astype(np.int64), np.maximum(lengths - 1, 0))
    kept = lengths - left_out
    start = offsets[:-1] + np.floor(places * (left_out + 1)).astype(np.int64)
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    rows = np.arange(bounds[-1]) - np.repeat(bounds[:-1], kept) + np.repeat(start, kept)
    return flat[rows], bounds


def _warped(
    flat: Flat,
    offsets: Offsets,
    speed: NDArray[np.float64],
    local: NDArray[np.float64],
    waves: NDArray[np.int64],
) -> tuple[Flat, Offsets]:
    """Time s of 0 .. 1 becomes s + b sin(pi m s) / (pi m), which runs at 1 + b cos(pi m s) and so never back."""
    lengths = np.diff(offsets)
    after = np.where(lengths > 1, np.maximum(np.rint(lengths / speed).astype(np.int64), 2), lengths)
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(after)])
    share = (np.arange(bounds[-1]) - np.repeat(bounds[:-1], after)) / np.repeat(np.maximum(after - 1, 1), after)
    m, b = np.pi * np.repeat(waves, after), np.repeat(local, after)
    moved = np.clip(share + b * np.sin(m * share) / m, 0.0, 1.0)
    positions = moved * np.repeat(np.maximum(lengths - 1, 0), after)
    return at(flat, offsets, after, positions), bounds
