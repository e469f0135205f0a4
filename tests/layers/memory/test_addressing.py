"""The four stages of addressing: what each must leave as it is, and sums of one after every stage."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.layers.memory.addressing import content_weights, interpolate, sharpen, shift


def distribution(*shape):
    return torch.randn(*shape, dtype=torch.float64).mul(3).softmax(-1)


def one_hot(position, size, dtype=torch.float64):
    return torch.nn.functional.one_hot(torch.tensor([[position]]), size).to(dtype)


@settings(deadline=None, max_examples=40)
@given(
    slots=st.integers(1, 7), heads=st.integers(1, 3), reach=st.integers(0, 3), empty=st.booleans(),
    strength=st.sampled_from([0.0, 1.0, 300.0]), power=st.sampled_from([1.0, 7.5, 200.0]), seed=st.integers(0, 999),
)  # fmt: skip
def test_weights_sum_to_one_after_every_stage(slots, heads, reach, empty, strength, power, seed):
    torch.manual_seed(seed)
    reach = min(reach, (slots - 1) // 2)
    memory = torch.zeros(2, slots, 3) if empty else torch.randn(2, slots, 3)
    weights = content_weights(
        memory.double(), torch.randn(2, heads, 3).double(), torch.full((2, heads), strength).double()
    )
    stages = [weights]
    stages.append(interpolate(stages[-1], distribution(2, heads, slots), torch.rand(2, heads, dtype=torch.float64)))
    stages.append(shift(stages[-1], distribution(2, heads, 2 * reach + 1)))
    stages.append(sharpen(stages[-1], torch.full((2, heads), power, dtype=torch.float64)))
    for stage in stages:
        assert bool((stage >= 0).all())
        torch.testing.assert_close(stage.sum(-1), torch.ones(2, heads, dtype=torch.float64), atol=1e-12, rtol=0)


def test_a_closed_gate_no_shift_and_a_power_of_one_leave_the_weights():
    torch.manual_seed(0)
    before, found = distribution(2, 3, 5), distribution(2, 3, 5)
    zero, one = torch.zeros(2, 3, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64)
    moved = sharpen(shift(interpolate(found, before, zero), one_hot(1, 3).expand(2, 3, 3)), one)
    torch.testing.assert_close(moved, before, atol=1e-14, rtol=0)


@pytest.mark.parametrize("offset", [-2, -1, 0, 1, 2])
def test_a_closed_gate_and_a_certain_shift_walk_the_memory(offset):
    weights, found = one_hot(3, 7), distribution(1, 1, 7)
    zero, power = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), 5.0, dtype=torch.float64)
    for step in range(1, 10):
        weights = sharpen(shift(interpolate(found, weights, zero), one_hot(offset + 2, 5)), power)
        torch.testing.assert_close(weights, one_hot((3 + step * offset) % 7, 7), atol=1e-14, rtol=0)


def test_a_shift_is_the_circular_convolution():
    torch.manual_seed(1)
    weights, offsets = distribution(2, 3, 6), distribution(2, 3, 5)
    wanted = torch.zeros_like(weights)
    for j in range(6):
        for k in range(6):
            for o in range(-2, 3):
                if (j - k - o) % 6 == 0:
                    wanted[..., j] += weights[..., k] * offsets[..., o + 2]
    torch.testing.assert_close(shift(weights, offsets), wanted)


def test_content_is_the_softmax_of_the_cosines():
    torch.manual_seed(2)
    memory, keys = torch.randn(2, 5, 3, dtype=torch.float64) * 10, torch.randn(2, 2, 3, dtype=torch.float64) * 10
    strength = torch.rand(2, 2, dtype=torch.float64) * 4
    cosine = torch.nn.functional.cosine_similarity(keys.unsqueeze(2), memory.unsqueeze(1), dim=-1)
    wanted = (strength.unsqueeze(-1) * cosine).softmax(-1)
    torch.testing.assert_close(content_weights(memory, keys, strength), wanted, atol=1e-6, rtol=0)


def test_a_power_is_a_power():
    weights = distribution(2, 3, 5)
    wanted = weights**3.5 / (weights**3.5).sum(-1, keepdim=True)
    torch.testing.assert_close(sharpen(weights, torch.full((2, 3), 3.5, dtype=torch.float64)), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("power", [1.0, 3.0, 100.0])
def test_powers_of_zero_and_cosines_of_nothing_have_finite_gradients(dtype, power):
    weights = one_hot(2, 5, dtype).requires_grad_()
    exponent = torch.full((1, 1), power, dtype=dtype, requires_grad=True)
    memory, key = (torch.zeros(shape, dtype=dtype, requires_grad=True) for shape in ((1, 5, 3), (1, 1, 3)))
    moved = sharpen(weights + content_weights(memory, key, torch.ones(1, 1, dtype=dtype)) * 0, exponent)
    assert bool(moved.isfinite().all())
    for loss in (moved[0, 0, 2], moved[0, 0, 0], moved.square().sum()):
        for gradient in torch.autograd.grad(loss, [weights, exponent, memory, key], retain_graph=True):
            assert bool(gradient.isfinite().all())
