"""From a text of the command line, a value of YAML or a value of Python to the type of a field, or a sentence why not."""

import json
import math
import numbers
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

from seqloom.errors import ConfigError

__all__ = ["convert", "expected", "from_text", "shown"]

_SHOWN = 300
_LARGEST = 2**63  # of whole numbers: what tensors and seeds can hold
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}


def convert(value: Any, kind: Any, key: str, label: Callable[[str], str] = str) -> Any:
    """A value as the type says; a text stands for what YAML reads in it, unless the type is text itself.

    Args:
        key: whose value it is.
        label: how a sentence names a key, or an entry of it, with the place where the value was given.
    Raises:
        ConfigError: the value is of another type; says what was found and what is expected.

    >>> convert("1e3", float, "rate"), convert("[a, b]", tuple[str, ...], "names"), convert("7", str, "name")
    (1000.0, ('a', 'b'), '7')
    >>> convert(2.5, int, "model.layers", "my.yaml:3: {}".format)
    Traceback (most recent call last):
    ...
    seqloom.errors.ConfigError: my.yaml:3: model.layers: 2.5 is not a whole number
    """
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, Union):
        return _first_that_fits(value, kind, key, label)
    if origin is Literal:
        for choice in typing.get_args(kind):
            if value == (str(choice) if isinstance(value, str) else choice) and not isinstance(value, bool):
                return choice
        raise _wrong(value, kind, label(key))
    if kind in (Path, str) and isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        if "\0" in text:
            raise ConfigError(f"{label(key)}: {shown(text)} holds a zero byte, which no text or name has")
        return Path(text) if kind is Path else text
    read = from_text(value) if isinstance(value, str) else value
    if origin is tuple and isinstance(read, Sequence) and not isinstance(read, str):
        return tuple(convert(item, typing.get_args(kind)[0], key, label) for item in read)
    if origin is dict and isinstance(read, Mapping):
        name_kind, item_kind = typing.get_args(kind)
        return {
            convert(name, name_kind, key, label): convert(item, item_kind, f"{key}.{name}", label)
            for name, item in read.items()
        }
    if kind is bool and isinstance(read, bool):
        return read
    # True is a number to Python, but nobody who writes it means 1.
    if kind is int and isinstance(read, numbers.Integral) and not isinstance(read, bool) and abs(int(read)) < _LARGEST:
        return int(read)
    if kind is float and isinstance(read, numbers.Real) and not isinstance(read, bool):
        number = _as_float(read)
        if math.isfinite(number):
            return number
    raise _wrong(value, kind, label(key))


def _as_float(number: numbers.Real) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _first_that_fits(value: Any, kind: Any, key: str, label: Callable[[str], str]) -> Any:
    # Every text is text, so that comes last.
    for part in sorted(typing.get_args(kind), key=lambda part: part is str):
        try:
            return convert(value, part, key, label)
        except ConfigError:
            continue
    raise _wrong(value, kind, label(key))


def _wrong(value: Any, kind: Any, label: str) -> ConfigError:
    return ConfigError(f"{label}: {shown(value)} is not {expected(kind)}")


def from_text(text: str) -> Any:
    """What YAML reads in a text; also numbers such as 1e3, which YAML 1.1 takes for text.

    >>> from_text("1e3"), from_text("0x10"), from_text("{a: 1}"), from_text("null"), from_text("a: b: c")
    (1000.0, 16, {'a': 1}, None, 'a: b: c')
    """
    from seqloom.outside import UnreadableError, parse_yaml

    try:
        value = parse_yaml(text)
    except UnreadableError:
        return text
    if not isinstance(value, str):
        return value
    try:
        number = float(text)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def shown(value: Any) -> str:
    """A value in a sentence, as YAML would have it, the long ones cut."""
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # keys that JSON has not, a number of thousands of digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def expected(kind: Any) -> str:
    """What a value has to be, in plain words.

    >>> expected(Literal["bio", "bioes"]), expected(dict[str, int])
    ("one of 'bio', 'bioes'", 'a mapping {name: value} where each value is a whole number')
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, Union):
        return " or ".join(expected(part) for part in arguments)
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in arguments)
    if origin is tuple:
        return f"a list [item, ...] where each item is {expected(arguments[0])}"
    if origin is dict:
        return f"a mapping {{name: value}} where each value is {expected(arguments[1])}"
    return _WORDS[kind]
