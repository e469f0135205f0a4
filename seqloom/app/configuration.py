"""From a recipe and the options behind it on the command line to one checked configuration, before any data are read."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqloom.app.command import CommandLine
from seqloom.configuration.fields import Field, field_at, fields_of
from seqloom.configuration.recipes import RECIPES, find_recipe, read_recipe, to_commented_yaml, to_yaml
from seqloom.configuration.values import shown
from seqloom.systems.registry import Registered, system

__all__ = ["RECIPES", "configure", "find_recipe", "system_of", "to_commented_yaml", "to_yaml"]


def configure(recipe: str, options: Sequence[str] | Mapping[str, Any]) -> tuple[Registered, Any]:
    """The system that a recipe names, and its configuration with the options put in.

    Args:
        recipe: a file or the name of a shipped recipe.
        options: ``--section.key value`` pairs, or nested mappings as a recipe has them; they win over the recipe.
    Raises:
        ConfigError: a key is unknown or a value has the wrong type; names the recipe's line or the option.
    """
    read = read_recipe(recipe)
    described = system(read.system, f"{read.place('system')}: system")
    config_class = described.config_class()
    read = read.merged({"system": described.name})  # a recipe may have a former name
    if isinstance(options, Mapping):
        return described, read.merged(options).build(config_class)
    if "--help" in options:
        _command_line(recipe, list(_fields_with_values(read.build(config_class)))).help_if_asked(options)
    fields = [*fields_of(config_class), *_entries(config_class, options)]
    for name, text in _command_line(recipe, fields).read(options):
        read = read.with_option(config_class, name, text, f"--{name}")
    return described, read.build(config_class)


def system_of(path: Path) -> str:
    """The name of the system that a recipe trains, its own or that of the recipe it extends; empty where it has none."""
    return read_recipe(str(path)).system


def _command_line(recipe: str, fields: Sequence[Field]) -> CommandLine:
    program = f"seqloom train {recipe}"
    return CommandLine(
        program,
        fields,
        of_recipe=True,
        usage=f"{program} --out RUN [--section.key VALUE ...]",
        summary="every key of the recipe, with the value that it has here; seqloom train --help has what all recipes take",
    )


def _fields_with_values(config: Any) -> Iterator[Field]:
    for field in fields_of(type(config), documented=True):
        if field.is_section:
            yield field
            continue
        value = shown(functools.reduce(getattr, field.name.split("."), config))
        yield dataclasses.replace(field, help=f"{field.help.rstrip('.')} ({value})".lstrip(), default=None)


def _entries(config_class: type, options: Sequence[str]) -> Iterator[Field]:
    """The options that set one entry of a mapping, such as ``--model.features.token``."""
    for name in {option[2:].split("=", 1)[0] for option in options if option.startswith("--")}:
        above = field_at(config_class, name.rpartition(".")[0])
        entry = field_at(config_class, name)
        if above and above.value_kind and entry:
            yield entry
