"""Folders with a CSV file for each series: ``CLASS/FILE.csv``, ``CLASS/GROUP/FILE.csv``, either inside ``train`` and ``test``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seqloom.data.labelled import LabelledData, Series, part_named
from seqloom.data.series.assembly import Found, assembled
from seqloom.data.series.reading import SeriesReading
from seqloom.data.series.tables import found_in, roles_of, table_of
from seqloom.errors import DataError

__all__ = ["class_folder", "read_folder"]

_FILE = re.compile(r".+\.(csv|tsv|txt)(\.(gz|xz|bz2))?", re.IGNORECASE)
_DEPTH = 3


def read_folder(path: str, reading: SeriesReading, encoding: str) -> LabelledData[Series]:
    """The series of the files below a folder.

    The files may have a header; all have the same channels. Folders between that of the class and the file are the group.

    Raises:
        DataError: there are no files, or a file is wrong; names it, and the line.
    """
    root = Path(path)
    found: list[Found] = []
    channels: tuple[str, ...] | None = None
    units: set[str] = set()
    for file in class_folder(root):
        folders = list(file.relative_to(root).parts[:-1])
        part = part_named(folders[0]) if folders else ""
        if part:
            folders.pop(0)
        if not folders:
            raise DataError(f"{file} lies in no folder of a class; expected {path}/CLASS/{file.name}")
        table = table_of(str(file), encoding, header=None)
        if not table.rows:
            raise DataError(f"{file} has a header and no rows")
        roles = replace(roles_of(table, replace(reading, label="none", group="none"), cases=False), part="")
        if channels is not None and roles.channels != channels:
            raise DataError(
                f"{file} has the channels {', '.join(roles.channels)}; the files before have {', '.join(channels)}"
            )
        channels = roles.channels
        (one,), unit = found_in(table, roles, reading)
        units |= {unit} if roles.time else set()
        one.where, one.part = str(file), part
        if not reading.targets:
            one.target = None if reading.label == "none" else folders[0]
        one.group = "" if reading.group == "none" else "/".join(folders[1:])
        found.append(one)
    if not found:
        raise DataError(f"{path} has no CSV files in folders of classes; expected {path}/CLASS/FILE.csv")
    facts = {"time_unit": ", ".join(sorted(units))} if units else {}
    return assembled(found, reading, path, "folder", channels or (), facts=facts)


def class_folder(root: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """The CSV files at most so many folders below a root, sorted. Links to folders are not followed.

    Raises:
        DataError: a folder cannot be read.
    """
    try:
        entries = sorted(root.iterdir())
    except OSError as problem:
        raise DataError(f"{root}: cannot be read ({problem.strerror})") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if depth and not entry.is_symlink():
                yield from class_folder(entry, depth - 1)
        elif _FILE.fullmatch(entry.name):
            yield entry
