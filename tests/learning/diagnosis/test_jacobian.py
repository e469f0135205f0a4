"""Operator norms and spectral radii, which are two things, against singular values and eigenvalues of known matrices."""

import math

import pytest
import torch

from seqloom import Recurrent
from seqloom.cells import Cell
from seqloom.learning.diagnosis import lyapunov_exponents, operator_norm, points, recurrences, spectral_radius

torch.manual_seed(0)


class Linear(Cell):
    """h' = U h + W x."""

    def step(self, x, h):
        return self.matvec(h, name="hidden") + self.matvec(x, name="in")


def linear(matrix, time=5):
    cell = Linear(2, len(matrix))
    layer = Recurrent(cell).double()
    with torch.no_grad():
        cell.parameter("weight_hidden_h").copy_(torch.as_tensor(matrix, dtype=torch.float64))
    (found,) = recurrences(layer, torch.randn(2, time, 2).double())
    return found


def jacobians(layer, x):
    """Of each step of one sequence, by torch's own function."""
    sizes = list(layer.cells[0].state_sizes)

    def step(t, whole):
        new = layer.cells[0].step(x[:, t], *whole.unsqueeze(0).split(sizes, 1))
        return torch.cat(new if isinstance(new, tuple) else (new,), 1)[0]

    state, found = torch.zeros(sum(sizes)).double(), []
    for t in range(x.shape[1]):
        found.append(torch.autograd.functional.jacobian(lambda s, t=t: step(t, s), state))
        state = step(t, state).detach()
    return torch.stack(found)


def test_a_matrix_that_is_not_normal_stretches_although_its_eigenvalues_are_small():
    found = linear([[0.5, 10.0], [0.0, 0.5]])
    at = points(found)
    stretch = math.sqrt((100.5 + math.sqrt(100.5**2 - 0.25)) / 2)  # the root of the larger eigenvalue of U'U
    assert operator_norm(found, at).tolist() == pytest.approx([stretch] * 10, rel=1e-9)
    radius, exact = spectral_radius(found, at)
    assert exact
    assert radius.tolist() == pytest.approx([0.5] * 10, rel=1e-6)


@pytest.mark.parametrize("name", ["rnn", "rnn_relu", "lstm", "gru", "gru_before"])
def test_both_are_those_of_torchs_jacobian_over_the_full_state(name):
    layer = Recurrent(name, 3, 4).double()
    x = torch.randn(1, 6, 3).double()
    (found,) = recurrences(layer, x)
    at, expected = points(found), jacobians(layer, x)
    assert at.steps.tolist() == list(range(6))
    torch.testing.assert_close(operator_norm(found, at), torch.linalg.svdvals(expected)[:, 0], rtol=1e-5, atol=1e-9)
    radius, _ = spectral_radius(found, at)
    torch.testing.assert_close(radius, torch.linalg.eigvals(expected).abs().amax(1), rtol=1e-9, atol=1e-9)


def test_a_large_state_has_its_radius_by_growth_also_where_the_eigenvalues_are_complex():
    turn = 0.8 * torch.tensor([[math.cos(1), -math.sin(1), 0], [math.sin(1), math.cos(1), 0], [0, 0, 0.5]])
    found = linear(turn)
    radius, exact = spectral_radius(found, points(found), exact_up_to=2)
    assert not exact
    assert radius.tolist() == pytest.approx([0.8] * 10, rel=1e-6)


def test_an_orthogonal_recurrence_has_exponents_of_zero():
    found = linear(torch.linalg.qr(torch.randn(4, 4).double())[0], time=30)
    assert lyapunov_exponents(found, count=4) == pytest.approx([0.0] * 4, abs=1e-12)


def test_exponents_of_a_diagonal_recurrence_are_the_logarithms_of_its_factors():
    found = linear(torch.diag(torch.tensor([0.2, 0.9, 0.5])), time=1000)
    assert lyapunov_exponents(found, count=3) == pytest.approx([math.log(u) for u in (0.9, 0.5, 0.2)], abs=4e-3)


def test_all_exponents_together_are_the_mean_logarithm_of_the_determinants():
    layer = Recurrent("rnn", 3, 4).double()
    x = torch.randn(1, 25, 3).double()
    (found,) = recurrences(layer, x)
    expected = torch.linalg.slogdet(jacobians(layer, x))[1].mean()
    assert sum(lyapunov_exponents(found, count=4)) == pytest.approx(float(expected), rel=1e-9)
    assert lyapunov_exponents(found) == pytest.approx(lyapunov_exponents(found, count=4)[:1], rel=1e-9)


def test_a_state_that_is_forgotten_at_once_has_an_exponent_of_minus_infinity():
    assert lyapunov_exponents(linear(torch.zeros(2, 2)), count=2) == (-math.inf, -math.inf)


def test_more_exponents_than_units_are_refused():
    with pytest.raises(ValueError, match="count is 3; expected 1 to 2"):
        lyapunov_exponents(linear(torch.eye(2)), count=3)


def test_points_are_spread_over_the_longest_rows():
    layer = Recurrent("rnn", 2, 3)
    (found,) = recurrences(layer, torch.randn(3, 9, 2), torch.tensor([2, 9, 5]))
    assert points(found, rows=1, steps=3).steps.tolist() == [0, 4, 8]
    assert points(found, rows=3, steps=100).steps.tolist() == [*range(9), *range(5), *range(2)]
