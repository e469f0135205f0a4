"""What a diagnosis found, as data: for programs (``to_dict``), for logs (``main_numbers``), for people (``str``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seqloom.learning.diagnosis.carry import Carry
from seqloom.learning.diagnosis.gates import Gate
from seqloom.learning.diagnosis.gradients import GradientFlow
from seqloom.learning.diagnosis.memory import Reach
from seqloom.learning.diagnosis.recording import ParameterGradient

__all__ = ["Diagnosis", "JacobianNorms", "RecurrenceDiagnosis"]


@dataclass(frozen=True)
class JacobianNorms:
    """Of the Jacobian of one step by the full state, at some steps of some rows.

    Attributes:
        steps: which ones, in the order of reading, counted from 0.
        operator_norm: at each, the largest singular value; the mean over the rows.
        spectral_radius: at each, the largest absolute eigenvalue, which is something else; the mean over the rows.
        largest_norm: the largest of all operator norms that were measured.
        exact_radius: whether eigenvalues were computed, rather than a growth rate.
    """

    steps: tuple[int, ...]
    operator_norm: tuple[float, ...]
    spectral_radius: tuple[float, ...]
    largest_norm: float
    exact_radius: bool

    @property
    def mean_norm(self) -> float:
        """Mean of the operator norms."""
        return _mean(self.operator_norm)

    @property
    def mean_radius(self) -> float:
        """Mean of the spectral radii."""
        return _mean(self.spectral_radius)


@dataclass(frozen=True)
class RecurrenceDiagnosis:
    """All that was measured of one layer and direction.

    Attributes:
        name: where it stands in the model.
        cell: the cell in words, with its sizes.
        rows, steps: sequences that were examined, and steps of the longest.
        from_loss: whether the gradient that is followed back is the loss's; else that of the last output's sum.
        gradient: norms by distance.
        jacobian: operator norms and spectral radii.
        lyapunov: leading exponents per step, largest first.
        backward: how far back an input reaches the last step's loss.
        forward: how long the state shows that the first input was another one.
        gates: statistics of the step's sigmoids, tanhs and relus.
        carries: factors by which states are carried on, with time constants.
        largest_state: largest absolute value of the output state; NaN or infinite where it overflowed.
        unknown: why gates and carries could not be examined; empty where they were.
    """

    name: str
    cell: str
    rows: int
    steps: int
    from_loss: bool
    gradient: GradientFlow
    jacobian: JacobianNorms
    lyapunov: tuple[float, ...]
    backward: Reach
    forward: Reach
    gates: tuple[Gate, ...]
    carries: tuple[Carry, ...]
    largest_state: float
    unknown: str = ""

    @property
    def saturation(self) -> float | None:
        """Mean over the sigmoids and tanhs of the share of saturated values; None where there are none."""
        shares = [gate.saturation for gate in self.gates if gate.saturation is not None]
        return _mean(shares) if shares else None

    @property
    def dead_units(self) -> float | None:
        """Mean over the relus of the share of units that were never above zero; None where there are none."""
        shares = [gate.dead for gate in self.gates if gate.dead is not None]
        return _mean(shares) if shares else None

    def main_numbers(self) -> dict[str, float]:
        """The numbers worth a curve; one that this cell does not have is left out."""
        numbers = {
            "gradient_slope": self.gradient.slope,
            "half_life": self.gradient.half_life,
            "operator_norm": self.jacobian.mean_norm,
            "spectral_radius": self.jacobian.mean_radius,
            "lyapunov": self.lyapunov[0],
            "memory_backward": float(self.backward.steps),
            "memory_forward": float(self.forward.steps),
            "saturation": self.saturation,
            "dead_units": self.dead_units,
            "forget_mean": self.carries[0].mean if self.carries else None,
            "time_constant": self.carries[0].time_constant if self.carries else None,
            "largest_state": self.largest_state,
        }
        return {name: value for name, value in numbers.items() if value is not None}


@dataclass(frozen=True)
class Diagnosis:
    """What was found about a model on a batch; printing it gives the words.

    Attributes:
        recurrences: one entry per recurrent layer and direction, from the input on.
        parameters: gradient and parameter norms, where there is a loss.
        loss: its value on the batch, where there is one.
        unseen: recurrent layers that no sequence passed through.
    """

    recurrences: tuple[RecurrenceDiagnosis, ...]
    parameters: tuple[ParameterGradient, ...] = ()
    loss: float | None = None
    unseen: tuple[str, ...] = ()

    def main_numbers(self) -> dict[str, float]:
        """``name/number`` of every recurrence: what a training run logs."""
        return {f"{each.name}/{key}": value for each in self.recurrences for key, value in each.main_numbers().items()}

    def to_dict(self) -> dict[str, Any]:
        """For strict JSON: what is not a finite number (a half-life where nothing decays) is null."""
        plain = asdict(self)
        for entry, of in zip(plain["recurrences"], self.recurrences, strict=True):
            entry["gradient"]["half_life"] = of.gradient.half_life
            entry["jacobian"] |= {"mean_norm": of.jacobian.mean_norm, "mean_radius": of.jacobian.mean_radius}
            entry |= {"saturation": of.saturation, "dead_units": of.dead_units}
        for entry, parameter in zip(plain["parameters"], self.parameters, strict=True):
            entry["ratio"] = parameter.ratio
        strict: dict[str, Any] = _strict(plain)
        return strict

    def __str__(self) -> str:
        from seqloom.learning.diagnosis.words import in_words

        return in_words(self)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values and all(map(math.isfinite, values)) else math.nan


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
