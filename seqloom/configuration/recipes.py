"""Recipes: YAML files with a configuration's values, which may extend another recipe and be changed key by key."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from seqloom.configuration.building import build
from seqloom.configuration.fields import field_at, fields_of
from seqloom.configuration.values import from_text, shown
from seqloom.errors import ConfigError, did_you_mean
from seqloom.outside import UnreadableError, compose_yaml, read_text, yaml_value

__all__ = ["RECIPES", "Recipe", "find_recipe", "read_recipe", "to_commented_yaml", "to_yaml"]

RECIPES = Path(__file__).parent.parent / "recipes"

T = TypeVar("T")


@dataclass(frozen=True)
class Recipe:
    """The values of a recipe, of those that it extends, and of what was put into it since.

    Attributes:
        name: as it was asked for.
        values: key -> value, sections and mappings as mappings.
        places: dotted key -> ``file:line``, or the option that gave it; none for values of Python.
    """

    name: str
    values: Mapping[str, Any]
    places: Mapping[str, str]

    @property
    def system(self) -> str:
        """The name of the system that it trains; empty where it has none."""
        return str(self.values.get("system") or "")

    def place(self, key: str) -> str:
        """Where a key was given; the recipe itself where it was not."""
        return self.places.get(key, self.name)

    def merged(self, sections: Mapping[str, Any]) -> "Recipe":
        """With the values of nested mappings, as a recipe that extends this one would have them."""
        given = _keys(sections)
        places = {key: where for key, where in self.places.items() if key not in given}
        return Recipe(self.name, _merged(self.values, sections), {**places, **dict.fromkeys(given, "")})

    def with_option(self, config_class: type, key: str, text: str, place: str) -> "Recipe":
        """With one value from a text; a section or an entry of a mapping leaves what stands beside it as it was."""
        field, read, values = field_at(config_class, key), from_text(text), self.values
        value: Any = read if field and (field.is_section or field.value_kind) and isinstance(read, Mapping) else text
        if field and field.is_section and isinstance(value, Mapping):
            value = _merged(_at(values, key), value)
        above = key.rpartition(".")[0]
        around = field_at(config_class, above) if above else None
        if around and around.value_kind and _at(values, above) is None:
            values = _with_value(values, above.split("."), around.default)
        places = {name: where for name, where in self.places.items() if not f"{name}.".startswith(f"{key}.")}
        return Recipe(self.name, _with_value(values, key.split("."), value), {**places, key: place})

    def build(self, config_class: type[T]) -> T:
        """The configuration.

        Raises:
            ConfigError: a key is unknown or a value is of the wrong type; names the line or the option.
        """
        return build(config_class, self.values, self.places)


def find_recipe(recipe: str) -> Path:
    """The file of a recipe: a path as it is, or the name of a shipped recipe.

    Raises:
        ConfigError: there is neither.
    """
    path = Path(recipe)
    try:
        if path.is_file():
            return path
    except OSError as error:  # a name that is too long
        raise ConfigError(f"{shown(recipe)}: there is no such recipe file ({error.strerror})") from None
    shipped = {file.stem: file for file in RECIPES.glob("*.yaml")}
    if recipe in shipped:
        return shipped[recipe]
    if path.suffix in (".yaml", ".yml") or path.parent != Path():
        raise ConfigError(f"{recipe}: there is no such recipe file (seqloom recipes lists the shipped ones)")
    raise ConfigError(f"{recipe!r} is neither a file nor a shipped recipe{did_you_mean(recipe, shipped)}")


def read_recipe(recipe: str) -> Recipe:
    """A file or a shipped recipe with all that it extends; its keys and types are checked when it is built.

    Raises:
        ConfigError: it is not there, is not YAML, gives a key twice, or extends itself.
    """
    values, places = _read_extended(find_recipe(recipe), ())
    return Recipe(recipe, values, places)


def to_yaml(config: Any) -> str:
    """A configuration as YAML, as it is stored with a run and read back by :func:`read_recipe`."""
    return _dump(config, width=120)


def to_commented_yaml(config: Any) -> str:
    """The same with what each key is for behind it."""
    text = _dump(config, width=float("inf"))
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    starts = _lines_of(root, "", Path()) if isinstance(root, yaml.MappingNode) else {}
    for field in fields_of(type(config), documented=True):
        if field.help:
            line = starts[field.name] - 1
            lines[line] = f"{lines[line]:<28} # {field.help.split('. ')[0].rstrip('.')}"
    commented = "\n".join(lines) + "\n"
    # A text over several lines has no place for a comment behind its first.
    return commented if yaml.safe_load(commented) == yaml.safe_load(text) else text


def _dump(config: Any, width: float) -> str:
    text: str = yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True, width=width)
    return text


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _merged(base: Any, values: Any) -> Any:
    if isinstance(base, Mapping) and values is None:
        return base  # a section whose lines are all comments
    if not (isinstance(base, Mapping) and isinstance(values, Mapping)):
        return values
    return {**base, **{key: _merged(base.get(key), value) for key, value in values.items()}}


def _keys(values: Any, prefix: str = "") -> list[str]:
    """The dotted keys of all values that are no mappings."""
    if not isinstance(values, Mapping):
        return [prefix]
    inner = (f"{prefix}.{key}" if prefix else str(key) for key in values)
    return [name for key, value in zip(inner, values.values(), strict=True) for name in _keys(value, key)]


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _with_value(values: Any, path: list[str], value: Any) -> dict[str, Any]:
    present = dict(values) if isinstance(values, Mapping) else {}
    head, *rest = path
    return {**present, head: _with_value(present.get(head), rest, value) if rest else value}


def _read_extended(path: Path, above: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values with those of the recipe that it extends underneath, and ``file:line`` of every dotted key."""
    values, lines = _read(path)
    places = {key: f"{path}:{line}" for key, line in lines.items()}
    if "extends" not in values:
        return values, places
    if path in above:
        raise ConfigError(f"{places['extends']}: extends: {path.name} extends itself")
    base, base_places = _read_extended(find_recipe(str(values.pop("extends"))), (*above, path))
    return _merged(base, values), base_places | places


def _read(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        text = read_text(path, "YAML")
    except UnreadableError as error:
        remedy = "; save the recipe as UTF-8" if error.line else ""
        raise ConfigError(f"{path}: the recipe cannot be read: {error.reason}{remedy}") from None
    try:
        root = compose_yaml(text)
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(
                f"{path}: expected 'key: value' lines, beginning with 'system:' (seqloom recipes --copy gives a start)"
            )
        lines = _lines_of(root, "", path)
        values = yaml_value(root)
    except UnreadableError as error:
        place = path if error.line is None else f"{path}:{error.line}"
        raise ConfigError(f"{place}: not valid YAML: {error.reason}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected 'key: value' lines, found a value of type {type(values).__name__}")
    return values, lines


def _lines_of(node: yaml.MappingNode, prefix: str, path: Path) -> dict[str, int]:
    """The line of every dotted key."""
    lines: dict[str, int] = {}
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        line = key.start_mark.line + 1
        if name in lines:
            raise ConfigError(f"{path}:{line}: '{name}' is given twice, first in line {lines[name]}")
        lines[name] = line
        if isinstance(value, yaml.MappingNode):
            lines |= _lines_of(value, f"{name}.", path)
    return lines
