"""Training: the loop, its steps, optimisers, checkpoints, processes and run directories; the only loop there is.

The names below are imported when they are first used, as those of `seqloom` are.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloom.training.config import TrainingConfig
    from seqloom.training.loop import train

__all__ = ["TrainingConfig", "train"]

_MODULES = {"TrainingConfig": "config", "train": "loop"}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(f"seqloom.training.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'seqloom.training' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
