"""Programs derived from a step: their backward pass, on awkward steps, against autograd through the plain loop."""

import pytest
import torch

from seqloom.cells import Cell
from seqloom.engine import run_sequence
from seqloom.engine.lowering.tensor_program import lower_to_tensors
from seqloom.engine.operations import layer_norm, maximum, minimum, relu, sigmoid, tanh, where
from seqloom.engine.runtime.backend import choose
from seqloom.errors import ConfigError
from seqloom.layers.check import Subject, check_backends


class StateIsALeafsSum(Cell):
    """The gradient of the second state is passed on as it is, to a value that is computed outside the loop."""

    state = ("h", "c")

    def step(self, x, h, c):
        c = 0.5 * c + self.affine(x, gates="c")
        return tanh(c + self.affine(h, gates="h")), c


class ForgetsAState(Cell):
    state = ("h", "unread")

    def step(self, x, h, unread):
        h = tanh(self.affine(x, h))
        return h, h


class OutputsItsInput(Cell):
    state = ("y", "h")

    def step(self, x, y, h):
        return tanh(self.affine(x, gates="y")), h + 0.1 * self.matvec(y, name="u")


class KeepsAState(Cell):
    state = ("h", "constant")

    def step(self, x, h, constant):
        return sigmoid(self.affine(x, h, gates="h") * constant), constant


class UsesHalfOfItsGates(Cell):
    def step(self, x, h):
        _, b, _ = self.affine(x, h, gates="abc")
        return tanh(b)


class Ties(Cell):
    def step(self, x, h):
        a = relu(self.affine(x, h))
        return 0.5 * (maximum(a, 0.0) + minimum(0.0, a) + minimum(a, a))


class SharesAMatrix(Cell):
    def step(self, x, h):
        h = tanh(self.affine(x) + self.matvec(h + 0.0, name="u"))
        return layer_norm(self.matvec(h, name="u") + self.matvec(2 * h, name="w"))


class DecaysByAnExpression(Cell):
    """A vector that is computed from parameters alone, once for all steps."""

    def step(self, x, h):
        decay = sigmoid(self.vector("decay") - 1)
        return where(h > decay, decay * h, 0.9 * h) + (1 - decay) * tanh(self.affine(x, h))


AWKWARD = [
    StateIsALeafsSum, ForgetsAState, OutputsItsInput, KeepsAState, UsesHalfOfItsGates, Ties, SharesAMatrix,
    DecaysByAnExpression,
]  # fmt: skip


@pytest.mark.parametrize("cell", AWKWARD, ids=lambda cell: cell.__name__)
def test_a_derived_backward_pass_equals_autograd_through_the_loop(cell):
    torch.manual_seed(0)
    assert choose([cell(3, 4).double()]).backend == "derived"
    check_backends(Subject(cell, {}))


def test_a_state_of_constants_is_left_to_the_reference():
    class Constant(Cell):
        def step(self, x, h):
            return 0.0 * self.vector("zero")

    assert choose([Constant(3, 4).double()]).backend == "reference"
    with pytest.raises(ConfigError, match="'derived' cannot run this layer: a state of Constant depends on nothing"):
        choose([Constant(3, 4)], backend="derived")


def test_what_depends_on_the_input_alone_is_outside_the_loop():
    program = lower_to_tensors(KeepsAState(3, 4).graph)
    assert len(program.rows) == 1
    assert not any("weight_h_x" in name for name in program.weights)


def test_frozen_parameters_and_inputs_get_no_gradient():
    cell = StateIsALeafsSum(3, 4)
    cell.weight_h_h.requires_grad_(False)
    outputs, _ = run_sequence(cell, torch.randn(2, 5, 3), torch.tensor([5, 3]), backend="derived")
    outputs.sum().backward()
    assert cell.weight_h_h.grad is None
    assert cell.weight_c_x.grad is not None


def test_a_second_way_back_over_the_same_graph_gives_the_same():
    cell, x = StateIsALeafsSum(3, 4), torch.randn(2, 5, 3, requires_grad=True)
    outputs, _ = run_sequence(cell, x, backend="derived")
    first = torch.autograd.grad(outputs.sum(), x, retain_graph=True)
    assert torch.equal(first[0], torch.autograd.grad(outputs.sum(), x)[0])
