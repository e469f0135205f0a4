"""From nested values to a configuration, with every key and every value checked."""

import dataclasses
import functools
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from seqloom.configuration.fields import Field, own_fields
from seqloom.configuration.values import convert, from_text, shown
from seqloom.errors import ConfigError, did_you_mean

__all__ = ["build"]

T = TypeVar("T")


def build(config_class: type[T], values: Mapping[str, Any], places: Mapping[str, str] | None = None) -> T:
    """The configuration that has these values, and its defaults where there are none.

    Args:
        config_class: a frozen dataclass whose fields are whole numbers, numbers, texts, truth values, paths, choices
            (``Literal``), unions and tuples of these, mappings from text to these, or sections, which are such classes.
        values: key -> value, sections as mappings; a section that is None has nothing to say.
        places: dotted key -> where its value was given, ``file:line`` or an option; empty for values of Python.
    Raises:
        ConfigError: a key is unknown or missing, or a value of the wrong type; says where. The class's own passes through.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Model:
    ...     layers: int = 1
    >>> build(Model, {"layers": "two"})
    Traceback (most recent call last):
    ...
    seqloom.errors.ConfigError: layers: 'two' is not a whole number
    """
    made: T = _build(config_class, None, values, places or {}, "")
    return made


def _build(kind: type, default: Any, values: Mapping[str, Any], places: Mapping[str, str], prefix: str) -> Any:
    fields = own_fields(kind, default)
    for key in values:
        if key not in fields:
            name = f"{prefix}{key}"
            place = _place(name, places)
            named = f"{place}: {name!r}" if ":" in place else repr(place or name)
            raise ConfigError(f"{named} is not a known key{did_you_mean(str(key), fields)}")
    for key, (_, field) in fields.items():
        if field.required and key not in values:
            raise ConfigError(f"{prefix}{key} is not given")
    given = {
        name: _value(dataclasses.replace(field, name=prefix + key), values[key], places)
        for key, (name, field) in fields.items()
        if key in values and not (field.is_section and values[key] is None)
    }
    return kind(**given) if default is None else dataclasses.replace(default, **given)


def _value(field: Field, value: Any, places: Mapping[str, str]) -> Any:
    if field.is_section:
        section = from_text(value) if isinstance(value, str) else value
        if isinstance(section, field.kind):
            return section
        if not isinstance(section, Mapping):
            raise ConfigError(f"{_label(field.name, places)}: {shown(value)} is not a section of 'key: value' lines")
        return _build(field.kind, field.default, section, places, f"{field.name}.")
    if field.optional and (value is None or (isinstance(value, str) and value in ("null", "~"))):
        return None
    plain = typing.get_origin(field.kind) or field.kind
    if value is None and plain in (str, tuple, dict):
        return plain()  # a key of YAML with nothing behind it
    return convert(value, field.kind, field.name, functools.partial(_label, places=places))


def _label(key: str, places: Mapping[str, str]) -> str:
    """How a sentence names a key: as an option, or with its line before it."""
    place = _place(key, places)
    if not place:
        return key
    return f"{place}: {key}" if ":" in place else place


def _place(key: str, places: Mapping[str, str]) -> str:
    """Where a key was given, itself or within what is around it."""
    if key in places or "." not in key:
        return places.get(key, "")
    around, _, last = key.rpartition(".")
    place = _place(around, places)
    return f"{place}.{last}" if place.startswith("--") else place
