"""One run of a comparison: a cell trained on a task until it solves it, its updates are used up, or its time is.

A trial is a value. Its outcome depends on nothing else, the seconds aside, so that outcomes can be kept by its key.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from seqloom.data.files import write_atomic
from seqloom.errors import ConfigError, ModelError
from seqloom.layers.encoder import EncoderConfig, count_parameters
from seqloom.synthetic.network import TaskNetwork, score
from seqloom.synthetic.sequences import FreshSequences, Indices
from seqloom.synthetic.tasks import TaskBatch, make_task, settings
from seqloom.training.config import TrainingConfig
from seqloom.training.interruption import Interruption, Request, TrainingInterrupted
from seqloom.training.loop import train
from seqloom.training.random_state import seed_everything
from seqloom.training.run_directory import CheckpointFile
from seqloom.training.run_state import RunState
from seqloom.training.supervisor import Supervisor
from seqloom.training.updates import TrainingError

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
    begun = _checkpoint(place).is_file()
    try:
        return _run(trial, place, _Referee(trial, place, seconds, stop, report))
    except (ConfigError, ModelError):
        if not begun:
            raise
    # The checkpoint is damaged, or of an earlier release. Nothing but time is lost: the outcome depends on the trial alone.
    _forget(place)
    return _run(trial, place, _Referee(trial, place, seconds, stop, report))


def _checkpoint(place: Path) -> Path:
    return place.with_name(f"{place.name}.safetensors")


def _curve(place: Path) -> Path:
    return place.with_name(f"{place.name}.curve")


def _forget(place: Path) -> None:
    for file in (_checkpoint(place), _curve(place)):
        file.unlink(missing_ok=True)


def _run(trial: Trial, place: Path, referee: _Referee) -> Outcome:
    config = TrainingConfig(
        epochs=1 + trial.updates // trial.evaluate_every,
        batch_size=trial.batch_size,
        learning_rate=trial.learning_rate,
        clip_norm=trial.clip_norm,
        seed=trial.seed,
        tensorboard=False,
    )
    seed_everything(trial.seed)
    task = _Contest(trial, config)
    note = ""
    try:
        train(task, config, CheckpointFile(_checkpoint(place)), identity=asdict(trial), supervisor=referee)
    except TrainingInterrupted:
        referee.keep()
        raise TrialStopped(trial.key) from None
    except TrainingError as error:
        referee.ending, note = "diverged", str(error).split(";")[0]
    ending = referee.ending
    if ending != "seconds":
        _forget(place)
    metrics = {} if ending == "diverged" else task.score("test")
    parameters = count_parameters(task.module)
    return Outcome(trial, ending, referee.state.step, referee.seconds, parameters, metrics, referee.curve, note)


class _Contest:
    """A trial as a :class:`seqloom.training.task.Task`; an epoch is what lies between two evaluations."""

    def __init__(self, trial: Trial, config: TrainingConfig):
        self.trial, self.task = trial, make_task(trial.task, options=trial.options)
        encoder = EncoderConfig(cell=trial.cell, hidden_size=trial.hidden_size, layers=trial.layers)
        self.network = TaskNetwork(encoder, self.task)
        self.module: nn.Module = self.network
        self._sequences = FreshSequences(self.task, config.seed, config.batch_size, trial.evaluate_every, config.epochs)

    def score(self, split: Literal["dev", "test"]) -> dict[str, float]:
        """Of the network as it is."""
        count = self.trial.dev_sequences if split == "dev" else self.trial.test_sequences
        return score(self.network, self.task.held_out(split, count))

    def plan(self, epoch: int) -> Sequence[Indices]:
        return self._sequences.plan(epoch)

    def split(self, description: Indices, rank: int, world: int) -> Indices | None:
        return description[rank::world] if rank < len(description) else None

    def batch(self, description: Indices) -> TaskBatch:
        return self._sequences.batch(description)

    def loss(self, batch: TaskBatch) -> Tensor:
        loss: Tensor = self.module(batch)
        return loss

    def weight(self, batch: TaskBatch) -> float:
        return self.network.terms(batch)

    def size(self, batch: TaskBatch) -> int:
        return int(batch.lengths.sum())

    def evaluate(self) -> dict[str, float]:
        """The development metrics, and whether these and the test's meet the criterion: 1 or 0."""
        metrics, met = self.score("dev"), self.task.criterion.met
        return {**metrics, "solved": float(met(metrics) and met(self.score("test")))}

    def save_model(self, directory: Path) -> None:
        """A trial leaves no model."""


class _Referee(Supervisor):
    """Ends a trial when it is solved, or when its updates or its seconds of the processor are used up; keeps its curve."""

    silent = True

    def __init__(
        self, trial: Trial, place: Path, seconds: float | None, stop: Callable[[], bool], report: Report
    ) -> None:
        self.trial, self.limit, self.stop, self.report = trial, seconds, stop, report
        self.state, self.seconds = RunState(), 0.0
        self.ending: Ending = "updates"
        self._file = _curve(place)
        self._points: list[dict[str, float]] = []
        if self._file.is_file() and _checkpoint(place).is_file():
            self._points = json.loads(self._file.read_text(encoding="utf-8"))
        else:
            _forget(place)

    @property
    def curve(self) -> list[dict[str, float]]:
        """Its points so far. The file is written first, so it may be one ahead of the checkpoint."""
        return [point for point in self._points if point["update"] <= self.state.step]

    def clock(self) -> float:
        return time.process_time()

    def interruption(self) -> Interruption:
        return Request(self.stop)

    def before_step(self, state: RunState, seconds: float) -> bool:
        self.state, self.seconds = state, seconds
        if state.step >= self.trial.updates:
            self.ending = "updates"
            return True
        if self.limit is not None and seconds >= self.limit:
            self.ending = "seconds"
            self.keep()
            return True
        return False

    def after_evaluation(self, state: RunState, metrics: Mapping[str, float]) -> bool:
        named = {name: value for name, value in metrics.items() if name != "solved"}
        point = {"update": state.step, "training_loss": state.period.loss, **named}
        self.state = state
        self._points = [known for known in self.curve if known["update"] < state.step] + [point]
        self.report(point)
        if metrics["solved"]:
            self.ending = "solved"
            return True
        self.keep()
        return False

    def keep(self) -> None:
        """Brings the curve to disk."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._file, json.dumps(self.curve))


def resolved_options(name: str, length: int | None, options: dict[str, Any]) -> dict[str, Any]:
    """All fields of a task, its defaults put in."""
    return settings(make_task(name, length, options))
