"""Noise on a layer: dropout that stays for a sequence, and weights that are drawn anew for each call."""

from __future__ import annotations

import torch
from torch import Tensor

from seqloom.cells.cell import Cell
from seqloom.layers.dropout import dropout

__all__ = ["draw_weights", "sequence_dropout"]


def sequence_dropout(x: Tensor, probability: float, training: bool = True) -> Tensor:
    """Dropout with one mask per sequence, the same at each of its steps (Gal & Ghahramani 2016, section 4).

    Args:
        x: (B, ..., D); what lies between shares the mask.
        probability: of a zero, 0 to 1; what is left is scaled so that its mean stays.
        training: otherwise x is handed back.

    >>> values = sequence_dropout(torch.ones(1, 3, 8), 0.5)
    >>> torch.equal(values[:, 0], values[:, 2])
    True
    """
    if not training:
        return x
    return x * dropout(x.new_ones(len(x), *[1] * (x.dim() - 2), x.shape[-1]), probability)


def draw_weights(cell: Cell, drop: float, deviation: float) -> dict[str, Tensor]:
    """Parameters of a cell as they act in one call of training, by name; those that act as they are left out.

    Args:
        drop: probability of dropping an entry of a recurrent matrix, scaled as in dropout: DropConnect (Merity, Keskar &
            Socher 2018, section 2).
        deviation: standard deviation of a normal number that is added to each parameter (Graves 2011). The
            gradient is that at the noisy weights, and is what the clean ones get.
    """
    replaced = {}
    for name, declared in cell.graph.declarations.items():
        value = noisy = cell.parameter(name)
        if deviation:
            noisy = noisy + torch.randn_like(value) * deviation
        if drop and declared.role == "recurrent":
            noisy = dropout(noisy, drop)
        if noisy is not value:
            replaced[name] = noisy
    return replaced
