"""seqloom: write a recurrence once, run it anywhere at full speed.

The names below are imported when they are first used, so that ``import seqloom`` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from seqloom import (
        cells,
        data,
        decoding,
        engine,
        layers,
        learning,
        losses,
        nn,
        scores,
        synthetic,
        systems,
        training,
    )
    from seqloom.data.kinds import check
    from seqloom.layers.explanation import explain
    from seqloom.layers.quantized import quantize
    from seqloom.layers.recurrent import Recurrent
    from seqloom.nn.swap import accelerate
    from seqloom.systems.registry import load
    from seqloom.systems.train import train

__all__ = [
    "Recurrent",
    "accelerate",
    "cells",
    "check",
    "data",
    "decoding",
    "engine",
    "explain",
    "layers",
    "learning",
    "load",
    "losses",
    "nn",
    "quantize",
    "scores",
    "synthetic",
    "systems",
    "train",
    "training",
]

_NAMES = {
    "Recurrent": "seqloom.layers.recurrent",
    "accelerate": "seqloom.nn.swap",
    "check": "seqloom.data.kinds",
    "explain": "seqloom.layers.explanation",
    "load": "seqloom.systems.registry",
    "quantize": "seqloom.layers.quantized",
    "train": "seqloom.systems.train",
}
_ROOMS = set(__all__) - set(_NAMES)


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return importlib.import_module(f"seqloom.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'seqloom' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
