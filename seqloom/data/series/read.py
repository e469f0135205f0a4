"""The one way to read series with labels, whatever file or objects they are in."""

from __future__ import annotations

import re
from pathlib import Path

from seqloom.data.files import STDIN
from seqloom.data.labelled import LabelledData, Series, split_part
from seqloom.data.series.arff import read_arff
from seqloom.data.series.arrays import read_arrays
from seqloom.data.series.folders import read_folder
from seqloom.data.series.objects import read_objects
from seqloom.data.series.reading import SERIES_FORMATS, SeriesReading
from seqloom.data.series.tables import read_table
from seqloom.data.series.ts import read_ts
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError, did_you_mean

__all__ = ["archive_pair", "format_of", "read_series"]

_PACKING = re.compile(r"\.(gz|xz|bz2)$", re.IGNORECASE)
_ENDINGS = {".ts": "ts", ".arff": "arff", ".npz": "npz", ".csv": "csv", ".tsv": "csv"}
_ARCHIVE = re.compile(r"(?P<name>.+)_(?P<part>TRAIN|TEST)\.(ts|arff)(\.(gz|xz|bz2))?")


def read_series(source: Source, reading: SeriesReading, part: str = "") -> LabelledData[Series]:
    """The series of a file, a folder or objects.

    Its ``facts`` are ``format``; ``channels``, names or numbers; ``declared_equal``, whether the format says that all series
    are equally long; and where they are known ``rate``, steps in a second; ``rates`` and ``jitter``, by the timestamps of each
    series and the deviation of its intervals; ``time_unit``; ``trimmed``, how many series lost empty steps at their end.

    Args:
        source: a path; ``FILE:test`` is one part of it. A folder with ``NAME_TRAIN.ts`` and ``NAME_TEST.ts`` holds both parts.
        part: which of the parts that a file may hold is wanted; all where empty, or where the file has none.
    Raises:
        DataError: what was read is wrong; begins with its place, ``file:line`` or ``file[index]``.
        ConfigError: the format is not known.
    """
    if reading.format != "auto" and reading.format not in SERIES_FORMATS:
        raise ConfigError(
            f"format: {reading.format!r} is not a known format{did_you_mean(reading.format, SERIES_FORMATS)}"
        )
    if not source.is_named:
        return _part_of(read_objects(source.place, reading), part, "", source.name)
    path, named = split_part(source.path())
    encoding = source.encoding if reading.encoding == "utf-8" else reading.encoding
    return _part_of(_read(path, reading, encoding), part, named, path)


def _read(path: str, reading: SeriesReading, encoding: str) -> LabelledData[Series]:
    format = format_of(path) if reading.format == "auto" else reading.format
    pair = archive_pair(Path(path)) if format == "folder" else {}
    if pair:
        return _joined({part: _read(str(file), reading, encoding) for part, file in pair.items()}, path)
    if format == "ts":
        return read_ts(path, reading, encoding)
    if format == "arff":
        return read_arff(path, reading, encoding)
    if format == "npz":
        return read_arrays(path, reading)
    if format == "folder":
        return read_folder(path, reading, encoding)
    return read_table(path, reading, encoding)


def format_of(path: str) -> str:
    """The format by the name of a file; ``csv`` of the standard input.

    Raises:
        DataError: the name ends otherwise.

    >>> format_of("a/b.ts.gz")
    'ts'
    """
    if path == STDIN:
        return "csv"
    place = Path(path)
    if place.is_dir():
        return "folder"
    ending = Path(_PACKING.sub("", path)).suffix.lower()
    if ending in _ENDINGS:
        return _ENDINGS[ending]
    missing = "" if place.exists() or path.startswith("package:") else ", and there is no such file"
    raise DataError(
        f"{path} ends in none of {', '.join(_ENDINGS)}{missing}; expected one of them or a folder, or name the format: "
        f"{', '.join(SERIES_FORMATS)}"
    )


def archive_pair(folder: Path) -> dict[str, Path]:
    """The two files of a data set of the UEA archive, where a folder holds such, and one pair only."""
    try:
        matches = [match for entry in sorted(folder.iterdir()) if (match := _ARCHIVE.fullmatch(entry.name))]
    except OSError:
        return {}
    if len(matches) != 2 or matches[0]["name"] != matches[1]["name"]:
        return {}
    pair = {match["part"].lower(): folder / match.string for match in matches}
    return {part: pair[part] for part in ("train", "test") if part in pair} if len(pair) == 2 else {}


def _joined(parts: dict[str, LabelledData[Series]], name: str) -> LabelledData[Series]:
    examples: list[Series] = []
    indices = {}
    first, *others = parts.values()
    for part, data in parts.items():
        indices[part] = range(len(examples), len(examples) + len(data.examples))
        examples += data.examples
    for other in others:
        if other.facts["channels"] != first.facts["channels"]:
            raise DataError(f"{name}: the files of its parts have other channels; expected the same")
    return LabelledData(examples, first.facts, indices)


def _part_of(data: LabelledData[Series], part: str, named: str, path: str) -> LabelledData[Series]:
    wanted = named or part
    if named and named not in data.parts:
        holds = ", ".join(data.parts) or "none"
        raise DataError(f"{path} has no part {named!r}; its parts: {holds}")
    if not wanted or not data.parts:
        return data
    indices = data.parts.get(wanted, ())
    facts = dict(data.facts)
    if "rates" in facts:
        facts["rates"] = tuple(facts["rates"][index] for index in indices)
    return LabelledData([data.examples[index] for index in indices], facts)
