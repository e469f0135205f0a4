from typing import Any

import pytest
import torch

from seqloom import cells
from seqloom.errors import ConfigError
from seqloom.learning import RealTimeRecurrentLearning, bptt, rtrl

from .sequences import HIDDEN, INPUT, Peephole, assert_equal, inputs, layer_of, loss_of, random_state

CELLS = [("rnn", 1), ("lstm", 1), ("gru", 1), ("gru_before", 1), ("lstmp", 1), (Peephole, 1), ("lstm", 2), ("gru", 2)]


@pytest.mark.parametrize(("cell", "layers"), CELLS)
def test_forwards_and_backwards_find_the_same_gradient(cell: Any, layers: int) -> None:
    layer, x, lengths = layer_of(cell, layers), inputs(), torch.tensor([20, 8])
    loss, state = loss_of(layer.output_size), random_state(layer)
    assert_equal(rtrl(layer, x, loss, state, lengths), bptt(layer, x, loss, state, lengths), 1e-10)


@pytest.mark.parametrize("cell", cells.names())
def test_forwards_and_backwards_agree_for_every_registered_cell(cell: str) -> None:
    layer, x, lengths = layer_of(cell), inputs(time=6), torch.tensor([6, 4])
    loss = loss_of(layer.output_size)
    assert_equal(rtrl(layer, x, loss, None, lengths), bptt(layer, x, loss, None, lengths), 1e-10)


def test_residual_outputs_which_are_no_state_are_differentiated_too() -> None:
    layer, x, loss = layer_of("gru", 3, residual=True), inputs(), loss_of(HIDDEN)
    assert_equal(rtrl(layer, x, loss), bptt(layer, x, loss), 1e-10)


def test_updates_at_every_step_follow_the_recursion_written_out_for_an_elman_network() -> None:
    """``P <- diag(1 - h^2) (U P + d(Wx + Uh + b))`` by index, with the weights changed at every step."""
    layer, x, loss, rate = layer_of("rnn"), inputs(1, 12), loss_of(HIDDEN), 0.05
    learner, state = RealTimeRecurrentLearning(layer), None
    w, u, b = (layer.cells[0].get_parameter(n).detach().clone() for n in ("weight_x", "weight_h", "bias"))
    h, unit = torch.zeros(HIDDEN, dtype=torch.float64), torch.eye(HIDDEN, dtype=torch.float64)
    influence = torch.zeros(HIDDEN, HIDDEN, INPUT + HIDDEN + 1, dtype=torch.float64)  # state, unit, weight of the unit
    for t in range(x.shape[1]):
        joint = torch.cat([x[0, t], h, torch.ones(1, dtype=torch.float64)])
        h = torch.tanh(w @ x[0, t] + u @ h + b)
        influence = torch.einsum("ik,kjl->ijl", u, influence) + torch.einsum("ij,l->ijl", unit, joint)
        influence = (1 - h**2).view(-1, 1, 1) * influence
        leaf = h.clone().requires_grad_()
        (error,) = torch.autograd.grad(loss(leaf.unsqueeze(0), t).sum(), leaf)
        gradient = torch.einsum("i,ijl->jl", error, influence)
        w, u, b = w - rate * gradient[:, :INPUT], u - rate * gradient[:, INPUT:-1], b - rate * gradient[:, -1]

        def output_gradient(output: torch.Tensor, t: int = t) -> torch.Tensor:
            with torch.enable_grad():
                leaf = output.clone().requires_grad_()
                return torch.autograd.grad(loss(leaf, t).sum(), leaf)[0]

        taken = learner.step(x[:, t], state, output_gradient)
        state = taken.state
        with torch.no_grad():
            for name, change in taken.gradients.items():
                layer.get_parameter(name).sub_(rate * change)
        for name, wanted in (("weight_x", w), ("weight_h", u), ("bias", b)):
            torch.testing.assert_close(layer.cells[0].get_parameter(name), wanted, atol=1e-12, rtol=0)


def test_a_row_that_restarts_forgets_and_the_others_do_not() -> None:
    layer, x = layer_of("lstm"), inputs(2, 6)
    ones = torch.ones_like

    def gradient(rows: torch.Tensor, restart: bool) -> dict[str, torch.Tensor]:
        learner, state = RealTimeRecurrentLearning(layer), None
        for t in range(5):
            state = learner.step(x[rows, t], state).state
        if restart:
            learner.restart(torch.tensor([True, False][: len(rows)]))
        return learner.step(x[rows, 5], state, ones).gradients

    both, first, second = torch.tensor([0, 1]), torch.tensor([0]), torch.tensor([1])
    together, alone = gradient(both, True), (gradient(first, True), gradient(second, False))
    for name, found in together.items():
        torch.testing.assert_close(found, alone[0][name] + alone[1][name])
    assert not torch.allclose(gradient(first, True)["cells.0.bias_ifgo"], gradient(first, False)["cells.0.bias_ifgo"])


def test_noise_is_drawn_once_for_a_step_and_its_derivatives() -> None:
    """Where nearly all units keep their state, so does their influence: a gradient of other coins would not vanish."""
    layer = layer_of("rnn", zoneout=1.0)
    found = rtrl(layer, inputs(), loss_of(HIDDEN), random_state(layer))
    assert all((gradient == 0).all() for gradient in found.gradients.values())
    layer = layer_of("rnn", zoneout=0.5)
    learner, state = RealTimeRecurrentLearning(layer), random_state(layer)
    taken = learner.step(inputs()[:, 0], state, torch.ones_like)
    moved = (taken.state.h != state.h).squeeze(1)
    assert 0 < int(moved.sum()) < moved.numel()
    wanted = ((1 - taken.output.square()) * moved).sum(0)
    torch.testing.assert_close(taken.gradients["cells.0.bias"], wanted)


def test_another_batch_needs_a_restart() -> None:
    learner = RealTimeRecurrentLearning(layer_of("rnn"))
    learner.step(inputs(2)[:, 0])
    with pytest.raises(ValueError, match="x has 3 rows but the influence is of 2; call restart"):
        learner.step(inputs(3)[:, 0], learner.layer.initial_state(3))
    learner.restart()
    learner.step(inputs(3)[:, 0], learner.layer.initial_state(3))


def test_a_layer_that_reads_backwards_has_no_gradient_forwards() -> None:
    with pytest.raises(ConfigError, match="bidirectional"):
        rtrl(layer_of("rnn", bidirectional=True), inputs(), loss_of(2 * HIDDEN))
