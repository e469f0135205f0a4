"""The training loop: the one place where models are fitted.

    while not finished:  interrupted?  ->  evaluation due?  ->  one step  ->  checkpoint due?

Every turn begins from a :class:`RunState` and tensors that a checkpoint can hold in full, so that a run may be cut at
any point and continue to the same bits. The loop knows nothing of text: see :class:`seqloom.training.task.Task`.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from seqloom.errors import ConfigError
from seqloom.training.config import TrainingConfig
from seqloom.training.interruption import Interruption, TrainingInterrupted
from seqloom.training.optimiser import build_optimiser
from seqloom.training.processes import Processes
from seqloom.training.progress import Progress, peak_memory
from seqloom.training.random_state import capture_random_state, restore_random_state, seed_everything
from seqloom.training.records import Records
from seqloom.training.resumption import flatten, resume_run, save_run
from seqloom.training.run_directory import RunDirectory
from seqloom.training.run_state import Mean, RunState
from seqloom.training.task import Task
from seqloom.training.updates import TrainingError, Updates

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TrainingError", "TrainingInterrupted", "TrainingResult", "train"]


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended. The module holds the last weights; ``model`` is the directory of the best ones."""

    best: float
    best_step: int
    epochs: float
    steps: int
    skipped_steps: int
    stopped_early: bool
    seconds: float
    peak_memory: int
    model: Path


def train(
    task: Task,
    config: TrainingConfig,
    run_directory: str | Path,
    *,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    console: "Console | None" = None,
) -> TrainingResult:
    """Fit ``task.module`` and leave the best model in ``run_directory/model``.

    Args:
        task: what is trained.
        config: how.
        run_directory: new, or holding at most files that the loop does not write (a configuration).
        resume: continue the run in the directory, to the same bits as if it had never stopped. A run that is finished
            is reported and left as it is; one that was killed before its first checkpoint starts anew.
        identity: JSON-able values beside ``config`` that a resumed run must share (model, data); may be nested.
        console: where progress is shown; the standard error stream by default.
    Raises:
        ConfigError: the directory holds a run and ``resume`` is false, or the other way round; the settings differ from
            those of the run; the metric to monitor does not exist.
        ModelError: the checkpoint is damaged or of another model.
        TrainingError: the loss is NaN, infinite, or was exactly 0 from the start; the gradients stay not finite.
        TrainingInterrupted: SIGINT or SIGTERM came; all is saved. A SystemExit with status 130.
    """
    run = RunDirectory(Path(run_directory))
    if config.threads:
        torch.set_num_threads(config.threads)
    processes = Processes(config)
    progress = Progress(console=console, silent=not processes.first)
    with Interruption() as interruption:
        loop = _Loop(task, config, run, processes, progress, interruption, flatten(identity or {}))
        try:
            loop.begin(resume=resume)
            return loop.run()
        finally:
            progress.close()
            loop.records.close()
            processes.close()


