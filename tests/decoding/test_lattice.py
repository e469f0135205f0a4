"""Paths through acyclic graphs, against enumeration."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.decoding.lattice import best_successors, count_paths, follow, k_best_paths, line_graph, make_arcs


@st.composite
def graphs(draw):
    """A graph of up to 7 nodes, with integer weights so that ties are common and sums are exact."""
    nodes = draw(st.integers(2, 7))
    possible = [(low, high) for low in range(nodes) for high in range(low + 1, nodes)]
    chosen = draw(st.lists(st.sampled_from(possible), unique=True, max_size=len(possible)))
    weights = draw(st.lists(st.integers(-3, 3), min_size=len(chosen), max_size=len(chosen)))
    return nodes, dict(zip(chosen, weights, strict=True))


def enumerate_paths(arcs, nodes, start):
    """All paths from start to the last node, leftmost-longest first."""
    if start == nodes - 1:
        return [([start], 0)]
    found = []
    for end in range(nodes - 1, start, -1):
        if (start, end) in arcs:
            found += [([start, *path], arcs[start, end] + score) for path, score in enumerate_paths(arcs, nodes, end)]
    return found


def compiled(nodes, weights):
    pairs = np.array(list(weights), dtype=np.int64).reshape(-1, 2)
    arcs, order = make_arcs(nodes, pairs[:, 0], pairs[:, 1])
    return arcs, np.array(list(weights.values()), dtype=np.int64)[order]


@given(graphs(), st.integers(1, 6))
@settings(deadline=None, max_examples=150)
def test_k_best_paths_are_the_first_k_of_all_paths_in_score_then_leftmost_longest_order(graph, k):
    nodes, weights = graph
    arcs, weight = compiled(nodes, weights)
    expected = sorted(enumerate_paths(weights, nodes, 0), key=lambda path: -path[1])
    assert k_best_paths(arcs, weight, 0, [nodes - 1], k) == expected[:k]
    assert count_paths(arcs, 0, [nodes - 1]) == len(expected)


@given(graphs())
@settings(deadline=None, max_examples=150)
def test_the_best_path_is_the_first_of_the_k_best(graph):
    nodes, weights = graph
    arcs, weight = compiled(nodes, weights)
    best, successor = best_successors(arcs, weight, [nodes - 1])
    expected = k_best_paths(arcs, weight, 0, [nodes - 1], 1)
    if expected:
        assert (list(follow(successor, 0)), best[0]) == expected[0]
    else:
        assert best[0] == -math.inf
        assert successor[0] == -1


@given(graphs())
@settings(deadline=None, max_examples=100)
def test_the_line_graph_holds_exactly_the_pairs_of_consecutive_arcs(graph):
    nodes, weights = graph
    arcs, _ = compiled(nodes, weights)
    pairs = line_graph(arcs)
    ends = list(zip(arcs.source.tolist(), arcs.target.tolist(), strict=True))
    expected = [(a, b) for a in range(len(ends)) for b in range(len(ends)) if ends[a][1] == ends[b][0]]
    assert list(zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)) == expected


def test_arcs_that_leave_a_final_node_are_ignored():
    arcs, _ = make_arcs(3, np.array([0, 1]), np.array([1, 2]))
    best, successor = best_successors(arcs, [5, 7], [1])
    assert best == [5, 0, -math.inf]
    assert successor == [1, -1, -1]
    assert count_paths(arcs, 0, [1]) == 1


def test_integers_of_any_size_stay_exact():
    arcs, _ = make_arcs(3, np.array([0, 0, 1]), np.array([1, 2, 2]))
    huge = 10**40
    best, _ = best_successors(arcs, [huge, 2 * huge, huge + 1], [2])
    assert best[0] == 2 * huge + 1


def test_the_number_of_paths_of_a_full_lattice_is_a_power_of_two_however_large():
    nodes = 101
    low, high = np.triu_indices(nodes, k=1)
    arcs, _ = make_arcs(nodes, low, high)
    assert count_paths(arcs, 0, [nodes - 1]) == 2**99


@pytest.mark.parametrize(("source", "target"), [(1, 1), (2, 1), (0, 3), (-1, 1)])
def test_arcs_must_lead_upward_inside_the_graph(source, target):
    with pytest.raises(ValueError, match=r"arc 0 leads from node .* must lead upward within 0\.\.2"):
        make_arcs(3, np.array([source]), np.array([target]))


def test_k_must_be_positive():
    arcs, _ = make_arcs(2, np.array([0]), np.array([1]))
    with pytest.raises(ValueError, match="k is 0"):
        k_best_paths(arcs, [1.0], 0, [1], 0)
