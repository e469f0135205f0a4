"""Cells: the mathematics of one time step, one file per family."""

from typing import TYPE_CHECKING, Any

from seqloom.cells.cell import Cell
from seqloom.cells.elman import Elman, ElmanReLU, ElmanSigmoid
from seqloom.cells.gru import GRU, GRUBefore
from seqloom.cells.initial import Initialisation
from seqloom.cells.lstm import LSTM
from seqloom.cells.lstm_projected import LSTMP
from seqloom.cells.registry import CellDescription, describe, get, name_of, names, register
from seqloom.cells.size import Size

if TYPE_CHECKING:
    from collections.abc import Callable

    check_cell: Callable[..., None]

__all__ = [
    "GRU",
    "LSTM",
    "LSTMP",
    "Cell",
    "CellDescription",
    "Elman",
    "ElmanReLU",
    "ElmanSigmoid",
    "GRUBefore",
    "Initialisation",
    "Size",
    "check_cell",
    "describe",
    "get",
    "name_of",
    "names",
    "register",
]


def __getattr__(name: str) -> Any:
    if name == "check_cell":
        # The battery runs cells through layers, a higher room: found by name when somebody asks for it, so that this
        # room stays below that one.
        import importlib

        return importlib.import_module("seqloom.layers.check").check_cell
    raise AttributeError(f"module 'seqloom.cells' has no attribute '{name}'")
