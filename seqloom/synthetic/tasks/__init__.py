"""Pathological tasks: generated sequences that show what a recurrence can remember, and what it can compute.

Each task is a frozen dataclass with a name, and ``make_task("adding", 200).batch(32, random_generator(seed, "train", 0))``
draws from it.
"""

from seqloom.synthetic.tasks import arithmetic, images, parity, recall, symbols  # noqa: F401  # they register their tasks
from seqloom.synthetic.tasks.registry import make_task, parse_task, register, settings, task_names
from seqloom.synthetic.tasks.task import IGNORED, Criterion, SequenceTask, Split, Tally, TaskBatch, random_generator

__all__ = [
    "IGNORED",
    "Criterion",
    "SequenceTask",
    "Split",
    "Tally",
    "TaskBatch",
    "make_task",
    "parse_task",
    "random_generator",
    "register",
    "settings",
    "task_names",
]
