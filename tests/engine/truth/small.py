"""Small layers and batches, what a layer gives for them, and how near is near."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent

__all__ = ["CELLS", "STACK", "batch", "close", "gradients", "layer_of", "reference"]

CELLS = pytest.mark.parametrize("cell", ["lstm", "gru_before"])
STACK: dict[str, Any] = {"layers": 2, "bidirectional": True}


def layer_of(cell: str = "lstm", backend: str | None = None, **options: Any) -> Recurrent:
    """A layer that has run once; the test is skipped where the backend refuses the cell."""
    torch.manual_seed(3)
    try:
        layer = Recurrent(cell, 5, 9, backend=backend, **options)
        layer(torch.zeros(1, 1, 5))
    except ConfigError:
        pytest.skip(f"the {backend} backend refuses the cell")
    return layer


def batch(rows: int = 3, time: int = 7) -> Tensor:
    """(rows, time, 5), always the same."""
    return torch.randn(rows, time, 5, generator=torch.Generator().manual_seed(4))


def gradients(
    layer: Any, x: Tensor, lengths: Tensor | None = None, loss: Callable[[Tensor, Any], Tensor] | None = None
) -> tuple[Tensor, ...]:
    """The gradients of a loss with respect to x and all parameters."""
    x = x.detach().requires_grad_()
    outputs, final = layer(x, None, lengths)
    value = outputs.sin().sum() + sum(f.cos().sum() for f in final) if loss is None else loss(outputs, final)
    return torch.autograd.grad(value, [x, *layer.parameters()], materialize_grads=True)


def close(found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float = 2e-5) -> None:
    """Equal up to the tolerance, which is relative to the largest entry where that is above one."""
    for left, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(left, right, atol=tolerance * max(1.0, float(right.abs().max())), rtol=0)


def reference(layer: Recurrent) -> Recurrent:
    """A copy that runs on the reference loop."""
    twin = copy.deepcopy(layer)
    twin.backend = "reference"
    return twin
