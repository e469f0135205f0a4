"""Layers over trees against their formulas, node by node."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import seqloom
from seqloom.layers.tree import (
    ChildSumTreeLSTM,
    Forest,
    NaryTreeLSTM,
    RecursiveAutoencoder,
    RecursiveNet,
    RecursiveTensorNet,
)

LAYERS = {
    "nary": lambda: NaryTreeLSTM(5, 6),
    "nary of three, words everywhere": lambda: NaryTreeLSTM(5, 6, arity=3, words="all"),
    "child-sum": lambda: ChildSumTreeLSTM(5, 6),
    "child-sum, words at the leaves": lambda: ChildSumTreeLSTM(5, 6, words="leaves"),
    "recursive": lambda: RecursiveNet(6),
    "recursive of three": lambda: RecursiveNet(6, arity=3),
    "tensor": lambda: RecursiveTensorNet(6),
    "tensor at another rate": lambda: RecursiveTensorNet(6, rate=0.3),
}


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


def made(name):
    torch.manual_seed(1)
    layer = LAYERS[name]()
    with torch.no_grad():  # biases that are not zero
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    return layer


def forest_for(layer, sizes=(1, 6, 11, 2, 9)):
    random = np.random.default_rng(3)
    arity = getattr(layer, "arity", 5)
    return Forest.of([random_tree(size, random, arity) for size in sizes])


def words_for(layer, forest, dtype=torch.float32):
    torch.manual_seed(2)
    count = forest.leaves if layer.words == "leaves" else forest.total
    return torch.randn(count, layer.input_size, dtype=dtype, requires_grad=True)


def formula(layer):
    """What a paper says of one node."""
    m = layer.hidden_size

    def lstm(i, o, u, memory):
        c = torch.sigmoid(i) * torch.tanh(u) + memory
        return torch.sigmoid(o) * torch.tanh(c), c

    def nary(word, children):
        node = layer.node
        gates = node.bias[: 3 * m]
        forget = node.bias[3 * m :]
        if word is not None:
            gates = gates + node.weight_word[: 3 * m] @ word
            forget = forget + node.weight_word[3 * m :] @ word if len(node.weight_word) > 3 * m else forget
        memory = word.new_zeros(m) if word is not None else children[0][0].new_zeros(m)
        for k, (h, _) in enumerate(children):
            gates = gates + node.weight_children[: 3 * m, k * m : (k + 1) * m] @ h
        for k, (_, c) in enumerate(children):
            own = forget
            for other, (h, _) in enumerate(children):
                block = node.weight_children[(3 + k) * m : (4 + k) * m, other * m : (other + 1) * m]
                own = own + block @ h
            memory = memory + torch.sigmoid(own) * c
        return lstm(*gates.chunk(3), memory)

    def child_sum(word, children):
        n, node, edge = layer.input_size, layer.node, layer.edge
        word = node.bias_iou.new_zeros(n) if word is None else word
        h_sum = sum((h for h, _ in children), word.new_zeros(m))
        gates = node.weight_iou_x @ torch.cat([word, h_sum]) + node.bias_iou
        memory = word.new_zeros(m)
        for h, c in children:
            memory = memory + torch.sigmoid(edge.weight_x @ torch.cat([word, h]) + edge.bias) * c
        return lstm(*gates.chunk(3), memory)

    def recursive(word, children):
        if word is not None:
            return (word,)
        handed = [h for (h,) in children]
        x = torch.cat([*handed, *[handed[0].new_zeros(m)] * (layer.arity - len(handed))])
        total = layer.node.weight_x @ x + layer.node.bias
        if isinstance(layer, RecursiveTensorNet):
            total = total + torch.stack([x @ form @ x for form in layer.tensor * layer.rate])
        return (torch.tanh(total),)

    return nary if isinstance(layer, NaryTreeLSTM) else child_sum if isinstance(layer, ChildSumTreeLSTM) else recursive


def gradients(layer, states, words):
    torch.manual_seed(4)
    total = sum((state * torch.randn(state.shape).to(state.dtype)).sum() for state in states)
    return torch.autograd.grad(total, [words, *layer.parameters()])


@pytest.mark.parametrize("name", LAYERS)
def test_levels_equal_the_formula_node_by_node_with_all_gradients(name):
    layer = made(name)
    forest = forest_for(layer)
    words = words_for(layer, forest)
    assert layer._compiled(words) or seqloom.engine.runtime.native.kernels() is None
    outputs, state = layer(words, forest)
    compiled = [outputs, *state[1:]]
    nodes = node_by_node(layer, words, forest, formula(layer))
    truth = [nodes[0], *(field[forest.roots] for field in nodes[1:])]
    torch.testing.assert_close(state.h, nodes[0][forest.roots])
    true_gradients = gradients(layer, truth, words)
    by_level = layer.by_level(words, forest)
    for states in (compiled, [by_level[0], *(field[forest.roots] for field in by_level[1:])]):
        for found, expected in zip(states, truth, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
        for found, expected in zip(gradients(layer, states, words), true_gradients, strict=True):
            torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_equal_finite_differences(name):
    layer = made(name).double()
    forest = forest_for(layer, (4, 2))
    words = words_for(layer, forest, torch.float64)
    names = [key for key, _ in layer.named_parameters()]

    def outputs(words, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (words, forest))[0]

    assert torch.autograd.gradcheck(outputs, (words, *layer.parameters()))


@pytest.mark.parametrize("name", LAYERS)
def test_without_gradients_the_numbers_are_the_same(name):
    layer = made(name)
    forest = forest_for(layer)
    words = words_for(layer, forest)
    recorded = layer(words, forest)[0]
    with torch.no_grad():
        torch.testing.assert_close(layer(words, forest)[0], recorded)


@pytest.mark.parametrize("name", LAYERS)
def test_a_tree_does_not_depend_on_its_company(name):
    layer = made(name)
    forest = forest_for(layer)
    words = words_for(layer, forest).detach()
    outputs, state = layer(words, forest)
    random = np.random.default_rng(3)
    trees = [random_tree(size, random, getattr(layer, "arity", 5)) for size in (1, 6, 11, 2, 9)]
    ends = np.cumsum([len(tree) for tree in trees])
    for number, tree in enumerate(trees):
        first = ends[number] - len(tree)
        positions = [p for p, node in enumerate(forest.order.tolist()) if first <= node < ends[number]]
        own = [p for p in positions if p < len(words)]
        alone, root = layer(words[own], Forest.of([tree]))
        torch.testing.assert_close(alone, outputs[positions])
        torch.testing.assert_close(root.h[0], state.h[number])


def test_a_chain_of_child_sum_nodes_is_an_lstm():
    tree, lstm = ChildSumTreeLSTM(3, 4), seqloom.Recurrent("lstm", 3, 4)
    cell = lstm.cells[0]
    with torch.no_grad():
        for parameter in tree.parameters():
            parameter.normal_()
        i, o, u = tree.node.weight_iou_x.chunk(3)
        b_i, b_o, b_u = tree.node.bias_iou.chunk(3)
        blocks = torch.cat([i, tree.edge.weight_x, u, o])
        cell.weight_ifgo_x.copy_(blocks[:, :3])
        cell.weight_ifgo_h.copy_(blocks[:, 3:])
        cell.bias_ifgo.copy_(torch.cat([b_i, tree.edge.bias, b_u, b_o]))
    x = torch.randn(2, 7, 3)
    chains = Forest.of([[1, 2, 3, 4, 5, 6, -1]] * 2)
    outputs, state = tree(x.transpose(0, 1).flatten(0, 1), chains)
    expected, last = lstm(x)
    torch.testing.assert_close(outputs.view(7, 2, 4).transpose(0, 1), expected)
    torch.testing.assert_close(state.c, last.c[:, 0])


def test_child_sum_does_not_see_the_order_of_children_and_nary_does():
    one, other = Forest.of([[3, 3, 3, -1]]), [2, 0, 1, 3]
    sums, nary = made("child-sum"), made("nary of three, words everywhere")
    words = torch.randn(4, 5)
    torch.testing.assert_close(sums(words, one)[1].h, sums(words[other], one)[1].h)
    assert not torch.allclose(nary(words, one)[1].h, nary(words[other], one)[1].h, atol=1e-3)


def test_a_tensor_of_zeros_leaves_the_plain_recursive_net():
    plain, tensor = made("recursive"), made("tensor")
    with torch.no_grad():
        tensor.tensor.zero_()
        for name, parameter in plain.node.named_parameters():
            parameter.copy_(tensor.node.get_parameter(name))
    forest = forest_for(plain)
    words = words_for(plain, forest)
    torch.testing.assert_close(tensor(words, forest)[0], plain(words, forest)[0])


@pytest.mark.parametrize(("n", "m"), [(3, 4), (7, 5)])
def test_sizes_are_those_of_the_papers(n, m):
    def count(layer):
        return sum(parameter.numel() for parameter in layer.parameters())

    assert count(ChildSumTreeLSTM(n, m)) == 4 * m * (n + m + 1)
    for children in (2, 3):
        expected = 4 * m * (n + 1) + 3 * children * m**2 + children**2 * m**2
        assert count(NaryTreeLSTM(n, m, arity=children, words="all")) == expected
        assert count(NaryTreeLSTM(n, m, arity=children)) == expected - n * m
    assert count(RecursiveTensorNet(m)) == 4 * m**3 + 2 * m**2 + m


def test_deep_trees_need_no_recursion():
    depth = 3000
    parents = [*range(1, depth), -1]
    layer = ChildSumTreeLSTM(2, 3)
    outputs, _ = layer(torch.randn(depth, 2), Forest.of([parents]))
    outputs.sum().backward()
    assert outputs.shape == (depth, 3)


def test_what_does_not_fit_is_said():
    layer = NaryTreeLSTM(3, 4)
    forest = Forest.of([[2, 2, -1]])
    with pytest.raises(ValueError, match=r"words have the shape \(3, 3\); expected \(2, 3\) for this forest"):
        layer(torch.zeros(3, 3), forest)
    with pytest.raises(ValueError, match="a node has 3 children"):
        layer(torch.zeros(3, 3), Forest.of([[3, 3, 3, -1]]))
    outputs, state = layer(torch.zeros(0, 3), Forest.of([]))
    assert (outputs.shape, state.h.shape) == ((0, 4), (0, 4))


def test_outputs_may_be_written_into_before_the_way_back():
    layer = made("nary")
    forest = forest_for(layer)
    words = words_for(layer, forest)
    expected = torch.autograd.grad(layer(words, forest)[0].relu().sum(), words)[0]
    found = torch.autograd.grad(F.relu(layer(words, forest)[0], inplace=True).sum(), words)[0]
    torch.testing.assert_close(found, expected)


def test_an_autoencoder_merges_the_neighbours_with_the_least_error():
    torch.manual_seed(0)
    layer = RecursiveAutoencoder(4)
    lengths = [1, 2, 5, 7]
    words = torch.randn(4, 7, 4)
    found = layer.parse(words, lengths)

    def obvious(vectors):
        nodes, counts, merges = list(vectors), [1.0] * len(vectors), []
        while len(nodes) > 1:
            pairs = torch.stack([torch.cat(nodes[k : k + 2]) for k in range(len(nodes) - 1)])
            joined = layer.join(pairs)
            sizes = torch.tensor([counts[k : k + 2] for k in range(len(nodes) - 1)])
            best = int(layer.errors(pairs, joined, sizes).argmin())
            nodes[best : best + 2] = [joined[best]]
            counts[best : best + 2] = [counts[best] + counts[best + 1]]
            merges.append(best)
        return merges

    with torch.no_grad():
        assert found == [obvious(words[row, :length]) for row, length in enumerate(lengths)]
        alone = [layer.parse(words[row : row + 1, :length], [length])[0] for row, length in enumerate(lengths)]
    assert alone == found


def test_the_nodes_of_an_autoencoder_have_length_one():
    layer = RecursiveAutoencoder(4)
    forest = Forest.of([[2, 2, 4, 4, -1]])
    outputs, _ = layer(torch.randn(3, 4), forest)
    torch.testing.assert_close(outputs[3:].norm(dim=1), torch.ones(2))
    errors = layer.reconstruction(outputs, forest)
    pair = torch.cat([outputs[0], outputs[1]])
    decoded = layer.decoder(outputs[3])
    torch.testing.assert_close(errors[0], ((decoded - pair) ** 2).sum() / 2)


@pytest.mark.parametrize("name", LAYERS)
def test_the_way_back_can_be_gone_twice_and_gradients_of_memories_arrive(name):
    layer = made(name)
    forest = forest_for(layer)
    words = words_for(layer, forest)
    _, state = layer(words, forest)
    total = sum((field * field).sum() for field in state)
    first = torch.autograd.grad(total, [words, *layer.parameters()], retain_graph=True)
    again = torch.autograd.grad(total, [words, *layer.parameters()])
    for one, other in zip(first, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    values = layer.by_level(words, forest)
    total = sum((field[forest.roots] ** 2).sum() for field in values)
    for one, other in zip(first, torch.autograd.grad(total, [words, *layer.parameters()]), strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)
