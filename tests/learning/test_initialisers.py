import math
from typing import Any

import pytest
import torch

from seqloom.cells import Cell, names
from seqloom.cells.structure import antisymmetric
from seqloom.engine.operations import relu, sigmoid, tanh
from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.learning import initialise_chrono, initialise_identity, initialise_orthogonal, initialise_sparse

from .sequences import INPUT, Independent, layer_of


class Minimal(Cell):
    """The minimal gated unit (Zhou et al. 2016), whose gate f keeps the new state."""

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine(x, h, gates="f"))
        return (1 - f) * h + f * tanh(self.affine(x, f * h))


class Linear(Cell):
    """A linear recurrence."""

    def step(self, x: Any, h: Any) -> Any:
        return self.affine(x, h)


class Antisymmetric(Cell):
    """A recurrence whose matrix is computed from what is stored."""

    def structures(self) -> dict[str, Any]:
        return {"weight_h": antisymmetric()}

    def step(self, x: Any, h: Any) -> Any:
        return relu(self.affine(x, h))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "gru_before"])
def test_each_gate_is_orthogonal_by_itself(cell: str) -> None:
    layer = layer_of(cell, 2)
    initialise_orthogonal(layer, gain=0.5)
    for part in layer.cells:
        for name, declared in part.graph.declarations.items():
            for u in part.get_parameter(name).split(5) if declared.role == "recurrent" else ():
                torch.testing.assert_close(u.T @ u, 0.25 * torch.eye(5, dtype=torch.float64))


def test_orthogonal_matrices_are_drawn_from_all_alike() -> None:
    """Without the signs of R, QR gives matrices whose trace is negative on average; uniform ones have mean zero."""
    layer, generator, traces = Recurrent("rnn", 1, 4), torch.Generator().manual_seed(0), []
    for _ in range(2000):
        initialise_orthogonal(layer, generator=generator)
        traces.append(float(layer.cells[0].get_parameter("weight_h").detach().trace()))
    # The trace of a uniform orthogonal matrix has mean 0 and variance 1.
    assert abs(sum(traces) / 2000) < 4 / 2000**0.5
    assert sum(trace**2 for trace in traces) / 2000 == pytest.approx(1.0, abs=0.15)


