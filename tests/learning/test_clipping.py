import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqloom.learning.clipping import clip_gradients, clip_values, gradient_norm


def with_gradients(seed: int) -> tuple[list[nn.Parameter], torch.Tensor]:
    """A dense parameter, one without gradient, and a table some of whose rows occur twice; all gradients as one vector."""
    torch.manual_seed(seed)
    dense, unused, table = (nn.Parameter(torch.zeros(*size)) for size in ((3, 4), (2,), (9, 2)))
    dense.grad = torch.randn(3, 4)
    rows, values = torch.randint(0, 9, (1, 7)), torch.randn(7, 2)
    table.grad = torch.sparse_coo_tensor(rows, values, (9, 2), check_invariants=True)
    return [dense, unused, table], torch.cat([dense.grad.flatten(), table.grad.to_dense().flatten()])


def all_gradients(parameters: list[nn.Parameter]) -> torch.Tensor:
    return torch.cat([p.grad.to_dense().flatten() for p in parameters if p.grad is not None])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 9999), limit=st.sampled_from([0.0, 0.5, 3.0, 100.0]))
def test_dense_and_sparse_gradients_are_clipped_as_one_vector(seed: int, limit: float) -> None:
    parameters, whole = with_gradients(seed)
    norm = float(whole.norm())
    assert clip_gradients(parameters, limit) == pytest.approx(norm, rel=1e-5)
    factor = min(1.0, limit / norm) if limit else 1.0
    torch.testing.assert_close(all_gradients(parameters), whole * factor)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
@pytest.mark.parametrize("where", [0, 2])
def test_a_norm_that_is_not_finite_is_reported_and_changes_nothing(bad: float, where: int) -> None:
    parameters, _ = with_gradients(0)
    gradient = parameters[where].grad
    assert gradient is not None
    (gradient._values() if gradient.is_sparse else gradient).view(-1)[0] = bad
    before = all_gradients(parameters)
    assert not math.isfinite(clip_gradients(parameters, 1.0))
    torch.testing.assert_close(all_gradients(parameters), before, equal_nan=True)


def test_no_gradient_at_all_has_the_norm_zero() -> None:
    assert gradient_norm([nn.Parameter(torch.zeros(2))]) == 0.0


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 9999), limit=st.sampled_from([0.0, 0.3, 100.0]))
def test_values_are_cut_one_by_one_after_rows_that_occur_twice_are_added(seed: int, limit: float) -> None:
    parameters, whole = with_gradients(seed)
    clip_values(parameters, limit)
    torch.testing.assert_close(all_gradients(parameters), whole.clamp(-limit, limit) if limit else whole)
