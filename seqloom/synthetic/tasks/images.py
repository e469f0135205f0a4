"""Images read as sequences: row by row or pixel by pixel, as they are or with their pixels in one fixed random order."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.errors import ConfigError, DataError
from seqloom.synthetic.tasks.registry import register
from seqloom.synthetic.tasks.task import Criterion, SequenceTask, Split, TaskBatch

__all__ = ["PERMUTATION_SEED", "Images", "Pixels", "Rows", "available_source", "load_images"]

PERMUTATION_SEED = 92916
"""Of NumPy's frozen legacy generator: ``RandomState(92916).permutation(pixels)``, the same order everywhere."""

Source = Literal["auto", "mnist", "digits"]
_HELD_OUT_BATCH = 500


@dataclass(frozen=True)
class Images:
    """Images (N, S, S) as floats in [0, 1], and their classes (N,), by split."""

    images: dict[Split, NDArray[np.float32]]
    labels: dict[Split, NDArray[np.int64]]


def available_source() -> Literal["mnist", "digits"]:
    """``mnist`` where the folder that SEQLOOM_DATA names has it, else the ``digits`` that come with scikit-learn."""
    return "mnist" if _mnist_file().is_file() else "digits"


def _mnist_file() -> Path:
    return Path(os.environ.get("SEQLOOM_DATA", "")) / "mnist" / "mnist.npz"


@functools.lru_cache(maxsize=2)
def load_images(source: str, size: int) -> Images:
    """The images of a source.

    Args:
        source: ``mnist``: 55,000 for training, the last 5,000 of the training set for development, 10,000 for the test.
            ``digits``: scikit-learn's 1,797 of 8 x 8 pixels, 1,200 / 200 / 397 in their own order.
        size: rows and columns; 14 takes the mean of four pixels of MNIST.
    Raises:
        DataError: the source is missing.
    """
    if source == "mnist":
        path = _mnist_file()
        if not path.is_file():
            raise DataError(f"{path} is missing; set SEQLOOM_DATA to the folder that holds mnist/mnist.npz")
        with np.load(path, allow_pickle=False) as file:
            images = np.concatenate([file["train_x"], file["test_x"]])
            labels = np.concatenate([file["train_y"], file["test_y"]])
        bounds, highest = (55_000, 60_000, 70_000), 255.0
        if size == 14:
            images = images.reshape(-1, 14, 2, 14, 2).mean((2, 4))
    else:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise DataError("scikit-learn is not installed; install it with: pip install scikit-learn") from None
        images, labels = load_digits(return_X_y=True)
        images = images.reshape(-1, 8, 8)
        bounds, highest = (1_200, 1_400, 1_797), 16.0
    scaled = images.astype(np.float32) / np.float32(highest)
    starts = (0, *bounds)
    splits: tuple[Split, ...] = ("train", "dev", "test")
    ranges = {split: slice(starts[index], starts[index + 1]) for index, split in enumerate(splits)}
    return Images(
        {split: scaled[some] for split, some in ranges.items()},
        {split: labels[some].astype(np.int64) for split, some in ranges.items()},
    )


@dataclass(frozen=True)
class _ImageTask(SequenceTask):
    """Classes of images.

    Args:
        permuted: whether the pixels stand in the order of ``PERMUTATION_SEED``, the same for all images.
        size: rows and columns of MNIST, 28 or 14 (the mean of four pixels); digits have 8.
        source: ``mnist``, ``digits`` (scikit-learn's), or ``auto``, which becomes the first of them that is there.
        accuracy: share of the test images that must be right for the task to count as solved.
    """

    permuted: bool = False
    size: int = 28
    source: Source = "auto"
    accuracy: float = 0.98

    def __post_init__(self) -> None:
        if self.source not in ("auto", "mnist", "digits"):
            raise ConfigError(f"{self.name}: source is {self.source!r}, expected 'auto', 'mnist' or 'digits'")
        if self.source == "auto":
            object.__setattr__(self, "source", available_source())
        if self.source == "digits":
            object.__setattr__(self, "size", 8)
        elif self.size not in (28, 14):
            raise ConfigError(f"{self.name}: size is {self.size}, expected 28 or 14")
        if not 0 < self.accuracy < 1:
            raise ConfigError(f"{self.name}: accuracy is {self.accuracy}, expected a share between 0 and 1")

    @property
    def output_size(self) -> int:
        return 10

    @property
    def chance(self) -> float:
        return math.log(10)

    @property
    def chance_wrong(self) -> float:
        return 0.9

    @property
    def criterion(self) -> Criterion:
        return Criterion("wrong", round(1 - self.accuracy, 6))

    @property
    def longest(self) -> int:
        return self.size * self.size // self.input_size

    def order(self) -> NDArray[np.int64]:
        """(pixels,) which pixel of the image, counted row by row, stands where in the sequence."""
        pixels = self.size**2
        if not self.permuted:
            return np.arange(pixels)
        return np.random.RandomState(PERMUTATION_SEED).permutation(pixels).astype(np.int64)

    def batch(self, size: int, generator: torch.Generator, split: Split = "train") -> TaskBatch:
        labels = load_images(self.source, self.size).labels[split]
        return self._rows(split, torch.randint(len(labels), (size,), generator=generator).numpy())

    def held_out(self, split: Split, count: int, seed: int = 0) -> Iterator[TaskBatch]:
        """The images of a split once each, at most ``count``."""
        total = min(count, len(load_images(self.source, self.size).labels[split]))
        for start in range(0, total, _HELD_OUT_BATCH):
            yield self._rows(split, np.arange(start, min(start + _HELD_OUT_BATCH, total)))

    def _rows(self, split: Split, rows: NDArray[np.int64]) -> TaskBatch:
        data = load_images(self.source, self.size)
        flat = data.images[split][rows].reshape(len(rows), -1)
        if self.permuted:
            flat = flat[:, self.order()]
        inputs: Tensor = torch.from_numpy(flat.reshape(len(rows), self.longest, self.input_size))
        return TaskBatch(inputs, torch.full((len(rows),), self.longest), torch.from_numpy(data.labels[split][rows]))


@register("mnist_rows")
@dataclass(frozen=True)
class Rows(_ImageTask):
    """Handwritten digits read row by row: 28 steps of 28 pixels."""

    @property
    def input_size(self) -> int:
        return self.size


@register("permuted_rows")
@dataclass(frozen=True)
class PermutedRows(Rows):
    """Handwritten digits whose pixels are shuffled alike, then read row by row."""

    permuted: bool = True
    accuracy: float = 0.95


@register("mnist_pixels")
@dataclass(frozen=True)
class Pixels(_ImageTask):
    """Handwritten digits read pixel by pixel: 784 steps, or 196 where the size is 14 (Le, Jaitly & Hinton 2015)."""

    accuracy: float = 0.95

    @property
    def input_size(self) -> int:
        return 1


@register("permuted_pixels")
@dataclass(frozen=True)
class PermutedPixels(Pixels):
    """Handwritten digits read pixel by pixel in one fixed random order (Le, Jaitly & Hinton 2015)."""

    permuted: bool = True
    accuracy: float = 0.9
