"""Layers with random parameters in float64, as the tests of the families take them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqloom import cells
from seqloom.cells import Cell
from seqloom.layers.recurrent import Recurrent


def layer_of(
    kind: str | type[Cell], n: int = 3, m: int = 4, *, scale: float = 1.0, stack: int = 1, **options: Any
) -> Recurrent:
    """So many layers in float64, whose parameters are uniform in +- scale; the options are the cell's."""
    cell_class = cells.get(kind) if isinstance(kind, str) else kind
    layer = Recurrent(cell_class(n, m, **options), layers=stack, backend="reference").double()
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -scale, scale)
    return layer


def normal(*shape: int) -> Tensor:
    """Normal numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64)


def put(layer: Recurrent, index: int = 0, **values: Tensor | float) -> None:
    """Overwrite stored parameters of a cell of the layer; a number fills."""
    cell = layer.cells[index]
    for name, value in values.items():
        cell.get_parameter(name).data.copy_(torch.as_tensor(value, dtype=torch.float64))


def same(found: Tensor, wanted: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=0)


def of(layer: Recurrent, name: str) -> Tensor:
    """A stored parameter of the first cell, without its history."""
    value: Tensor = layer.cells[0].get_parameter(name)
    return value.detach().clone()
