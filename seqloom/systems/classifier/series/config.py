"""What can be configured about a classifier of series. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Literal

from seqloom.data.series.config import SensorFeaturesConfig
from seqloom.data.series.reading import SeriesReading
from seqloom.systems.classifier.config import ClassifierModelConfig, LabelledFilesConfig, default_training
from seqloom.systems.classifier.distances import DistanceConfig
from seqloom.training.config import TrainingConfig

__all__ = ["SeriesClassifierConfig", "SeriesDataConfig"]


@dataclass(frozen=True)
class SeriesDataConfig(LabelledFilesConfig, SeriesReading):
    """Which series, how they are divided and how they are read."""

    def __post_init__(self) -> None:
        LabelledFilesConfig.__post_init__(self)
        SeriesReading.__post_init__(self)


@dataclass(frozen=True)
class SeriesClassifierConfig:
    """A classifier of series of vectors, or a regression on them where ``data.targets`` names real values.

    Args:
        system: always ``series_classifier``.
        method: the network, or a method without one.
        data: which series, and how they are read.
        features: how what was recorded becomes features.
        model: the network.
        statistics: settings of the methods without a network.
        training: the training of the network.
        baselines: methods without a network, fitted on the same data and scored on the same test beside the method.
    """

    system: Literal["series_classifier"] = "series_classifier"
    method: Literal["network", "prior", "nearest", "rocket"] = "network"
    data: SeriesDataConfig = field(default_factory=SeriesDataConfig)
    features: SensorFeaturesConfig = field(default_factory=SensorFeaturesConfig)
    model: ClassifierModelConfig = field(default_factory=ClassifierModelConfig)
    statistics: DistanceConfig = field(default_factory=DistanceConfig)
    training: TrainingConfig = field(default_factory=default_training)
    baselines: tuple[Literal["prior", "nearest", "rocket"], ...] = ("prior",)