class _Loop:
    def __init__(
        self,
        task: Task,
        config: TrainingConfig,
        run: RunDirectory,
        processes: Processes,
        progress: Progress,
        interruption: Interruption,
        identity: dict[str, Any],
    ) -> None:
        self.task, self.config, self.run_directory = task, config, run
        self.processes, self.progress, self.interruption = processes, progress, interruption
        self.identity = {**config.fixed_on_resume(), **identity, "processes": processes.world}
        self.module = task.module.to(processes.device)
        self.optimiser = build_optimiser(self.module, config)
        self.state = RunState()
        self.records = Records(None, size=0, step=0, tensorboard=False)
        self.stop = self.checkpoint_due = False

    def begin(self, *, resume: bool) -> None:
        """Load the last checkpoint or take the first one, which also shows early that the directory can be written."""
        processes, first = self.processes, self.processes.first
        # The first process alone looks: what it writes next must not look like an old run to a slower one.
        if problem := processes.broadcast(self.run_directory.problem(resume=resume) if first else ""):
            raise ConfigError(problem)
        if self.config.diagnose_every:
            from seqloom.training.diagnosis import check_task

            check_task(self.task)
        if first:
            self.run_directory.prepare()
        seed_everything(self.config.seed + processes.rank)
        known = processes.broadcast(self.run_directory.last.exists())
        if known:
            self._resume()
        self.steps = Updates(self.task, self.config, self.optimiser, processes, self.state)
        processes.equalise(self.module)
        self.started = self.saved = self.reported = time.monotonic()
        self.records = Records(
            self.run_directory if first and not self.state.finished else None,
            size=self.state.metrics_size,
            step=self.state.step,
            tensorboard=self.config.tensorboard,
        )
        self.module.train()
        if known:
            self.progress.message(f"resuming at epoch {self.state.epoch + 1}, step {self.state.step}")
        else:
            self._save()

    def _resume(self) -> None:
        path = self.run_directory.last
        self.state, threads = resume_run(path, self.module, self.optimiser, self.identity, self.processes)
        if threads != torch.get_num_threads():
            now = torch.get_num_threads()
            self.progress.message(f"the run used {threads} threads and now has {now}: the last bits may differ")

    def run(self) -> TrainingResult:
        """Turn until the run is finished."""
        if self.state.finished:
            self.progress.message(f"{self.run_directory.path}: this run is finished; nothing is left to do")
            return self._result()
        self.progress.start(self.steps.epochs_done, self.config.epochs)
        while not self.state.finished:
            if self.stop:
                self._interrupt()
            elif self._evaluation_due():
                self._evaluate()
            else:
                self._step()
                if self.checkpoint_due and not self.stop:
                    self._save()
        self.progress.close()
        result = self._result()
        self.progress.message(
            f"finished after {result.steps} steps in {result.seconds:.0f} s; "
            f"best {self.config.monitor} {result.best:.4f} at step {result.best_step}; "
            f"peak memory {result.peak_memory / 2**20:.0f} MiB; model in {result.model}"
        )
        return result

    # One step ------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        state = self.state
        step = self.steps.take(self._wishes)
        self.stop, self.checkpoint_due = step.stop, step.save
        if self.progress.due():
            self.progress.step(
                self.steps.epochs_done,
                self.config.epochs,
                step=state.step,
                loss=state.period.loss,
                rate=self._items_per_second(),
            )
        if state.step % self.config.log_every == 0:
            self._log_interval(step.rate)

    def _wishes(self) -> tuple[bool, bool]:
        old = time.monotonic() - self.saved >= self.config.checkpoint_seconds
        return self.interruption.requested, self.processes.first and old

    def _log_interval(self, rate: float) -> None:
        state = self.state
        self.records.step(
            state, self.steps.epochs_done, learning_rate=rate, rate=self._items_per_second(), seconds=self._seconds()
        )
        state.interval, self.reported = Mean(), time.monotonic()

    def _items_per_second(self) -> float:
        return self.state.interval.items / max(time.monotonic() - self.reported, 1e-9)

    # Evaluation ----------------------------------------------------------------------------------------------------

    def _evaluation_due(self) -> bool:
        state = self.state
        at_end = state.epoch >= self.config.epochs
        return self._grid_point() > state.evaluations or (at_end and state.evaluated_step != state.step)

    def _grid_point(self) -> int:
        return math.floor(self.steps.epochs_done / self.config.evaluate_every + 1e-9)

    def _evaluate(self) -> None:
        generators = capture_random_state(self.processes.device)
        metrics = self.interruption.breakable(self.task.evaluate) if self.processes.first else None
        metrics = self.processes.broadcast(metrics)
        restore_random_state(generators, self.processes.device)
        self.module.train()
        if metrics is None:
            self.stop = True
            return
        value = metrics.get(self.config.monitor)
        if value is None:
            known = ", ".join(sorted(metrics))
            raise ConfigError(f"training.monitor is {self.config.monitor!r}, but the evaluation reports {known}")
        state, done = self.state, self.steps.epochs_done
        state.evaluations, state.evaluated_step = self._grid_point(), state.step
        improved = state.judge(float(value), done, self.config)
        self.records.evaluation(state, done, metrics=metrics, best=improved, seconds=self._seconds())
        self.progress.evaluated(
            done, loss=state.period.loss, metrics=metrics, monitor=self.config.monitor, best=improved
        )
        state.period = Mean()
        state.stopped_early = 0 < self.config.patience <= done - state.best_progress and done < self.config.epochs
        state.finished = state.stopped_early or state.epoch >= self.config.epochs
        self._diagnose()
        if improved and self.processes.first:
            self.run_directory.replace_model(self.task.save_model)
        self._save(best=improved)

    def _diagnose(self) -> None:
        """Log how the recurrences carry gradients and memory, where that is due; training goes on as if it were not."""
        every, state = self.config.diagnose_every, self.state
        if not (every and self.processes.first and (state.evaluations % every == 0 or state.finished)):
            return
        from seqloom.training.diagnosis import diagnose_task

        generators = capture_random_state(self.processes.device)
        numbers = self.interruption.breakable(lambda: diagnose_task(self.task, self.processes))
        restore_random_state(generators, self.processes.device)
        self.module.train()
        if numbers is not None:  # else a signal broke it off, which the next step hears of
            self.records.diagnosis(state, self.steps.epochs_done, numbers)

    # The end, and the way there ------------------------------------------------------------------------------------

    def _save(self, *, best: bool = False) -> None:
        if self.processes.first:
            self.state.metrics_size = self.records.sync()
        self.state.seconds = self._seconds()
        self.started = self.saved = time.monotonic()
        path, also = self.run_directory.last, self.run_directory.best if best else None
        save_run(path, self.module, self.optimiser, self.state, self.identity, self.processes, also)

    def _interrupt(self) -> None:
        self._save()
        self.progress.close()
        message = (
            f"stopped at epoch {self.state.epoch + 1}, step {self.state.step}; everything is saved in "
            f"{self.run_directory.path}: give the same command with --resume to continue"
        )
        self.progress.message(message)
        raise TrainingInterrupted(message)

    def _seconds(self) -> float:
        return self.state.seconds + time.monotonic() - self.started

    def _result(self) -> TrainingResult:
        state = self.state
        return TrainingResult(
            best=float("nan") if state.best is None else state.best,
            best_step=state.best_step,
            epochs=self.steps.epochs_done,
            steps=state.step,
            skipped_steps=state.skipped,
            stopped_early=state.stopped_early,
            seconds=self._seconds(),
            peak_memory=peak_memory(),
            model=self.run_directory.model,
        )
