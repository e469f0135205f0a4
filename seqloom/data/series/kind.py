"""Series as a kind of data: what the verb ``check`` takes and does for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from seqloom.data.files import DAMAGE, STDIN
from seqloom.data.series.reading import SERIES_FORMATS, SeriesFormat, SeriesReading
from seqloom.errors import ConfigError, DataError

if TYPE_CHECKING:
    from seqloom.data.check_report import CheckReport

__all__ = ["SeriesCheck", "SeriesKind"]

_GLANCE = 20
_MOST_FILES = 3


@dataclass(frozen=True)
class SeriesCheck:
    """Options of ``seqloom check`` for series of vectors."""

    data: Annotated[Path, "the file or folder to check; FILE:test is one part of a file that holds several"]
    dev: Annotated[Path | None, "development data, compared with it: shared series, unknown classes, shared groups"] = (
        None
    )
    test: Annotated[Path | None, "test data, compared with both"] = None
    as_: Annotated[SeriesFormat, "format of the files; auto goes by their names"] = "auto"
    label: Annotated[str, "array or column of the class; empty finds it, none where there are no classes"] = ""
    group: Annotated[str, "array or column of who or what a series is from; empty finds it"] = ""
    targets: Annotated[str, "arrays or columns of real values to predict in the place of a class, as a,b"] = ""
    channels: Annotated[str, "channels to look at, as ax,ay,az; all where empty"] = ""
    values: Annotated[str, "of archives: the array of the series; empty finds it"] = ""
    case: Annotated[str, "of tables: the column that says to which series a row belongs; empty finds it"] = ""
    time: Annotated[str, "of tables: the column of the time; empty finds it"] = ""
    rate: Annotated[float, "steps in a second that the data should have; 0 where it is not known"] = 0.0
    encoding: Annotated[str, "character encoding of the files"] = "utf-8"
    limit: Annotated[int, "findings of a kind to list for each file"] = 10


class SeriesKind:
    """Series of vectors with classes or targets, as `seqloom.data.series.read.read_series` reads them."""

    name: ClassVar[str] = "series"
    formats: ClassVar[tuple[str, ...]] = tuple(SERIES_FORMATS)
    check_options: ClassVar[type] = SeriesCheck

    def recognises(self, path: Path) -> bool:
        """Whether it is an archive with an array of series, a .ts or .arff file, or tables of nothing but numbers and names."""
        if str(path) == STDIN:
            return False
        try:
            return _is_folder(path) if path.is_dir() else _is_file(path)
        except (DataError, ConfigError, ValueError, *DAMAGE):
            return False

    def check(self, options: SeriesCheck) -> "CheckReport":
        """What the data hold and what is wrong with them."""
        from seqloom.data.series.check import check

        reading = SeriesReading(
            format=options.as_,
            label=options.label,
            group=options.group,
            targets=_listed(options.targets),
            channels=_listed(options.channels),
            values=options.values,
            case=options.case,
            time=options.time,
            encoding=options.encoding,
        )
        named = {"data": options.data, "dev": options.dev, "test": options.test}
        paths = {split: path for split, path in named.items() if path is not None}
        return check(paths, reading, options.rate, options.limit)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _is_file(path: Path) -> bool:
    from seqloom.data.archive_shapes import shapes_of
    from seqloom.data.archives import VALUES
    from seqloom.data.files import open_text
    from seqloom.data.labelled import part_named, split_part
    from seqloom.data.series.read import format_of

    place = split_part(str(path))[0]
    if not Path(place).is_file():
        return False
    format = format_of(place)
    if format == "npz":
        for name, shape in shapes_of(place).items():
            prefix, _, rest = name.partition("_")
            if ((rest or VALUES[0]) if part_named(prefix) else name) in VALUES and len(shape) >= 2:
                return True
        return False
    if format == "csv":
        return _is_table(place)
    lines = (line.strip() for _, line in islice(open_text(place, expected=None), 10_000))
    first = next((line for line in lines if line and not line.startswith(("#", "%"))), "")
    return first.startswith("@")


def _is_table(path: str, header: bool | None = True) -> bool:
    """Whether the first rows have numbers in all columns that no name says to be another thing."""
    from seqloom.data.series.tables import glance, roles_of

    table = glance(path, _GLANCE, header)
    roles = roles_of(table, SeriesReading())
    columns: Sequence[Sequence[str]] = [table.columns[name] for name in roles.channels]
    # A table of texts and numbers of classes is one of documents.
    return table.rows > 0 and all(_are_numbers(column) for column in columns)


def _are_numbers(column: Sequence[str]) -> bool:
    from seqloom.data.series.assembly import numbers

    return len(numbers(column, "")) > 0


def _is_folder(path: Path) -> bool:
    from seqloom.data.series.folders import class_folder
    from seqloom.data.series.read import archive_pair

    if archive_pair(path):
        return True
    firsts = [file for file in islice(class_folder(path), _MOST_FILES) if file.parent != path]
    return bool(firsts) and all(_is_table(str(file), None) for file in firsts)
