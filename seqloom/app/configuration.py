"""From a recipe and the options behind it to one checked configuration, before any data are read."""

import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from seqloom.errors import ConfigError, did_you_mean
from seqloom.systems.registry import Registered, system

__all__ = ["RECIPES", "configure", "find_recipe", "system_of", "to_yaml"]

RECIPES = Path(__file__).parent.parent / "recipes"


def find_recipe(recipe: str) -> Path:
    """The file of a recipe: a path as it is, or the name of a shipped recipe.

    Raises:
        ConfigError: there is neither.
    """
    path = Path(recipe)
    if path.is_file():
        return path
    shipped = {file.stem: file for file in RECIPES.glob("*.yaml")}
    if recipe in shipped:
        return shipped[recipe]
    if path.suffix in (".yaml", ".yml") or path.parent != Path():
        raise ConfigError(f"{recipe}: there is no such recipe file (seqloom recipes lists the shipped ones)")
    raise ConfigError(f"{recipe!r} is neither a file nor a shipped recipe{did_you_mean(recipe, shipped)}")


def configure(recipe: str, options: Sequence[str]) -> tuple[Registered, Any]:
    """The system that a recipe names, and its configuration with the options put in.

    Args:
        recipe: a file or the name of a shipped recipe.
        options: ``--section.key value`` pairs, which win over the recipe.
    Raises:
        ConfigError: a key is unknown or a value has the wrong type; names the recipe's line or the option.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    places, values = _read_extended(find_recipe(recipe))
    described = system(values.get("system", ""), f"{places.get('system', recipe)}: system")
    values["system"] = described.name  # which may have had another name
    config_class = described.config_class()
    for key, choices in _unknown_keys(values, config_class):
        raise ConfigError(f"{places[key]}: {key!r} is not a known key{did_you_mean(key.split('.')[-1], choices)}")
    parser = ArgumentParser(prog=f"seqloom train {recipe} --out RUN", exit_on_error=False)
    parser.add_class_arguments(config_class, fail_untyped=True)
    try:
        namespace = parser.parse_object(values)
    except ArgumentError as error:
        key, found = _explain(error)
        raise ConfigError(f"{places.get(key, recipe)}: {key}: {found}") from None
    known = list(_keys(config_class))
    for option in options:
        name = option.removeprefix("--").split("=", 1)[0]
        if option.startswith("--") and name not in ("help", *known) and not _in_mapping(name, config_class):
            raise ConfigError(f"'--{name}' is not an option of this recipe{_near(name, known)}")
    try:
        namespace = parser.parse_args(list(options), namespace=namespace)
    except ArgumentError as error:
        key, found = _explain(error)
        raise ConfigError(f"--{key}: {found}" if key else found) from None
    return described, config_class(**vars(parser.instantiate(namespace)))


def system_of(path: Path) -> str:
    """The name of the system that a recipe trains, its own or that of the recipe it extends; empty where it has none."""
    return str(_read_extended(path)[1].get("system", ""))


def to_yaml(config: Any) -> str:
    """A configuration as YAML, as it is stored with a run and read back by :func:`configure`."""
    return yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True, width=120)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _read_extended(path: Path, below: tuple[Path, ...] = ()) -> tuple[dict[str, str], dict[str, Any]]:
    """``file:line`` of every dotted key, and the values, those of the recipe that it extends underneath."""
    lines, values = _read(path)
    places = {key: f"{path}:{line}" for key, line in lines.items()}
    if "extends" not in values:
        return places, values
    if path in below:
        raise ConfigError(f"{places['extends']}: extends: {path.name} extends itself")
    base_path = find_recipe(str(values.pop("extends")))
    base_places, base = _read_extended(base_path, (*below, path))
    return base_places | places, _merged(base, values)


def _merged(base: Any, values: Any) -> Any:
    if not (isinstance(base, Mapping) and isinstance(values, Mapping)):
        return values
    return {**base, **{key: _merged(base.get(key), value) for key, value in values.items()}}


def _read(path: Path) -> tuple[dict[str, int], dict[str, Any]]:
    """Line of every dotted key, and the values."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the recipe as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(
            f"{path}: expected 'key: value' lines, beginning with 'system:' (seqloom recipes --copy gives a start)"
        )
    lines: dict[str, int] = {}

    def walk(node: yaml.MappingNode, prefix: str) -> None:
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            if name in lines:
                raise ConfigError(
                    f"{path}:{key.start_mark.line + 1}: '{name}' is given twice, first in line {lines[name]}"
                )
            lines[name] = key.start_mark.line + 1
            if isinstance(value, yaml.MappingNode):
                walk(value, f"{name}.")

    walk(root, "")
    return lines, values


def _sections(config_class: type) -> Iterator[tuple[str, Any]]:
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        yield field.name, hints[field.name]


def _unknown_keys(values: Mapping[str, Any], config_class: type, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    sections = dict(_sections(config_class))
    for key, value in values.items():
        if key not in sections:
            yield f"{prefix}{key}", list(sections)
        elif dataclasses.is_dataclass(sections[key]) and isinstance(value, Mapping):
            yield from _unknown_keys(value, typing.cast(type, sections[key]), f"{prefix}{key}.")


def _keys(config_class: type, prefix: str = "") -> Iterator[str]:
    for name, kind in _sections(config_class):
        yield f"{prefix}{name}"
        if dataclasses.is_dataclass(kind):
            yield from _keys(typing.cast(type, kind), f"{prefix}{name}.")


def _in_mapping(name: str, config_class: type) -> bool:
    """Whether a dotted option sets one entry of a mapping, such as ``model.features.token``."""
    kind: Any = config_class
    for part in name.split("."):
        if not dataclasses.is_dataclass(kind):
            return typing.get_origin(kind) is not None and issubclass(typing.get_origin(kind), Mapping)
        kind = dict(_sections(typing.cast(type, kind))).get(part)
    return False


def _near(name: str, known: Sequence[str]) -> str:
    # A person who forgets the section is helped most by the full name.
    same_end = [key for key in known if key.split(".")[-1] == name.split(".")[-1]]
    return f"; did you mean '--{same_end[0]}'?" if same_end else did_you_mean(name, known).replace("'", "'--", 1)


def _explain(error: Exception) -> tuple[str, str]:
    """The key that jsonargparse complains about, and one clause that says what it found and expected."""
    text = str(error)
    key = re.search(r'key "([^"]+)"', text)
    clause = re.search(r"Expected an? (.+?)\. Got value: (.*)", text, re.DOTALL)
    if not clause:
        return key.group(1) if key else "", " ".join(text.split())
    expected = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", clause.group(1)).replace("typing.", "")
    return key.group(1) if key else "", f"{clause.group(2).strip()!r} is not of type {expected}"
