"""Trees over words: read from brackets and heads, drawn, checked.

The names below are imported when they are first used, so that the help of a verb loads nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloom.data.trees.brackets import format_brackets, parse_brackets
    from seqloom.data.trees.drawing import draw_svg, draw_text
    from seqloom.data.trees.formats import TreeFormat, read_trees
    from seqloom.data.trees.shapes import balanced, binarised, from_heads, from_merges, right_branching
    from seqloom.data.trees.tree import Tree

__all__ = [
    "Tree",
    "TreeFormat",
    "balanced",
    "binarised",
    "draw_svg",
    "draw_text",
    "format_brackets",
    "from_heads",
    "from_merges",
    "parse_brackets",
    "read_trees",
    "right_branching",
]

_NAMES = {
    "brackets": ("format_brackets", "parse_brackets"),
    "drawing": ("draw_svg", "draw_text"),
    "formats": ("TreeFormat", "read_trees"),
    "shapes": ("balanced", "binarised", "from_heads", "from_merges", "right_branching"),
    "tree": ("Tree",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(f"seqloom.data.trees.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'seqloom.data.trees' has no attribute '{name}'")
