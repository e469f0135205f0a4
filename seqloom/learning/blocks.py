"""The matrices of cells gate by gate: what penalties and initialisations act on, never on a stack of gates as one matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from torch import Tensor, nn

from seqloom.cells import Cell

__all__ = ["Block", "Product", "blocks", "cells", "products"]


class Product(Protocol):
    """What a cell knows of one of its products; see ``Graph.products``."""

    @property
    def weights(self) -> tuple[str, ...]: ...
    @property
    def recurrent(self) -> tuple[bool, ...]: ...
    @property
    def bias(self) -> str | None: ...
    @property
    def gates(self) -> str: ...
    @property
    def rows(self) -> int: ...


@dataclass(frozen=True)
class Block:
    """The rows of one gate in a matrix of a cell.

    Args:
        cell: whose.
        name: of the declared parameter.
        position: of the gate among the rows.
        rows: of each gate.
        recurrent: whether it multiplies something that depends on the state.
    """

    cell: Cell
    name: str
    position: int
    rows: int
    recurrent: bool

    @property
    def free(self) -> bool:
        """Whether it is stored as it acts, so that writing into it has the effect that one expects."""
        return self.name not in self.cell.structures()

    @property
    def square(self) -> bool:
        """Whether it has as many columns as rows."""
        return self.cell.graph.declarations[self.name].shape[1] == self.rows

    @property
    def value(self) -> Tensor:
        """(rows, columns) as it acts, sharing the memory of what is stored where it is free."""
        return self.cell.parameter(self.name)[self.position * self.rows : (self.position + 1) * self.rows]


def cells(module: nn.Module) -> list[Cell]:
    """Every cell inside a module."""
    return [part for part in module.modules() if isinstance(part, Cell)]


def products(cell: Cell) -> Iterator[Product]:
    """What a cell multiplies by matrices."""
    return iter(cast("dict[str, Product]", cell.graph.products).values())


def blocks(module: nn.Module) -> Iterator[Block]:
    """Every gate of every matrix of the cells inside a module."""
    for cell in cells(module):
        for product in products(cell):
            for name, recurrent in zip(product.weights, product.recurrent, strict=True):
                for position in range(len(product.gates) or 1):
                    yield Block(cell, name, position, product.rows, recurrent)
