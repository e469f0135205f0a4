"""What there is to choose about the features of sensors. No torch here: the command line reads this to print its help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from seqloom.errors import ConfigError

__all__ = ["SensorAugmentation", "SensorFeaturesConfig"]


@dataclass(frozen=True)
class SensorAugmentation:
    """How series are changed in training, each time anew; 0 switches a change off.

    Args:
        probability: of each change, for each series.
        jitter: deviation of noise on every value, as a share of its channel's deviation over the training data.
        scaling: deviation of the logarithm of a factor on all values of a channel.
        rotation: largest angle in degrees by which the frame of the sensor is turned, about a random axis; all ``triples`` are
            turned together.
        warp: largest share by which time runs faster or slower, as a whole and in places; below 1.
        crop: largest share of the steps that is left out at the ends together; below 1.
    """

    probability: float = 0.5
    jitter: float = 0.0
    scaling: float = 0.0
    rotation: float = 0.0
    warp: float = 0.0
    crop: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ConfigError(f"augmentation.probability is {self.probability}; expected 0 to 1")
        for name, most in (("jitter", 100.0), ("scaling", 3.0), ("rotation", 180.0), ("warp", 0.95), ("crop", 0.95)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ConfigError(f"augmentation.{name} is {value}; expected 0 to {most:g}")


@dataclass(frozen=True)
class SensorFeaturesConfig:
    """What a network reads of a series: in this order units, missing values, another rate, gravity, smoothing, further channels,
    scaling. No step depends on later ones but for missing values and another rate, which look one known step ahead.

    Args:
        units: channel -> factor on its values, such as 9.80665 from g to m/s2; those not named keep theirs.
        missing: what stands for a missing value: ``interpolate`` between the steps before and after it, or ``hold`` the one
            before. A channel without any value in a series is the training mean.
        rate: steps in a second that the network reads, linearly interpolated; 0 keeps those of the data.
        triples: channels that are x, y and z of one sensor, such as ``ax ay az``, three names with blanks between.
        gravity: those of the triples from which a slow mean, gravity, is taken away.
        gravity_steps: time constant of that mean, in steps.
        low_pass: ``mean`` of the last ``low_pass_steps`` steps, or a ``pole``, an exponential mean with that time constant.
        low_pass_steps: how many steps of the rate that the network reads.
        magnitudes: add the length of the vector of each triple as a channel.
        differences: add the difference from the step before of every channel.
        scaling: by the training data: ``deviation`` from the mean, in deviations; ``range`` to -1 .. 1; ``robust``, from the
            median in quartile distances; ``none``.
        augmentation: changes in training only.
    """

    units: dict[str, float] = field(default_factory=dict)
    missing: Literal["interpolate", "hold"] = "interpolate"
    rate: float = 0.0
    triples: tuple[str, ...] = ()
    gravity: tuple[str, ...] = ()
    gravity_steps: float = 50.0
    low_pass: Literal["none", "mean", "pole"] = "none"
    low_pass_steps: int = 3
    magnitudes: bool = False
    differences: bool = False
    scaling: Literal["none", "deviation", "range", "robust"] = "deviation"
    augmentation: SensorAugmentation = field(default_factory=SensorAugmentation)

    def __post_init__(self) -> None:
        if not 0 <= self.rate < float("inf"):
            raise ConfigError(f"features.rate is {self.rate}; expected steps in a second, or 0 for those of the data")
        if self.low_pass_steps < 1:
            raise ConfigError(f"features.low_pass_steps is {self.low_pass_steps}; expected 1 or more")
        if not self.gravity_steps > 0:
            raise ConfigError(f"features.gravity_steps is {self.gravity_steps}; expected more than 0")
        for name, factor in self.units.items():
            if not 0 < abs(factor) < float("inf"):
                raise ConfigError(f"features.units.{name} is {factor}; expected a factor other than 0")
        for triple in self.triples:
            if len(triple.split()) != 3 or len(set(triple.split())) != 3:
                raise ConfigError(f"features.triples has {triple!r}; expected three channels with blanks between")
        for triple in self.gravity:
            if triple not in self.triples:
                raise ConfigError(f"features.gravity has {triple!r}, which is none of features.triples")
        if self.augmentation.rotation and not self.triples:
            raise ConfigError("features.augmentation.rotation needs features.triples, the channels of x, y and z")
        if self.magnitudes and not self.triples:
            raise ConfigError("features.magnitudes needs features.triples, the channels of x, y and z")
