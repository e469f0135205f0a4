"""Trees that nobody drew: from heads, from words alone, and with two children at most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqloom.data.trees.tree import MOST_LEVELS, MOST_NODES, Tree
from seqloom.errors import DataError

__all__ = ["balanced", "binarised", "from_heads", "from_merges", "right_branching"]


def from_heads(words: Sequence[str], heads: Sequence[int], labels: Sequence[str] = (), where: str = "<memory>") -> Tree:
    """A dependency tree: every word is a node, and its children are the words that it governs, in the order of the text.

    Args:
        heads: of each word the number of its head, from 1; 0 of the root.
        labels: of each word.
    Raises:
        DataError: no root or two, a head outside the sentence, a cycle; names the place.

    >>> tree = from_heads(["dogs", "bark", "loudly"], [2, 0, 2])
    >>> tree.words, tree.parents.tolist(), tree.text
    (('dogs', 'loudly', 'bark'), [2, 2, -1], 'dogs bark loudly')
    """
    count = len(words)
    if not count or len(heads) != count:
        raise DataError(f"{where}: {len(heads)} heads for {count} words; expected one for each of them")
    if count > MOST_NODES:
        raise DataError(f"{where}: {count:,} words; expected at most {MOST_NODES:,}")
    below: list[list[int]] = [[] for _ in range(count + 1)]
    for word, head in enumerate(heads):
        if not 0 <= head <= count:
            raise DataError(f"{where}: the head of word {word + 1} is {head}; expected 0 to {count}")
        below[head].append(word)
    if len(below[0]) != 1:
        raise DataError(f"{where}: {len(below[0])} words have the head 0; expected one, the root")
    finished: list[int] = []
    place: dict[int, int] = {}
    pending = [(below[0][0], False)]
    levels = 0
    while pending:
        word, done = pending.pop()
        if done:
            place[word] = len(finished)
            finished.append(word)
            levels -= 1
            continue
        levels += 1
        if levels > MOST_LEVELS:
            raise DataError(f"{where}: the tree is deeper than {MOST_LEVELS:,} levels")
        pending.append((word, True))
        pending.extend((child, False) for child in reversed(below[word + 1]))
    if len(finished) < count:
        lost = next(word for word in range(count) if word not in place)
        raise DataError(f"{where}: word {lost + 1} is its own head over others; expected a tree")
    parents = [place[heads[word] - 1] if heads[word] else -1 for word in finished]
    named = tuple(labels[word] for word in finished) if labels else ()
    order = tuple(place[word] for word in range(count))
    return Tree(np.array(parents, np.int32), tuple(words[word] for word in finished), named, where, order)


def right_branching(words: Sequence[str], where: str = "") -> Tree:
    """``(a (b (c d)))``: each word beside all that follow it.

    >>> right_branching(["a", "b", "c"]).parents.tolist()
    [4, 3, 3, 4, -1]
    """
    count = len(words)
    if not count:
        raise DataError(f"{where or 'the text'}: no words; expected at least one")
    inner = [count + step for step in range(count - 1)]  # from the last pair up
    parents = [-1] * (2 * count - 1)
    for step, node in enumerate(inner):
        parents[count - 2 - step] = node
        parents[count - 1 if step == 0 else node - 1] = node
    return _renumbered(parents, [*words, *[""] * (count - 1)], [""] * (2 * count - 1), where)


def balanced(words: Sequence[str], where: str = "") -> Tree:
    """Halves of halves, so that the tree is as low as it can be.

    >>> balanced(["a", "b", "c", "d"]).heights.tolist()
    [0, 0, 1, 0, 0, 1, 2]
    """
    if not words:
        raise DataError(f"{where or 'the text'}: no words; expected at least one")
    parents: list[int] = []
    texts: list[str] = []
    # A span to be built; or, where its middle is -1, one whose two parts are built.
    pending = [(0, len(words), False)]
    made: list[int] = []
    while pending:
        first, last, split = pending.pop()
        if split:
            right, left = made.pop(), made.pop()
            parents.append(-1)
            parents[left] = parents[right] = len(parents) - 1
            texts.append("")
            made.append(len(parents) - 1)
        elif last - first == 1:
            parents.append(-1)
            texts.append(words[first])
            made.append(len(parents) - 1)
        else:
            middle = (first + last + 1) // 2
            pending += [(first, last, True), (middle, last, False), (first, middle, False)]
    return Tree(np.array(parents, np.int32), tuple(texts), (), where)


def binarised(tree: Tree) -> Tree:
    """The tree with two children at most: further ones go into nodes without a label, from the left to the right.

    >>> binarised(Tree(np.array([3, 3, 3, -1]), ("a", "b", "c", ""), ("1", "2", "3", "4"))).parents.tolist()
    [2, 2, 4, 4, -1]
    """
    if tree.arity <= 2:
        return tree
    parents, words, labels = tree.parents.tolist(), list(tree.words), list(tree.labels)
    for node, children in enumerate(tree.children):
        left = children[0] if children else -1
        for child in children[1:-1]:
            fresh = len(parents)
            parents.append(node)
            words.append("")
            labels.append("")
            parents[left] = parents[child] = fresh
            left = fresh
    return _renumbered(parents, words, labels, tree.where, tree.unary)


def _renumbered(parents: list[int], words: list[str], labels: list[str], where: str, unary: int = 0) -> Tree:
    """A tree whose nodes come in any order; children are in the order of their first words."""
    below: list[list[int]] = [[] for _ in parents]
    root = -1
    for node, parent in enumerate(parents):
        if parent < 0:
            root = node
        else:
            below[parent].append(node)
    first = _first_words(parents, below, root)
    finished: list[int] = []
    pending = [(root, False)]
    while pending:
        node, done = pending.pop()
        if done or not below[node]:
            finished.append(node)
            continue
        pending.append((node, True))
        pending.extend((child, False) for child in sorted(below[node], key=first.__getitem__, reverse=True))
    place = {node: position for position, node in enumerate(finished)}
    renumbered = [place.get(parents[node], -1) for node in finished]
    order = [words[node] for node in finished], [labels[node] for node in finished]
    return Tree(np.array(renumbered, np.int32), tuple(order[0]), tuple(order[1]), where, unary=unary)


def _first_words(parents: list[int], below: list[list[int]], root: int) -> list[int]:
    """The least number of a leaf below each node; leaves are numbered in the order of their words."""
    first = list(range(len(parents)))
    down = [root]
    for node in down:
        down.extend(below[node])
    for node in reversed(down):
        if below[node]:
            first[node] = min(first[child] for child in below[node])
    return first


def from_merges(words: Sequence[str], merges: Sequence[int], where: str = "") -> Tree:
    """The tree of merges: one after the other, what stands at a place and what follows it become one node.

    >>> from_merges(["a", "b", "c"], [1, 0]).parents.tolist()
    [4, 3, 3, 4, -1]
    """
    if len(merges) != len(words) - 1:
        raise ValueError(f"{len(merges)} merges of {len(words)} words; expected {len(words) - 1}")
    standing = list(range(len(words)))
    parents = [-1] * (2 * len(words) - 1)
    for number, place in enumerate(merges, start=len(words)):
        parents[standing[place]] = parents[standing[place + 1]] = number
        standing[place : place + 2] = [number]
    count = len(words) - 1
    return _renumbered(parents, [*words, *[""] * count], [""] * len(parents), where)
