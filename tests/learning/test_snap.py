from typing import Any

import pytest
import torch
from torch import nn

from seqloom.learning import SparseOneStep, bptt, snap1

from .sequences import (
    DIAGONAL,
    HIDDEN,
    INPUT,
    Independent,
    Rotating,
    assert_equal,
    difference,
    inputs,
    layer_of,
    loss_of,
)


# The stack of rotations is left out: what turns into its output within two steps reaches the layer above in three.
@pytest.mark.parametrize(
    ("cell", "layers"), [(cell, n) for cell in DIAGONAL for n in (1, 2) if (cell, n) != (Rotating, 2)]
)
def test_diagonal_recurrences_lose_nothing(cell: Any, layers: int) -> None:
    layer, x, lengths = layer_of(cell, layers), inputs(), torch.tensor([20, 8])
    loss = loss_of(layer.output_size)
    assert_equal(snap1(layer, x, loss, None, lengths), bptt(layer, x, loss, None, lengths))


def test_units_that_are_off_at_first_are_not_taken_for_unreachable() -> None:
    layer = layer_of(Independent)
    nn.init.constant_(layer.cells[0].get_parameter("bias"), -2.0)
    x, loss = inputs(), loss_of(HIDDEN)
    x[:, 0] = 0.0
    outputs, _ = layer(x)
    assert (outputs[:, 0] == 0).all()
    assert (outputs > 0).any()
    assert_equal(snap1(layer, x, loss), bptt(layer, x, loss))


def test_of_an_elman_network_each_weight_follows_its_own_unit() -> None:
    """``P_i,ij <- (1 - h_i^2) (U_ii P_i,ij + [x, h, 1]_j)``, everything else forgotten (Menick et al. 2020)."""
    layer, x, loss = layer_of("rnn"), inputs(1, 12), loss_of(HIDDEN)
    found = snap1(layer, x, loss)
    w, u, b = (layer.cells[0].get_parameter(n).detach() for n in ("weight_x", "weight_h", "bias"))
    h = torch.zeros(HIDDEN, dtype=torch.float64)
    influence = torch.zeros(HIDDEN, INPUT + HIDDEN + 1, dtype=torch.float64)
    total = torch.zeros_like(influence)
    for t in range(x.shape[1]):
        direct = torch.cat([x[0, t], h, torch.ones(1, dtype=torch.float64)])
        h_new = torch.tanh(w @ x[0, t] + u @ h + b)
        leaf = h_new.clone().requires_grad_()
        (error,) = torch.autograd.grad(loss(leaf.unsqueeze(0), t).sum(), leaf)
        slopes = (1 - h_new**2).unsqueeze(1)
        # The error of this step reaches the past through the whole Jacobian, and the present directly.
        back = (error * slopes.squeeze(1)) @ u
        total += back.unsqueeze(1) * influence + (error.unsqueeze(1) * slopes) * direct
        influence = slopes * (u.diagonal().unsqueeze(1) * influence + direct)
        h = h_new
    wanted = {"weight_x": total[:, :INPUT], "weight_h": total[:, INPUT:-1], "bias": total[:, -1]}
    for name, value in wanted.items():
        torch.testing.assert_close(found.gradients[f"cells.0.{name}"], value)
    assert difference(found, bptt(layer, x, loss)) > 1e-2


@pytest.mark.parametrize(("cell", "factor"), [("rnn", 1), ("gru", 1), ("lstm", 2)])
def test_an_entry_is_kept_for_each_parameter_and_field_of_the_state(cell: str, factor: int) -> None:
    layer = layer_of(cell)
    learner = SparseOneStep(layer)
    learner.step(inputs(1)[:, 0])
    kept = sum(values.numel() for values in learner._influence())
    assert kept == factor * sum(parameter.numel() for parameter in layer.parameters())


def test_finding_the_structure_draws_none_of_the_callers_random_numbers() -> None:
    layer = layer_of("gru")
    torch.manual_seed(9)
    wanted = torch.rand(3)
    torch.manual_seed(9)
    SparseOneStep(layer).step(inputs()[:, 0])
    assert torch.equal(torch.rand(3), wanted)
