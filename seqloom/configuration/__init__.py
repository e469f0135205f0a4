"""Configurations are frozen dataclasses; this room fills them, from the command line, from recipes in YAML, and from Python.

There is one way from what a person gave to a dataclass, whoever asks: :func:`build` checks every key and every value and
says in one sentence where a wrong one stands, what it is and what was expected. The command line puts its options into it,
``Recipe`` a YAML file with the recipes below it, and Python a mapping of sections:

    recipe = read_recipe("ner").merged({"model": {"hidden_size": 64}, "data": {"train": "train.conll"}})
    config = recipe.build(TaggerConfig)

No torch and no numpy here, and YAML only where a text is read as one, so that help is instant. The names below are
imported when they are first used, as those of `seqloom` are.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloom.configuration.building import build
    from seqloom.configuration.fields import Field, fields_of
    from seqloom.configuration.recipes import RECIPES, Recipe, find_recipe, read_recipe, to_commented_yaml, to_yaml

__all__ = [
    "RECIPES",
    "Field",
    "Recipe",
    "build",
    "fields_of",
    "find_recipe",
    "read_recipe",
    "to_commented_yaml",
    "to_yaml",
]

_MODULES = {"build": "building", "Field": "fields", "fields_of": "fields"}


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(importlib.import_module(f"seqloom.configuration.{_MODULES.get(name, 'recipes')}"), name)
    raise AttributeError(f"module 'seqloom.configuration' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
