"""From the encoded steps of a sequence to one vector for it: last state, mean, maximum, attention, learnable pooling.

All have one contract: ``read_out(encoded (B, T, D), lengths (B,)) -> (B, output_size)``; padding never changes the vector, and a
sequence without steps has zeros. ``prefixes`` gives the vector after each step, as if the sequence ended there.
"""

from __future__ import annotations

from collections.abc import Callable

from seqloom.errors import ConfigError, did_you_mean
from seqloom.layers.read_outs.gating import ContextGating, MixtureOfExperts
from seqloom.layers.read_outs.pooling import FisherVector, ResidualVector, SoftBag, VladVector
from seqloom.layers.read_outs.simple import Attention, Last, Maximum, Mean, ReadOut

__all__ = [
    "READ_OUTS",
    "Attention",
    "ContextGating",
    "FisherVector",
    "Last",
    "Maximum",
    "Mean",
    "MixtureOfExperts",
    "ReadOut",
    "ResidualVector",
    "SoftBag",
    "VladVector",
    "build_read_out",
]

READ_OUTS: dict[str, Callable[..., ReadOut]] = {
    "last": Last,
    "mean": Mean,
    "max": Maximum,
    "attention": Attention,
    "vlad": VladVector,
    "rvlad": ResidualVector,
    "fisher": FisherVector,
    "bag": SoftBag,
}
"""By the names that recipes use."""


def build_read_out(
    name: str,
    input_size: int,
    *,
    bidirectional: bool = False,
    attention_size: int = 0,
    clusters: int = 16,
    size: int = 0,
) -> ReadOut:
    """A read-out by name, freshly initialised.

    Args:
        input_size: D of an encoded step.
        bidirectional: whether the second half of D is of an encoder that read backwards.
        attention_size: units of the attention; 0 takes D.
        clusters: K of the learnable poolings.
        size: of their vectors; 0 takes D.
    Raises:
        ConfigError: no such read-out.
    """
    if name not in READ_OUTS:
        raise ConfigError(f"read_out: {name!r} is not a read-out{did_you_mean(name, READ_OUTS)}")
    if name == "last":
        return Last(input_size, bidirectional)
    if name == "attention":
        return Attention(input_size, attention_size or input_size)
    if name in ("mean", "max"):
        return READ_OUTS[name](input_size)
    return READ_OUTS[name](input_size, clusters, size or input_size)
