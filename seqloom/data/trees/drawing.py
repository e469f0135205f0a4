"""Trees drawn: with characters, and as SVG."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

from seqloom.data.trees.tree import Tree

__all__ = ["COLOURS", "draw_svg", "draw_text"]

COLOURS = ("#b2182b", "#ef8a62", "#bdbdbd", "#67a9cf", "#2166ac")
"""From the lowest to the highest of five, as of sentiment."""

_ANSI = (160, 209, 246, 74, 26)
_MOST_DRAWN = 2000  # nodes


def draw_text(tree: Tree, labels: Sequence[str] | None = None, scores: Sequence[float] | None = None) -> str:
    """A tree drawn with characters, a line for each node that has a word, the root on the left.

    A node with a label and one word below it is one entry. Trees of more than 2,000 nodes are not drawn.

    Args:
        labels: of each node, in the place of the tree's own.
        scores: of each node from 0 to 1, to colour the labels in a terminal; none draws no colour.

    >>> from seqloom.data.trees import parse_brackets
    >>> print(draw_text(next(parse_brackets([(1, "(3 (2 Not) (4 (2 so) (1 bad)))")], "x"))))
    3
    ├─ 2 Not
    └─ 4
       ├─ 2 so
       └─ 1 bad
    """
    if len(tree) > _MOST_DRAWN:
        return f"(a tree of {len(tree):,} nodes; more than {_MOST_DRAWN:,} are not drawn)"
    given = tree.labels if labels is None else labels
    lines: list[str] = []
    pending = [(len(tree) - 1, "", "", "")]
    while pending:
        node, before, branch, below = pending.pop()
        label, word = _visible(given[node]) or "·", _visible(tree.words[node])
        if scores is not None:
            label = f"\x1b[38;5;{_of_five(_ANSI, scores[node])}m{label}\x1b[0m"
        lines.append(f"{before}{branch}{label}{' ' + word if word else ''}")
        children = tree.children[node]
        inside = before + below
        for number, child in reversed(list(enumerate(children))):
            last = number == len(children) - 1
            pending.append((child, inside, "└─ " if last else "├─ ", "   " if last else "│  "))
    return "\n".join(lines)


def draw_svg(
    tree: Tree,
    labels: Sequence[str] | None = None,
    scores: Sequence[float] | None = None,
    *,
    title: str = "",
    word_width: int = 8,
) -> str:
    """A tree as an SVG picture of its own: the root at the top, the words below in the order of the text.

    Args:
        labels: of each node, in the place of the tree's own.
        scores: of each node from 0 to 1, which colour it: red, grey, blue; none leaves them grey.
        title: for those who cannot see it.
        word_width: pixels of a character of a word.
    """
    if len(tree) > _MOST_DRAWN:
        text = escape(draw_text(tree))
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="40"><text x="8" y="24">{text}</text></svg>'
    given = tree.labels if labels is None else labels
    across, width = _places(tree, word_width)
    depths = tree.depths
    level = 46
    height = 40 + level * int(depths.max()) + 40
    lines, nodes = [], []
    for node, parent in enumerate(tree.parents.tolist()):
        x, y = across[node], 24 + level * int(depths[node])
        if parent >= 0:
            lines.append(f'<line x1="{x}" y1="{y}" x2="{across[parent]}" y2="{24 + level * int(depths[parent])}"/>')
        colour = _of_five(COLOURS, 0.5 if scores is None else scores[node])
        label = escape(_visible(given[node]))[:12]
        nodes.append(f'<circle cx="{x}" cy="{y}" r="12" fill="{colour}"/><text x="{x}" y="{y + 4}">{label}</text>')
        if tree.words[node]:
            nodes.append(f'<text class="w" x="{x}" y="{y + 30}">{escape(_visible(tree.words[node]))}</text>')
    style = "text{font:12px sans-serif;text-anchor:middle;fill:#fff}.w{fill:#222}line{stroke:#999}"
    named = f"<title>{escape(_visible(title or tree.text))}</title>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">{named}'
        f"<style>{style}</style>{''.join(lines)}{''.join(nodes)}</svg>"
    )


def _places(tree: Tree, word_width: int) -> tuple[list[int], int]:
    """Where each node is from left to right: words in their order, other nodes in the middle of their children."""
    across, right = [0] * len(tree), 10
    for node in tree.tokens:
        room = max(28, 12 + word_width * sum(_cells(tree.words[node])))
        across[node] = right + room // 2
        right += room
    for node, children in enumerate(tree.children):
        if children and not tree.words[node]:
            across[node] = (across[children[0]] + across[children[-1]]) // 2
    return across, right + 10


def _cells(word: str) -> list[int]:
    return [2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in word]


def _of_five(values: Sequence[object], score: float) -> str:
    inside = min(max(score, 0.0), 1.0) if score == score else 0.5  # NaN is grey
    return str(values[min(4, int(inside * 5))])


def _visible(text: str) -> str:
    """Text without what would change a terminal or a picture."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
