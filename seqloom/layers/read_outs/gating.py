"""Context gating, and a mixture of experts for each class (Miech, Laptev & Sivic 2017, sections 3.2 and 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqloom.layers.read_outs.pooling import RowNormalisation

__all__ = ["ContextGating", "MixtureOfExperts"]


class ContextGating(nn.Module):
    """``Y = sigmoid(BN(W X)) * X``: features that the others do not support are turned down.

    Args:
        size: of X.
        normalised: whether there is a normalisation; without it, W has a bias.
    """

    def __init__(self, size: int, normalised: bool = True):
        super().__init__()
        self.gate = nn.Linear(size, size, bias=not normalised)
        self.normalise = RowNormalisation(size) if normalised else nn.Identity()

    def forward(self, rows: Tensor) -> Tensor:
        """(B, size) gated rows."""
        return torch.sigmoid(self.normalise(self.gate(rows))) * rows


class MixtureOfExperts(nn.Module):
    """Class probabilities ``p_e = sum_k g_ek sigmoid(u_ek x + b_ek)``; one more gate of the softmax g always says no.

    Args:
        input_size: of x.
        classes: E.
        experts: for each class.
        gated: whether context gating stands behind it.
    """

    def __init__(self, input_size: int, classes: int, experts: int = 2, gated: bool = False):
        super().__init__()
        self.classes, self.experts_each = classes, experts
        self.gates = nn.Linear(input_size, classes * (experts + 1), bias=False)
        self.experts = nn.Linear(input_size, classes * experts)
        self.gating = ContextGating(classes) if gated else nn.Identity()

    def forward(self, rows: Tensor) -> Tensor:
        """(B, E) each between 0 and 1; they do not add up to anything."""
        shape = (len(rows), self.classes, -1)
        gates = self.gates(rows).view(shape).softmax(-1)[..., : self.experts_each]
        probabilities: Tensor = self.gating((gates * torch.sigmoid(self.experts(rows).view(shape))).sum(-1))
        return probabilities
