"""What the standard battery examines: a cell class, layers of it, batches, and the sentence of a check that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqloom.cells.cell import Cell
from seqloom.errors import SeqloomError
from seqloom.layers.recurrent import Recurrent
from seqloom.layers.state import State

__all__ = [
    "GARBAGE",
    "HIDDEN",
    "INPUT",
    "TOLERANCE",
    "CellCheckError",
    "Subject",
    "batch",
    "gradients",
    "random_state",
    "require",
    "require_close",
    "require_near",
]

INPUT, HIDDEN, GARBAGE, TOLERANCE = 3, 4, 1e3, 1e-12


class CellCheckError(SeqloomError, AssertionError):
    """A cell fails a check of the battery; says which, and by how much."""


@dataclass(frozen=True)
class Subject:
    """The cell under test: how to build it, and layers of it with parameters that no initialisation makes special."""

    cell_class: type[Cell]
    arguments: dict[str, Any]

    def cell(self, **more: Any) -> Cell:
        return self.cell_class(INPUT, HIDDEN, **{**self.arguments, **more})

    def layer(self, backend: str | None = "reference", *, bidirectional: bool = False) -> Recurrent:
        layer = Recurrent(self.cell(), backend=backend, bidirectional=bidirectional).double()
        for parameter in layer.parameters():
            torch.nn.init.uniform_(parameter, -0.6, 0.6)
        return layer


def batch(lengths: tuple[int, ...] = (5, 2, 0, 4)) -> tuple[Tensor, Tensor]:
    return torch.randn(len(lengths), max(lengths), INPUT, dtype=torch.float64), torch.tensor(lengths)


def random_state(layer: Recurrent, batch: int) -> State:
    zeros, positive = layer.initial_state(batch), layer.first_cell.positive
    drawn = (
        torch.rand_like(field) + (0.5 if name in positive else -0.5)
        for name, field in zip(zeros._fields, zeros, strict=True)
    )
    return zeros._make(drawn)


def gradients(loss: Tensor, leaves: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The gradients of a loss, zeros where it depends on nothing."""
    if not loss.requires_grad:
        return tuple(torch.zeros_like(leaf) for leaf in leaves)
    return torch.autograd.grad(loss, leaves, materialize_grads=True)


def require(subject: Subject, condition: bool, sentence: str) -> None:
    if not condition:
        raise CellCheckError(f"{subject.cell_class.__name__}: {sentence}")


def require_near(subject: Subject, value: Tensor, wanted: Tensor, what: str, tolerance: float = TOLERANCE) -> None:
    require(subject, value.shape == wanted.shape, f"{what}: shape {tuple(value.shape)}, expected {tuple(wanted.shape)}")
    error = float((value - wanted).detach().abs().max()) if value.numel() else 0.0
    require(subject, error <= tolerance, f"{what}: differs by {error:.3g}, expected at most {tolerance:g}")


def require_close(subject: Subject, value: Tensor, wanted: Tensor, what: str) -> None:
    """Equal as numbers of float32 are that were computed in another order."""
    scale = max(1.0, float(wanted.detach().abs().max())) if wanted.numel() else 1.0
    require_near(subject, value, wanted, what, 3e-6 * scale)
