"""Layers with weights in fewer bits: what they compute, how far from the layer they came from, and what they refuse."""

import copy
from contextlib import ExitStack, contextmanager

import pytest
import torch

import seqloom
from seqloom import cells
from seqloom.errors import ConfigError
from seqloom.layers.exchange import from_torch
from seqloom.layers.quantized import QuantizedRecurrent, quantize
from seqloom.layers.recurrent import Recurrent

KINDS = pytest.mark.parametrize("weights", ["int8", "bfloat16"])


def layer_of(name="lstm", units=40, **options):
    torch.manual_seed(1)
    return Recurrent(name, 24, units, **options).eval()


@contextmanager
def restored(layer, quantized):
    """The layer, while its weights act as the numbers that the quantized one's bits stand for."""
    with ExitStack() as stack:
        for cell, compressed in zip(layer.cells, quantized.cells, strict=True):
            names = cell.graph.declarations
            stack.enter_context(cell.replaced_parameters({name: compressed.parameter(name) for name in names}))
        yield layer


@KINDS
@pytest.mark.parametrize("options", [{}, {"layers": 2, "bidirectional": True}, {"layers": 2, "residual": True}])
@pytest.mark.parametrize("name", cells.names())
def test_a_quantized_layer_computes_what_its_weights_stand_for(name, options, weights):
    layer = layer_of(name, **options)
    quantized = quantize(layer, weights)
    x, lengths = torch.randn(5, 9, 24), torch.tensor([9, 0, 4, 9, 1])
    zeros, positive = layer.initial_state(5), layer.cells[0].positive
    drawn = {name: torch.randn_like(field) for name, field in zeros._asdict().items()}
    state = zeros._make(value.abs() + 0.5 if name in positive else value for name, value in drawn.items())
    with torch.no_grad():
        with restored(layer, quantized) as rounded:
            wanted, end = rounded(x, state, lengths)
        outputs, final = quantized(x, state, lengths)
    scale = float(wanted.abs().max().clamp(min=1.0))
    torch.testing.assert_close(outputs, wanted, atol=2e-3 * scale, rtol=0)
    assert (outputs - wanted).square().mean().sqrt() < 2e-4 * scale  # 16-bit entries; the weights are exact
    for found, sought in zip(final, end, strict=True):
        torch.testing.assert_close(found, sought, atol=2e-3, rtol=1e-3)


@KINDS
def test_the_error_of_an_lstm_at_the_usual_scale_is_below_a_thousandth(weights):
    torch.manual_seed(2)
    layer = from_torch(torch.nn.LSTM(128, 128, batch_first=True))
    quantized = quantize(layer, weights)
    assert 1e-6 < quantized.error < 1e-3
    x = torch.randn(1, 50, 128)
    with torch.no_grad():
        difference = quantized(x)[0] - layer(x)[0]
    assert difference.square().mean().sqrt() < 1e-3
    assert quantize(layer, weights, sample=x).error == pytest.approx(float(difference.square().mean().sqrt()), rel=1e-3)


def test_the_state_dictionary_is_small_plain_and_enough():
    layer = layer_of("gru", bidirectional=True)
    quantized, other = quantize(layer, "int8"), quantize(layer_of("gru", bidirectional=True), "int8")
    values = quantized.state_dict()
    full = sum(value.numel() * value.element_size() for value in layer.state_dict().values())
    assert sum(value.numel() * value.element_size() for value in values.values()) < 0.35 * full
    assert {value.dtype for value in values.values()} == {torch.int8, torch.float32}
    x = torch.randn(2, 6, 24)
    before = other(x)[0]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.5)
    other.load_state_dict(quantize(layer, "int8").state_dict())
    assert not torch.equal(other(x)[0], before)
    other.load_state_dict(values)
    assert torch.equal(other(x)[0], quantized(x)[0])
    assert torch.equal(copy.deepcopy(quantized)(x)[0], quantized(x)[0])


@torch.inference_mode()
def test_weights_that_are_loaded_in_inference_mode_are_used():
    quantized, other = quantize(layer_of("lstm")), quantize(layer_of("lstm", bias=False))
    x = torch.randn(1, 3, 24)
    before = quantized(x)[0]
    values = quantize(layer_of("lstm", zoneout=0.0)).state_dict()
    values["cells.0.weight_ifgo_h_scale"] = values["cells.0.weight_ifgo_h_scale"] * 0.5
    quantized.load_state_dict(values)
    assert not torch.equal(quantized(x)[0], before)
    assert other(x)[0].shape == before.shape


def test_a_model_has_each_of_its_layers_replaced_once():
    layer = layer_of("gru")
    model = torch.nn.ModuleDict({"first": layer, "again": torch.nn.Sequential(layer), "head": torch.nn.Linear(40, 2)})
    assert seqloom.quantize(model, "bf16") is model
    assert isinstance(model["first"], QuantizedRecurrent)
    assert model["again"][0] is model["first"]
    assert model["first"].weights == "bfloat16"


def test_its_stream_equals_it_over_the_whole_sequence():
    quantized, x = quantize(layer_of(layers=2)), torch.randn(3, 12, 24)
    stream = quantized.stream(3)
    whole, state = quantized(x)
    assert torch.equal(torch.cat([stream.push(x[:, :5]), stream.push(x[:, 5:])], 1), whole)
    assert all(torch.equal(*fields) for fields in zip(stream.state, state, strict=True))


def test_where_the_kernels_refuse_the_same_weights_run_in_torch():
    layer = layer_of("lstm", zoneout=0.1)
    quantized, x = quantize(layer), torch.randn(2, 5, 24)
    with torch.no_grad(), restored(layer, quantized) as rounded:
        torch.testing.assert_close(quantized(x)[0], rounded(x)[0])
    double = quantize(layer_of("gru").double())
    assert double(x.double())[0].dtype == torch.float64
    assert quantize(layer_of())(x[:, :0])[0].shape == (2, 0, 40)


def test_what_cannot_be_is_refused_in_one_sentence():
    layer = layer_of()
    quantized = quantize(layer)
    with pytest.raises(ConfigError, match="for inference; train the layer it was made from"):
        quantized.train()
    with pytest.raises(ConfigError, match="no gradient flows through a quantized layer"):
        quantized(torch.randn(1, 2, 24, requires_grad=True))
    with pytest.raises(ConfigError, match="quantized already, to 'int8'"):
        quantize(quantized, "bf16")
    with pytest.raises(ConfigError, match="weights is 'int4'; expected 'bfloat16' or 'int8'"):
        quantize(layer, "int4")
    with pytest.raises(ConfigError, match=r"Linear has no seqloom.Recurrent inside"):
        quantize(torch.nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="quantized to 'int8'"):
        quantized.stream(weights="bfloat16")
