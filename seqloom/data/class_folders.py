"""Folders that hold a folder for each class, and those perhaps within one for each part of a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from seqloom.data.labelled import part_named
from seqloom.errors import DataError

__all__ = ["class_folders", "files_in", "folders_in"]


def class_folders(place: Path) -> dict[str, list[Path]]:
    """The folders of classes, by part: all under ``""`` where there are no folders ``train`` and ``test`` around them."""
    children = folders_in(place)
    parts = {child: part_named(child.name) for child in children}
    named = [child for child in children if parts[child] and folders_in(child)]
    if not named:
        return {"": children} if len(children) > 1 or (children and files_in(children[0])) else {}
    found: dict[str, list[Path]] = {}
    for child in named:
        found.setdefault(parts[child], []).extend(folders_in(child))
    return found


def _entries(place: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{place}: cannot be read ({error.strerror}); check its permissions") from None


def files_in(place: Path) -> list[Path]:
    """The files of a folder in the order of their names, but for hidden ones."""
    return sorted(Path(entry.path) for entry in _entries(place) if entry.is_file())


def folders_in(place: Path) -> list[Path]:
    """The folders of a folder in the order of their names, but for hidden ones."""
    return sorted(Path(entry.path) for entry in _entries(place) if entry.is_dir())
