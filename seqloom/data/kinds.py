"""Kinds of data: how the verbs that work on data without a model, ``check`` and ``convert``, find what knows a file.

A kind names itself and its formats, and recognises what is its own. What it can do beside that are protocols: `Checkable`,
`Convertible`. Each ability has a frozen dataclass of options, whose annotated fields are the options of the verb; one is
``data``, the path, and where the kind has formats, one is ``as_``, the format, with the default ``auto``.

    @register_kind
    class NoteKind:
        name, formats = "notes", ("abc",)
        check_options = NoteCheck                              # data: Annotated[Path, "..."], as_: ..., ...

        def recognises(self, path: Path) -> bool: ...
        def check(self, options: NoteCheck) -> CheckReport: ...

The kinds are imported when a verb asks for them, and need no torch until they work.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from seqloom.configuration.building import build
from seqloom.data.check_report import CheckReport
from seqloom.data.files import STDIN
from seqloom.errors import ConfigError, did_you_mean

__all__ = ["KINDS", "Checkable", "Convertible", "Kind", "check", "checkable", "choose", "convertible", "register_kind"]


class Kind(Protocol):
    """A kind of data.

    Attributes:
        name: as ``--kind`` names it.
        formats: what ``--as`` may name, without ``auto``; two kinds may share a name.
    """

    name: ClassVar[str]
    formats: ClassVar[Sequence[str]]

    def recognises(self, path: Path) -> bool:
        """Whether a file, a folder or what several files have in common looks like this kind; a glance, and never raises."""
        ...


@runtime_checkable
class Checkable(Kind, Protocol):
    """A kind of data in which mistakes can be found before a training.

    Attributes:
        check_options: the frozen dataclass of the options.
    """

    check_options: ClassVar[type]

    def check(self, options: Any) -> CheckReport:
        """What the data hold and what is wrong with them. That a file cannot be read is a finding.

        Raises:
            ConfigError: an option is wrong.
            DataError: another file that an option names is wrong.
        """
        ...


@runtime_checkable
class Convertible(Kind, Protocol):
    """A kind of data that can be written in another form.

    Attributes:
        convert_options: the frozen dataclass of the options.
        convert_summary: what converting does, for the help.
    """

    convert_options: ClassVar[type]
    convert_summary: ClassVar[str]

    def convert(self, options: Any, tell: Callable[[str], None]) -> Iterator[str | bytes]:
        """The output: lines without their ends, or bytes as they are.

        Args:
            tell: takes lines about what was read and changed, which are no part of the output.
        Raises:
            DataError: the data are wrong, or have no such form.
            ConfigError: an option is wrong.
        """
        ...


K = TypeVar("K", bound=Kind)

# In the order in which they are asked. Nearly every text passes for tagged text, which therefore comes last.
KINDS: dict[str, str | type] = {
    "trees": "seqloom.data.trees.kind:TreeKind",
    "images": "seqloom.data.images.kind:ImageKind",
    "documents": "seqloom.data.documents.kind:DocumentKind",
    "ink": "seqloom.data.ink.kind:InkKind",
    "skeletons": "seqloom.data.skeleton.kind:SkeletonKind",
    "series": "seqloom.data.series.kind:SeriesKind",
    "tagged": "seqloom.data.tagged.kind:TaggedKind",
}


def register_kind(cls: type) -> type:
    """Registers a kind of one's own; a decorator. It is asked before the others.

    The command line finds it in a file of ``--import FILE``.

    Raises:
        ConfigError: the name is taken.
    """
    described: Any = cls
    if KINDS.get(described.name, cls) is not cls:
        raise ConfigError(f"a kind of data called {described.name!r} is registered already; choose another name")
    others = {name: one for name, one in KINDS.items() if name != described.name}
    KINDS.clear()
    KINDS.update({described.name: cls, **others})
    return cls


def checkable() -> dict[str, Checkable]:
    """The kinds that can be checked, by name."""
    return {name: kind for name, kind in _resolved() if isinstance(kind, Checkable)}


def convertible() -> dict[str, Convertible]:
    """The kinds that can be converted, by name."""
    return {name: kind for name, kind in _resolved() if isinstance(kind, Convertible)}


def _resolved() -> Iterator[tuple[str, Any]]:
    for name, place in KINDS.items():
        if isinstance(place, str):
            module, attribute = place.split(":")
            yield name, getattr(importlib.import_module(module), attribute)()
        else:
            yield name, place()


def choose(kinds: Mapping[str, K], path: str | Path, format: str = "auto", name: str = "") -> K:
    """The kind of what lies at a path: the named one, else one that has the format, else the first that recognises it.

    Where there is nothing to look at, as at a path with a mistake or in a pipe, it is the last kind, which says so.

    Raises:
        ConfigError: no kind has the name or the format, or none recognises the path.
    """
    if name:
        if name not in kinds:
            raise ConfigError(f"{name!r} is not a known kind of data{did_you_mean(name, kinds)}")
        return kinds[name]
    fitting = {name: kind for name, kind in kinds.items() if format == "auto" or format in kind.formats}
    if not fitting:
        # A kind that is alone has its own sentence about that.
        if len(kinds) > 1:
            known = {format for kind in kinds.values() for format in kind.formats}
            raise ConfigError(f"{format!r} is not a known format{did_you_mean(format, known)}")
        fitting = dict(kinds)
    *_, last = fitting.values()
    if len(fitting) == 1 or str(path) == STDIN:
        return last
    recognised = next((kind for kind in fitting.values() if kind.recognises(Path(path))), None)
    if recognised is None and Path(path).exists():
        raise ConfigError(
            f"{path}: none of the kinds of data recognises it; name its kind, one of {', '.join(fitting)}"
        )
    return recognised or last


def check(path: str | Path, kind: str = "", **options: Any) -> CheckReport:
    """Looks for problems in data before any training, as ``seqloom check`` does.

    Args:
        path: what ``seqloom check`` takes.
        kind: the kind of data; recognised where it is empty.
        options: those of ``seqloom check --help``; ``as_`` is the format.
    Raises:
        ConfigError: an option is unknown or wrong, or nothing recognises the data.
        DataError: another file that an option names is wrong.
    """
    chosen = choose(checkable(), path, str(options.get("as_", "auto")), kind)
    # Configurations spell the keys that Python keeps for itself without the underscore.
    values = {name.rstrip("_"): value for name, value in options.items()}
    return chosen.check(build(chosen.check_options, {"data": path, **values}))
