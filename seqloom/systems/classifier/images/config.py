"""What can be configured about a classifier of images. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Literal

from seqloom.data.images.config import ImageFeatureConfig, ImageReading
from seqloom.systems.classifier.config import ClassifierModelConfig, LabelledFilesConfig, default_training
from seqloom.systems.classifier.distances import DistanceConfig
from seqloom.training.config import TrainingConfig

__all__ = ["ImageClassifierConfig", "ImageDataConfig"]


@dataclass(frozen=True)
class ImageDataConfig(LabelledFilesConfig, ImageReading):
    """Which images, how they are divided and how they are read."""

    def __post_init__(self) -> None:
        LabelledFilesConfig.__post_init__(self)
        ImageReading.__post_init__(self)


@dataclass(frozen=True)
class ImageClassifierConfig:
    """A classifier of images that are read as sequences.

    Args:
        system: always ``image_classifier``.
        method: the network, or a method without one.
        data: which images, and how they are read.
        features: in which order an image is read.
        model: the network.
        statistics: settings of the methods without a network.
        training: the training of the network.
        baselines: methods without a network, fitted on the same data and scored on the same test beside the method.
    """

    system: Literal["image_classifier"] = "image_classifier"
    method: Literal["network", "prior"] = "network"
    data: ImageDataConfig = field(default_factory=ImageDataConfig)
    features: ImageFeatureConfig = field(default_factory=ImageFeatureConfig)
    model: ClassifierModelConfig = field(default_factory=ClassifierModelConfig)
    statistics: DistanceConfig = field(default_factory=DistanceConfig)
    training: TrainingConfig = field(default_factory=default_training)
    baselines: tuple[Literal["prior"], ...] = ("prior",)
