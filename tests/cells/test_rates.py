"""Several rates and layers in one step: the clockwork network, gated feedback, and slow context units."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from .drawn import layer_of, normal, of, put, same


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_a_clockwork_network_of_one_group_that_always_ticks_is_an_elman_network():
    layer, elman = layer_of("clockwork", periods=[1]), layer_of("rnn")
    put(elman, **{name: of(layer, name) for name in ("weight_x", "weight_h", "bias")})
    x = normal(2, 8, 3)
    same(layer(x)[0], elman(x)[0])


def test_units_that_do_not_tick_keep_their_value_and_get_no_gradient_in_that_step():
    layer, x = layer_of("clockwork", m=8), normal(1, 16, 3)
    cell, state = layer.cells[0], layer.initial_state(1)
    periods = cell.periods_of_units()
    for t in range(16):
        before = state
        cell.zero_grad()
        _, state = layer(x[:, t : t + 1], state.detach())
        state.h.square().sum().backward()
        held = t % periods != 0
        assert torch.equal(state.h[0, 0, held], before.h[0, 0, held])
        for parameter in cell.parameters():
            assert not parameter.grad[held].any()
        assert cell.bias.grad[~held].all()


@pytest.mark.parametrize(
    "optimiser",
    [
        lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=0.1),
        lambda parameters: torch.optim.AdamW(parameters, 0.1, weight_decay=0.1),
    ],
)
@pytest.mark.parametrize(
    ("name", "parameter"), [("clockwork", "weight_h"), ("rg_lru", "weight_ri_v1"), ("slstm", "weight_zifo_h")]
)
def test_what_a_structure_holds_at_zero_stays_there_whatever_the_optimiser_does(name, parameter, optimiser):
    layer = layer_of(name, m=8)
    put(layer, **{stored: 1.0 for stored, _ in layer.cells[0].named_parameters()})
    empty = layer.cells[0].parameter(parameter) == 0
    assert empty.any()
    training = optimiser(layer.parameters())
    for _ in range(5):
        training.zero_grad()
        (layer(normal(2, 9, 3))[0] * normal(2, 9, 8)).sum().backward()
        training.step()
    now = layer.cells[0].parameter(parameter)
    assert not now[empty].any()
    assert (now[~empty] != 1.0).all()


@settings(deadline=None, max_examples=25)
@given(border=st.integers(0, 20), second=st.integers(0, 20), periods=st.sampled_from([(1, 2, 4, 8), (3,), (2, 5)]))
def test_a_clockwork_network_knows_the_time_across_any_border_of_chunks(border, second, periods):
    torch.manual_seed(1)
    layer, x = layer_of("clockwork", periods=periods), normal(2, 20, 3)
    whole, final = layer(x)
    state, pieces = None, []
    first, last = sorted((border, second))
    for chunk in (x[:, :first], x[:, first:last], x[:, last:]):
        outputs, state = layer(chunk, state)
        pieces.append(outputs)
    assert torch.equal(torch.cat(pieces, 1), whole)
    assert torch.equal(state.phase, final.phase)


def forced(name, layers):
    """Gated feedback whose gates are 1 from a layer to itself and 0 elsewhere, and the same layers as a plain stack.

    Unit 0 of every layer is held at a constant, from which gates of any layer can be forced.
    """
    plain = {"gated_feedback_rnn": "rnn", "gated_feedback_lstm": "lstm", "gated_feedback_gru": "gru"}[name]
    layer, stack = layer_of(name, layers=layers), layer_of(plain, stack=layers)
    for j in range(1, layers + 1):
        below = "x" if j == 1 else "v1"
        for i in range(1, layers + 1):
            sign = torch.zeros(1, 3 if j == 1 else 4)
            sign[0, 0] = 1e5 if i == j else -1e5
            put(layer, **{f"weight_gate{i}_{j}_{below}": sign})
        shift = of(layer, f"bias_layer{j}")
        if plain == "rnn":
            shift[0] = 50.0
            weights = {"weight_x": f"weight_layer{j}_{below}", "weight_h": f"weight_{j}_{j}_h{j}"}
            put(layer, **{f"bias_layer{j}": shift})
            put(stack, j - 1, bias=shift, **{key: of(layer, source) for key, source in weights.items()})
            continue
        candidate = of(layer, f"bias_candidate{j}")
        candidate[0] = 50.0
        if plain == "lstm":
            shift[0], shift[4], shift[8] = 50.0, -50.0, 50.0  # write, forget, show: c = 1
        else:
            shift[4] = -50.0  # z: keep nothing
        put(layer, **{f"bias_layer{j}": shift, f"bias_candidate{j}": candidate})
        gate_x, gate_h = of(layer, f"weight_layer{j}_{below}"), of(layer, f"weight_layer{j}_h{j}")
        new_x, new_h = of(layer, f"weight_candidate{j}_{below}"), of(layer, f"weight_{j}_{j}_h{j}")
        if plain == "lstm":
            put(
                stack,
                j - 1,
                weight_ifgo_x=torch.cat([gate_x[:8], new_x, gate_x[8:]]),
                weight_ifgo_h=torch.cat([gate_h[:8], new_h, gate_h[8:]]),
                bias_ifgo=torch.cat([shift[:8], candidate, shift[8:]]),
            )
        else:
            put(stack, j - 1, weight_rz_x=gate_x, weight_rz_h=gate_h, bias_rz=shift)
            put(stack, j - 1, weight_n_x=new_x, weight_recurrent_h=new_h, bias_n=candidate, bias_recurrent=0.0)
    return layer, stack


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("name", ["gated_feedback_rnn", "gated_feedback_lstm", "gated_feedback_gru"])
def test_feedback_through_gates_that_let_a_layer_see_itself_alone_is_a_stack(name, layers):
    layer, stack = forced(name, layers)
    x = torch.cat([torch.ones(2, 9, 1).double(), normal(2, 9, 2)], -1)
    outputs, final = layer(x)
    wanted, states = stack(x)
    same(outputs, wanted)
    for j in range(1, layers + 1):
        same(getattr(final, f"h{j}")[:, 0], states.h[:, j - 1])


def test_context_units_that_keep_everything_leave_a_logistic_elman_network():
    layer, elman = layer_of("scrn", decay=1.0), layer_of("rnn_sigmoid")
    put(elman, weight_x=of(layer, "weight_fast_x"), weight_h=of(layer, "weight_fast_h"), bias=of(layer, "bias_fast"))
    x = normal(2, 8, 3)
    same(layer(x)[0], elman(x)[0])


def test_a_context_unit_is_an_exponential_average():
    layer, x = layer_of("scrn", decay=0.9), normal(1, 12, 3)
    _, state = layer(x)
    weights = torch.tensor([0.1 * 0.9 ** (11 - t) for t in range(12)], dtype=torch.float64)
    same(state.s[0, 0], of(layer, "weight_context_x") @ (weights @ x[0]))
