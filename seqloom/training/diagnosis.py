"""The diagnosis that a training run logs beside its evaluations (``training.diagnose_every``)."""

from __future__ import annotations

from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.learning.diagnosis.examine import DiagnosisConfig, diagnose_run
from seqloom.training.processes import Processes
from seqloom.training.task import Task

__all__ = ["check_task", "diagnose_task"]

# Enough for curves, in about the time of a few dozen training steps.
_LIGHT = DiagnosisConfig(rows=8, jacobian_rows=1, jacobian_steps=8, samples=512)


def check_task(task: Task) -> None:
    """Refuse a task that has nothing to diagnose, before it is trained.

    Raises:
        ConfigError: its module has no recurrent layer.
    """
    if not any(isinstance(part, Recurrent) for part in task.module.modules()):
        raise ConfigError(
            f"training.diagnose_every: {type(task.module).__name__} holds no recurrent layer; set it to 0"
        )


def diagnose_task(task: Task, processes: Processes) -> dict[str, float]:
    """The main numbers of a task's recurrences on the first batch of its first epoch, the same one all along.

    May draw from the global generators as ``task.batch`` does; its caller restores them.
    """
    batch = processes.to_device(task.batch(task.plan(0)[0]))
    return diagnose_run(task.module, lambda: task.loss(batch), _LIGHT).main_numbers()
