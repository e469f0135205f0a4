"""Residual blocks against their formula, row by row, chunk by chunk."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from seqloom.errors import ConfigError
from seqloom.layers.block import BlockStack
from seqloom.layers.causal import CausalConvolution


def stack_of(cell="gru", **options):
    torch.manual_seed(3)
    return BlockStack(cell, 3, 4, **options).double()


def formula(stack, x):
    """One row (1, T, D), by the definition."""
    values = stack.encoder(x)
    for block in stack.blocks:
        inner = F.layer_norm(values, (4,), block.norm.weight, block.norm.bias)
        if block.convolution is not None:
            kernel, bias = block.convolution.convolution.weight[:, 0], block.convolution.convolution.bias
            width, padded = kernel.shape[-1], F.pad(inner, (0, 0, kernel.shape[-1] - 1, 0))
            mixed = [(padded[:, t : t + width] * kernel.T).sum(1) + bias for t in range(x.shape[1])]
            inner = torch.stack(mixed, 1)
            inner = inner * torch.sigmoid(inner)
        left, right = (block.recurrent(inner)[0] @ block.gate.weight.T + block.gate.bias).chunk(2, -1)
        values = values + left * torch.sigmoid(right)
    return values


@settings(deadline=None, max_examples=25)
@given(
    cell=st.sampled_from(["gru", "lstm", "lstmp"]), convolution=st.integers(0, 4), bidirectional=st.booleans(),
    expansion=st.sampled_from([0.5, 1.0, 1.5]), lengths=st.lists(st.integers(0, 8), min_size=1, max_size=4),
)  # fmt: skip
def test_a_ragged_batch_is_the_formula_of_each_row(cell, convolution, bidirectional, expansion, lengths):
    stack = stack_of(
        cell, convolution=0 if bidirectional else convolution, bidirectional=bidirectional, expansion=expansion
    )
    x = torch.randn(len(lengths), max(lengths) + 1, 3, dtype=torch.float64)
    padding = torch.arange(x.shape[1]) >= torch.tensor(lengths)[:, None]
    garbage = x.masked_fill(padding.unsqueeze(-1), 1e3).requires_grad_()
    outputs, _ = stack(garbage, lengths=torch.tensor(lengths))
    assert not outputs[padding].any()
    assert not torch.autograd.grad(outputs.sum(), garbage)[0][padding].any()
    for row, length in enumerate(lengths):
        if length:
            wanted = formula(stack, x[row : row + 1, :length])
            torch.testing.assert_close(outputs[row : row + 1, :length], wanted, atol=1e-12, rtol=0)


@settings(deadline=None, max_examples=25)
@given(
    convolution=st.integers(0, 4), time=st.integers(1, 9), cut=st.integers(0, 9),
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=3),
)  # fmt: skip
def test_two_calls_and_single_steps_give_what_one_call_gives(convolution, time, cut, lengths):
    stack = stack_of("lstm", convolution=convolution)
    x, ends = torch.randn(len(lengths), time, 3, dtype=torch.float64), torch.tensor(lengths).clamp(max=time)
    wanted, final = stack(x, None, ends)
    cut = min(cut, time)
    first, state = stack(x[:, :cut], None, ends.clamp(max=cut))
    second, state = stack(x[:, cut:], state, (ends - cut).clamp(min=0))
    torch.testing.assert_close(torch.cat([first, second], 1), wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(tuple(state), tuple(final), atol=1e-12, rtol=0)
    outputs, state = [], None
    for t in range(time):
        output, state = stack.step(x[:, t], state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, 1), stack(x)[0], atol=1e-12, rtol=0)


def test_gradients_agree_with_finite_differences():
    stack, lengths = stack_of(convolution=3), torch.tensor([4, 2])
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn_like(field).requires_grad_() for field in stack.initial_state(2))
    assert torch.autograd.gradcheck(lambda x, *state: stack(x, state, lengths)[0], (x, *state))


def test_dropping_all_that_the_blocks_add_leaves_the_encoder():
    stack, x = stack_of(dropout=1.0), torch.randn(2, 4, 3, dtype=torch.float64)
    assert torch.equal(stack(x)[0], stack.encoder(x))
    assert not torch.equal(stack.eval()(x)[0], stack.encoder(x))


@pytest.mark.parametrize("depthwise", [False, True])
def test_a_causal_convolution_is_torchs_behind_as_many_zeros_and_knows_its_last_inputs(depthwise):
    convolution = CausalConvolution(3, width=3, depthwise=depthwise).double()
    x, lengths = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([6, 1, 0])
    outputs, state = convolution(x, None, lengths)
    padded = F.pad(x, (0, 0, 2, 0))
    wanted = convolution.convolution(padded.transpose(1, 2)).transpose(1, 2)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(outputs[row, :length], wanted[row, :length], atol=1e-14, rtol=0)
        assert not outputs[row, length:].any()
        assert torch.equal(state.inputs[row], padded[row, length : length + 2])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bidirectional": True, "convolution": 2}, "no causal convolution"),
        ({"convolution": -1}, "convolution is -1"),
        ({"expansion": 0.0}, "expansion"),
        ({"layers": 0}, "layers is 0"),
        ({"dropout": -0.1}, "dropout is -0.1"),
    ],
)
def test_wrong_options_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        stack_of(**options)


def test_a_bidirectional_stack_does_not_step_and_a_foreign_state_is_refused():
    with pytest.raises(ConfigError, match="cannot run step by step"):
        stack_of(bidirectional=True).step(torch.zeros(1, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"state\.h has shape \(1, 1, 4\); expected \(1, 2, 4\)"):
        stack_of()(torch.zeros(1, 2, 3, dtype=torch.float64), (torch.zeros(1, 1, 4),))
