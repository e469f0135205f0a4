"""``diagnose``: all measurements on a model, a layer, or whatever computes with one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.learning.diagnosis.carry import carried
from seqloom.learning.diagnosis.gates import gate_statistics
from seqloom.learning.diagnosis.gradients import gradient_norms
from seqloom.learning.diagnosis.jacobian import Points, operator_norm, points, spectral_radius
from seqloom.learning.diagnosis.lyapunov import lyapunov_exponents
from seqloom.learning.diagnosis.memory import Reach, forward_memory
from seqloom.learning.diagnosis.recording import record
from seqloom.learning.diagnosis.recurrence import Recurrence
from seqloom.learning.diagnosis.result import Diagnosis, JacobianNorms, RecurrenceDiagnosis

__all__ = ["DiagnosisConfig", "DiagnosticBatch", "diagnose", "diagnose_run"]


@dataclass(frozen=True)
class DiagnosisConfig:
    """How much is measured.

    Args:
        rows: sequences per layer, the longest ones.
        jacobian_rows: sequences of which the one-step Jacobians are examined.
        jacobian_steps: steps of each of them, spread evenly.
        exponents: leading Lyapunov exponents.
        samples: steps over which the statistics of gates are taken.
        share: of its largest value, below which an effect counts as forgotten.

    Raises:
        ConfigError: a value out of range.
    """

    rows: int = 32
    jacobian_rows: int = 2
    jacobian_steps: int = 32
    exponents: int = 1
    samples: int = 2048
    share: float = 0.01

    def __post_init__(self) -> None:
        for name in ("rows", "jacobian_rows", "jacobian_steps", "exponents", "samples"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not 0.0 < self.share < 1.0:
            raise ConfigError(f"share is {self.share}, expected more than 0 and less than 1")


@dataclass(frozen=True, eq=False)
class DiagnosticBatch:
    """What a system gives ``seqloom diagnose``: a model's module and its loss on some data.

    A system takes part by one function beside its verbs: ``diagnostic_batch(model, path, limit) -> DiagnosticBatch``, of
    at most ``limit`` sequences of a file that it reads as ``evaluate`` does.

    Args:
        module: holds the recurrent layers.
        loss: computes the training loss on the batch with the module, as a scalar that can be differentiated.
        sequences: how many sequences the batch has.
    """

    module: nn.Module
    loss: Callable[[], Tensor]
    sequences: int


def diagnose(
    module: nn.Module,
    *inputs: Any,
    loss: Callable[[Any], Tensor] | None = None,
    config: DiagnosisConfig | None = None,
    **named: Any,
) -> Diagnosis:
    """Measure how a model's recurrences carry gradients and memory on a batch.

    Runs in evaluation mode with the current weights and changes nothing: no gradient, no mode, no random number.

    Args:
        module: a :class:`~seqloom.Recurrent` layer, or any module that holds some.
        inputs, named: what it is called with.
        loss: makes a scalar of what it returns. Without one, what it returns is the loss where it is a scalar; else the
            gradient of the last output's sum is followed, and the ratios of parameters are left out.
        config: how much is measured.
    Raises:
        ConfigError: there is no recurrent layer, or no sequence passed through any.
        ValueError: no row of a layer's batch has a step.

    >>> from seqloom import Recurrent
    >>> diagnosis = diagnose(Recurrent("lstm", 3, 4), torch.ones(2, 9, 3), lengths=torch.tensor([9, 5]))
    >>> [each.name for each in diagnosis.recurrences], diagnosis.recurrences[0].carries[0].state
    (['layer.1'], 'c')
    """

    def run() -> Any:
        returned = module(*inputs, **named)
        return returned if loss is None else loss(returned)

    return diagnose_run(module, run, config)


def diagnose_run(module: nn.Module, run: Callable[[], Any], config: DiagnosisConfig | None = None) -> Diagnosis:
    """The same for a computation with a module that is no plain call, such as a task's loss.

    Args:
        run: computes with the module and returns the loss, or anything else where there is none.
    """
    settings = config or DiagnosisConfig()
    recording = record(module, run, rows=settings.rows)
    with torch.inference_mode(False), torch.no_grad():
        diagnoses = tuple(_examine(recurrence, settings) for recurrence in recording.recurrences)
    return Diagnosis(diagnoses, recording.parameters, recording.loss, recording.unseen)


def _examine(recurrence: Recurrence, config: DiagnosisConfig) -> RecurrenceDiagnosis:
    gradient = gradient_norms(recurrence)
    at = points(recurrence, rows=config.jacobian_rows, steps=config.jacobian_steps)
    exponents = min(config.exponents, sum(recurrence.sizes))
    return RecurrenceDiagnosis(
        name=recurrence.name,
        cell=str(recurrence.cell),
        rows=len(recurrence.lengths),
        steps=int(recurrence.lengths.max()),
        from_loss=recurrence.has_loss,
        gradient=gradient,
        jacobian=_jacobian(recurrence, at),
        lyapunov=lyapunov_exponents(recurrence, count=exponents),
        backward=Reach.of(gradient.input_norms, config.share),
        forward=forward_memory(recurrence, share=config.share),
        gates=gate_statistics(recurrence, samples=config.samples),
        carries=carried(recurrence, samples=config.samples),
        largest_state=float(recurrence.states[0].abs().max()),
        unknown=recurrence.cell.graph.untraceable or "",
    )


def _jacobian(recurrence: Recurrence, at: Points) -> JacobianNorms:
    norms = operator_norm(recurrence, at).double()
    radii, exact = spectral_radius(recurrence, at)
    steps = torch.unique(at.steps)
    return JacobianNorms(
        steps=tuple(steps.tolist()),
        operator_norm=tuple(float(norms[at.steps == step].mean()) for step in steps),
        spectral_radius=tuple(float(radii[at.steps == step].mean()) for step in steps),
        largest_norm=float(norms.max()),
        exact_radius=exact,
    )
