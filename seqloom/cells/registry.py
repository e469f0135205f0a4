"""Cells by name: the names that configuration files and the command line use."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from seqloom.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from seqloom.cells.cell import Cell, VendorKernel

__all__ = ["CellDescription", "describe", "get", "name_of", "names", "register"]

_cells: dict[str, type[Cell]] = {}
_Class = TypeVar("_Class", bound="type[Cell]")


@dataclass(frozen=True)
class CellDescription:
    """A registered cell, in words."""

    name: str
    summary: str
    source: str
    state: tuple[str, ...]
    size: str
    """The number of parameters as a formula of the input size n and the hidden size m."""
    phases: int
    """How many products that wait for each other a step has."""
    vendor: VendorKernel | None


def register(name: str) -> Callable[[_Class], _Class]:
    """Class decorator: give a cell the name by which configurations find it; a name is given once.

    Raises:
        ConfigError: the name belongs to another class.
    """

    def decorate(cell_class: _Class) -> _Class:
        known = _cells.setdefault(name, cell_class)
        if (known.__module__, known.__qualname__) != (cell_class.__module__, cell_class.__qualname__):
            raise ConfigError(
                f"cell: '{name}' is {known.__qualname__} already; register {cell_class.__qualname__} under another name"
            )
        _cells[name] = cell_class
        return cell_class

    return decorate


def get(name: str) -> type[Cell]:
    """The class of a registered cell.

    >>> get("lstmm")
    Traceback (most recent call last):
    seqloom.errors.ConfigError: cell: 'lstmm' is not a known cell; did you mean 'lstm'? (seqloom cells lists all)
    """
    if name not in _cells:
        nearest, own = did_you_mean(name, _cells), ""
        if "did you mean" not in nearest:  # all names would be a page
            nearest, own = "", "; --import FILE.py brings your own"
        raise ConfigError(f"cell: '{name}' is not a known cell{nearest} (seqloom cells lists all{own})")
    return _cells[name]


def names() -> tuple[str, ...]:
    """The registered names, sorted."""
    return tuple(sorted(_cells))


def name_of(cell_class: type[Cell]) -> str | None:
    """The name under which a class is registered, or none."""
    return next((name for name, known in _cells.items() if known is cell_class), None)


def describe() -> list[CellDescription]:
    """All registered cells, sorted by name; summary and source are the first line of each docstring."""
    return [_describe(name, _cells[name]) for name in names()]


def _describe(name: str, cell_class: type[Cell]) -> CellDescription:
    first = (cell_class.__doc__ or "").strip().split("\n")[0]
    cell = cell_class(4, 4)
    parts = re.fullmatch(r"(?P<summary>.+?)(?: \((?P<source>.+)\))?\.?", first)
    return CellDescription(
        name=name,
        summary=parts["summary"] if parts else "",
        source=(parts["source"] or "") if parts else "",
        state=cell.state,
        size=str(cell_class.size or ""),
        phases=cell.graph.phases,
        vendor=cell_class.vendor,
    )
