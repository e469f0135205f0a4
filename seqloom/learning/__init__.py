"""Learning: gradients of recurrent networks by every algorithm, what keeps them in bounds.

`bptt`, `truncated_bptt`, `rtrl`, `snap1` and `uoro` take the same arguments, and their results can be
compared number by number. The names below are imported when they are first used, as those of `seqloom` are.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloom.learning.clipping import clip_gradients, clip_values, gradient_norm
    from seqloom.learning.gradient_checkpointing import checkpointed
    from seqloom.learning.gradients import Gradients, bptt, truncated_bptt, truncated_bptt_chunks
    from seqloom.learning.influence import OnlineStep
    from seqloom.learning.initialisers import (
        initialise_chrono,
        initialise_identity,
        initialise_orthogonal,
        initialise_sparse,
    )
    from seqloom.learning.penalties import add_orthogonality, orthogonality, shrink
    from seqloom.learning.real_time import RealTimeRecurrentLearning, rtrl
    from seqloom.learning.sampling_schedule import (
        ConstantSampling,
        ExponentialSampling,
        InverseSigmoidSampling,
        LinearSampling,
        mix,
    )
    from seqloom.learning.snap import SparseOneStep, snap1
    from seqloom.learning.unbiased_online import UnbiasedOnlineRecurrentOptimisation, uoro
    from seqloom.learning.vanishing import vanishing_penalty

__all__ = [
    "ConstantSampling",
    "ExponentialSampling",
    "Gradients",
    "InverseSigmoidSampling",
    "LinearSampling",
    "OnlineStep",
    "RealTimeRecurrentLearning",
    "SparseOneStep",
    "UnbiasedOnlineRecurrentOptimisation",
    "add_orthogonality",
    "bptt",
    "checkpointed",
    "clip_gradients",
    "clip_values",
    "gradient_norm",
    "initialise_chrono",
    "initialise_identity",
    "initialise_orthogonal",
    "initialise_sparse",
    "mix",
    "orthogonality",
    "rtrl",
    "shrink",
    "snap1",
    "truncated_bptt",
    "truncated_bptt_chunks",
    "uoro",
    "vanishing_penalty",
]

# No module is called as a function in it: importing one would hide the other.
_NAMES = {
    "gradient_checkpointing": ("checkpointed",),
    "clipping": ("clip_gradients", "clip_values", "gradient_norm"),
    "gradients": ("Gradients", "bptt", "truncated_bptt", "truncated_bptt_chunks"),
    "influence": ("OnlineStep",),
    "initialisers": ("initialise_chrono", "initialise_identity", "initialise_orthogonal", "initialise_sparse"),
    "penalties": ("add_orthogonality", "orthogonality", "shrink"),
    "real_time": ("RealTimeRecurrentLearning", "rtrl"),
    "sampling_schedule": (
        "ConstantSampling",
        "ExponentialSampling",
        "InverseSigmoidSampling",
        "LinearSampling",
        "mix",
    ),
    "snap": ("SparseOneStep", "snap1"),
    "unbiased_online": ("UnbiasedOnlineRecurrentOptimisation", "uoro"),
    "vanishing": ("vanishing_penalty",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(f"seqloom.learning.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'seqloom.learning' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
