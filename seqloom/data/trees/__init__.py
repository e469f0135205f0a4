"""Trees over words: read from brackets and heads, drawn, checked."""

from seqloom.data.trees.brackets import format_brackets, parse_brackets
from seqloom.data.trees.formats import TreeFormat, read_trees
from seqloom.data.trees.shapes import balanced, binarised, from_heads, from_merges, right_branching
from seqloom.data.trees.tree import Tree

__all__ = [
    "Tree",
    "TreeFormat",
    "balanced",
    "binarised",
    "format_brackets",
    "from_heads",
    "from_merges",
    "parse_brackets",
    "read_trees",
    "right_branching",
]
