"""Random trees, and the slow and obvious way over them."""

import numpy as np
import torch


def random_tree(leaves, random, arity=2):
    """The parents of a random tree in the order in which its nodes are finished."""
    parents = []

    def grow(count):
        if count == 1:
            parents.append(-1)
            return len(parents) - 1
        parts = min(count, int(random.integers(2, arity + 1)))
        cuts = sorted(random.choice(np.arange(1, count), parts - 1, replace=False).tolist())
        children = [grow(last - first) for first, last in zip([0, *cuts], [*cuts, count], strict=True)]
        parents.append(-1)
        for child in children:
            parents[child] = len(parents) - 1
        return len(parents) - 1

    grow(leaves)
    return parents


def node_by_node(layer, words, forest, node):
    """The states of each node, by recursion: ``node(word, states of the children)`` is its formula.

    Args:
        words: (K, n) in the order of the forest.
    Returns:
        the states (N, m) in the order of the forest.
    """
    below = {position: [] for position in range(forest.total)}
    for position in range(forest.total):
        if int(forest.parents[position]) < forest.total:
            below[int(forest.parents[position])].append(position)
    made = {}

    def visit(position):
        children = sorted(below[position], key=lambda child: int(forest.numbers[child]))
        for child in children:
            visit(child)
        word = words[position] if position < len(words) else None
        made[position] = node(word, [made[child] for child in children])

    for root in forest.roots.tolist():
        visit(root)
    return [
        torch.stack([made[position][state] for position in range(forest.total)]) for state in range(len(layer.states))
    ]
