"""Dilated stacks against a loop over steps, stacks of ordinary layers, impulses, cuts and padding."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import ConfigError
from seqloom.layers.dilated import Dilated
from seqloom.layers.recurrent import Recurrent

CELLS = st.sampled_from(["rnn", "gru", "lstm", "lstmp", "qrnn"])
DILATIONS = st.lists(st.integers(1, 5), min_size=1, max_size=3)


def layer_of(cell, dilations, seed=1, **options):
    torch.manual_seed(seed)
    return Dilated(cell, 3, 4, dilations=dilations, **options).double()


def loop(layer, x):
    """Outputs and the last states of each layer, by the definition: one row, one step, one layer after the other."""
    values, rings = list(x), []
    for recurrent, dilation in zip(layer.layers, layer.dilations, strict=True):
        cell, states = recurrent.cells[0], [[value[0] for value in recurrent.initial_state(1)]] * dilation
        for value in values:
            new = cell.step(value.unsqueeze(0), *states[-dilation])
            states.append(list(new) if isinstance(new, tuple) else [new])
        values = [state[0][0] for state in states[dilation:]]
        rings += states[len(states) - dilation :]
    if layer.fusion is not None:
        kernel, bias = layer.fusion.convolution.weight, layer.fusion.convolution.bias
        width = kernel.shape[-1]
        padded = [torch.zeros_like(bias)] * (width - 1) + values
        values = [
            bias + sum(kernel[:, :, j] @ padded[t + j] for j in range(width)) for t in range(len(padded) - width + 1)
        ]
    return values, rings


@settings(deadline=None, max_examples=40)
@given(cell=CELLS, dilations=DILATIONS, lengths=st.lists(st.integers(0, 13), min_size=1, max_size=4))
def test_any_dilations_on_any_lengths_are_what_the_loop_over_steps_computes(cell, dilations, lengths):
    layer = layer_of(cell, dilations)
    x = torch.randn(len(lengths), max(lengths) + 1, 3, dtype=torch.float64)
    padding = torch.arange(x.shape[1]) >= torch.tensor(lengths)[:, None]
    outputs, state = layer(x.masked_fill(padding.unsqueeze(-1), 1e3), lengths=torch.tensor(lengths))
    assert not outputs[padding].any()
    for row, length in enumerate(lengths):
        wanted, rings = loop(layer, x[row, :length])
        if length:
            torch.testing.assert_close(outputs[row, :length], torch.stack(wanted), atol=1e-12, rtol=0)
        for position, field in enumerate(state[: len(rings[0])]):
            for found, ring in zip(field[row], rings, strict=True):
                size = ring[position].shape[-1]
                torch.testing.assert_close(found[:size], ring[position][0], atol=1e-12, rtol=0)


@settings(deadline=None, max_examples=30)
@given(
    cell=CELLS, dilations=DILATIONS, time=st.integers(1, 14), cuts=st.lists(st.integers(0, 14), max_size=4),
    lengths=st.lists(st.integers(0, 14), min_size=2, max_size=3),
)  # fmt: skip
def test_every_division_into_chunks_with_lengths_gives_the_whole(cell, dilations, time, cuts, lengths):
    layer = layer_of(cell, dilations)
    ends = torch.tensor(lengths).clamp(max=time)
    x = torch.randn(len(lengths), time, 3, dtype=torch.float64)
    begun = layer.initial_state(len(lengths))
    begun = layer(torch.randn(len(lengths), 6, 3, dtype=torch.float64), begun)[1]
    wanted, final = layer(x, begun, ends)
    borders = [0, *sorted(min(cut, time) for cut in cuts), time]
    parts, state = [], begun
    for first, last in itertools.pairwise(borders):
        output, state = layer(x[:, first:last], state, (ends - first).clamp(0, last - first))
        parts.append(output)
    torch.testing.assert_close(torch.cat(parts, 1), wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(tuple(state), tuple(final), atol=1e-12, rtol=0)


def test_step_by_step_equals_the_whole():
    layer, x = layer_of("lstm", [2, 4]), torch.randn(2, 11, 3, dtype=torch.float64)
    wanted, final = layer(x)
    outputs, state = [], None
    for t in range(11):
        output, state = layer.step(x[:, t], state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, 1), wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(tuple(state), tuple(final), atol=1e-12, rtol=0)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_dilations_of_one_are_an_ordinary_stack(cell):
    layer, stack = layer_of(cell, [1, 1, 1]), Recurrent(cell, 3, 4, layers=3).double()
    for own, other in zip(layer.layers, stack.cells, strict=True):
        other.load_state_dict(own.cells[0].state_dict())
    x, lengths = torch.randn(4, 7, 3, dtype=torch.float64), torch.tensor([7, 0, 3, 5])
    outputs, state = layer(x, lengths=lengths)
    wanted, final = stack(x, lengths=lengths)
    torch.testing.assert_close(outputs, wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(tuple(state), tuple(final), atol=1e-12, rtol=0)


def test_an_impulse_is_felt_every_fourth_step_only_until_the_convolution_mixes_the_phases():
    for fuse, wanted in ((False, [3, 7, 11]), (True, list(range(3, 14)))):
        layer, x = layer_of("gru", [4], fuse=fuse), torch.zeros(1, 14, 3, dtype=torch.float64)
        struck = x.clone()
        struck[0, 3] = 1.0
        changed = (layer(struck)[0] - layer(x)[0]).abs().amax(-1)[0] > 0
        assert changed.nonzero().flatten().tolist() == wanted


def test_gradients_agree_with_finite_differences_and_skip_the_padding():
    layer, lengths = layer_of("lstm", [2, 3]), torch.tensor([5, 3])
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn_like(field).requires_grad_() for field in layer.initial_state(2))
    assert torch.autograd.gradcheck(
        lambda x, *state: tuple(layer(x, state, lengths)[0:1]) + tuple(layer(x, state, lengths)[1]), (x, *state)
    )
    (gradient,) = torch.autograd.grad(layer(x, state, lengths)[0].sum(), x)
    assert not gradient[1, 3:].any()


def test_by_default_each_layer_doubles_the_dilation_and_needs_no_convolution():
    layer = Dilated("gru", 3, 4, layers=4)
    assert layer.dilations == (1, 2, 4, 8)
    assert layer.fusion is None
    stack = Recurrent("gru", 3, 4, layers=4)
    assert sum(p.numel() for p in layer.parameters()) == sum(p.numel() for p in stack.parameters())


@pytest.mark.parametrize(("batch", "time"), [(0, 3), (2, 0), (0, 0)])
def test_nothing_in_nothing_out(batch, time):
    layer = layer_of("lstm", [2, 4])
    outputs, state = layer(torch.zeros(batch, time, 3, dtype=torch.float64))
    assert outputs.shape == (batch, time, 4)
    assert [tuple(field.shape) for field in state] == [(batch, 6, 4), (batch, 6, 4), (batch, 1, 4)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "give the number of layers, or their dilations"),
        ({"layers": 0}, "layers is 0; expected an integer of at least 1"),
        ({"dilations": [1, 0]}, r"dilations\[1\] is 0"),
        ({"dilations": []}, "expected one for each"),
        ({"layers": 3, "dilations": [1, 2]}, "there are 2 dilations for 3 layers"),
        ({"layers": 1, "dropout": 2.0}, "dropout is 2.0; expected a probability"),
    ],
)
def test_wrong_options_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        Dilated("gru", 3, 4, **options)


def test_a_state_that_does_not_fit_is_refused():
    layer = layer_of("gru", [1, 2])
    with pytest.raises(ValueError, match=r"state\.h has shape \(2, 2, 4\); expected \(2, 3, 4\)"):
        layer(torch.zeros(2, 5, 3, dtype=torch.float64), (torch.zeros(2, 2, 4),))


def test_more_states_than_any_memory_holds_are_refused():
    with pytest.raises(ConfigError, match="30 layers of dilations up to 536870912 keep 1073741823 states"):
        Dilated("gru", 3, 4, layers=30)
    with pytest.raises(ConfigError, match="1000 layers"):
        Dilated("gru", 3, 4, layers=1000)


def test_no_step_has_gradients_of_zero():
    stack = Dilated("gru", 3, 4, layers=3)
    outputs, _ = stack(torch.zeros(2, 0, 3))
    outputs.sum().backward()
    assert outputs.shape == (2, 0, 4)
    assert not any(parameter.grad.any() for parameter in stack.parameters())
