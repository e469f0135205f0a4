"""Decoding: from scores to sequences.

The names below are imported when they are first used: word lattices need no torch, and programs that use nothing else
should not wait for it.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloom.decoding.crf import PAD_TAG, viterbi, viterbi_k_best

__all__ = ["PAD_TAG", "viterbi", "viterbi_k_best"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(importlib.import_module("seqloom.decoding.crf"), name)
    raise AttributeError(f"module 'seqloom.decoding' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
