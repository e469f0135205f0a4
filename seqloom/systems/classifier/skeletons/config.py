"""What can be configured about a classifier of skeletons. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Literal

from seqloom.data.skeleton.config import SkeletonConfig, SkeletonReading
from seqloom.errors import ConfigError
from seqloom.systems.classifier.config import ClassifierModelConfig, LabelledFilesConfig, default_training
from seqloom.systems.classifier.distances import DistanceConfig
from seqloom.training.config import TrainingConfig

__all__ = ["SkeletonClassifierConfig", "SkeletonDataConfig", "SkeletonModelConfig"]


@dataclass(frozen=True)
class SkeletonDataConfig(LabelledFilesConfig, SkeletonReading):
    """Which skeletons, how they are divided and how they are read."""


@dataclass(frozen=True)
class SkeletonModelConfig(ClassifierModelConfig):
    """The network: an encoder over all joints, or a tree over the parts of the body; the other keys are those of all classifiers.

    Args:
        architecture: ``encoder`` reads all joints at once. ``hierarchy`` has a recurrent layer for each of five parts and fuses
            them to limbs with the trunk, to halves and to the whole (HBRNN of Du et al. 2015; HURNN where ``bidirectional`` is
            false). ``stack`` has the same four levels over the whole body (DBRNN and DURNN).
        level_cells: the cells of the four levels.
        level_sizes: their units, of each branch in each direction.
    """

    architecture: Literal["encoder", "hierarchy", "stack"] = "encoder"
    level_cells: tuple[str, ...] = ("rnn", "rnn", "rnn", "lstm")
    level_sizes: tuple[int, ...] = (30, 60, 90, 40)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.level_cells) != 4 or len(self.level_sizes) != 4:
            raise ConfigError(
                "model.level_cells and model.level_sizes need four entries each, from the parts to the whole"
            )
        if min(self.level_sizes) < 1:
            raise ConfigError(f"model.level_sizes is {list(self.level_sizes)}; expected at least 1 unit on each level")


@dataclass(frozen=True)
class SkeletonClassifierConfig:
    """A classifier of actions from skeletons.

    Args:
        system: always ``skeleton_classifier``.
        method: the network, or a method without one.
        data: which skeletons, and how they are read.
        features: how joints become features.
        model: the network.
        statistics: settings of the methods without a network.
        training: the training of the network.
        baselines: methods without a network, fitted on the same data and scored on the same test beside the method.
    """

    system: Literal["skeleton_classifier"] = "skeleton_classifier"
    method: Literal["network", "prior", "nearest", "rocket"] = "network"
    data: SkeletonDataConfig = field(default_factory=SkeletonDataConfig)
    features: SkeletonConfig = field(default_factory=SkeletonConfig)
    model: SkeletonModelConfig = field(default_factory=SkeletonModelConfig)
    statistics: DistanceConfig = field(default_factory=DistanceConfig)
    training: TrainingConfig = field(default_factory=default_training)
    baselines: tuple[Literal["prior", "nearest", "rocket"], ...] = ("prior",)
