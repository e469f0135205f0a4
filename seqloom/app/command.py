"""The options of one verb: a frozen dataclass, filled from the command line or refused with one sentence.

A verb states its options once, as annotated fields, and calls :func:`parse`. Types, defaults, choices, help texts and
sections (``--data.train F``) all come from the dataclass; a mistake becomes a ConfigError that names the option.

    @dataclass(frozen=True)
    class Options:
        run: Annotated[Path, "a run directory"]
        out: Annotated[Path | None, "where to write; by default into the run"] = None

    options = parse(Options, argv, verb="report", summary=SUMMARY, positional=("run",))

``bool`` with the default False is a flag, ``tuple[X, ...]`` takes several values, ``Literal`` gives choices, and a
dataclass is a section whose fields become dotted options. The field ``as_`` is ``--as``, which Python keeps for itself.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union

from seqloom.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

__all__ = ["parse"]

T = TypeVar("T")
_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}


@dataclasses.dataclass(frozen=True)
class _Argument:
    """One leaf of the options: ``data.train`` for the field ``train`` of the section ``data``."""

    name: str
    kind: Any
    default: Any
    help: str

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING

    @property
    def is_flag(self) -> bool:
        return self.kind is bool and self.default is False

    @property
    def items(self) -> Any:
        """The type of the items where the option takes several values, or None."""
        return typing.get_args(self.kind)[0] if typing.get_origin(self.kind) is tuple else None


def parse(
    options_class: type[T], argv: Sequence[str], *, verb: str, summary: str = "", positional: Sequence[str] = ()
) -> T:
    """The options of a verb from its command line; ``--help`` prints the help and exits with status 0.

    Args:
        options_class: a frozen dataclass; the text in a field's ``Annotated`` is its line of help.
        positional: names of the fields given by position, in their order; one with a default may be left out.
    Raises:
        ConfigError: an unknown option (with the nearest known one), a missing or superfluous argument, or a wrong type
            (with the option, the value and what was expected). The dataclass's own ConfigError passes through.
    """
    from argparse import HelpFormatter

    from jsonargparse import ArgumentError, ArgumentParser

    arguments = {argument.name: argument for argument in _arguments(options_class)}
    _refuse_unknown(argv, arguments, positional, verb)
    parser = ArgumentParser(
        prog=f"seqloom {verb}", exit_on_error=False, description=summary or None, formatter_class=HelpFormatter
    )
    for argument in sorted(arguments.values(), key=lambda a: positional.index(a.name) if a.name in positional else -1):
        _declare(parser, argument, argument.name in positional)
    try:
        namespace = parser.parse_args(list(argv))
    except ArgumentError as error:
        raise ConfigError(_sentence(str(error), arguments, positional, verb)) from None
    return typing.cast(T, _build(options_class, namespace.as_flat().__dict__))


def _arguments(options_class: type, prefix: str = "") -> Iterator[_Argument]:
    hints = typing.get_type_hints(options_class, include_extras=True)
    for field in dataclasses.fields(options_class):
        kind, name = hints[field.name], prefix + field.name.rstrip("_")
        help = ""
        if typing.get_origin(kind) is Annotated:
            kind, help = typing.get_args(kind)[:2]
        if typing.get_origin(kind) in (types.UnionType, Union):
            # A value that is given is never None, and without it the parser's help and complaints are plainer.
            kind = Union[*(part for part in typing.get_args(kind) if part is not type(None))]
        if dataclasses.is_dataclass(kind):
            yield from _arguments(typing.cast(type, kind), f"{name}.")
        else:
            made = field.default_factory
            default = field.default if made is dataclasses.MISSING else made()
            yield _Argument(name, kind, default, help)


def _declare(parser: "ArgumentParser", argument: _Argument, by_position: bool) -> None:
    # jsonargparse would add the type as Python writes it; the choices and the line of help say it in words.
    shown = not (argument.required or argument.is_flag or argument.default in (None, "", ()))
    default = f"; {argument.default} by default" if shown and "default" not in argument.help else ""
    settings: dict[str, Any] = {"help": f"{argument.help}{default}".replace("%", "%%")}
    if argument.is_flag:
        parser.add_argument(_flag(argument.name), action="store_true", **settings)
        return
    settings["type"] = argument.items or argument.kind
    if not argument.required:
        settings["default"] = list(argument.default) if argument.items else argument.default
    if argument.items:
        settings["nargs"] = "+" if argument.required or not by_position else "*"
    elif by_position and not argument.required:
        settings["nargs"] = "?"
    if by_position:
        parser.add_argument(argument.name, **settings)
    else:
        parser.add_argument(_flag(argument.name), required=argument.required, **settings)


def _flag(name: str) -> str:
    return f"--{name}"


def _build(options_class: type, values: dict[str, Any], prefix: str = "") -> Any:
    hints = typing.get_type_hints(options_class)
    given: dict[str, Any] = {}
    for field in dataclasses.fields(options_class):
        kind, name = hints[field.name], prefix + field.name.rstrip("_")
        if dataclasses.is_dataclass(kind):
            given[field.name] = _build(typing.cast(type, kind), values, f"{name}.")
        else:
            given[field.name] = tuple(values[name]) if typing.get_origin(kind) is tuple else values[name]
    return options_class(**given)


def _refuse_unknown(argv: Sequence[str], arguments: dict[str, _Argument], positional: Sequence[str], verb: str) -> None:
    # Before the parser sees them: its own complaint neither suggests a name nor comes first among several mistakes.
    known = [name for name in arguments if name not in positional]
    for text in argv:
        if text == "--":
            return
        name = text[2:].split("=", 1)[0]
        if text.startswith("--") and name not in ("help", *known):
            raise ConfigError(f"'--{name}' is not an option of seqloom {verb}{_nearest(name, known)}")


def _nearest(name: str, known: Sequence[str]) -> str:
    same_end = [key for key in known if key.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]]
    if same_end:
        return f"; did you mean '--{same_end[0]}'?"
    dashed = [_flag(key) for key in known]
    return did_you_mean(_flag(name), dashed) if dashed else "; it has none"


def _sentence(error: str, arguments: dict[str, _Argument], positional: Sequence[str], verb: str) -> str:
    """One sentence for what the parser found, in the words of the command line rather than of Python."""
    remedy = f" (seqloom {verb} --help says how)"
    wrong = re.search(r'key "([^"]+)"', error)
    if wrong and wrong.group(1) in arguments:
        argument = arguments[wrong.group(1)]
        value = re.search(r"(?:Got|Given) value: (.*)", error, re.DOTALL)
        found = f"{value.group(1).strip()!r}" if value else "the value"
        place = argument.name.upper() if argument.name in positional else _flag(argument.name)
        return f"{place}: {found} is not {_expected(argument.items or argument.kind)}{remedy}"
    missing = re.search(r"arguments are required: (.*)", error)
    if missing:
        names = [name.upper() if name in positional else name for name in missing.group(1).split(", ")]
        return f"seqloom {verb} needs {' and '.join(names)}{remedy}"
    superfluous = re.search(r"unrecognized arguments: (.*)", error)
    if superfluous:
        return f"seqloom {verb} has no place for {superfluous.group(1).split()[0]!r}{remedy}"
    valueless = re.search(r"argument (--\S+): expected (?:one|at least one) argument", error)
    if valueless and valueless.group(1)[2:] in arguments:
        argument = arguments[valueless.group(1)[2:]]
        return f"{valueless.group(1)} needs a value, {_expected(argument.items or argument.kind)}{remedy}"
    return " ".join(error.split()) + remedy


def _expected(kind: Any) -> str:
    """What a value has to be, in plain words.

    >>> _expected(Literal["bio", "bioes"]), _expected(int)
    ("one of 'bio', 'bioes'", 'a whole number')
    """
    if typing.get_origin(kind) in (types.UnionType, Union):
        return " or ".join(_expected(part) for part in typing.get_args(kind))
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in typing.get_args(kind))
    return _NAMES.get(kind) or f"a {getattr(kind, '__name__', kind)}"
