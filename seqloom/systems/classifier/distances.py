"""Settings of the methods that compare series with those of the training. No torch here."""

from dataclasses import dataclass

from seqloom.errors import ConfigError

__all__ = ["DistanceConfig"]


@dataclass(frozen=True)
class DistanceConfig:
    """The methods without a network for series of vectors.

    Args:
        window: of ``nearest``, the nearest training series by dynamic time warping: how far apart in time two steps may be that
            are compared, as a share of the longer series.
        kernels: of ``rocket``: about how many features of random convolutions, at least 84.
        examples: of ``nearest``: at most so many training examples, from all over them, are kept.
    """

    window: float = 0.1
    kernels: int = 10_000
    examples: int = 2000

    def __post_init__(self) -> None:
        if not 0.0 <= self.window <= 1.0:
            raise ConfigError(f"statistics.window is {self.window}; expected a share from 0 to 1")
        for name, least in (("kernels", 84), ("examples", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"statistics.{name} is {getattr(self, name)}; expected at least {least}")
