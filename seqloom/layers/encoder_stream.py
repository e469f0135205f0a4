"""Any encoder at work on the steps of one sequence as they come."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent

__all__ = ["EncoderStream"]


class EncoderStream:
    """An encoder with the state of one sequence, which moves on at every step.

    Args:
        encoder: reads forwards only, and evaluates.
    Raises:
        ConfigError: the encoder is bidirectional, or has no way of going step by step.
    """

    def __init__(self, encoder: Any):
        if getattr(encoder, "bidirectional", False):
            raise ConfigError("a bidirectional encoder cannot stream: it needs the end of the sequence first")
        if not isinstance(encoder, Recurrent) and not hasattr(encoder, "step"):
            raise ConfigError(f"a {type(encoder).__name__} cannot stream: it needs the whole sequence")
        self._encoder, self._state = encoder, None
        # A plain stack has packed weights for this; the others go step by step themselves.
        self._packed = encoder.stream() if isinstance(encoder, Recurrent) else None

    def push(self, steps: Tensor) -> Tensor:
        """(n, H) of the next n steps (n, D)."""
        if not len(steps):
            return steps.new_zeros(0, self._encoder.output_size)
        if self._packed is not None:
            encoded: Tensor = self._packed.push(steps)
            return encoded
        rows = []
        with torch.no_grad():
            for step in steps.unsqueeze(1):
                row, self._state = self._encoder.step(step, self._state)
                rows.append(row[0])
        return torch.stack(rows)
