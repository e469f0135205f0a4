"""Paths through acyclic graphs whose arcs carry additive scores: word lattices, and every decoder that can be drawn as one.

Node numbers increase along every arc, so one sweep over the arcs from the last to the first is dynamic programming in
O(arcs), for a single sentence or for a whole block of sentences laid side by side. Scores are maximised. Among paths of equal
score the one with the longest first arc wins, then the longest second arc, and so on ("leftmost-longest"): arcs are kept
in order of (source, target), the sweep meets the longest arc of a node first, and only a strictly better one replaces it.

Scores may be floats or Python integers; integers make lexicographic costs exact.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arcs", "best_successors", "count_paths", "follow", "k_best_paths", "line_graph", "make_arcs"]

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Arcs:
    """The arcs of an acyclic graph, in order of (source, target); ``source[a] < target[a] < nodes``.

    Attributes:
        nodes: number of nodes.
        source: (A,) int64.
        target: (A,) int64.
    """

    nodes: int
    source: Integers
    target: Integers

    def __len__(self) -> int:
        return len(self.source)


def make_arcs(nodes: int, source: Integers, target: Integers) -> tuple[Arcs, Integers]:
    """Arcs in the order that every function here expects, and the permutation that put them so.

    Raises:
        ValueError: an arc does not lead to a higher node, or leaves the graph.

    >>> arcs, order = make_arcs(3, np.array([1, 0, 0]), np.array([2, 2, 1]))
    >>> arcs.source.tolist(), arcs.target.tolist(), order.tolist()
    ([0, 0, 1], [1, 2, 2], [2, 1, 0])
    """
    source = np.asarray(source, dtype=np.int64)
    target = np.asarray(target, dtype=np.int64)
    wrong = np.flatnonzero((source < 0) | (target >= nodes) | (source >= target))
    if len(wrong):
        arc = int(wrong[0])
        raise ValueError(
            f"arc {arc} leads from node {source[arc]} to node {target[arc]}; arcs must lead upward within 0..{nodes - 1}"
        )
    # Callers hand over runs that are sorted already, which a stable sort of one combined key merges in linear time.
    order = np.argsort(source * np.int64(nodes) + target, kind="stable")
    return Arcs(nodes, source[order], target[order]), order


def line_graph(arcs: Arcs) -> Arcs:
    """The graph whose nodes are the arcs and whose arcs are the pairs of consecutive arcs: state = edge, for bigram scores.

    >>> pairs = line_graph(Arcs(3, np.array([0, 0, 1]), np.array([1, 2, 2])))
    >>> pairs.source.tolist(), pairs.target.tolist()
    ([0], [2])
    """
    first = np.searchsorted(arcs.source, arcs.target, side="left")
    counts = np.searchsorted(arcs.source, arcs.target, side="right") - first
    source = np.repeat(np.arange(len(arcs), dtype=np.int64), counts)
    skipped = np.cumsum(counts) - counts
    target = np.arange(len(source), dtype=np.int64) + np.repeat(first - skipped, counts)
    return Arcs(len(arcs), source, target)


def _listed(weight: NDArray[Any] | Sequence[Any]) -> list[Any]:
    return weight.tolist() if isinstance(weight, np.ndarray) else list(weight)


def best_successors(
    arcs: Arcs, weight: NDArray[Any] | Sequence[Any], final: Sequence[int]
) -> tuple[list[Any], list[int]]:
    """The best way from each node to any final node.

    Args:
        arcs: the graph.
        weight: (A,) score of each arc, to be maximised.
        final: nodes where paths end; arcs that leave them are ignored.
    Returns:
        ``(best, successor)``, each with one entry per node: the score of the best path from there (``-inf`` where no final
        node can be reached) and the next node on it (-1 at final and dead nodes).
    Cost: O(A) plain Python steps, about 0.1 microseconds each.
    """
    best: list[Any] = [float("-inf")] * arcs.nodes
    successor = [-1] * arcs.nodes
    sources, targets, weights = arcs.source, arcs.target, weight
    leaving = np.zeros(arcs.nodes, dtype=bool)
    leaving[np.asarray(final, dtype=np.int64)] = True
    if leaving[sources].any():
        kept = np.flatnonzero(~leaving[sources])
        sources, targets = sources[kept], targets[kept]
        weights = weight[kept] if isinstance(weight, np.ndarray) else [weight[arc] for arc in kept.tolist()]
    for node in final:
        best[node] = 0
    listed = _listed(weights)
    for source, target, score in zip(
        reversed(sources.tolist()), reversed(targets.tolist()), reversed(listed), strict=True
    ):
        value = score + best[target]
        if value > best[source]:
            best[source] = value
            successor[source] = target
    return best, successor


def follow(successor: Sequence[int], start: int) -> Iterator[int]:
    """The nodes of a path, from ``start`` on, by the answer of `best_successors`.

    >>> list(follow([2, -1, 3, -1], 0))
    [0, 2, 3]
    """
    node = start
    while node >= 0:
        yield node
        node = successor[node]


def _sweep(arcs: Arcs, visit: Callable[[int, int, int], None], final: Sequence[int]) -> None:
    """Call ``visit(node, low, high)`` for each node with arcs ``low..high-1``, from the last node to the first."""
    bounds = np.searchsorted(arcs.source, np.arange(arcs.nodes + 1)).tolist()
    ends = set(final)
    for node in range(arcs.nodes - 1, -1, -1):
        if node not in ends and bounds[node] < bounds[node + 1]:
            visit(node, bounds[node], bounds[node + 1])


def k_best_paths(
    arcs: Arcs, weight: NDArray[Any] | Sequence[Any], start: int, final: Sequence[int], k: int
) -> list[tuple[list[int], Any]]:
    """The ``k`` best paths from ``start`` to any final node, exactly, best first.

    Each node keeps its ``k`` best continuations, which suffices because scores are additive.

    Returns:
        ``(nodes, score)`` pairs; fewer than ``k`` where fewer paths exist. Equal scores are in leftmost-longest order.
    Raises:
        ValueError: ``k`` is not positive.
    Cost: O(A k log(A k / nodes)) time, O(nodes k) memory.

    >>> arcs = Arcs(3, np.array([0, 0, 1]), np.array([1, 2, 2]))
    >>> k_best_paths(arcs, [-1.0, -1.5, -1.0], 0, [2], 5)
    [([0, 2], -1.5), ([0, 1, 2], -2.0)]
    """
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1 path")
    targets, weights = arcs.target.tolist(), _listed(weight)
    # kept[node]: (score, next node, rank of the continuation there)
    kept: list[list[tuple[Any, int, int]]] = [[] for _ in range(arcs.nodes)]
    for node in final:
        kept[node] = [(0, -1, 0)]

    def visit(node: int, low: int, high: int) -> None:
        entries = [
            (weights[arc] + score, targets[arc], rank)
            for arc in range(high - 1, low - 1, -1)
            for rank, (score, _, _) in enumerate(kept[targets[arc]])
        ]
        entries.sort(key=_negative_score)  # stable: the order above is the tie rule
        kept[node] = [entry for entry in entries[:k] if entry[0] > float("-inf")]

    _sweep(arcs, visit, final)
    paths: list[tuple[list[int], Any]] = []
    for score, successor, rank in kept[start]:
        nodes, node, place = [start], successor, rank
        while node >= 0:
            nodes.append(node)
            _, node, place = kept[node][place]
        paths.append((nodes, score))
    return paths


def _negative_score(entry: tuple[Any, int, int]) -> Any:
    return -entry[0]


def count_paths(arcs: Arcs, start: int, final: Sequence[int]) -> int:
    """How many paths lead from ``start`` to any final node; exact, however many.

    >>> count_paths(Arcs(3, np.array([0, 0, 1]), np.array([1, 2, 2])), 0, [2])
    2
    """
    targets = arcs.target.tolist()
    ways = dict(zip(final, repeat(1), strict=False))

    def visit(node: int, low: int, high: int) -> None:
        ways[node] = sum(ways.get(target, 0) for target in targets[low:high])

    _sweep(arcs, visit, final)
    return ways.get(start, 0)
