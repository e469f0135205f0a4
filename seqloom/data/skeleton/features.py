"""From the joints of a body to the features of a network, in a fixed order, for whole batches at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.features import Flat, Offsets
from seqloom.data.scaling import Scaling
from seqloom.data.skeleton.config import SkeletonAugmentation, SkeletonConfig
from seqloom.data.skeleton.definition import Skeleton
from seqloom.data.skeleton.motion import Joints, filled, owners, smoothed, taken, warped
from seqloom.errors import ConfigError

__all__ = ["SkeletonFeatures"]


class SkeletonFeatures:
    """Missing joints filled, origin in the hips, smoothed, thinned, divided by the torso, turned to the front, standardised.

    The features of a step are those of the first joint, then those of the second: its coordinates, then its velocities where
    they are asked for. So each part of the body has columns of its own: `column_parts`.

    Args:
        config: what there is to choose.
        skeleton: what the joints are.
        dimensions: C, coordinates of a joint: 3, or 2 in a picture.
    Raises:
        ConfigError: the choice needs three dimensions where there are two.
    """

    def __init__(self, config: SkeletonConfig | None = None, *, skeleton: Skeleton, dimensions: int = 3) -> None:
        self.config, self.skeleton, self.dimensions = config or SkeletonConfig(), skeleton, dimensions
        if dimensions not in (2, 3):
            raise ConfigError(f"the joints have {dimensions} coordinates; expected 2 or 3")
        if dimensions == 2 and self.config.facing != "none":
            raise ConfigError(
                f"facing: {self.config.facing} needs joints with 3 coordinates, and these have 2; choose none"
            )
        self._width = dimensions * (2 if self.config.velocities else 1)
        self.output_size = len(skeleton.names) * self._width
        self.augments = any(vars(self.config.augmentation).values())
        self.stepwise = self._is_stepwise()
        groups = np.arange(self.output_size) % self._width // dimensions
        self._scaling = Scaling(self.output_size, groups if self.config.standardise == "global" else None)

    def _is_stepwise(self) -> bool:
        config = self.config
        alone = config.origin != "first" and config.facing != "series" and config.size == "none"
        return alone and config.thin == 1 and not (config.smooth or config.fill or config.velocities)

    def column_parts(self) -> dict[str, list[int]]:
        """The columns of the features that belong to each part of the body; together all, none twice."""
        width = self._width
        return {
            part: [joint * width + column for joint in joints for column in range(width)]
            for part, joints in self.skeleton.parts.items()
        }

    def fit(self, flat: Flat, offsets: Offsets) -> None:
        """Learns mean and deviation."""
        if self.config.standardise != "none":
            features, _ = self._features(flat, offsets, None)
            self._scaling.fit(features)

    def apply(self, flat: Flat, offsets: Offsets, random: np.random.Generator | None = None) -> tuple[Flat, Offsets]:
        """(N', F) and (S + 1,)."""
        features, offsets = self._features(flat, offsets, random)
        if self.config.standardise != "none":
            features = self._scaling.apply(features)
        return features.astype(np.float32, copy=False), offsets

    def statistics(self) -> dict[str, NDArray[Any]]:
        """``mean`` and ``deviation`` of all features."""
        return self._scaling.statistics()

    def restore(self, statistics: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what `statistics` gave."""
        self._scaling.restore(statistics)

    def _features(self, flat: Flat, offsets: Offsets, random: np.random.Generator | None) -> tuple[Flat, Offsets]:
        config, skeleton = self.config, self.skeleton
        joints = flat.reshape(len(flat), -1, self.dimensions) if len(flat) else self._nothing()
        if joints.shape[1] != len(skeleton.names):
            raise ValueError(
                f"the frames have {flat.shape[1]} columns; expected {len(skeleton.names)} * {self.dimensions}"
            )
        if config.fill:
            joints = filled(joints, offsets, skeleton.parents)
        joints = self._centred(joints, offsets)
        if config.smooth:
            joints = smoothed(joints, offsets)
        if random is not None:
            joints, offsets = _retimed(joints, offsets, config.augmentation, random)
        if config.thin > 1:
            place = np.arange(len(joints)) - offsets[:-1][owners(offsets)]
            joints, offsets = taken(joints, offsets, place % config.thin == 0)
        if config.size == "torso":
            joints = self._sized(joints, offsets)
        if config.facing != "none":
            joints = self._turned(joints, offsets)
        if random is not None:
            joints = self._distorted(joints, offsets, random)
        if config.velocities:
            joints = np.concatenate([joints, _differences(joints, offsets)], axis=2)
        return joints.reshape(len(joints), self.output_size), offsets

    def _nothing(self) -> Joints:
        return np.zeros((0, len(self.skeleton.names), self.dimensions), np.float32)

    def _mean(self, joints: Joints, which: Sequence[int]) -> Joints:
        """(N, C)"""
        mean: Joints = joints[:, list(which)].mean(axis=1)
        return mean

    def _centred(self, joints: Joints, offsets: Offsets) -> Joints:
        if self.config.origin == "none" or not len(joints):
            return joints
        origin = self._mean(joints, self.skeleton.origin)
        if self.config.origin == "first":
            origin = origin[offsets[:-1][owners(offsets)]]
        return joints - origin[:, None]

    def _sized(self, joints: Joints, offsets: Offsets) -> Joints:
        """Divided by the median of the torso's length over the sequence."""
        upper, lower = self.skeleton.torso
        length = np.linalg.norm(self._mean(joints, upper) - self._mean(joints, lower), axis=1)
        owner = owners(offsets)
        ranked = length[np.lexsort((length, owner))]
        counts = np.diff(offsets)
        present = counts > 0
        begin, count = offsets[:-1][present], counts[present]
        median = np.ones(len(counts), np.float32)
        median[present] = (ranked[begin + (count - 1) // 2] + ranked[begin + count // 2]) / 2
        median[median < 1e-6] = 1.0
        return joints / median[owner][:, None, None]

    def _axes(self) -> tuple[int, int]:
        """The two horizontal axes; a turn by 90 degrees takes the first to the second."""
        return (0, 2) if self.config.up == "y" else (0, 1)

    def _turned(self, joints: Joints, offsets: Offsets) -> Joints:
        left, right = self.skeleton.hips
        across = (joints[:, right] - joints[:, left])[:, list(self._axes())]
        if self.config.facing == "series" and len(joints):
            sums = np.vstack([np.zeros((1, 2)), np.cumsum(across, axis=0, dtype=np.float64)])
            total = sums[offsets[1:]] - sums[offsets[:-1]]
            across = total[owners(offsets)].astype(np.float32)
        return self._rotated(joints, -np.arctan2(across[:, 1], across[:, 0]))

    def _rotated(self, joints: Joints, angle: NDArray[Any]) -> Joints:
        first, second = self._axes()
        cosine, sine = np.cos(angle).astype(np.float32)[:, None], np.sin(angle).astype(np.float32)[:, None]
        found = joints.copy()
        found[:, :, first] = joints[:, :, first] * cosine - joints[:, :, second] * sine
        found[:, :, second] = joints[:, :, first] * sine + joints[:, :, second] * cosine
        return found

    def _distorted(self, joints: Joints, offsets: Offsets, random: np.random.Generator) -> Joints:
        augmentation, owner, count = self.config.augmentation, owners(offsets), len(offsets) - 1
        angle = np.radians(augmentation.yaw) * random.uniform(-1, 1, count)
        if augmentation.yaw and self.dimensions == 3:
            joints = self._rotated(joints, angle[owner])
        size = 1 + augmentation.scale * random.uniform(-1, 1, count)
        joints = joints * size[owner].astype(np.float32)[:, None, None]
        if augmentation.jitter:
            joints = joints + np.float32(augmentation.jitter) * random.standard_normal(joints.shape, np.float32)
        return joints


def _retimed(
    joints: Joints, offsets: Offsets, augmentation: SkeletonAugmentation, random: np.random.Generator
) -> tuple[Joints, Offsets]:
    """In another tempo, and without some of the frames between the first and the last."""
    if augmentation.tempo or augmentation.warp:
        count = len(offsets) - 1
        tempo = 1 + augmentation.tempo * random.uniform(-1, 1, count)
        joints, offsets = warped(joints, offsets, tempo, augmentation.warp * random.uniform(-1, 1, (count, 2)))
    if augmentation.drop:
        kept = random.random(len(joints)) >= augmentation.drop
        kept[offsets[:-1][np.diff(offsets) > 0]] = True
        kept[offsets[1:][np.diff(offsets) > 0] - 1] = True
        joints, offsets = taken(joints, offsets, kept)
    return joints, offsets


def _differences(joints: Joints, offsets: Offsets) -> Joints:
    """From each frame's predecessor to it; 0 in the first frame of a sequence."""
    found = np.zeros_like(joints)
    found[1:] = joints[1:] - joints[:-1]
    found[offsets[:-1][np.diff(offsets) > 0]] = 0.0
    return found
