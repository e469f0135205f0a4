"""How images are read and become steps. No torch here: the command line reads this for its help."""

from dataclasses import dataclass
from typing import Literal

from seqloom.errors import ConfigError

__all__ = ["PERMUTATION_SEED", "ImageFeatureConfig", "ImageReading"]

PERMUTATION_SEED = 92916
"""The permuted pixels of most publications: ``numpy.random.RandomState(92916).permutation(784)``."""


@dataclass(frozen=True)
class ImageReading:
    """How images are read.

    Args:
        images: the array of the images in an archive, without ``train_``; empty finds it.
        label: the array of the classes; empty finds it.
        group: the array of who or what an image is from; empty where there is none.
        height: rows to which images are scaled; 0 leaves them as they are.
        width: columns to which images are scaled; 0 leaves them as they are.
    """

    images: str = ""
    label: str = ""
    group: str = ""
    height: int = 0
    width: int = 0

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            if not 0 <= getattr(self, name) <= 4096:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 to 4096")


@dataclass(frozen=True)
class ImageFeatureConfig:
    """How an image becomes steps, and how it is changed in training.

    Args:
        order: what a step is: one of the ``rows`` or ``columns``, or some of the ``pixels`` row by row; ``permuted`` are the
            pixels in one random order, the same for all images.
        pixels: of a step, where the order is pixels or permuted.
        seed: of that order.
        highest: the value that becomes 1; 0 takes the highest of the training images.
        standardise: whether the values then have the mean 0 and the deviation 1 in training.
        shift: pixels by which an image is moved at most, in training, in each direction.
        rotation: degrees by which it is turned at most.
        zoom: share by which it is made larger or smaller at most.
        elastic: standard deviation, in pixels, of a smooth distortion (Simard et al. 2003).
    """

    order: Literal["rows", "columns", "pixels", "permuted"] = "rows"
    pixels: int = 1
    seed: int = PERMUTATION_SEED
    highest: float = 0.0
    standardise: bool = False
    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    elastic: float = 0.0

    def __post_init__(self) -> None:
        if self.pixels < 1:
            raise ConfigError(f"pixels is {self.pixels}; expected at least 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed is {self.seed}; expected 0 to 4294967295")
        for name, most in (("highest", 1e9), ("shift", 1e3), ("rotation", 180.0), ("zoom", 0.9), ("elastic", 1e3)):
            if not 0.0 <= getattr(self, name) <= most:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 to {most:g}")
