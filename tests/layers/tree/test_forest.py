import numpy as np
import pytest
import torch

from seqloom.layers.tree import Forest
from seqloom.layers.tree.forest import heights_of


def test_a_level_reads_only_what_lies_before_it():
    forest = Forest.of([[2, 2, 4, 4, -1], [-1], [1, 2, -1]])
    assert forest.borders == (0, 5, 7, 9)
    for start, stop in forest.levels:
        above = forest.parents[start:stop]
        assert bool((above >= stop).all())
    assert forest.roots.tolist() == [7, 3, 8]
    assert forest.order[forest.roots].tolist() == [4, 5, 8]


def test_children_come_in_their_order_and_absent_ones_are_beyond_the_end():
    forest = Forest.of([[3, 3, 3, -1], [2, 2, -1]])
    first, second = (forest.order[row[row < forest.total]].tolist() for row in forest.children(3))
    assert (first, second) == ([0, 1, 2], [4, 5])
    assert forest.children(3)[1].tolist()[2] == forest.total
    with pytest.raises(ValueError, match="a node has 3 children, but the layer's nodes have at most 2"):
        forest.children(2)


def test_edges_are_sorted_by_parents_and_each_node_knows_its_own():
    forest = Forest.of([[3, 3, 3, -1], [2, 2, -1]])
    edges = forest.edges
    assert bool((edges.parent[1:] >= edges.parent[:-1]).all())
    own = (forest.parents < forest.total).nonzero()[:, 0]
    torch.testing.assert_close(edges.child[edges.slot[own]], own)
    assert edges.borders == [0, 0, 5]


def test_heights_are_the_longest_ways_down():
    assert heights_of([1, 2, 5, 4, 5, -1]).tolist() == [0, 1, 2, 0, 1, 3]


@pytest.mark.parametrize("tree", [[], [0, -1], [-1, -1], [1, -1, 1], [2, 0, -1], [5, -1]])
def test_what_is_no_tree_is_named(tree):
    with pytest.raises(ValueError, match=r"trees\[1\] is no tree"):
        Forest.of([[-1], tree])


def test_a_forest_of_nothing_has_no_levels():
    empty = Forest.of([])
    assert (len(empty), empty.total, empty.levels, empty.leaves) == (0, 0, [], 0)


def test_known_heights_give_the_same_forest():
    trees = [np.array([2, 2, -1]), np.array([-1])]
    one, other = Forest.of(trees), Forest.joined(trees, [heights_of(tree) for tree in trees])
    assert one.borders == other.borders
    assert torch.equal(one.parents, other.parents)
