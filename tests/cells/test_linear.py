"""Recurrences that are linear in their state: the scans that they are, their bounds, and the extended LSTM's ranges."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from seqloom import cells
from seqloom.cells import MinGRU
from seqloom.engine.operations import tanh
from seqloom.layers.scan import linear_scan, log_linear_scan

from .drawn import layer_of, normal, of, put, same
from .oracles import ORACLES

METHODS = pytest.mark.parametrize("method", ["loop", "prefix"])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def blocks(layer, key, letters, x):
    """``W x + b`` of each letter."""
    return F.linear(x, of(layer, f"weight_{key}_x"), of(layer, f"bias_{key}")).chunk(len(letters), -1)


@METHODS
def test_a_minimal_gru_is_one_scan(method):
    layer, x, h = layer_of("mingru"), normal(2, 30, 3), normal(2, 4)
    z, candidate = blocks(layer, "zh", "zh", x)
    z = torch.sigmoid(z)
    same(layer(x, (h.unsqueeze(1),))[0], linear_scan(1 - z, z * candidate, h, method=method), 1e-10)


@METHODS
def test_a_linear_recurrent_unit_is_one_scan_of_complex_numbers(method):
    layer, x = layer_of("lru"), normal(2, 30, 3)
    eigenvalues = torch.exp(torch.complex(-torch.exp(of(layer, "nu")), torch.exp(of(layer, "theta"))))
    B = torch.complex(of(layer, "weight_b_re_x"), of(layer, "weight_b_im_x"))
    C = torch.complex(of(layer, "weight_c_re_v1"), of(layer, "weight_c_im_v1"))
    driven = torch.exp(of(layer, "log_gamma")) * (x.to(B.dtype) @ B.T)
    states = linear_scan(eigenvalues, driven, method=method)
    outputs, final = layer(x)
    same(outputs, (states @ C.T).real + x @ of(layer, "weight_d_x").T, 1e-10)
    same(torch.complex(final.re, final.im)[:, 0], states[:, -1], 1e-10)


@METHODS
def test_a_real_gated_unit_is_one_scan(method):
    layer, x = layer_of("rg_lru", m=8), normal(2, 30, 3)
    u = x @ of(layer, "weight_input_x").T
    r, i = torch.sigmoid(F.linear(u, layer.cells[0].parameter("weight_ri_v1"), of(layer, "bias_ri"))).chunk(2, -1)
    log_a = -8 * r * F.softplus(of(layer, "vector_decay"))
    scaled = torch.sqrt(-torch.expm1(2 * log_a)) * i * u
    scaled[:, 0] = (i * u)[:, 0]  # the first step is taken as it is
    same(layer(x)[0], linear_scan(log_a.exp(), scaled, method=method), 1e-10)


@METHODS
@pytest.mark.parametrize("pooling", ["fo", "ifo"])
def test_the_memory_of_a_quasi_recurrent_network_is_one_scan(method, pooling):
    layer, x = layer_of("qrnn", window=1, pooling=pooling), normal(2, 30, 3)
    gates = dict(zip(f"z{pooling}", blocks(layer, f"z{pooling}", f"z{pooling}", x), strict=True))
    f = torch.sigmoid(gates["f"])
    i = torch.sigmoid(gates["i"]) if "i" in gates else 1 - f
    c = linear_scan(f, i * torch.tanh(gates["z"]), method=method)
    same(layer(x)[0], torch.sigmoid(gates["o"]) * c, 1e-10)


@METHODS
def test_a_simple_recurrent_unit_whose_gates_do_not_see_the_memory_is_one_scan(method):
    layer, x = layer_of("sru"), normal(2, 30, 3)
    put(layer, vector_f=0.0, vector_r=0.0)
    f, r = map(torch.sigmoid, blocks(layer, "fr", "fr", x))
    c = linear_scan(f, (1 - f) * (x @ of(layer, "weight_candidate_x").T), method=method)
    carried = math.sqrt(3.0) * (x @ of(layer, "weight_highway_x").T)  # sqrt(1 + 2 e^0)
    same(layer(x)[0], r * c + (1 - r) * carried, 1e-10)


def q_in_logarithms(value):
    return torch.where(value >= 0, torch.log(F.relu(value) + 0.5), -F.softplus(-value))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("backend", ["reference", None])
def test_minimal_units_with_positive_candidates_are_scans_of_logarithms(dtype, tolerance, backend):
    x, h = normal(2, 40, 3).to(dtype), torch.rand(2, 4, dtype=dtype) + 0.1
    for name, letters in (("mingru", "zh"), ("minlstm", "fih")):
        layer = layer_of(name, positive_candidate=True)
        layer.backend = backend
        layer.to(dtype)
        *gates, value = blocks(layer, letters, letters, x)
        if name == "mingru":
            log_keep, log_take = -F.softplus(gates[0]), -F.softplus(-gates[0])
        else:
            between = F.softplus(-gates[0]) - F.softplus(-gates[1])
            log_keep, log_take = -F.softplus(between), -F.softplus(-between)
        wanted = log_linear_scan(log_keep, log_take + q_in_logarithms(value), h.log()).exp()
        found = layer(x, (h.unsqueeze(1),))[0]
        assert ((found - wanted).abs() / wanted).max() <= tolerance


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(0.1, 500.0), seed=st.integers(0, 999))
def test_the_two_gates_of_a_minimal_lstm_sum_to_one(scale, seed):
    torch.manual_seed(seed)
    layer = layer_of("minlstm", scale=scale)
    for name, value in (("weight_fih_x", 0.0), ("bias_fih", 1.0)):  # a candidate of 1, as the state is
        changed = of(layer, name)
        changed[8:] = value
        put(layer, **{name: changed})
    ones = torch.ones(2, 1, 4, dtype=torch.float64)
    same(layer(normal(2, 10, 3), (ones,))[0], ones.expand(2, 10, 4))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_eigenvalues_lie_within_the_unit_circle_whatever_is_stored(dtype):
    cell = cells.get("lru")(3, 400).to(dtype)
    torch.nn.init.uniform_(cell.nu, -15.0 if dtype == torch.float32 else -30.0, 30.0)
    torch.nn.init.uniform_(cell.theta, -30.0, 5.0)
    re, im = (cell.parameter(f"vector_lambda_{part}") for part in ("re", "im"))
    assert torch.hypot(re, im).max() <= 1.0  # nearer to 1 than a rounding error, the rounding makes 1 of it
    assert (torch.exp(-torch.exp(cell.nu)) < 1.0).all()


def test_eigenvalues_begin_uniform_in_the_area_of_their_ring_with_gains_that_keep_the_variance():
    torch.manual_seed(5)
    cell = cells.get("lru")(2, 1000).double()
    re, im = cell.parameter("vector_lambda_re"), cell.parameter("vector_lambda_im")
    areas = (re**2 + im**2 - 0.9**2) / (0.999**2 - 0.9**2)
    assert -1e-4 <= areas.min() <= areas.max() <= 1 + 1e-4  # drawn in float32
    # Kolmogorov and Smirnov's statistic, exceeded by chance once in 10 000 draws.
    steps = torch.arange(1, 1001, dtype=torch.float64) / 1000
    assert (areas.sort().values - steps).abs().max() < 2.23 / math.sqrt(1000)
    torch.testing.assert_close(cell.parameter("vector_gamma") ** 2, 1 - re**2 - im**2, atol=1e-4, rtol=1e-3)


def test_a_real_gated_unit_begins_uniform_in_area_and_its_first_step_forgets_nothing():
    torch.manual_seed(5)
    cell = cells.get("rg_lru")(2, 1000).double()
    rates = torch.exp(-F.softplus(cell.vector_decay.detach()))
    areas = (rates**2 - 0.9**2) / (0.999**2 - 0.9**2)
    assert -1e-3 <= areas.min() <= areas.max() <= 1 + 1e-3
    steps = torch.arange(1, 1001, dtype=torch.float64) / 1000
    assert (areas.sort().values - steps).abs().max() < 2.23 / math.sqrt(1000)
    assert not cell.bias_ri.any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_real_gated_unit_that_hardly_forgets_has_digits_left_and_bounded_gradients(dtype):
    layer = layer_of("rg_lru", 1, 1).to(dtype)
    put(layer, weight_input_x=1.0, weight_ri_v1=0.0)
    state = layer.initial_state(1)._replace(started=torch.ones(1, 1, 1, dtype=dtype))
    for opening in (-3.0, -6.0, -9.0, -12.0, -15.0, -40.0):
        put(layer, vector_decay=-5.0, bias_ri=torch.tensor([opening, 0.0]))
        layer.zero_grad()
        outputs, _ = layer(torch.full((1, 1, 1), 2.0, dtype=dtype), state)
        outputs.sum().backward()
        r, decay = 1 / (1 + math.exp(-opening)), math.log1p(math.exp(-5.0))
        exact = math.sqrt(-math.expm1(-16 * r * decay))
        # Where the derivative of the square root would pass 1000 it goes on as a tangent, off by 1/4000 at most.
        allowed = 1e-6 * exact if exact > 5e-4 else 2.5e-4
        assert abs(outputs.item() - exact) <= allowed + 1e-12
        by_square = 16 * r * (1 - r) * decay  # of 1 - a² by the gate's bias, nearly
        assert layer.cells[0].bias_ri.grad[0].abs() <= 1000 * by_square * 1.01 + 1e-12


class TanhMinGRU(MinGRU):
    """A minimal GRU whose candidate is bounded."""

    def candidate(self, value):
        return tanh(value)


def test_a_quasi_recurrent_network_that_sees_one_step_is_a_minimal_gru_with_its_gate_swapped():
    layer, minimal = layer_of("qrnn", window=1, pooling="f"), layer_of(TanhMinGRU)
    for kind in ("weight_{}_x", "bias_{}"):
        z, f = of(layer, kind.format("zf")).chunk(2)
        put(minimal, **{kind.format("zh"): torch.cat([-f, z])})
    x = normal(2, 12, 3)
    same(layer(x)[0], minimal(x)[0])


def test_a_quasi_recurrent_network_sees_no_further_than_its_window_where_it_forgets_at_once():
    layer, x = layer_of("qrnn", window=3, pooling="f"), normal(1, 9, 3).requires_grad_()
    bias = of(layer, "bias_zf")
    bias[4:] = -1e3
    put(layer, bias_zf=bias)
    (gradient,) = torch.autograd.grad(layer(x)[0][0, 6].sum(), x)
    assert gradient[0].any(-1).tolist() == [4 <= t <= 6 for t in range(9)]


@pytest.mark.parametrize("name", ["slstm", "mlstm"])
@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
@pytest.mark.parametrize("shift", [-3.0, 2.0, 11.0])
def test_the_output_does_not_depend_on_what_the_stabiliser_is(name, forget, shift):
    layer, x = layer_of(name, m=8, forget=forget), normal(2, 12, 3)
    state = layer.initial_state(2)
    state = state._make(torch.rand_like(field) + 0.5 for field in state)
    shrunk = {field: getattr(state, field) * math.exp(-shift) for field in state._fields if field in "cCn"}
    wanted, final = layer(x, state)
    outputs, last = layer(x, state._replace(m=state.m + shift, **shrunk))
    same(outputs, wanted, 1e-10)
    for field in shrunk:
        wide = layer.hidden_size * (1 if field != "C" else 2) // final.m.shape[-1]
        true, moved = (getattr(s, field) * s.m.exp().repeat_interleave(wide, -1) for s in (final, last))
        torch.testing.assert_close(moved, true, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("backend", ["reference", None])
@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
@pytest.mark.parametrize("name", ["slstm", "mlstm"])
def test_large_gates_overflow_nowhere_in_single_precision(name, forget, backend):
    layer = layer_of(name, m=8, forget=forget)
    key, first, count = ("if", 0, 8) if name == "mlstm" else ("zifo", 8, 16)
    # The gates of all steps are copies of two features, between -80 and 80.
    weight, bias = of(layer, f"weight_{key}_x"), of(layer, f"bias_{key}")
    weight[first : first + count], bias[first : first + count] = 0.0, 0.0
    weight[first : first + count // 2, 0], weight[first + count // 2 : first + count, 1] = 1.0, 1.0
    put(layer, **{f"weight_{key}_x": weight, f"bias_{key}": bias})
    if name == "slstm":
        recurrent = of(layer, "weight_zifo_h")
        recurrent[1:3] = 0.0
        put(layer, weight_zifo_h=recurrent)
    gates = torch.tensor([[30, -30], [-30, 30], [80, 30], [30, -80], [-80, 30], [0, 0], [80, 80]], dtype=torch.float64)
    x = torch.cat([gates, normal(7, 1)], 1).unsqueeze(0)
    stored = {stored: of(layer, stored).numpy() for stored, _ in layer.cells[0].named_parameters()}
    zeros = {field: value[0, 0].numpy() for field, value in layer.initial_state(1)._asdict().items()}
    wanted, _ = ORACLES[name][0](stored, x[0].numpy(), zeros, forget=forget)
    assert np.isfinite(wanted).all()
    layer.float()
    layer.backend = backend
    given = x.float().requires_grad_()
    outputs, final = layer(given)
    scale = max(1.0, float(np.abs(wanted).max()))
    same(outputs[0].double(), torch.tensor(wanted), 1e-4 * scale)
    outputs.sum().backward()
    for value in (*final, given.grad, *(parameter.grad for parameter in layer.parameters())):
        assert torch.isfinite(value).all()


@pytest.mark.parametrize("backend", ["reference", None])
def test_gates_that_shut_out_everything_leave_finite_gradients_in_single_precision(backend):
    layer = layer_of("mlstm", m=8, scale=0.1).float()
    layer.backend = backend
    put(layer, bias_if=-100.0)
    outputs, _ = layer(torch.randn(1, 4, 3))
    outputs.sum().backward()
    assert torch.isfinite(outputs).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())


def test_forget_gates_of_the_extended_lstm_begin_between_half_closed_and_hardly_ever_closing():
    for name, key in (("slstm", "bias_zifo"), ("mlstm", "bias_if")):
        cell = cells.get(name)(3, 8)
        count = 8 if name == "slstm" else 4
        position = 2 if name == "slstm" else 1
        expected = torch.linspace(3.0, 6.0, count)
        torch.testing.assert_close(cell.get_parameter(key)[position * count : (position + 1) * count], expected)
