"""The graph of a step: hash-consed, in order, and faithful to what the step does on tensors."""

import pytest
import torch

from seqloom import cells
from seqloom.cells import Cell
from seqloom.engine import evaluate, operations
from seqloom.engine.graph import VOCABULARY, Graph
from seqloom.engine.operations import (
    abs,
    exp,
    layer_norm,
    log,
    maximum,
    minimum,
    relu,
    sigmoid,
    softplus,
    sqrt,
    tanh,
    where,
)  # fmt: skip
from seqloom.layers.check import Subject, check_padding


class Everything(Cell):
    """A step that uses the whole vocabulary."""

    def step(self, x, h):
        a, b = self.affine(x, h, gates="ab")
        a = layer_norm(a, self.vector("gain"), self.vector("shift"), eps=1e-3)
        c = sqrt(1.0 + a * a) + log(1 + exp(-b)) - softplus(b) / 2.0
        d = where(a < b, minimum(c, 0.5), maximum(-0.5, c)) + where(a >= 0, abs(b), relu(b))
        return 1 - sigmoid(d) * tanh(2.0 / (1 + c * c)) + 0.1 * where(b <= 0.0, h, -h) + where(b > a, 0.0, a)


def test_the_graph_computes_what_the_step_computes():
    torch.manual_seed(0)
    cell = Everything(3, 5).double()
    for parameter in cell.parameters():
        parameter.data.uniform_(-1, 1)
    x, h = torch.randn(7, 3, dtype=torch.float64), torch.randn(7, 5, dtype=torch.float64)
    (traced,) = evaluate(cell.graph, x, {"h": h}, dict(cell.named_parameters()))
    torch.testing.assert_close(traced, cell.step(x, h), atol=0, rtol=0)
    assert {node.operation for node in cell.graph.nodes} >= set(VOCABULARY) - {"split"}  # which gives blocks


def test_a_thrown_away_step_that_would_overflow_leaves_no_trace_in_the_gradient():
    check_padding(Subject(Everything, {}))


def test_the_vocabulary_is_what_the_functions_are():
    assert sorted(VOCABULARY) == sorted(operations.__all__)


def test_equal_expressions_are_one_node():
    graph = Graph()
    a, b = graph.node("state", (), 4, ("a",)), graph.node("state", (), 4, ("b",))
    assert a + b is a + b
    assert (a + b) * 2 is (a + b) * 2.0
    assert a + b is not b + a


@pytest.mark.parametrize(("name", "phases"), [("rnn", 1), ("lstm", 1), ("gru", 1), ("gru_before", 2)])
def test_a_product_of_something_computed_begins_a_phase(name, phases):
    assert cells.get(name)(3, 4).graph.phases == phases


def test_what_depends_on_the_input_alone_is_not_counted_as_work_of_a_step():
    class Hoisted(Cell):
        def step(self, x, h):
            return 0.5 * h + tanh(self.affine(x))

    graph = Hoisted(3, 4).graph
    assert graph.operations == 2
    (product,) = [node for node in graph.nodes if node.operation == "product"]
    assert not graph.depends_on_state(product)
    assert graph.declarations[product.attributes[0]].role == "input"


def test_a_graph_prints_as_a_program():
    assert str(cells.get("rnn")(3, 4).graph).splitlines() == [
        "%0 = input(x) [3]",
        "%1 = state(h) [4]",
        "%2 = product(%0, weight_x) [4]",
        "%3 = product(%1, weight_h) [4]",
        "%4 = parameter(bias) [4]",
        "%5 = add(%2, %4) [4]",
        "%6 = add(%5, %3) [4]",
        "%7 = tanh(%6) [4]",
        "return %7",
    ]
