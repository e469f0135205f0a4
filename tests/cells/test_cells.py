"""What each cell computes: golden vectors, bounds, and the relations between cells."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqloom import cells
from seqloom.cells import LSTM, Cell
from seqloom.cells.golden import GOLDEN, golden_cell, golden_input
from seqloom.engine.operations import sigmoid, tanh
from seqloom.layers.check import check_gradients
from seqloom.layers.check_subject import Subject
from seqloom.layers.recurrent import Recurrent


class PeepholeLSTM(Cell):
    """Long short-term memory whose gates see the cell (Gers & Schmidhuber 2000)."""

    state = ("h", "c")
    size = cells.Size(input=4, recurrent=4, vector=3, bias=4)

    def step(self, x, h, c):
        i, f, g, o = self.affine(x, h, gates="ifgo")
        new = sigmoid(f + self.vector("f") * c) * c + sigmoid(i + self.vector("i") * c) * tanh(g)
        return sigmoid(o + self.vector("o") * new) * tanh(new), new


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("backend", [None, "reference"])
def test_golden_vectors(name, backend):
    golden = GOLDEN[name]
    _, state = Recurrent(golden_cell(cells.get(name), golden), backend=backend)(golden_input())
    for field, wanted in golden.states.items():
        found = getattr(state, field).flatten()
        torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), atol=5e-8, rtol=0.0)


@pytest.mark.parametrize("name", cells.names())
def test_every_registered_cell_passes_the_battery(name):
    cells.check_cell(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", cells.names())
def test_every_entry_of_every_gradient_agrees_with_finite_differences(name):
    torch.manual_seed(20)
    check_gradients(Subject(cells.get(name), {}), every_entry=True)


def test_a_cell_of_ones_own_passes_the_battery_by_existing():
    cells.check_cell(PeepholeLSTM)


def test_a_peephole_of_zero_is_the_plain_lstm():
    torch.manual_seed(0)
    own, plain = Recurrent(PeepholeLSTM, 3, 4), Recurrent("lstm", 3, 4)
    own.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(2, 6, 3)
    torch.testing.assert_close(own(x), plain(x))


@pytest.mark.parametrize("name", ["gru", "gru_before"])
@settings(deadline=None, max_examples=15)
@given(scale=st.floats(0.1, 30.0), start=st.floats(0.0, 3.0), seed=st.integers(0, 1000))
def test_a_gru_stays_within_one_or_where_it_began(name, scale, start, seed):
    torch.manual_seed(seed)
    layer = Recurrent(name, 2, 5).double()
    for parameter in layer.parameters():
        parameter.data.normal_(0.0, scale)
    h = start * (2 * torch.rand(3, 1, 5, dtype=torch.float64) - 1)
    outputs, _ = layer(torch.randn(3, 7, 2, dtype=torch.float64) * scale, (h,))
    bound = h.abs().amax().clamp(min=1.0)
    assert outputs.abs().max() <= bound * (1 + 1e-12)


def _gru_pair(recurrent: Tensor) -> tuple[Recurrent, Recurrent]:
    torch.manual_seed(3)
    before = Recurrent("gru_before", 3, 4).double()
    after = Recurrent("gru", 3, 4).double()
    source, target = before.cells[0], after.cells[0]
    source.weight_n_v2.data = recurrent
    source.bias_n.data.uniform_(-1, 1)
    for name in ("weight_rz_x", "weight_rz_h", "bias_rz", "weight_n_x", "bias_n"):
        target.get_parameter(name).data = source.get_parameter(name).data
    target.weight_recurrent_h.data, target.bias_recurrent.data = recurrent, torch.zeros(4, dtype=torch.float64)
    return before, after


def test_the_two_grus_agree_where_the_recurrent_matrix_is_diagonal_and_nowhere_else():
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    before, after = _gru_pair(torch.diag(torch.linspace(-2, 2, 4, dtype=torch.float64)))
    torch.testing.assert_close(before(x)[0], after(x)[0], atol=1e-12, rtol=0)
    before, after = _gru_pair(torch.randn(4, 4, dtype=torch.float64))
    assert (before(x)[0] - after(x)[0]).abs().max() > 1e-2


def test_an_lstm_with_an_open_forget_gate_and_a_shut_input_gate_keeps_its_cell():
    layer = Recurrent("lstm", 3, 4).double()
    bias = layer.cells[0].bias_ifgo
    bias.data[:4], bias.data[4:8] = -50.0, 50.0
    c = torch.randn(2, 1, 4, dtype=torch.float64)
    _, state = layer(torch.randn(2, 100, 3, dtype=torch.float64), (torch.zeros_like(c), c))
    torch.testing.assert_close(state.c, c, atol=1e-12, rtol=0)


def test_gates_are_orthogonal_one_by_one_and_the_forget_bias_is_one():
    cell = LSTM(3, 8)
    for gate in cell.weight_ifgo_h.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)
    assert cell.bias_ifgo.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
    for gate in cell.weight_ifgo_x.chunk(4):
        assert gate.abs().max() <= math.sqrt(6 / (3 + 8))


def test_initialisation_follows_the_seed():
    torch.manual_seed(5)
    first = LSTM(3, 4)
    torch.manual_seed(5)
    torch.testing.assert_close(first.state_dict(), LSTM(3, 4).state_dict())


@pytest.mark.parametrize("name", cells.names())
def test_a_description_says_what_and_whose(name):
    (description,) = [found for found in cells.describe() if found.name == name]
    assert description.summary
    assert any(character.isdigit() for character in description.source), "the source names a year"
    assert "m" in description.size
    assert cells.name_of(cells.get(name)) == name
