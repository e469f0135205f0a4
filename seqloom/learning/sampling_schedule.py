"""Scheduled sampling: how often training shows a model the truth instead of its own prediction (Bengio et al. 2015)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor

from seqloom.errors import ConfigError

__all__ = [
    "ConstantSampling",
    "ExponentialSampling",
    "InverseSigmoidSampling",
    "LinearSampling",
    "SamplingSchedule",
    "mix",
]


class SamplingSchedule(Protocol):
    """From the number of updates so far, 0, 1, ..., to the probability of the truth."""

    def __call__(self, update: int) -> float: ...


@dataclass(frozen=True)
class ConstantSampling:
    """Always the same; 1 is teacher forcing, 0.9 what Listen, Attend and Spell uses (Chan et al. 2016)."""

    probability: float = 1.0

    def __post_init__(self) -> None:
        _require(self, "probability", 0.0 <= self.probability <= 1.0, "a probability from 0 to 1")

    def __call__(self, update: int) -> float:
        return self.probability


@dataclass(frozen=True)
class LinearSampling:
    """``max(floor, start - slope k)``."""

    slope: float
    start: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _require(self, "slope", 0.0 <= self.slope < math.inf, "at least 0")
        _require(self, "start", 0.0 <= self.start <= 1.0, "a probability from 0 to 1")
        _require(self, "floor", 0.0 <= self.floor <= self.start, "a probability from 0 to start")

    def __call__(self, update: int) -> float:
        return max(self.floor, self.start - self.slope * update)


@dataclass(frozen=True)
class ExponentialSampling:
    """``base^k``."""

    base: float

    def __post_init__(self) -> None:
        _require(self, "base", 0.0 < self.base < 1.0, "more than 0 and less than 1")

    def __call__(self, update: int) -> float:
        return math.pow(self.base, update)


@dataclass(frozen=True)
class InverseSigmoidSampling:
    """``speed / (speed + exp(k / speed))``: the truth at first, half of the time after ``speed log speed`` updates.

    >>> schedule = InverseSigmoidSampling(100.0)
    >>> [round(schedule(update), 3) for update in (0, 461, 1000)]
    [0.99, 0.499, 0.005]
    """

    speed: float

    def __post_init__(self) -> None:
        _require(self, "speed", 1.0 <= self.speed < math.inf, "at least 1")

    def __call__(self, update: int) -> float:
        # Divided by the exponential, which overflows after 700 times the speed.
        rest = self.speed * math.exp(-update / self.speed)
        return rest / (rest + 1.0)


def _require(schedule: object, name: str, holds: bool, expected: str) -> None:
    if not holds:
        options = ", ".join(field.name for field in fields(schedule))  # type: ignore[arg-type]
        raise ConfigError(
            f"{type(schedule).__name__}({options}): {name} is {getattr(schedule, name)}; expected {expected}"
        )


def mix(true: Tensor, predicted: Tensor, probability: float, generator: torch.Generator | None = None) -> Tensor:
    """Each token the true one with a probability, else the predicted one: a coin per token, not per sequence.

    No gradient goes through the predicted ones. With probability 1 the result is ``true`` bit for bit.

    Args:
        true: ids of any shape, or vectors (..., D) of a floating type, where a coin decides about a whole vector.
        predicted: the model's choice or sample, of the same shape and type.
        probability: of the truth, 0 to 1.
        generator: of the coins; torch's global one by default.
    Raises:
        ValueError: the two differ in shape or type, or no probability.
    """
    if true.shape != predicted.shape or true.dtype != predicted.dtype:
        raise ValueError(
            f"predicted is {tuple(predicted.shape)} of {predicted.dtype}; expected that of true, {tuple(true.shape)} of "
            f"{true.dtype}"
        )
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability is {probability}; expected 0 to 1")
    vectors = true.is_floating_point()
    shape = true.shape[:-1] if vectors else true.shape
    # Draws are below 1, so that 1 is always; in double precision, so that no probability is rounded to it.
    heads = torch.rand(shape, generator=generator, device=true.device, dtype=torch.float64) < probability
    return torch.where(heads.unsqueeze(-1) if vectors else heads, true, predicted.detach())
