"""What carries a layer's input past it: highway gates and residuals."""

import pytest
import torch

from seqloom.errors import ConfigError
from seqloom.layers.exchange import to_torch
from seqloom.layers.quantized import quantize
from seqloom.layers.recurrent import Recurrent


def layer_of(inputs=4, layers=3, **options):
    torch.manual_seed(1)
    return Recurrent("gru", inputs, 4, layers=layers, **options).double()


def sequences(features=4):
    torch.manual_seed(2)
    return torch.randn(3, 6, features, dtype=torch.float64)


def test_closed_gates_are_exactly_the_identity():
    layer, x = layer_of(highway=-1e3), sequences()
    assert torch.equal(layer(x)[0], x)


def test_open_gates_are_a_plain_stack():
    plain, layer = layer_of(), layer_of(highway=1e3)
    layer.cells.load_state_dict(plain.cells.state_dict())
    assert torch.equal(layer(sequences())[0], plain(sequences())[0])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_gates_mix_a_layers_output_and_its_input_where_the_widths_agree(bidirectional):
    layer, x = layer_of(3, 3, highway=True, bidirectional=bidirectional, merge="mean"), sequences(3)
    assert list(layer.gates) == ["1", "2"]
    values = x
    for position in range(3):
        one = Recurrent("gru", values.shape[-1], 4, bidirectional=bidirectional, merge="mean").double()
        first = position * one.directions
        for own, cell in zip(one.cells, layer.cells[first : first + one.directions], strict=True):
            own.load_state_dict(cell.state_dict())
        outputs, _ = one(values)
        if position:
            linear = layer.gates[str(position)].linear
            assert torch.equal(linear.bias, torch.full_like(linear.bias, -2.0))
            gate = torch.sigmoid(values @ linear.weight.T + linear.bias)
            outputs = gate * outputs + (1 - gate) * values
        values = outputs
    torch.testing.assert_close(layer(x)[0], values, atol=1e-14, rtol=0)


def test_what_the_first_gate_carries_is_nothing_in_the_padding():
    layer, x, lengths = layer_of(highway=True), sequences(), torch.tensor([6, 2, 0])
    padding = torch.arange(6) >= lengths[:, None]
    given = x.masked_fill(padding.unsqueeze(-1), 1e3).requires_grad_()
    outputs, _ = layer(given, lengths=lengths)
    assert not outputs[padding].any()
    assert not torch.autograd.grad(outputs.sum(), given)[0][padding].any()
    torch.testing.assert_close(outputs[1, :2], layer(x[1:2, :2])[0][0], atol=1e-14, rtol=0)


def test_residuals_begin_at_the_layer_that_they_are_told():
    plain, x = layer_of(layers=4), sequences()
    for first in (2, 3, 4, 5):
        layer, values = layer_of(layers=4, residual=first), x
        for position in range(4):
            one = Recurrent(plain.cells[position])
            values = one(values)[0] + (values if position + 1 >= first else 0)
        torch.testing.assert_close(layer(x)[0], values, atol=1e-14, rtol=0)
    torch.testing.assert_close(layer_of(residual=True)(x)[0], layer_of(residual=2)(x)[0], atol=0, rtol=0)


@pytest.mark.parametrize("options", [{"highway": True}, {"residual": 3}, {"residual": 2}])
def test_streams_steps_and_fewer_bits_honour_them(options):
    layer, x = layer_of(**options).float().eval(), sequences().float()
    wanted, _ = layer(x)
    stream = layer.stream(3)
    assert (stream.path, bool(stream.reason)) == (("native", False) if options == {"residual": 2} else ("python", True))
    torch.testing.assert_close(stream.push(x), wanted, atol=1e-5, rtol=0)
    state, outputs = None, []
    for t in range(6):
        output, state = layer.step(x[:, t], state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, 1), wanted, atol=1e-5, rtol=0)
    small = quantize(layer, "bfloat16")
    torch.testing.assert_close(small(x)[0], wanted, atol=2e-2, rtol=0)
    torch.testing.assert_close(small.stream(3).push(x), small(x)[0], atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match=f"torch.nn's layers have no {next(iter(options))}="):
        to_torch(layer)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"residual": 1}, "residual is 1; expected an integer of at least 2"),
        ({"residual": 2.0}, "residual is 2.0"),
        ({"highway": True, "residual": True}, "not both"),
        ({"highway": "yes"}, "highway is 'yes'; expected true, false, or the initial bias"),
        ({"highway": True, "inputs": 3, "layers": 1}, "no layer reads as many features as its output has, 4"),
    ],
)
def test_wrong_options_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        layer_of(**options)
