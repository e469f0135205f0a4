"""Parameters of a step that are not free: computed from what is stored, so that no optimiser can leave the structure.

A mask that is applied once, when the weights are drawn, is undone by the first step of momentum or weight decay. Here the
step sees what :meth:`Structure.compute` makes of the stored tensors in every call, and gradients reach the stored ones.

>>> from seqloom.cells import Cell
>>> from seqloom.engine.operations import tanh
>>> class Antisymmetric(Cell):
...     '''Stable by construction: the eigenvalues of U - U' are imaginary.'''
...     def structures(self):
...         return {"weight_h": antisymmetric()}
...     def step(self, x, h):
...         return h + 0.1 * tanh(self.affine(x, h))
>>> u = Antisymmetric(3, 4).parameter("weight_h")
>>> bool((u == -u.T).all())
True
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

__all__ = ["Structure", "antisymmetric", "block_diagonal", "constant", "derived", "masked", "repeated", "usual_heads"]


@dataclass(frozen=True)
class Structure:
    """How a declared parameter comes about.

    Args:
        compute: the stored tensors, then the constants, to the parameter, differentiable.
        stored: names and shapes of what is stored; one tensor of the declared name and shape by default.
        constants: tensors that move with the cell and are never trained.
    """

    compute: Callable[..., Tensor]
    stored: Mapping[str, tuple[int, ...]] | None = None
    constants: tuple[Tensor, ...] = ()


def masked(mask: Tensor) -> Structure:
    """Entries where the mask is zero are zero."""
    return Structure(torch.mul, constants=(mask,))


def antisymmetric(damping: float = 0.0) -> Structure:
    """``U - U' - damping I`` (Chang, Chen, Haber & Chi 2019)."""
    return Structure(partial(_antisymmetric, damping))


def block_diagonal(name: str, gates: int, blocks: int, rows: int, columns: int) -> Structure:
    """A stack of gates, each block-diagonal: the units of a block see that block only.

    Args:
        name: of what is stored, (gates, blocks, rows / blocks, columns / blocks).
        gates, rows, columns: sizes of the stack, (gates * rows, columns).
        blocks: how many; divides rows and columns.
    """
    shape = (gates, blocks, rows // blocks, columns // blocks)
    return Structure(_block_diagonal, {name: shape}, (torch.eye(blocks),))


def repeated(name: str, shape: tuple[int, ...], rows: Sequence[int]) -> Structure:
    """Rows of a stored tensor, in this order, some of them several times."""
    return Structure(_rows, {name: shape}, (torch.tensor(rows),))


def constant(value: Tensor) -> Structure:
    """A parameter that is none: always this tensor."""
    return Structure(_itself, {}, (value,))


def derived(compute: Callable[..., Tensor], **stored: tuple[int, ...]) -> Structure:
    """A function of stored tensors of these names and shapes, which other parameters may share."""
    return Structure(compute, stored)


def _antisymmetric(damping: float, u: Tensor) -> Tensor:
    return u - u.T - damping * torch.eye(len(u), dtype=u.dtype, device=u.device)


def _block_diagonal(stored: Tensor, eye: Tensor) -> Tensor:
    gates, blocks, rows, columns = stored.shape
    spread = stored.unsqueeze(3) * eye.view(1, blocks, 1, blocks, 1)  # (G, blocks, rows, blocks, columns)
    return spread.reshape(gates * blocks * rows, blocks * columns)


def _rows(stored: Tensor, rows: Tensor) -> Tensor:
    return stored.index_select(0, rows)


def _itself(value: Tensor) -> Tensor:
    return value


def as_matrices(stored: Tensor, gates: int) -> list[Tensor]:
    """The matrices that an initialisation fills one by one: the gates of a stack, the blocks of each."""
    if stored.dim() <= 2:
        return list(stored.chunk(gates))
    return list(stored.reshape(math.prod(stored.shape[:-2]), *stored.shape[-2:]))


def usual_heads(units: int) -> int:
    """Into how many heads units are divided where nobody says: 4, or 1 where that does not divide them."""
    return 1 if units % 4 else 4
