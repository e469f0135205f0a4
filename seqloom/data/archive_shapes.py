"""The names and shapes of the arrays in an archive, from their heads alone: a glance at what a file holds."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from typing import TypeAlias

from numpy.lib import format as npy

from seqloom.outside import MISFITS

__all__ = ["Shapes", "shapes_of"]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

_MOST = 1000  # arrays that are looked at


def shapes_of(path: str) -> Shapes:
    """By name; empty where the file is no archive. Never raises."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist()[:_MOST]:
                if entry.filename.endswith(".npy"):
                    with archive.open(entry) as file:
                        read = (
                            npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
                        )
                        found[entry.filename.removesuffix(".npy")] = read(file)[0]
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, *MISFITS):
        return {}
    return found
