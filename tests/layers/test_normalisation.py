"""Batch normalisation inside the weights, against torch's module on the products of all valid frames."""

import copy

import pytest
import torch
from torch import nn

from seqloom import cells
from seqloom.cells import Cell
from seqloom.engine.operations import tanh
from seqloom.errors import ConfigError
from seqloom.layers.quantized import quantize
from seqloom.layers.recurrent import Recurrent

LENGTHS = torch.tensor([6, 2, 0, 5])
PADDING = torch.arange(6) >= LENGTHS[:, None]
FEEDFORWARD = ["rnn", "gru", "lstm", "gru_before", "lstmp"]


def layer_of(name="lstm", **options):
    torch.manual_seed(1)
    layer = Recurrent(name, 3, 4, batch_norm="sequence", **options).double()
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.6, 0.6)
    return layer


def batch():
    torch.manual_seed(2)
    return 3 * torch.randn(4, 6, 3, dtype=torch.float64) + 1


def modules_of(layer):
    """For each input product of each cell torch's module with the same gain; the shift stays the cell's bias."""
    modules = []
    for norm in layer.norms:
        found = {}
        for weight in norm.biases:
            gain = norm.get_parameter(f"gain_{weight}")
            found[weight] = nn.BatchNorm1d(len(gain)).double()
            found[weight].weight = gain
            nn.init.zeros_(found[weight].bias)
        modules.append(found)
    return modules


