"""The options of a verb that works on any kind of data: the kind is found first, then its own options are read."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from seqloom.app.command import CommandLine, fields_of_any, offer, parse
from seqloom.configuration.fields import fields_of
from seqloom.data.files import STDIN
from seqloom.data.kinds import Kind, choose

__all__ = ["parse_for_kind"]

_DECIDING = ("data", "as", "kind")

K = TypeVar("K", bound=Kind)


@dataclasses.dataclass(frozen=True)
class _Nothing:
    """A verb without options of its own."""


def parse_for_kind(
    argv: Sequence[str],
    *,
    verb: str,
    summary: str,
    kinds: Mapping[str, K],
    describe: Callable[[K], tuple[type, str]],
    own: type = _Nothing,
) -> tuple[K, Any]:
    """The kind of data that the arguments speak of, and its options together with the verb's own.

    Where there are several kinds, ``--kind`` names one; else ``--as`` or a look at the data decides. Without any of these
    the help is about what all kinds share.

    Args:
        describe: the dataclass of a kind's options for this verb, and what the verb does for it.
        own: the dataclass of the options that the verb has for every kind; they come last in the help.
    Raises:
        ConfigError: as of `parse`; or the kind is unknown, or cannot be found.
    """
    if len(kinds) == 1:
        (kind,) = kinds.values()
        options, about = describe(kind)
        return kind, parse(_joined(options, own), argv, verb=verb, summary=about, positional=("data",))
    named = _with_kind(own, tuple(kinds))
    commands = {name: _joined(describe(kind)[0], named) for name, kind in kinds.items()}
    every = CommandLine(f"seqloom {verb}", fields_of_any(commands.values()), ("data",), summary)
    offer(every)
    given = dict(every.read([text for text in argv if text not in ("-h", "--help")]))
    deciding = {field.name: field for field in every.leaves if field.name in given and field.name in _DECIDING}
    if not deciding:
        shared = _shared(named, kinds)
        about = f"{summary}; with DATA, --as or --kind this help has the options for such data"
        CommandLine(every.program, fields_of(shared), ("data",), about).help_if_asked(argv)
        parse(shared, [], verb=verb, positional=("data",))
    said = {name: every.convert(field, given[name]) for name, field in deciding.items()}
    kind = choose(kinds, said.get("data", STDIN), said.get("as", "auto"), said.get("kind", ""))
    about, of_kind = describe(kind)[1], f"{verb} --kind {kind.name}"
    return kind, parse(commands[kind.name], argv, verb=of_kind, summary=about, positional=("data",))


def _joined(options: type, own: type) -> type:
    """The kind's options, then the verb's."""
    return dataclasses.make_dataclass("Options", [], bases=(own, options), frozen=True)


def _with_kind(own: type, names: tuple[str, ...]) -> type:
    kind: Any = Annotated[Literal[names] | None, "kind of the data; recognised where it is not given"]
    return dataclasses.make_dataclass(
        "Options", [("kind", kind, dataclasses.field(default=None))], bases=(own,), frozen=True
    )


def _shared(own: type, kinds: Mapping[str, Kind]) -> type:
    """What all kinds have."""
    formats = tuple(dict.fromkeys(format for kind in kinds.values() for format in kind.formats))
    fields: list[Any] = [
        ("data", Annotated[Path, "the data: a file, compressed or not, or what the kind of data allows"]),
        (
            "as_",
            Annotated[Literal[("auto", *formats)], "format of the data; auto recognises it"],
            dataclasses.field(default="auto"),
        ),
    ]
    return _joined(dataclasses.make_dataclass("Shared", fields, frozen=True), own)
