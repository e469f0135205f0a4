"""Relations between the cells of a family, and what is invariant in each: simple networks, LSTMs, gated and deep units."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.cells import GRU, GRUBefore
from seqloom.engine.operations import sigmoid, tanh
from seqloom.layers.recurrent import Recurrent

from .drawn import layer_of, normal, of, put, same


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("name", "torch_layer"),
    [
        ("rnn", lambda: torch.nn.RNN(3, 4, 2, batch_first=True)),
        ("rnn_relu", lambda: torch.nn.RNN(3, 4, 2, nonlinearity="relu", batch_first=True)),
        ("irnn", lambda: torch.nn.RNN(3, 4, 2, nonlinearity="relu", batch_first=True)),
        ("lstm", lambda: torch.nn.LSTM(3, 4, 2, batch_first=True)),
        ("lstmp", lambda: torch.nn.LSTM(3, 4, 2, proj_size=2, batch_first=True)),
        ("gru", lambda: torch.nn.GRU(3, 4, 2, batch_first=True)),
    ],
)
def test_a_stack_equals_the_one_of_torch_with_its_weights(name, torch_layer):
    other, layer = torch_layer().double(), layer_of(name, stack=2)
    for index, cell in enumerate(layer.cells):
        weights = [getattr(other, f"{kind}_l{index}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        cell.load_vendor_weights(*weights, *([getattr(other, f"weight_hr_l{index}")] if name == "lstmp" else []))
    x = normal(2, 8, 3)
    same(layer(x)[0], other(x)[0])


def test_backpropagation_by_hand_gives_the_gradients_of_an_elman_network():
    layer, x, weights = layer_of("rnn"), normal(1, 9, 3), normal(9, 4)
    outputs, _ = layer(x)
    (outputs[0] * weights).sum().backward()
    U, h, past = of(layer, "weight_h"), outputs[0].detach(), torch.cat([torch.zeros(1, 4).double(), outputs[0, :-1]])
    delta, sums = torch.zeros(4).double(), {"weight_x": 0.0, "weight_h": 0.0, "bias": 0.0}
    for t in reversed(range(9)):
        delta = (1 - h[t] ** 2) * (weights[t] + U.T @ delta)
        sums["weight_x"] += torch.outer(delta, x[0, t])
        sums["weight_h"] += torch.outer(delta, past[t].detach())
        sums["bias"] += delta
    for name, wanted in sums.items():
        same(layer.cells[0].get_parameter(name).grad, wanted)


def test_a_jordan_network_without_decay_sees_its_last_output_alone():
    layer, x = layer_of("jordan", decay=0.0, output_size=2, output="tanh"), normal(1, 6, 3)
    W, U, V = of(layer, "weight_hidden_x"), of(layer, "weight_hidden_v2"), of(layer, "weight_output_v1")
    y, wanted = torch.zeros(2).double(), []
    for x_t in x[0]:
        h = torch.tanh(W @ x_t + U @ y + of(layer, "bias_hidden"))
        y = torch.tanh(V @ h + of(layer, "bias_output"))
        wanted.append(y)
    same(layer(x)[0][0], torch.stack(wanted))


def jacobian(layer, x, h):
    """Of the last output by the first state."""
    return torch.autograd.functional.jacobian(lambda start: layer(x, (start.view(1, 1, -1),))[0][0, -1], h)


def test_an_irnn_begins_by_copying_the_error_of_its_active_units_unchanged():
    layer = Recurrent("irnn", 3, 16, backend="reference").double()
    found = jacobian(layer, normal(1, 30, 3), normal(16))
    diagonal = found.diagonal()
    assert torch.equal(found, torch.diag(diagonal))
    assert set(diagonal.tolist()) == {0.0, 1.0}
    h = torch.rand(1, 1, 16, dtype=torch.float64)
    assert torch.equal(layer(torch.zeros(1, 5, 3).double(), (h,))[0][:, -1:], h)


def test_an_additive_recurrence_that_adds_nothing_keeps_its_state_and_its_error_to_the_bit():
    layer, h = layer_of("additive", scale=0.0), normal(1, 1, 4)
    x = normal(1, 40, 3)
    assert torch.equal(layer(x, (h,))[1].h, h)
    assert torch.equal(jacobian(layer, x, h.flatten()), torch.eye(4).double())


@pytest.mark.parametrize(("step_size", "damping"), [(0.1, 0.01), (0.5, 0.2)])
def test_the_eigenvalues_of_an_antisymmetric_step_all_have_the_same_real_part(step_size, damping):
    layer = layer_of("antisymmetric", m=6, scale=2.0, step_size=step_size, damping=damping)
    put(layer, bias=0.0)
    eigenvalues = torch.linalg.eigvals(jacobian(layer, torch.zeros(1, 1, 3).double(), torch.zeros(6).double()))
    same(eigenvalues.real, torch.full((6,), 1 - step_size * damping, dtype=torch.float64))
    assert eigenvalues.imag.abs().max() > 0.01


def test_an_antisymmetric_recurrence_without_step_or_damping_equals_an_additive_one():
    plain, layer = layer_of("additive", step_size=0.3), layer_of("antisymmetric", step_size=0.3, damping=0.0)
    u = of(layer, "weight_h")
    put(plain, weight_x=of(layer, "weight_x"), weight_h=u - u.T, bias=of(layer, "bias"))
    x = normal(2, 7, 3)
    same(layer(x)[0], plain(x)[0])


def test_a_peephole_of_zero_is_the_plain_lstm():
    layer, plain = layer_of("lstm_peephole"), layer_of("lstm")
    put(layer, vector_i=0.0, vector_f=0.0, vector_o=0.0)
    put(plain, **{name: of(layer, name) for name in ("weight_ifgo_x", "weight_ifgo_h", "bias_ifgo")})
    x = normal(2, 8, 3)
    same(layer(x)[0], plain(x)[0])


@pytest.mark.parametrize("name", ["lstm_peephole", "cifg", "lstmp"])
def test_the_peephole_of_the_output_gate_reads_the_new_memory(name):
    layer = layer_of(name, m=2, **({} if name == "lstm_peephole" else {"peepholes": True}))
    for parameter in layer.parameters():
        parameter.data.zero_()
    put(layer, vector_o=50.0, vector_f=-50.0)
    # A memory of 1 that is forgotten at once: the gate sees what is left, which is nothing, and is half open.
    state = layer.initial_state(1)._replace(c=torch.ones(1, 1, 2).double())
    gate, bias = layer.cells[0], "bias_fgo" if name == "cifg" else "bias_ifgo"
    blocks = gate.get_parameter(bias).data.chunk(len(bias) - 5)
    blocks[-2].fill_(0.3)  # the candidate
    if name == "lstmp":
        put(layer, weight_projection_v1=1.0)
    outputs, final = layer(torch.zeros(1, 1, 3).double(), state)
    c = math.tanh(0.3) * (1.0 if name == "cifg" else 0.5)
    same(final.c, torch.full((1, 1, 2), c, dtype=torch.float64))
    wanted = (
        torch.sigmoid(torch.tensor(50.0 * c, dtype=torch.float64)) * math.tanh(c) * (2.0 if name == "lstmp" else 1.0)
    )
    same(outputs, wanted.expand_as(outputs))


def test_a_coupled_lstm_equals_one_whose_input_gate_has_the_negated_weights_of_the_forget_gate():
    layer, plain = layer_of("cifg"), layer_of("lstm")
    for name in ("weight_{}_x", "weight_{}_h", "bias_{}"):
        f, g, o = of(layer, name.format("fgo")).chunk(3)
        put(plain, **{name.format("ifgo"): torch.cat([-f, f, g, o])})
    x = normal(2, 8, 3)
    same(layer(x)[0], plain(x)[0])


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(0.1, 50.0), start=st.floats(0.0, 1.0), peepholes=st.booleans(), seed=st.integers(0, 999))
def test_the_memory_of_a_coupled_lstm_stays_within_one(scale, start, peepholes, seed):
    torch.manual_seed(seed)
    layer = layer_of("cifg", scale=scale, peepholes=peepholes)
    c = start * (2 * torch.rand(2, 1, 4, dtype=torch.float64) - 1)
    _, state = layer(scale * normal(2, 20, 3), (normal(2, 1, 4), c))
    assert state.c.abs().max() <= 1 + 1e-12


def test_the_lstm_of_1997_equals_one_whose_forget_gate_is_open():
    layer, plain = layer_of("lstm_1997"), layer_of("lstm")
    for name, opened in (("weight_{}_x", 0.0), ("weight_{}_h", 0.0), ("bias_{}", 1e3)):
        i, g, o = of(layer, name.format("igo")).chunk(3)
        put(plain, **{name.format("ifgo"): torch.cat([i, torch.full_like(i, opened), g, o])})
    x = normal(2, 8, 3)
    same(layer(x)[0], plain(x)[0])


def test_a_multiplicative_lstm_with_a_constant_factor_equals_the_plain_one():
    layer, plain = layer_of("lstm_multiplicative"), layer_of("lstm")
    put(layer, weight_factor_x=torch.tensor([0.0, 0.0, 1.0]).expand(4, 3), weight_recurrent_h=torch.eye(4))
    named = {"weight_ifgo_x": "weight_ifgo_x", "weight_ifgo_h": "weight_ifgo_v2", "bias_ifgo": "bias_ifgo"}
    put(plain, **{name: of(layer, source) for name, source in named.items()})
    x = torch.cat([normal(2, 8, 2), torch.ones(2, 8, 1).double()], -1)  # (W_m x) = 1, so that the gates read h itself
    same(layer(x)[0], plain(x)[0])


@pytest.mark.parametrize("name", ["lstm_layer_norm", "lstm_layer_norm_per_gate"])
@pytest.mark.parametrize("scaled", ["weight_ifgo_x", "weight_recurrent_ifgo_h"])
def test_scaling_a_matrix_of_a_normalised_lstm_changes_nothing(name, scaled):
    layer, x = layer_of(name), normal(2, 8, 3)
    put(layer, **{key: 1e4 * of(layer, key) for key in ("weight_ifgo_x", "weight_recurrent_ifgo_h")})
    wanted = layer(x)[0].detach()
    assert wanted.abs().max() > 0.05
    put(layer, **{scaled: 7.0 * of(layer, scaled)})
    same(layer(x)[0], wanted, 1e-6)  # but for the epsilon, which matters as h is small at first


def test_normalising_gate_by_gate_is_something_else_than_normalising_all_gates():
    joint, single = layer_of("lstm_layer_norm"), layer_of("lstm_layer_norm_per_gate")
    single.load_state_dict(joint.state_dict())
    x = normal(2, 8, 3)
    assert (joint(x)[0] - single(x)[0]).abs().max() > 1e-2


class GRUWithTheNewKept(GRU):
    """z and 1 - z exchanged, as Chung et al. 2014 write it."""

    def step(self, x, h):
        r, z = map(sigmoid, self.affine(x, h, gates="rz"))
        candidate = tanh(self.affine(x, gates="n") + r * self.affine(h, gates="n", name="recurrent"))
        return (1 - z) * h + z * candidate


class GRUBeforeWithTheNewKept(GRUBefore):
    """The same, reset before the product."""

    def step(self, x, h):
        r, z = map(sigmoid, self.affine(x, h, gates="rz"))
        return (1 - z) * h + z * tanh(self.affine(x, r * h, gates="n"))


@pytest.mark.parametrize(("name", "flipped"), [("gru", GRUWithTheNewKept), ("gru_before", GRUBeforeWithTheNewKept)])
def test_flipping_the_convention_of_the_update_gate_negates_its_weights(name, flipped):
    layer, other = layer_of(name), layer_of(flipped)
    other.load_state_dict(layer.state_dict())
    for key in ("weight_rz_x", "weight_rz_h", "bias_rz"):
        r, z = of(layer, key).chunk(2)
        put(other, **{key: torch.cat([r, -z])})
    x = normal(2, 8, 3)
    same(layer(x)[0], other(x)[0])


def test_a_minimal_gated_unit_is_a_gru_whose_reset_is_what_its_update_lets_in():
    layer, gru = layer_of("mgu"), layer_of("gru_before")
    put(gru, **{name: of(layer, name) for name in ("weight_n_x", "weight_n_v2", "bias_n")})
    for kind in ("weight_{}_x", "weight_{}_h", "bias_{}"):
        gate = of(layer, kind.format("f"))
        put(gru, **{kind.format("rz"): torch.cat([gate, -gate])})  # r = 1 - z
    x = normal(2, 8, 3)
    same(layer(x)[0], gru(x)[0])


def test_the_second_mutated_unit_is_a_gru_that_keeps_the_new():
    layer, gru = layer_of("mut2"), layer_of(GRUBeforeWithTheNewKept)
    put(gru, **{name: of(layer, name) for name in ("weight_n_x", "weight_n_v2", "bias_n")})
    for kind in ("weight_{}_x", "weight_{}_h", "bias_{}"):
        put(gru, **{kind.format("rz"): torch.cat([of(layer, kind.format("r")), of(layer, kind.format("z"))])})
    x = normal(2, 8, 3)
    same(layer(x)[0], gru(x)[0])


@pytest.mark.parametrize("name", ["mut1", "mut2"])
def test_a_mutated_unit_as_printed_is_the_projected_one_with_an_identity(name):
    literal, layer = layer_of(name, 4, 4, literal=True), layer_of(name, 4, 4)
    layer.load_state_dict(literal.state_dict(), strict=False)
    put(layer, **{"weight_input_x" if name == "mut1" else "weight_r_x": torch.eye(4)})
    x = normal(2, 8, 4)
    same(literal(x)[0], layer(x)[0])


@pytest.mark.parametrize(("activation", "elman"), [("relu", "rnn_relu"), ("tanh", "rnn")])
def test_independent_units_are_an_elman_network_with_a_diagonal_matrix(activation, elman):
    layer, full = layer_of("indrnn", activation=activation), layer_of(elman)
    u = of(layer, "vector_u")
    put(full, weight_x=of(layer, "weight_x"), weight_h=torch.diag(u), bias=of(layer, "bias"))
    x = normal(2, 8, 3)
    same(layer(x)[0], full(x)[0])


def test_independent_units_that_stay_active_have_a_closed_form():
    layer, x = layer_of("indrnn"), torch.rand(1, 12, 3, dtype=torch.float64)
    W, u, b = (of(layer, name).abs() for name in ("weight_x", "vector_u", "bias"))
    put(layer, weight_x=W, vector_u=u, bias=b)
    wanted = sum(u ** (11 - k) * (W @ x[0, k] + b) for k in range(12))
    same(layer(x)[0][0, -1], wanted)


def test_a_recurrent_weight_acts_within_its_bounds_and_can_come_back_from_beyond():
    layer, x = layer_of("indrnn", longest=4), torch.rand(1, 9, 3, dtype=torch.float64)
    bound = 2.0**0.25
    put(layer, weight_x=of(layer, "weight_x").abs(), bias=1.0)
    put(layer, vector_u=torch.tensor([5.0, bound, -5.0, 0.3], dtype=torch.float64))
    bounded = torch.tensor([bound, bound, -bound, 0.3], dtype=torch.float64)
    same(layer.cells[0].parameter("vector_u"), bounded)
    found = layer(x)[0]
    found.sum().backward()
    assert layer.cells[0].vector_u.grad[0] > 0
    put(layer, vector_u=bounded)
    same(layer(x)[0], found)


def test_a_deep_transition_of_depth_one_is_an_elman_network():
    for name in ("deep_transition", "deep_transition_shortcut"):
        layer, elman = layer_of(name, depth=1), layer_of("rnn")
        put(elman, weight_x=of(layer, "weight_1_x"), weight_h=of(layer, "weight_1_h"), bias=of(layer, "bias_1"))
        x = normal(2, 8, 3)
        same(layer(x)[0], elman(x)[0])


def test_a_deep_transition_with_shortcuts_of_zero_has_none():
    layer, plain = layer_of("deep_transition_shortcut", depth=3), layer_of("deep_transition", depth=3)
    put(layer, weight_2_h=0.0, weight_3_h=0.0)
    plain.load_state_dict({name: value for name, value in layer.state_dict().items() if name in plain.state_dict()})
    x = normal(2, 8, 3)
    same(layer(x)[0], plain(x)[0])


@pytest.mark.parametrize("depth", [1, 3])
def test_a_recurrent_highway_with_shut_gates_keeps_its_state_to_the_bit(depth):
    layer, h = layer_of("recurrent_highway", depth=depth), normal(1, 1, 4)
    for layer_number in range(1, depth + 1):
        bias = of(layer, f"bias_{layer_number}")
        bias[4:] = -1e4
        put(layer, **{f"bias_{layer_number}": bias})
    assert torch.equal(layer(normal(1, 20, 3), (h,))[1].h, h)
