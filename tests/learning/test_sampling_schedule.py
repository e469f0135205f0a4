import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqloom.errors import ConfigError
from seqloom.learning import ConstantSampling, ExponentialSampling, InverseSigmoidSampling, LinearSampling, mix

SCHEDULES = [
    ConstantSampling(0.9),
    LinearSampling(slope=1e-3, start=0.9, floor=0.1),
    ExponentialSampling(0.99),
    InverseSigmoidSampling(40.0),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_the_truth_becomes_rarer_and_stays_a_probability(schedule: object) -> None:
    values = [schedule(update) for update in (0, 1, 10, 100, 1000, 10**5, 10**8)]  # type: ignore[operator]
    assert all(0.0 <= value <= 1.0 for value in values)
    assert values == sorted(values, reverse=True)


def test_schedules_are_the_formulas_of_the_paper() -> None:
    for k in (0, 3, 50, 700):
        assert LinearSampling(slope=1e-3, start=0.9, floor=0.3)(k) == max(0.3, 0.9 - 1e-3 * k)
        assert ExponentialSampling(0.99)(k) == pytest.approx(0.99**k)
        assert InverseSigmoidSampling(40.0)(k) == pytest.approx(40.0 / (40.0 + math.exp(k / 40.0)))


@given(seed=st.integers(0, 999))
def test_certainty_is_teacher_forcing_bit_for_bit(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for true in (torch.randint(0, 9, (4, 6), generator=generator), torch.randn(4, 6, 3, generator=generator)):
        predicted = torch.zeros_like(true) - 1
        assert torch.equal(mix(true, predicted, ConstantSampling()(seed), generator), true)
        assert torch.equal(mix(true, predicted, 0.0, generator), predicted)


def test_a_coin_is_thrown_for_each_token_and_not_for_each_number_or_sequence() -> None:
    generator = torch.Generator().manual_seed(2)
    chosen = mix(torch.ones(40, 50, 3), torch.zeros(40, 50, 3), 0.7, generator)
    assert torch.equal(chosen[..., 0], chosen[..., 2])
    tokens = chosen[..., 0]
    error = (0.7 * 0.3 / tokens.numel()) ** 0.5
    assert abs(float(tokens.mean()) - 0.7) < 4 * error
    assert float(tokens.mean(1).std()) < 2 * (0.7 * 0.3 / 50) ** 0.5, "rows vary as independent tokens make them"


def test_no_gradient_passes_through_a_prediction() -> None:
    true, predicted = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    mix(true, predicted, 0.5, torch.Generator().manual_seed(0)).sum().backward()
    assert predicted.grad is None
    assert 0 < int(true.grad.sum()) < 20


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"floor is 0.95; expected a probability from 0 to start"):
        LinearSampling(slope=0.1, start=0.9, floor=0.95)
    with pytest.raises(ConfigError, match=r"base is 1.0; expected more than 0 and less than 1"):
        ExponentialSampling(1.0)
    with pytest.raises(ConfigError, match=r"speed is 0.5; expected at least 1"):
        InverseSigmoidSampling(0.5)
    with pytest.raises(ValueError, match=r"probability is 1\.5"):
        mix(torch.zeros(2), torch.zeros(2), 1.5)
    with pytest.raises(ValueError, match=r"predicted is \(3,\) of torch.float32; expected that of true, \(2,\)"):
        mix(torch.zeros(2), torch.zeros(3), 0.5)
