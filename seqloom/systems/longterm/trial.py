"""One run of a comparison: a cell trained on a task until it solves it, its updates are used up, or its time is.

A trial is a value. Its outcome depends on nothing else, the seconds aside, so that outcomes can be kept by its key.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from seqloom.data.files import write_atomic
from seqloom.synthetic.tasks import make_task, settings
from seqloom.systems.longterm.config import LongtermModelConfig
from seqloom.systems.longterm.encoder import count_parameters
from seqloom.systems.longterm.model import LongtermModel
from seqloom.systems.longterm.training import LongtermTask
from seqloom.training.config import TrainingConfig
from seqloom.training.optimiser import build_optimiser
from seqloom.training.processes import Processes
from seqloom.training.random_state import capture_random_state, restore_random_state, seed_everything
from seqloom.training.resumption import flatten, resume_run, save_run
from seqloom.training.run_state import Mean, RunState
from seqloom.training.updates import TrainingError, Updates

__all__ = ["Outcome", "Trial", "TrialStopped", "resolved_options", "run_trial"]

Ending = Literal["solved", "updates", "seconds", "diverged"]


@dataclass(frozen=True)
class Trial:
    """What is trained, on what, how, and with which seed.

    Args:
        task: its name.
        options: all its fields, as they are resolved.
        cell: the encoder's name.
        seed: of the weights and of the training sequences; the held-out sequences are the same for all.
        updates: at most so many.
        evaluate_every: updates between two looks at the development sequences.
        dev_sequences, test_sequences: how many of each; a trial is solved when both meet the task's criterion.
    """

    task: str
    options: dict[str, Any]
    cell: str
    seed: int
    hidden_size: int
    layers: int
    updates: int
    batch_size: int
    learning_rate: float
    clip_norm: float = 1.0
    evaluate_every: int = 100
    dev_sequences: int = 1000
    test_sequences: int = 10_000

    @property
    def key(self) -> str:
        """Name of its files: readable in front, and at the end a digest of all settings."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.cell}-seed{self.seed}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        ending: ``solved``, or what stopped it: its ``updates``, its ``seconds``, or numbers that were none (``diverged``).
        updates: taken in all; where it was solved, those it needed.
        metrics: on the test sequences, with the last weights; empty where it diverged.
        curve: at each evaluation the updates, the mean training loss since the last, and the development metrics.
        best: the lowest development loss, and the lowest share of wrong sequences.
    """

    trial: Trial
    ending: Ending
    updates: int
    seconds: float
    parameters: int
    metrics: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)
    note: str = ""

    @property
    def solved(self) -> bool:
        """Whether development and test sequences met the criterion."""
        return self.ending == "solved"

    @property
    def best(self) -> dict[str, float]:
        """The lowest loss and the lowest share of wrong sequences that an evaluation found."""
        names = ("loss", "wrong")
        return {name: min(point[name] for point in self.curve) for name in names} if self.curve else {}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Outcome:
        """The outcome of :meth:`to_dict`."""
        return cls(**{**values, "trial": Trial(**values["trial"])})


class TrialStopped(Exception):  # noqa: N818  # nothing is wrong
    """A trial was asked to stop; its checkpoint lets it continue."""


Report = Callable[[dict[str, float]], None]


def run_trial(
    trial: Trial,
    place: Path,
    *,
    seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    report: Report = lambda point: None,
) -> Outcome:
    """Train by a trial's settings, or continue where an earlier call was cut.

    Args:
        place: path of its files without their ends; ``.safetensors`` is its checkpoint, and is gone at the end unless the
            time ran out, in which case a call with more continues.
        seconds: limit of its training time, all calls together; the ending is ``seconds`` where it is reached.
        stop: asked at every update.
        report: called with the latest point of the curve.
    Raises:
        TrialStopped: ``stop`` said so; all is saved.
    """
    return _Run(trial, place, seconds, stop, report).outcome()


@functools.lru_cache(maxsize=1)
def _alone() -> Processes:
    return Processes(TrainingConfig())


class _Run:
    def __init__(
        self, trial: Trial, place: Path, seconds: float | None, stop: Callable[[], bool], report: Report
    ) -> None:
        self.trial, self.seconds, self.stop, self.report = trial, seconds, stop, report
        self.checkpoint, self.points = (
            place.with_name(f"{place.name}.safetensors"),
            place.with_name(f"{place.name}.curve"),
        )
        self.task = make_task(trial.task, options=trial.options)
        self.config = TrainingConfig(
            epochs=1 + trial.updates // trial.evaluate_every,
            batch_size=trial.batch_size,
            learning_rate=trial.learning_rate,
            clip_norm=trial.clip_norm,
            seed=trial.seed,
        )
        seed_everything(trial.seed)
        model = LongtermModel(
            LongtermModelConfig(cell=trial.cell, hidden_size=trial.hidden_size, layers=trial.layers), self.task
        )
        self.model = model
        learned = LongtermTask(model, self.config, trial.evaluate_every, trial.dev_sequences)
        self.optimiser = build_optimiser(model.network, self.config)
        self.identity = flatten(asdict(trial))
        self.state, self.curve = RunState(), list[dict[str, float]]()
        self._resume()
        self.steps = Updates(learned, self.config, self.optimiser, _alone(), self.state)

    def _resume(self) -> None:
        if self.checkpoint.is_file() and self.points.is_file():
            network = self.model.network
            self.state, _ = resume_run(self.checkpoint, network, self.optimiser, self.identity, _alone())
            # The curve is written first, so it may be one point ahead of the checkpoint.
            curve = json.loads(self.points.read_text(encoding="utf-8"))
            self.curve = [point for point in curve if point["update"] <= self.state.step]

    def outcome(self) -> Outcome:
        self.model.network.train()
        begun, before = time.process_time(), self.state.seconds
        ending: Ending | None = None
        note = ""
        try:
            while ending is None:
                self.state.seconds = before + time.process_time() - begun
                if self.state.step >= self.trial.updates:
                    ending = "updates"
                elif self.seconds is not None and self.state.seconds >= self.seconds:
                    ending = "seconds"
                    self._save()
                elif self.stop():
                    self._save()
                    raise TrialStopped(self.trial.key)
                else:
                    self.steps.take()
                    if self.state.step % self.trial.evaluate_every == 0 and self._evaluate():
                        ending = "solved"
        except TrainingError as error:
            ending, note = "diverged", str(error).split(";")[0]
        if ending != "seconds":
            self.checkpoint.unlink(missing_ok=True)
            self.points.unlink(missing_ok=True)
        metrics = {} if ending == "diverged" else self._test()
        parameters = count_parameters(self.model.network)
        return Outcome(self.trial, ending, self.state.step, self.state.seconds, parameters, metrics, self.curve, note)

    def _evaluate(self) -> bool:
        """Adds a point to the curve; whether the task is solved."""
        generators = capture_random_state(_alone().device)
        metrics = self.model.score("dev", self.trial.dev_sequences)
        point = {"update": self.state.step, "training_loss": self.state.period.loss, **metrics}
        self.state.period, self.state.interval = Mean(), Mean()
        self.curve.append(point)
        self.report(point)
        solved = self.task.criterion.met(metrics) and self.task.criterion.met(self._test())
        restore_random_state(generators, _alone().device)
        if not solved and self.state.step < self.trial.updates:
            self._save()
        return solved

    def _test(self) -> dict[str, float]:
        return self.model.score("test", self.trial.test_sequences)

    def _save(self) -> None:
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.points, json.dumps(self.curve))
        save_run(self.checkpoint, self.model.network, self.optimiser, self.state, self.identity, _alone())


def resolved_options(name: str, length: int | None, options: dict[str, Any]) -> dict[str, Any]:
    """All fields of a task, its defaults put in."""
    return settings(make_task(name, length, options))
