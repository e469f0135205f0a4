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

import argparse
import contextlib
import dataclasses
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

from seqloom.configuration.building import build
from seqloom.configuration.fields import Field, fields_of
from seqloom.configuration.values import convert, expected
from seqloom.errors import ConfigError, did_you_mean

__all__ = ["CommandLine", "command_line_of", "fields_of_any", "offer", "parse"]

T = TypeVar("T")


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
    command = CommandLine(f"seqloom {verb}", fields_of(options_class), tuple(positional), summary=summary)
    offer(command)
    command.help_if_asked(argv)
    given = dict(command.read(argv))
    missing = [command.place(field) for field in command.leaves if field.required and field.name not in given]
    if missing:
        raise ConfigError(f"{command.program} needs {' and '.join(missing)}{command.remedy}")
    values: dict[str, Any] = {}
    for field in command.leaves:
        if field.name in given:
            *sections, last = field.name.split(".")
            inside = values
            for section in sections:
                inside = inside.setdefault(section, {})
            inside[last] = command.convert(field, given[field.name])
    return build(options_class, values)


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """The options that a command takes: its help, and what was given to it.

    Attributes:
        program: the command as it is typed.
        fields: its options; sections give the help its paragraphs.
        positional: those given by position, in their order.
        of_recipe: whether the options are keys of a recipe, whose values are YAML: true and false are said, lists have
            brackets, and a whole section is a mapping. Else ``bool`` with the default False is given by its name alone,
            and several values follow one option.
        usage: what the help shows in the place of all options.
    """

    program: str
    fields: Sequence[Field]
    positional: tuple[str, ...] = ()
    summary: str = ""
    of_recipe: bool = False
    usage: str | None = None

    @property
    def leaves(self) -> list[Field]:
        """The fields that are no sections."""
        return [field for field in self.fields if not field.is_section]

    @property
    def takes(self) -> Sequence[Field]:
        """The fields that can be given."""
        return self.fields if self.of_recipe else self.leaves

    @property
    def remedy(self) -> str:
        """The end of a sentence about a mistake."""
        return f" ({self.program} --help says how)"

    def place(self, field: Field) -> str:
        """An argument as a person would name it."""
        return field.name.upper() if field.name in self.positional else f"--{field.name}"

    def is_flag(self, field: Field) -> bool:
        """Whether it takes no value."""
        return not self.of_recipe and field.kind is bool and field.default is False

    def convert(self, field: Field, value: Any) -> Any:
        """A given value as the field's type says; else ConfigError."""
        try:
            return convert(value, field.kind, self.place(field))
        except ConfigError as error:
            raise ConfigError(f"{error}{self.remedy}") from None

    def help_if_asked(self, argv: Sequence[str]) -> None:
        """Prints the help and exits with status 0, where there is ``--help`` before any ``--``."""
        options = argv[: list(argv).index("--")] if "--" in argv else argv
        if "--help" in options or "-h" in options:
            self.parser().print_help()
            sys.exit(0)

    def parser(self) -> argparse.ArgumentParser:
        """A parser with everything that the help shows."""
        parser = argparse.ArgumentParser(
            prog=self.program, description=self.summary or None, usage=self.usage, allow_abbrev=False
        )
        self.declare(parser)
        return parser

    def declare(self, parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
        """Puts the options into a parser, as the help and the completion of shells show them; the action of each field."""
        sections: dict[str, Any] = {"": parser}
        actions = {}
        for field in self._in_order(self.fields):
            section, _, name = field.name.rpartition(".")
            if field.is_section:
                sections[field.name] = parser.add_argument_group(field.name, field.help or None)
                continue
            settings: dict[str, Any] = {"help": self._help(field)}
            if not self.is_flag(field):
                settings |= self._shown(field, name)
            actions[field.name] = self._add(sections.get(section, parser), field, field.required, settings)
        return actions

    def read(self, argv: Sequence[str]) -> list[tuple[str, Any]]:
        """Names and texts of what was given, in the order of the command line; a flag is True, several values a list.

        Raises:
            ConfigError: an option is unknown or lacks its value, or an argument has no place.
        """
        self._refuse_unknown(argv)
        parser = argparse.ArgumentParser(exit_on_error=False, add_help=False, allow_abbrev=False)
        for field in self._in_order(self.takes):
            self._add(parser, field, False, {"action": _Collect, "default": argparse.SUPPRESS})
        # Options may stand between arguments, which argparse does not manage where a "--" is among them.
        parse = parser.parse_known_args if "--" in argv else parser.parse_known_intermixed_args
        try:
            namespace, superfluous = parse(list(argv), argparse.Namespace(given=[]))
        except argparse.ArgumentError as error:
            # Types and choices are looked at later, so that only the number of values can be wrong.
            field = next(field for field in self.fields if self.place(field) == error.argument_name)
            if self.is_flag(field):
                raise ConfigError(f"{error.argument_name} takes no value{self.remedy}") from None
            wanted = "a section" if field.is_section else expected(field.item_kind or field.kind)
            raise ConfigError(f"{error.argument_name} needs a value, {wanted}{self.remedy}") from None
        if superfluous:
            raise ConfigError(f"{self.program} has no place for {superfluous[0]!r}{self.remedy}")
        return list(namespace.given)

    def _in_order(self, fields: Sequence[Field]) -> list[Field]:
        order = {name: position for position, name in enumerate(self.positional)}
        return sorted(fields, key=lambda field: order.get(field.name, -1))

    def _add(self, parser: Any, field: Field, required: bool, settings: dict[str, Any]) -> argparse.Action:
        by_position = field.name in self.positional
        if self.is_flag(field):
            settings = {"action": "store_true", **settings}
            if settings["action"] is _Collect:
                settings["nargs"] = 0
        elif field.item_kind and not self.of_recipe:
            settings["nargs"] = "+" if required or not by_position else "*"
        elif by_position and not required:
            settings["nargs"] = "?"
        names = {} if by_position else {"dest": field.name, "required": required}
        added: argparse.Action = parser.add_argument(
            field.name if by_position else f"--{field.name}", **names, **settings
        )
        return added

    def _shown(self, field: Field, name: str) -> dict[str, Any]:
        """How a value stands in the help."""
        if self.of_recipe and (field.item_kind or field.value_kind):
            return {"metavar": "[ITEM,...]" if field.item_kind else "{NAME: VALUE,...}"}
        choices = _choices(field.item_kind or field.kind)
        if choices:
            return {"choices": choices, "metavar": f"{{{','.join(choices)}}}"}
        return {"metavar": name if field.name in self.positional else name.upper()}

    def _help(self, field: Field) -> str:
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        shown = not (field.required or self.is_flag(field) or default in (None, "", []))
        text = f"{field.help}; {default} by default" if shown and "default" not in field.help else field.help
        return text.removeprefix("; ").replace("%", "%%")

    def _refuse_unknown(self, argv: Sequence[str]) -> None:
        # Before the parser sees them: its own complaint neither suggests a name nor comes first among several mistakes.
        known = [field.name for field in self.takes if field.name not in self.positional]
        for text in argv:
            if text == "--":
                return
            name = text[2:].split("=", 1)[0]
            if text.startswith("--") and name not in known:
                raise ConfigError(f"'--{name}' is not an option of {self.program}{_nearest(name, known)}")


class _Collect(argparse.Action):
    """Keeps what was given in its order."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        namespace.given.append((self.dest, True if self.nargs == 0 else values))


def _choices(kind: Any) -> list[str] | None:
    if kind is bool:
        return ["true", "false"]
    return [str(choice) for choice in typing.get_args(kind)] if typing.get_origin(kind) is Literal else None


def _nearest(name: str, known: Sequence[str]) -> str:
    # A person who forgets the section is helped most by the full name.
    same_end = [key for key in known if key.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]]
    if same_end:
        return f"; did you mean '--{same_end[0]}'?"
    return did_you_mean(f"--{name}", [f"--{key}" for key in known]) if known else "; it has none"


_asked: ContextVar[bool] = ContextVar("_asked", default=False)


class _Answer(BaseException):
    def __init__(self, command: CommandLine) -> None:
        self.command = command


def offer(command: CommandLine) -> None:
    """Ends the verb here, where `command_line_of` only asks for its options."""
    if _asked.get():
        raise _Answer(command)


def fields_of_any(classes: Iterable[type]) -> list[Field]:
    """The options of several dataclasses, each name once, with the choices of all."""
    fields: dict[str, Field] = {}
    for field in (field for one in classes for field in fields_of(one)):
        other = fields.setdefault(field.name, field)
        if other is not field and typing.get_origin(field.kind) is typing.get_origin(other.kind) is Literal:
            choices = dict.fromkeys((*typing.get_args(other.kind), *typing.get_args(field.kind)))
            fields[field.name] = dataclasses.replace(other, kind=Literal[tuple(choices)])
    return list(fields.values())


def command_line_of(run: Callable[[list[str]], int], argv: Sequence[str]) -> CommandLine:
    """The options that a verb would parse for these arguments; it does nothing else."""
    with _asking():
        try:
            run(list(argv))
        except _Answer as answer:
            return answer.command
    raise LookupError(f"{run.__module__} parses no options")


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    token = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(token)