def test_gradients_keep_their_length_in_a_linear_orthogonal_network() -> None:
    layer = layer_of(Linear)
    initialise_orthogonal(layer)
    state = layer.initial_state(1)
    state = state._make(field.requires_grad_() for field in state)
    outputs, _ = layer(torch.randn(1, 300, INPUT, dtype=torch.float64), state)
    direction = torch.randn(5, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(outputs[0, -1] @ direction, state)
    assert float(gradient.norm()) == pytest.approx(float(direction.norm()), rel=1e-12)


def test_the_irnn_copies_errors_unchanged_where_units_are_on() -> None:
    """At the beginning ``dh_T/dh_0`` is a diagonal matrix of zeros and ones."""
    layer = layer_of("rnn_relu")
    initialise_identity(layer, generator=torch.Generator().manual_seed(1))
    h = torch.tensor([[[3.0, 2.0, 0.0, 0.0, 1.0]]], dtype=torch.float64)
    x = torch.zeros(1, 50, INPUT, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda h: layer(x, (h,))[1].h, h).reshape(5, 5)
    assert torch.equal(jacobian, torch.diag((h[0, 0] > 0).double()))
    assert torch.equal(layer(x, (h,))[1].h, h)
    assert 0 < float(layer.cells[0].get_parameter("weight_x").detach().abs().max()) < 0.005


def test_sparse_matrices_have_their_radius_and_so_many_weights_in_each_row() -> None:
    layer = Recurrent("lstm", 3, 40).double()
    initialise_sparse(layer, generator=torch.Generator().manual_seed(1))
    for u in layer.cells[0].get_parameter("weight_ifgo_h").detach().split(40):
        assert (u.count_nonzero(1) == 15).all()
        assert float(torch.linalg.eigvals(u).abs().max()) == pytest.approx(0.95, rel=1e-9)
        assert len({tuple(row.nonzero().flatten().tolist()) for row in u}) > 30, "rows choose for themselves"
    small = Recurrent("rnn", 3, 4)
    initialise_sparse(small, radius=0.5)
    assert float(torch.linalg.eigvals(small.cells[0].get_parameter("weight_h").detach()).abs().max()) == pytest.approx(
        0.5, rel=1e-4
    )


def test_chrono_gates_forget_over_all_times_up_to_the_longest() -> None:
    layer = Recurrent("lstm", 3, 400)
    initialise_chrono(layer, 500, torch.Generator().manual_seed(0))
    i, f, g, o = layer.cells[0].get_parameter("bias_ifgo").detach().split(400)
    assert torch.equal(i, -f)
    assert (g == 0).all()
    assert (o == 0).all()
    # A gate sigmoid(b) forgets over 1 / (1 - sigmoid(b)) = 1 + exp(b) steps: uniform from 2 to 500.
    times = 1 + f.exp()
    assert float(times.min()) >= 2.0
    assert float(times.max()) <= 500.0
    assert float(times.mean()) == pytest.approx(251.0, abs=4 * 498 / math.sqrt(12 * 400))


KEEPING = [("gru", "bias_rz", 1, 1), ("gru_before", "bias_rz", 1, 1), ("lstmp", "bias_ifgo", 1, 1)]


@pytest.mark.parametrize(("cell", "bias", "position", "sign"), [*KEEPING, (Minimal, "bias_f", 0, -1)])
def test_chrono_biases_keep_the_old_state_whatever_the_convention(
    cell: Any, bias: str, position: int, sign: int
) -> None:
    layer = Recurrent(cell, 3, 16, layers=2)
    initialise_chrono(layer, 100)
    for part in layer.cells:
        value = part.get_parameter(bias).detach().view(-1, 16)
        assert (sign * value[position] > 0).all()
        assert (value[position].abs() <= math.log(99)).all()


@pytest.mark.parametrize("cell", sorted({"lstm_peephole", "peephole", "cifg", "mgu", "mut1", "mingru"} & set(names())))
def test_chrono_makes_registered_gated_cells_remember(cell: str) -> None:
    """With all weights but the biases at zero, more of the state is left after 30 steps without input."""
    kept = []
    for chrono in (False, True):
        layer = layer_of(cell)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()
        if chrono:
            initialise_chrono(layer, 1000, torch.Generator().manual_seed(0))
        zeros = layer.initial_state(1)
        state = zeros._make(torch.ones_like(field) for field in zeros)
        _, final = layer(torch.zeros(1, 30, INPUT, dtype=torch.float64), state)
        kept.append(sum(float(field.detach().abs().sum()) for field in final))
    assert kept[1] > 10 * kept[0]


def test_what_a_cell_computes_from_what_it_stores_is_left_alone() -> None:
    layer = layer_of(Antisymmetric)
    stored = layer.cells[0].get_parameter("weight_h").detach().clone()
    with pytest.raises(ConfigError, match="no recurrent matrix"):
        initialise_orthogonal(layer)
    assert torch.equal(layer.cells[0].get_parameter("weight_h"), stored)


def test_what_cannot_be_initialised_so_is_refused() -> None:
    with pytest.raises(ConfigError, match="longest is 2; expected at least 3"):
        initialise_chrono(layer_of("lstm"), 2)
    for layer in (layer_of("rnn"), layer_of("lstm", bias=False)):
        with pytest.raises(ConfigError, match="a gate f or z"):
            initialise_chrono(layer, 10)
    with pytest.raises(ConfigError, match="no recurrent matrix"):
        initialise_identity(layer_of(Independent))
    with pytest.raises(ConfigError, match="nonzeros is 0"):
        initialise_sparse(layer_of("rnn"), 0)
