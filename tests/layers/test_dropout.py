"""Dropout: how much is dropped, what is left, and where the coins come from."""

import pytest
import torch

from seqloom.layers.dropout import Dropout, dropout

SIZE = 400_000


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.4, 0.5, 0.75, 0.999])
def test_as_much_is_dropped_as_was_asked_for_in_every_quarter_of_a_draw(probability: float) -> None:
    torch.manual_seed(1)
    dropped = (dropout(torch.ones(SIZE), probability) == 0).view(-1, 4).double().mean(0)
    deviation = (probability * (1 - probability) / (SIZE / 4)) ** 0.5
    assert (dropped - probability).abs().max() < 5 * deviation


def test_numbers_are_dropped_independently_of_their_neighbours() -> None:
    torch.manual_seed(2)
    dropped = (dropout(torch.ones(SIZE), 0.4) == 0).double() - 0.4
    for distance in range(1, 9):
        correlation = (dropped[distance:] * dropped[:-distance]).mean() / 0.24
        assert abs(correlation) < 5 / SIZE**0.5, distance


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_left_is_scaled_so_that_the_mean_stays(dtype: torch.dtype) -> None:
    kept = round(0.6 * 65536)
    x = torch.full((7, 5, 3), 3.0, dtype=dtype)
    values = dropout(x, 0.4)
    assert values.dtype == dtype
    assert values.shape == x.shape
    assert set(values.unique().tolist()) == {0.0, (x[0, 0, 0] * torch.tensor(65536 / kept).to(dtype)).item()}


def test_the_gradient_flows_where_the_number_did() -> None:
    x = torch.randn(6, 11, requires_grad=True)
    values = dropout(x, 0.3)
    values.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, values)


def test_the_coins_are_those_of_torchs_generator() -> None:
    x = torch.randn(33, 7)
    state = torch.get_rng_state()
    first, second = dropout(x, 0.5), dropout(x, 0.5)
    torch.set_rng_state(state)
    assert torch.equal(dropout(x, 0.5), first)
    assert not torch.equal(first, second)


def test_nothing_is_dropped_in_evaluation_and_everything_at_probability_one() -> None:
    x = torch.randn(4, 5)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(dropout(x, 0.0), x)
    assert not dropout(x, 1.0).any()
    assert dropout(torch.empty(0, 3), 0.5).shape == (0, 3)
    assert dropout(torch.tensor(1.0), 0.5).shape == ()


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_no_probability_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        dropout(torch.ones(2), probability)
    with pytest.raises(ValueError, match="probability"):
        Dropout(probability)
