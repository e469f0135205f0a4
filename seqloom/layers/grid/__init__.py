"""Recurrences over images: every cell reads the one above it and the one to its left."""

from seqloom.layers.grid.cells import MDLSTM, GridRNN

__all__ = ["MDLSTM", "GridRNN"]
