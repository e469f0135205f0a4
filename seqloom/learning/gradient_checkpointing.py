"""Backpropagation through time that recomputes: memory for the square root of the steps, one more forward pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seqloom.errors import ConfigError

__all__ = ["checkpointed"]


def checkpointed(
    layer: nn.Module,
    x: Tensor,
    state: Sequence[Tensor] | None = None,
    lengths: Tensor | None = None,
    segments: int | None = None,
) -> tuple[Tensor, Any]:
    """``layer(x, state, lengths)`` with the same results and gradients, keeping only the states between segments of time.

    The backward pass runs each segment again to see inside it (Chen et al. 2016), drawing dropout and zoneout again as they
    fell. Noise is drawn segment by segment: equal in distribution to that of the whole call, not number by number.

    Args:
        layer: any layer with the layers' contract that goes forward in time only.
        x: (B, T, D), or (T, B, D) where the layer is built so.
        state, lengths: as the layer takes them.
        segments: how many; about the square root of T by default, which keeps the least.
    Returns:
        What the layer returns.
    Raises:
        ConfigError: fewer than one segment; a bidirectional layer; a layer that trains with ``dropout_state``, whose mask
            is one for the whole sequence.
    Cost: O(sqrt T) memory; one more forward pass.

    >>> from seqloom.layers.recurrent import Recurrent
    >>> outputs, state = checkpointed(Recurrent("lstm", 2, 3), torch.zeros(4, 100, 2))
    >>> outputs.shape
    torch.Size([4, 100, 3])
    """
    if getattr(layer, "bidirectional", False):
        raise ConfigError("a bidirectional layer cannot be cut in time: its backward direction begins at the end")
    if layer.training and bool(getattr(layer, "dropout_state", False)):
        raise ConfigError("dropout_state draws one mask for a whole sequence, which segments do not share; use zoneout")
    if segments is not None and segments < 1:
        raise ConfigError(f"segments is {segments}; expected at least 1")
    dimension = 1 if getattr(layer, "batch_first", True) else 0
    time = x.shape[dimension]
    size = max(1, -(-time // (segments or max(1, round(math.sqrt(time))))))
    if time <= size:
        outcome: tuple[Tensor, Any] = layer(x, state, lengths)
        return outcome
    outputs, current, start = [], state, 0
    for part in torch.split(x, size, dimension):
        steps = part.shape[dimension]
        rest = None if lengths is None else (lengths - start).clamp(0, steps)
        output, current = checkpoint(layer, part, current, rest, use_reentrant=False)
        outputs.append(output)
        start += steps
    return torch.cat(outputs, dimension), current
