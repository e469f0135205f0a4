"""How the heads of a neural Turing machine find a slot: the four stages (Graves, Wayne & Danihelka 2014, eqs. 5-9)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["content_weights", "interpolate", "sharpen", "shift"]

_SQUARED_NORM = 1e-6


def content_weights(memory: Tensor, keys: Tensor, strength: Tensor) -> Tensor:
    """Softmax of ``strength * cos(key, slot)`` over the slots.

    The squared norms have 1e-6 added, so that the cosine of an empty slot is 0 with a bounded gradient.

    Args:
        memory: (B, N, W).
        keys: (B, heads, W).
        strength: (B, heads), at least 0.
    Returns:
        (B, heads, N).
    """
    slots = memory * (memory.square().sum(-1, keepdim=True) + _SQUARED_NORM).rsqrt()
    wanted = keys * (keys.square().sum(-1, keepdim=True) + _SQUARED_NORM).rsqrt()
    return (strength.unsqueeze(-1) * torch.bmm(wanted, slots.mT)).softmax(-1)


def interpolate(content: Tensor, before: Tensor, gate: Tensor) -> Tensor:
    """``gate * content + (1 - gate) * before``: weights (B, heads, N), gate (B, heads) in 0..1."""
    return torch.lerp(before, content, gate.unsqueeze(-1))


def shift(weights: Tensor, offsets: Tensor) -> Tensor:
    """Circular convolution, ``w[j] = sum over o of s[o] w[j - o]``.

    Args:
        weights: (B, heads, N).
        offsets: (B, heads, 2 S + 1) the distribution of the offsets -S .. S.

    >>> shift(torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]), torch.tensor([[[0.0, 0.0, 1.0]]]))
    tensor([[[0., 1., 0., 0.]]])
    """
    reach, slots = offsets.shape[-1] // 2, weights.shape[-1]
    ring = torch.cat([weights[..., slots - reach :], weights, weights[..., :reach]], -1)
    moved: Tensor = ring.unfold(-1, 2 * reach + 1, 1) @ offsets.flip(-1).unsqueeze(-1)
    return moved.squeeze(-1)


def sharpen(weights: Tensor, power: Tensor) -> Tensor:
    """``w^power``, normalised: weights (B, heads, N), power (B, heads) at least 1.

    As a softmax of ``power * log w``: powers of zeros then have finite gradients, and the sum is 1 whatever underflows.
    """
    smallest = torch.finfo(weights.dtype).tiny ** 0.5
    return torch.softmax(power.unsqueeze(-1) * (weights + smallest).log(), -1)
