"""Bags of concepts: generated videos as features of frames, whose labels are the concepts that are in them."""

from __future__ import annotations

import numpy as np

from seqloom.data.labelled import Series

__all__ = ["concept_bags"]

_DISTRACTORS = 0.3


def concept_bags(
    count: int, *, concepts: int = 40, size: int = 32, noise: float = 0.35, seed: int = 0, world: int = 0
) -> list[Series]:
    """Videos of 20 to 60 frames, each with 2 to 4 concepts in any order and 30 % frames of nothing.

    A frame of a concept is its direction in R^size plus noise; one of nothing is a direction of its own. The labels are the
    concepts, ``concept00`` and so on.

    Args:
        noise: deviation of each number of a frame, where concepts have unit length.
        seed: of the videos.
        world: of the concepts; videos of one world can train and test.
    """
    directions = np.random.default_rng(world).standard_normal((concepts, size))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    random = np.random.default_rng([world, seed])
    videos = []
    for index in range(count):
        length = int(random.integers(20, 61))
        present = random.choice(concepts, size=int(random.integers(2, 5)), replace=False)
        which = random.choice(present, size=length)
        which[: len(present)] = present  # each is seen at least once
        frames = directions[random.permutation(which)]
        nothing = random.random(length) < _DISTRACTORS
        others = random.standard_normal((length, size))
        frames[nothing] = (others / np.linalg.norm(others, axis=1, keepdims=True))[nothing]
        frames = frames + noise * random.standard_normal(frames.shape)
        labels = tuple(f"concept{concept:02d}" for concept in sorted(present))
        videos.append(Series(values=frames.astype(np.float32), target=labels, where=f"video[{index}]"))
    return videos
