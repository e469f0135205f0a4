"""The optimiser steps of a run, one by one, in however many processes.

Each takes the gradients of the whole batch's mean loss and of the penalties, clips, updates and refuses numbers that are
none.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seqloom.errors import ConfigError, SeqloomError
from seqloom.training.config import TrainingConfig
from seqloom.training.optimiser import Optimiser
from seqloom.training.processes import Processes
from seqloom.training.run_state import RunState
from seqloom.training.schedule import learning_rate
from seqloom.training.task import Task

__all__ = ["TrainingError", "Update", "Updates", "take_step"]

_ZERO_STEPS = 10  # so many losses of exactly 0 from the start are no coincidence
_INTACT = "the last checkpoint and the best model are intact"


class TrainingError(SeqloomError):
    """Training cannot go on: the loss or the gradients are not usable numbers."""


@dataclass(frozen=True)
class Update:
    """What an update did, equal in all processes."""

    total: float  # loss times weight
    weight: float
    items: float
    norm: float  # before clipping; not finite where the step was skipped
    rate: float  # learning rate
    stop: bool  # some process was asked to stop
    save: bool  # some process wants a checkpoint


def _no_wishes() -> tuple[bool, bool]:
    return False, False


class Updates:
    """The updates of a run in the order of its plan; when to evaluate, save and report is its caller's affair.

    The loop turns around it. By itself it lets two runs take turns in one process, as benchmarks do.

    Args:
        task, config, optimiser, processes: those of the run.
        state: where the run is; each step moves it on.
    """

    def __init__(
        self, task: Task, config: TrainingConfig, optimiser: Optimiser, processes: Processes, state: RunState
    ) -> None:
        self.task, self.config, self.optimiser, self.processes, self.state = task, config, optimiser, processes, state
        self._epoch = -1
        self._batches: Sequence[Any] = ()

    @property
    def epochs_done(self) -> float:
        """Progress in epochs, with the fraction of the current one."""
        return self.state.epoch + (self.state.batch / len(self._plan()) if self.state.batch else 0.0)

    def take(self, wishes: Callable[[], tuple[bool, bool]] = _no_wishes) -> Update:
        """Train on the next batch of the plan; ``wishes`` as in :func:`take_step`.

        Raises:
            ConfigError: the plan of the epoch is empty.
            TrainingError: as :func:`take_step`, or every loss since the start was exactly 0.
        """
        state, config, plan = self.state, self.config, self._plan()
        progress = self.epochs_done / config.epochs
        rate = learning_rate(config, step=state.step, progress=progress, halvings=state.halvings)
        description = plan[state.batch]
        step = take_step(
            self.task, description, self.optimiser, self.processes, state, config, rate=rate, wishes=wishes
        )
        state.step += 1
        state.batch += 1
        if state.batch == len(plan):
            state.epoch, state.batch = state.epoch + 1, 0
        refuse_constant_zero(state)
        for mean in (state.interval, state.period):
            mean.add(total=step.total, weight=step.weight, norm=step.norm, items=step.items)
        return step

    def _plan(self) -> Sequence[Any]:
        if self._epoch != self.state.epoch:
            self._epoch, self._batches = self.state.epoch, self.task.plan(self.state.epoch)
            if not len(self._batches):
                raise ConfigError(f"epoch {self.state.epoch + 1} has no batch: the training set is empty")
        return self._batches


def take_step(
    task: Task,
    description: Any,
    optimiser: Optimiser,
    processes: Processes,
    state: RunState,
    config: TrainingConfig,
    *,
    rate: float,
    wishes: Callable[[], tuple[bool, bool]],
) -> Update:
    """Train on one batch and count what the state counts about skipped steps; the position is the caller's.

    Each process computes the mean loss of its share; scaled by the share's part of the batch's weight, the gradients of
    all shares add up to those of the batch.

    Args:
        task, optimiser, processes, state, config: those of the run.
        description: of the whole batch.
        rate: learning rate.
        wishes: whether this process wants to stop and to save, asked late in the step.
    Raises:
        TrainingError: the loss is not finite, or too many gradients in a row are not.
    """
    optimiser.zero_grad()
    if processes.world > 1:
        description = task.split(description, processes.rank, processes.world)
    loss, total, weight, items = None, 0.0, 0.0, 0
    if description is not None:
        batch = processes.to_device(task.batch(description))
        weight, items = float(task.weight(batch)), task.size(batch)
        with processes.precision():
            loss = task.loss(batch)
        total = loss.item() * weight
    total, whole_weight, all_items, any_stop, any_save = processes.sum(total, weight, items, *wishes())
    if not math.isfinite(total):
        where = f"epoch {state.epoch + 1}, batch {state.batch + 1} (step {state.step})"
        remedy = "lower training.learning_rate or set training.clip_norm"
        raise TrainingError(f"the loss is {total} at {where}; {remedy}; {_INTACT}")
    if loss is not None and weight:
        if processes.world > 1:
            loss = loss * (weight / whole_weight)
        loss.backward()  # type: ignore[no-untyped-call]
    processes.add_gradients(optimiser.dense_parameters.values(), optimiser.rows.tables.values())
    optimiser.add_penalties()
    norm = optimiser.clip(config.clip_norm, config.clip_value)
    _count(state, norm, total, config)
    if math.isfinite(norm):
        optimiser.step(rate)
    return Update(total, whole_weight, all_items, norm, rate, bool(any_stop), bool(any_save))


def refuse_constant_zero(state: RunState) -> None:
    """Raise TrainingError where every loss since the start of the run, and not just of one odd batch, was exactly 0."""
    if state.only_zeros and (state.step >= _ZERO_STEPS or state.epoch):
        raise TrainingError(
            f"the loss was exactly 0 in all of the first {state.step} steps: there is nothing to learn; check that the "
            "training data have labels, and more than one kind of them"
        )


def _count(state: RunState, norm: float, total: float, config: TrainingConfig) -> None:
    state.only_zeros = state.only_zeros and total == 0.0
    if math.isfinite(norm):
        state.skipped_in_a_row = 0
        return
    state.skipped += 1
    state.skipped_in_a_row += 1
    if state.skipped_in_a_row >= config.max_skipped_steps:
        raise TrainingError(
            f"the gradient norm was {norm} in {state.skipped_in_a_row} steps in a row (step {state.step}); "
            f"lower training.learning_rate; {_INTACT}"
        )
