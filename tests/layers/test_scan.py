"""Linear recurrences: three forms, one truth."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.layers.scan import linear_scan, log_linear_scan

METHODS = ["auto", "loop", "prefix"]


def naive(a, b, state):
    states = []
    for t in range(b.shape[1]):
        state = a[:, t] * state + b[:, t]
        states.append(state)
    return torch.stack(states, 1) if states else b


def draw(batch, time, units, dtype=torch.float64, positive=False):
    kind = {"dtype": dtype}
    if positive:
        return tuple(
            torch.rand(shape, **kind) + 0.05 for shape in [(batch, time, units), (batch, time, units), (batch, units)]
        )
    return (
        torch.randn(batch, time, units, **kind) * 0.8,
        torch.randn(batch, time, units, **kind),
        torch.randn(batch, units, **kind),
    )


@settings(deadline=None, max_examples=60)
@given(
    batch=st.integers(0, 3), time=st.integers(0, 70), units=st.integers(1, 3), started=st.booleans(),
    dtype=st.sampled_from([torch.float64, torch.complex128]), method=st.sampled_from(METHODS), seed=st.integers(0, 999),
)  # fmt: skip
def test_every_form_equals_the_plain_loop_in_values_and_gradients(batch, time, units, started, dtype, method, seed):
    torch.manual_seed(seed)
    a, b, initial = (value.requires_grad_() for value in draw(batch, time, units, dtype))
    found = linear_scan(a, b, initial if started else None, method=method)
    wanted = naive(a, b, initial if started else torch.zeros_like(initial))
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)
    weights = torch.randn_like(wanted)
    leaves = [a, b, initial]
    pairs = [
        torch.autograd.grad((states * weights).sum().abs(), leaves, allow_unused=True, materialize_grads=True)
        for states in (found, wanted)
    ]
    torch.testing.assert_close(*pairs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("started", [False, True])
def test_the_log_form_equals_the_loop_in_values_and_gradients(started):
    torch.manual_seed(0)
    a, b, initial = (value.requires_grad_() for value in draw(2, 90, 3, positive=True))
    start = initial if started else None
    wanted = naive(a, b, initial if started else torch.zeros_like(initial))
    weights = torch.randn_like(wanted)
    leaves = [a, b, *([initial] if started else [])]
    gradients = torch.autograd.grad((wanted * weights).sum(), leaves, retain_graph=True)
    of_logarithms = log_linear_scan(a.log(), b.log(), initial.log() if started else None).exp()
    for found in (linear_scan(a, b, start, method="log"), of_logarithms):
        torch.testing.assert_close(found, wanted, atol=1e-10, rtol=1e-10)
        same = torch.autograd.grad((found * weights).sum(), leaves)
        torch.testing.assert_close(same, gradients, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("method", ["loop", "prefix", "log"])
def test_single_precision_stays_within_a_ten_thousandth(method):
    torch.manual_seed(1)
    a, b, initial = draw(2, 300, 4, torch.float32, positive=True)
    a = a / 1.1
    wanted = naive(a.double(), b.double(), initial.double())
    found = linear_scan(a, b, initial, method=method).double()
    assert ((found - wanted).abs() / wanted).max() <= 1e-4


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("method", ["loop", "prefix"])
def test_gradients_and_their_gradients_are_those_of_finite_differences(method, dtype):
    torch.manual_seed(2)
    inputs = tuple(value.requires_grad_() for value in draw(2, 5, 2, dtype))

    def states(a, b, initial):
        return linear_scan(a, b, initial, method=method)

    assert torch.autograd.gradcheck(states, inputs)
    assert torch.autograd.gradgradcheck(states, inputs)


def test_two_halves_with_the_state_between_equal_the_whole():
    torch.manual_seed(3)
    a, b, initial = draw(3, 40, 2)
    whole = linear_scan(a, b, initial, method="prefix")
    first = linear_scan(a[:, :13], b[:, :13], initial, method="prefix")
    second = linear_scan(a[:, 13:], b[:, 13:], first[:, -1], method="prefix")
    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-12, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_decay_broadcasts_and_gets_one_gradient(method):
    decay = torch.tensor([0.9, 0.5], dtype=torch.float64, requires_grad=True)
    states = linear_scan(decay, torch.ones(1, 200, 2, dtype=torch.float64), method=method)
    steps = torch.arange(1, 201, dtype=torch.float64)[:, None]
    torch.testing.assert_close(states[0], (1 - decay**steps) / (1 - decay), atol=1e-12, rtol=0)
    last = torch.autograd.grad(states[0, -1].sum(), decay)[0]
    d = decay.detach()
    torch.testing.assert_close(last, (1 - d**200 - 200 * d**199 * (1 - d)) / (1 - d) ** 2, atol=1e-10, rtol=0)


def test_what_would_underflow_lives_on_as_a_logarithm():
    log_a = torch.full((1, 50, 1), -30.0, requires_grad=True)
    log_b = torch.full((1, 50, 1), -2000.0)
    final = log_linear_scan(log_a, log_b, torch.zeros(1, 1))[0, -1, 0]
    assert final.item() == pytest.approx(-1500.0)
    torch.testing.assert_close(torch.autograd.grad(final, log_a)[0], torch.ones(1, 50, 1))


def test_what_does_not_fit_is_said():
    a, b = torch.ones(2, 3, 4), torch.ones(2, 3, 4)
    for arguments, says in [
        ((a, b[0]), r"b has shape \(3, 4\); expected \(B, T, H\)"),
        ((a[:, :2], b), r"a has shape \(2, 2, 4\); expected \(2, 3, 4\) or what broadcasts"),
        ((a, b, torch.ones(2, 5)), r"initial has shape \(2, 5\); expected \(2, 4\)"),
    ]:
        with pytest.raises(ValueError, match=says):
            linear_scan(*arguments)
    with pytest.raises(ValueError, match="positive real numbers"):
        linear_scan(a.cfloat(), b, method="log")