def explicit(layer, modules, x, lengths):
    """One layer, row by row and step by step: W x normalised by torch over the valid frames, the rest as in the cell."""
    valid = torch.arange(x.shape[1]) < lengths[:, None]
    rows = [[] for _ in lengths]
    for direction, (cell, found) in enumerate(zip(layer.cells, modules, strict=True)):
        products = {}
        for weight, module in found.items():
            products[weight] = x.new_zeros(*x.shape[:2], len(cell.parameter(weight)))
            products[weight][valid] = module(x[valid] @ cell.parameter(weight).T)
        for row, length in enumerate(lengths.tolist()):
            state = [field[:, 0] for field in layer.initial_state(1)]
            outputs = [None] * length
            for t in range(length)[:: -1 if direction else 1]:
                # The normalised product takes the place of the bias, the input that of zeros.
                shifted = {
                    bias: cell.parameter(bias) + products[weight][row, t]
                    for weight, bias in found_biases(layer, direction)
                }
                with cell.replaced_parameters(shifted):
                    state = cell.step(x.new_zeros(1, 3), *state)
                state = list(state) if isinstance(state, tuple) else [state]
                outputs[t] = state[0][0]
            rows[row].append(torch.stack(outputs) if length else x.new_zeros(0, layer.output_size // layer.directions))
    return [torch.cat(parts, -1) for parts in rows]


def found_biases(layer, direction):
    return layer.norms[direction].biases.items()


def close(found, wanted):
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", FEEDFORWARD)
def test_outputs_gradients_and_running_statistics_are_torchs_over_the_valid_frames(name, bidirectional):
    layer, x = layer_of(name, bidirectional=bidirectional), batch()
    modules = modules_of(layer)
    for _ in range(3):
        given = x.masked_fill(PADDING.unsqueeze(-1), 1e3).requires_grad_()
        outputs, _ = layer(given, lengths=LENGTHS)
        plain = x.clone().requires_grad_()
        wanted = explicit(layer, modules, plain, LENGTHS)
        x = x + 0.1
    assert not outputs[PADDING].any()
    for row, length in enumerate(LENGTHS.tolist()):
        close(outputs[row, :length], wanted[row])
    loss, same = outputs.sin().sum(), sum(row.sin().sum() for row in wanted)
    parameters = list(layer.parameters())
    found = torch.autograd.grad(loss, [given, *parameters])
    sought = torch.autograd.grad(same, [plain, *parameters])
    assert not found[0][PADDING].any()
    for one, other in zip(found, sought, strict=True):
        close(one, other)
    for norm, of_cell in zip(layer.norms, modules, strict=True):
        for weight, module in of_cell.items():
            close(norm.get_buffer(f"mean_{weight}"), module.running_mean)
            close(norm.get_buffer(f"variance_{weight}"), module.running_var)
            module.eval()
    layer.eval()
    outputs, wanted = layer(x, lengths=LENGTHS)[0], explicit(layer, modules, x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        close(outputs[row, :length], wanted[row])


def test_a_padded_batch_has_the_statistics_of_its_frames_one_after_the_other():
    layer, x = layer_of("gru"), batch()
    one = copy.deepcopy(layer)
    layer(x.masked_fill(PADDING.unsqueeze(-1), 1e3), lengths=LENGTHS)
    one(x[~PADDING].unsqueeze(0))
    for found, wanted in zip(layer.buffers(), one.buffers(), strict=True):
        close(found, wanted)


@pytest.mark.parametrize("name", ["lstm", "gru", "gru_before"])
def test_every_backend_runs_the_normalised_layer(name):
    layer, x = layer_of(name, layers=2, bidirectional=True).float(), batch().float()
    results = {}
    for backend in ("reference", "derived", "cpu", None):
        layer.backend = backend
        outputs, _ = layer(x, lengths=LENGTHS)
        results[backend] = [outputs, *torch.autograd.grad(outputs.sin().sum(), list(layer.parameters()))]
    for backend in ("derived", "cpu", None):
        torch.testing.assert_close(results[backend], results["reference"], atol=2e-5, rtol=1e-4)


def test_gradients_agree_with_finite_differences():
    layer, x = layer_of("rnn"), batch().requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def outcome(x, *values):
        buffers = {name: value.clone() for name, value in layer.named_buffers()}
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(layer, {**parameters, **buffers}, (x, None, LENGTHS))[0]

    assert torch.autograd.gradcheck(outcome, (x, *layer.parameters()))


@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_a_stream_and_a_quantized_layer_have_the_normalisation_in_their_weights(weights):
    layer, x = layer_of("lstm", layers=2).float(), batch().float()
    for _ in range(20):
        layer(x)
    with pytest.raises(ConfigError, match="training and has batch_norm, which a stream does not draw"):
        layer.stream()
    wanted, _ = layer.eval()(x)
    stream = layer.stream(4, weights=weights)
    assert stream.path == "native"
    tolerance = 1e-5 if weights == "float32" else 0.05
    torch.testing.assert_close(stream.push(x), wanted, atol=tolerance, rtol=0)
    if weights != "float32":
        small = quantize(layer, weights)
        torch.testing.assert_close(small(x)[0], wanted, atol=tolerance, rtol=0)
        torch.testing.assert_close(small.step(x[:, 0])[0], wanted[:, 0], atol=tolerance, rtol=0)


def test_steps_in_evaluation_use_the_running_statistics():
    layer, x = layer_of("lstm"), batch()
    layer(x)
    wanted, _ = layer.eval()(x)
    outputs, state = [], None
    for t in range(6):
        output, state = layer.step(x[:, t], state)
        outputs.append(output)
    close(torch.stack(outputs, 1), wanted)


def test_the_scale_of_an_input_does_not_matter_in_training():
    layer, x = layer_of("lstm"), batch()
    torch.testing.assert_close(layer(1e3 * x)[0], layer(x)[0], atol=1e-4, rtol=0)


def test_without_a_frame_nothing_is_measured():
    layer = layer_of("lstm")
    before = [buffer.clone() for buffer in layer.buffers()]
    assert not layer(batch(), lengths=torch.zeros(4, dtype=torch.long))[0].any()
    assert all(torch.equal(*pair) for pair in zip(before, layer.buffers(), strict=True))


class Blind(Cell):
    """Its input enters without a product."""

    def step(self, x, h):
        return tanh(self.affine(h) + x)


def test_a_cell_without_a_bias_or_an_input_product_is_refused():
    with pytest.raises(ConfigError, match="batch_norm: the product weight_ifgo_x of LSTM has no bias"):
        Recurrent("lstm", 3, 4, batch_norm="sequence", bias=False)
    with pytest.raises(ConfigError, match="Blind has no product of its input"):
        Recurrent(Blind(4, 4), batch_norm="sequence")
    with pytest.raises(ConfigError, match="batch_norm is 'step'; expected None or 'sequence'"):
        Recurrent(cells.LSTM(3, 4), batch_norm="step")
