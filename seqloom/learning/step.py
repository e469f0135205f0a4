"""One optimiser step, in however many processes: gradients of the whole batch's mean loss, clipping, update, refusals."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seqloom.errors import SeqloomError
from seqloom.learning.config import TrainingConfig
from seqloom.learning.optimiser import Optimiser
from seqloom.learning.processes import Processes
from seqloom.learning.run_state import RunState
from seqloom.learning.task import Task

__all__ = ["Step", "TrainingError", "take_step"]

_ZERO_STEPS = 10  # so many losses of exactly 0 from the start are no coincidence
_INTACT = "the last checkpoint and the best model are intact"


class TrainingError(SeqloomError):
    """Training cannot go on: the loss or the gradients are not usable numbers."""


@dataclass(frozen=True)
class Step:
    """What a step did, equal in all processes."""

    total: float  # loss times weight
    weight: float
    items: float
    norm: float  # before clipping; not finite where the step was skipped
    stop: bool  # some process was asked to stop
    save: bool  # some process wants a checkpoint


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
) -> Step:
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
    norm = optimiser.clip(config.clip_norm)
    _count(state, norm, total, config)
    if math.isfinite(norm):
        optimiser.step(rate)
    return Step(total, whole_weight, all_items, norm, bool(any_stop), bool(any_save))


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
