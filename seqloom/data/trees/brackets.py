"""Trees in brackets, ``(3 (2 Not) (4 bad))``, as the Penn Treebank and the Stanford Sentiment Treebank write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from seqloom.data.trees.tree import MOST_LEVELS, MOST_NODES, Tree
from seqloom.errors import DataError

__all__ = ["EXPECTED", "format_brackets", "parse_brackets"]

EXPECTED = "trees in brackets such as (3 (2 Not) (4 bad))"

_TOKEN = re.compile(r"[()]|[^ \t\r\n\f\v()]+")  # U+00A0 is part of a word, as in "8 1/2"
_SPACES = re.compile(r"[ \t\r\n\f\v]+")
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LCB-": "{", "-RCB-": "}", "-LSB-": "[", "-RSB-": "]"}
_ESCAPED = {bracket: name for name, bracket in _BRACKETS.items() if bracket in "()"}
_SHOWN = 40


def parse_brackets(lines: Iterable[tuple[int, str]], source: str) -> Iterator[Tree]:
    """Trees from numbered lines; one may go over several lines.

    A node is its label and a word, or its label and nodes. A node with one node below it and no word is left out: what is
    below takes its label and its place. ``-LRB-`` and its like, and ``\\/`` and ``\\*``, are read as what they stand for.

    Raises:
        DataError: the brackets do not match, a node has no child, two words, or words beside nodes; names the line.

    >>> tree, = parse_brackets([(1, "(3 (2 Not) (4 (2 (2 bad))))")], "x")
    >>> tree.words, tree.labels, tree.unary
    (('Not', 'bad', ''), ('2', '4', '3'), 2)
    """
    reader = _Reader(source)
    for number, line in lines:
        for match in _TOKEN.finditer(line):
            tree = reader.take(match.group(), number, match.start() + 1)
            if tree is not None:
                yield tree
    reader.end()


class _Reader:
    def __init__(self, source: str) -> None:
        self.source, self.line = source, 0
        self.clear()

    def clear(self) -> None:
        self.parents: list[int] = []
        self.words: list[str] = []
        self.labels: list[str] = []
        self.unary = 0
        # Of each open bracket: label (none yet: None), word, the nodes below, whether the bracket has just been opened.
        self.open: list[tuple[list[str], list[int]]] = []

    def take(self, token: str, number: int, column: int) -> Tree | None:
        if token == "(":
            if not self.open:
                self.line = number
            elif len(self.open) >= MOST_LEVELS:
                raise self.wrong(number, f"the brackets are nested deeper than {MOST_LEVELS:,} levels")
            if self.open and len(self.open[-1][0]) > 1:
                raise self.wrong(number, f"the word {self.open[-1][0][1][:_SHOWN]!r} stands beside another node")
            self.open.append(([], []))
            return None
        if not self.open:
            found = "a closing bracket" if token == ")" else repr(token[:_SHOWN])
            raise self.wrong(number, f"{found} at character {column} stands outside all brackets")
        if token != ")":
            texts, below = self.open[-1]
            if below:
                raise self.wrong(number, f"the word {token[:_SHOWN]!r} stands beside another node")
            if len(texts) > 1:
                raise self.wrong(number, f"a node has two words, {texts[1][:_SHOWN]!r} and {token[:_SHOWN]!r}")
            texts.append(token)
            return None
        self.close(number)
        return self.finish() if not self.open else None

    def close(self, number: int) -> None:
        texts, below = self.open.pop()
        label = texts[0] if texts else ""
        if len(texts) < 2 and not below:
            what = f"the node {label[:_SHOWN]!r} has neither a word nor a node below it" if label else "a node is empty"
            raise self.wrong(number, what)
        if len(below) == 1:  # a label that is missing is that of the node below
            node = below[0]
            self.labels[node] = label or self.labels[node]
            self.unary += 1
        else:
            node = len(self.parents)
            if node >= MOST_NODES:
                raise self.wrong(number, f"a tree has more than {MOST_NODES:,} nodes")
            self.parents.append(-1)
            self.words.append(_unescaped(texts[1]) if len(texts) > 1 else "")
            self.labels.append(label)
            for child in below:
                self.parents[child] = node
        if self.open:
            self.open[-1][1].append(node)

    def finish(self) -> Tree:
        where = f"{self.source}:{self.line}"
        tree = Tree(np.array(self.parents, np.int32), tuple(self.words), tuple(self.labels), where, unary=self.unary)
        self.clear()
        return tree

    def end(self) -> None:
        if self.open:
            more = f"{len(self.open)} brackets are" if len(self.open) > 1 else "a bracket is"
            raise self.wrong(self.line, f"{more} not closed in the tree that begins here")

    def wrong(self, number: int, what: str) -> DataError:
        return DataError(f"{self.source}:{number}: {what}; expected {EXPECTED}")


def _unescaped(word: str) -> str:
    if word in _BRACKETS:
        return _BRACKETS[word]
    return word.replace("\\/", "/").replace("\\*", "*") if "\\" in word else word


def _escaped(word: str) -> str:
    for bracket, name in _ESCAPED.items():
        word = word.replace(bracket, name)
    return _SPACES.sub("_", word)


def format_brackets(tree: Tree, labels: Sequence[str] | None = None) -> str:
    """A tree in brackets, in one line. What has no label gets ``_``.

    Args:
        labels: in the place of the tree's own.
    Raises:
        ValueError: words stand at nodes that are no leaves, which brackets cannot say.

    >>> format_brackets(Tree(np.array([2, 2, -1]), ("(", "bad", ""), ("2", "1", "3")))
    '(3 (2 -LRB-) (1 bad))'
    """
    if not tree.is_constituency:
        raise ValueError(f"{tree.where or 'the tree'} has words at inner nodes, which brackets cannot say")
    given = tree.labels if labels is None else labels
    children, pieces = tree.children, list[str]()
    # What is still to be written: a node, or the end of one.
    pending: list[int] = [len(tree) - 1]
    while pending:
        node = pending.pop()
        if node < 0:
            pieces.append(")")
            continue
        pieces.append(f" ({_escaped(given[node]) or '_'}")
        if children[node]:
            pending.append(-1)
            pending.extend(reversed(children[node]))
        else:
            pieces.append(f" {_escaped(tree.words[node])})")
    return "".join(pieces).lstrip()
