"""Norms of gradients over time, against closed forms and against torch's own differentiation of the unrolled loop."""

import math

import pytest
import torch

from seqloom import Recurrent
from seqloom.cells import Cell
from seqloom.learning.diagnosis import gradient_norms, recurrences
from seqloom.learning.diagnosis.recurrence import backpropagate

torch.manual_seed(0)
LENGTHS = torch.tensor([9, 3, 0, 12])


class Diagonal(Cell):
    """h' = u h + W x."""

    def step(self, x, h):
        return self.vector("u") * h + self.matvec(x, name="in")


class Linear(Cell):
    """h' = U h + W x."""

    def step(self, x, h):
        return self.matvec(h, name="hidden") + self.matvec(x, name="in")


def diagonal(u, size=3):
    layer = Recurrent(Diagonal(2, size)).double()
    with torch.no_grad():
        layer.cells[0].parameter("vector_u").fill_(u)
    return layer


def linear(matrix):
    cell = Linear(2, len(matrix))
    layer = Recurrent(cell).double()
    with torch.no_grad():
        cell.parameter("weight_hidden_h").copy_(torch.as_tensor(matrix, dtype=torch.float64))
    return layer


@pytest.mark.parametrize("u", [0.2, 0.5, 0.9, 0.999])
def test_the_half_life_of_a_linear_diagonal_recurrence_is_that_of_its_factor(u):
    (found,) = recurrences(diagonal(u), torch.randn(4, 12, 2).double(), LENGTHS)
    flow = gradient_norms(found)
    assert flow.half_life == pytest.approx(math.log(2) / -math.log(u), abs=1e-6)
    assert flow.norms == pytest.approx([u**distance for distance in range(13)], rel=1e-12)


def test_a_gradient_smaller_than_any_number_still_has_its_half_life():
    (found,) = recurrences(diagonal(0.5), torch.randn(1, 1500, 2).double())
    flow = gradient_norms(found)
    assert flow.norms[-1] == 0.0
    assert flow.half_life == pytest.approx(1.0, abs=1e-6)


def test_a_factor_above_one_doubles():
    (found,) = recurrences(diagonal(2.0), torch.randn(1, 30, 2).double())
    flow = gradient_norms(found)
    assert flow.slope == pytest.approx(math.log(2), abs=1e-9)
    assert flow.half_life == pytest.approx(1.0, abs=1e-6)


def test_an_orthogonal_linear_recurrence_keeps_the_norm():
    orthogonal = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
    (found,) = recurrences(linear(orthogonal), torch.randn(3, 40, 2).double())
    flow = gradient_norms(found)
    assert flow.norms == pytest.approx([1.0] * 41, rel=1e-12)
    assert flow.slope == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "lstmp"])
def test_norms_are_those_of_a_product_of_jacobians(name):
    layer = Recurrent(name, 2, 3).double()
    x = torch.randn(1, 7, 2).double()
    (found,) = recurrences(layer, x)
    sizes = list(layer.cells[0].state_sizes)

    def step(t, whole):
        new = layer.cells[0].step(x[:, t], *whole.unsqueeze(0).split(sizes, 1))
        return torch.cat(new if isinstance(new, tuple) else (new,), 1)[0]

    states = [torch.zeros(sum(sizes)).double()]
    for t in range(7):
        states.append(step(t, states[-1]))
    gradient = torch.zeros(sum(sizes)).double()
    gradient[: sizes[0]] = 1.0
    expected = [1.0]
    for t in reversed(range(7)):
        gradient = torch.autograd.functional.jacobian(lambda s, t=t: step(t, s), states[t]).T @ gradient
        expected.append(float(gradient.norm() / sizes[0] ** 0.5))
    assert gradient_norms(found).norms == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("merge", ["concat", "sum"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_the_gradient_of_a_loss_reaches_the_input_of_a_stack_as_in_torch(merge, batch_first):
    layer = Recurrent(
        "lstm", 4, 2, layers=3, bidirectional=True, merge=merge, residual=True, zoneout=0.1, batch_first=batch_first
    ).double()
    layer.eval()
    x = torch.randn(4, 12, 4).double()
    x = (x if batch_first else x.transpose(0, 1)).requires_grad_()
    weights = torch.randn(4, 12, layer.output_size).double()
    outputs, state = layer(x, lengths=LENGTHS)
    results = [outputs, *state]
    whole = outputs if batch_first else outputs.transpose(0, 1)
    loss = (whole * weights).tanh().sum() + sum(field.square().sum() for field in state)
    (expected,) = torch.autograd.grad(loss, x, retain_graph=True)
    expected = expected if batch_first else expected.transpose(0, 1)
    gradients = torch.autograd.grad(loss, results)
    forward, backward, *_ = recurrences(layer, x, LENGTHS, gradients=gradients)
    order = torch.argsort(LENGTHS, descending=True, stable=True)[:3]
    found = torch.zeros(4, 12, 4).double()
    for part, reverse in ((forward, False), (backward, True)):
        for t, of_input, _ in backpropagate(part, part.arriving):
            for row, index in enumerate(order.tolist()):
                place = int(LENGTHS[index]) - 1 - t if reverse else t
                if 0 <= place < LENGTHS[index]:
                    found[index, place] += of_input[row]
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_norms_of_the_whole_loss_are_torchs_gradients_by_the_states():
    layer = Recurrent("rnn", 2, 3).double()
    x = torch.randn(2, 6, 2).double()
    h, states = torch.zeros(2, 3).double(), []
    for t in range(6):
        h = layer.cells[0].step(x[:, t], h)
        h.retain_grad()
        states.append(h)
    torch.stack(states).square().sum().backward()
    outputs, _ = layer(x)
    (found,) = recurrences(layer, x, gradients=[2 * outputs.detach(), None])
    expected = [float(state.grad.square().sum(1).mean().sqrt()) for state in states]
    assert gradient_norms(found).loss_norms == pytest.approx(expected, rel=1e-10)


def test_a_state_that_is_overwritten_carries_nothing():
    (found,) = recurrences(diagonal(0.0), torch.randn(1, 5, 2).double())
    flow = gradient_norms(found)
    assert flow.norms == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert math.isnan(flow.slope)


def test_a_batch_without_a_step_is_refused():
    with pytest.raises(ValueError, match="no row of the batch has a step"):
        recurrences(diagonal(0.5), torch.zeros(2, 3, 2).double(), torch.tensor([0, 0]))
