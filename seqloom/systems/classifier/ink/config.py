"""What can be configured about a classifier of ink. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Literal

from seqloom.data.ink.config import InkReading, PenConfig
from seqloom.systems.classifier.config import ClassifierModelConfig, LabelledFilesConfig, default_training
from seqloom.systems.classifier.distances import DistanceConfig
from seqloom.training.config import TrainingConfig

__all__ = ["InkClassifierConfig", "InkDataConfig"]


@dataclass(frozen=True)
class InkDataConfig(LabelledFilesConfig, InkReading):
    """Which ink, how it is divided and how it is read."""


@dataclass(frozen=True)
class InkClassifierConfig:
    """A classifier of characters from a pen.

    Args:
        system: always ``ink_classifier``.
        method: the network, or a method without one.
        data: which ink, and how it is read.
        features: how strokes become features.
        model: the network.
        statistics: settings of the methods without a network.
        training: the training of the network.
        baselines: methods without a network, fitted on the same data and scored on the same test beside the method.
    """

    system: Literal["ink_classifier"] = "ink_classifier"
    method: Literal["network", "prior", "nearest"] = "network"
    data: InkDataConfig = field(default_factory=InkDataConfig)
    features: PenConfig = field(default_factory=PenConfig)
    model: ClassifierModelConfig = field(default_factory=ClassifierModelConfig)
    statistics: DistanceConfig = field(default_factory=DistanceConfig)
    training: TrainingConfig = field(default_factory=default_training)
    baselines: tuple[Literal["prior", "nearest"], ...] = ("prior",)
