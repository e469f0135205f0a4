"""Noise: one mask per sequence, weights drawn per call, zoneout by state; what rests in evaluation and where it is refused."""

import pytest
import torch

from seqloom.cells import LSTM
from seqloom.errors import ConfigError
from seqloom.layers.exchange import to_torch
from seqloom.layers.explanation import explain
from seqloom.layers.noise import draw_weights, sequence_dropout
from seqloom.layers.quantized import quantize
from seqloom.layers.recurrent import Recurrent

BACKENDS = ("reference", "derived", "cpu", "vendor")


def layer_of(name="lstm", **options):
    torch.manual_seed(1)
    return Recurrent(name, 3, 4, **options)


def sequences(batch=4, time=6):
    torch.manual_seed(2)
    return torch.randn(batch, time, 3)


def test_a_mask_is_one_per_sequence_scaled_and_at_its_rate():
    values = sequence_dropout(torch.ones(400, 5, 50), 0.25)
    assert torch.equal(values, values[:, :1].expand_as(values))
    assert values.unique().tolist() == pytest.approx([0.0, 4 / 3], abs=1e-4)
    assert abs((values == 0).float().mean() - 0.25) < 0.02
    assert not torch.equal(values[0], values[1])


@pytest.mark.parametrize("option", ["dropout_input", "dropout", "dropout_output"])
def test_variational_dropout_is_constant_over_time_where_plain_dropout_is_not(option):
    for variational in (True, False):
        layer = Recurrent("rnn", 3, 40, layers=2, variational=variational, **{option: 0.5}).double()
        for cell in layer.cells:  # a step that hands its input on, so that the mask can be read off the outputs
            cell.weight_x.data, cell.bias.data = torch.eye(40)[:, : cell.input_size].double(), torch.zeros(40).double()
            cell.weight_h.data.zero_()
        outputs, _ = layer(torch.full((20, 9, 3), 0.7, dtype=torch.float64))
        dropped = (outputs == 0)[..., :3]
        assert 0.2 < dropped.double().mean() < 0.8
        assert torch.equal(dropped.all(1), dropped.any(1)) is variational


def test_zoneout_has_a_rate_for_each_state():
    layer, x = Recurrent("lstm", 3, 8, zoneout={"c": 0.4}), torch.randn(300, 1, 3)
    state = layer.initial_state(300)._make(torch.full((300, 1, 8), value) for value in (5.0, 7.0))
    _, final = layer(x, state)
    assert not (final.h == 5.0).any()
    assert abs((final.c == 7.0).float().mean() - 0.4) < 0.05
    layer.eval()
    _, mean = layer(x, state)
    plain = layer.cells[0].step(x[:, 0], state.h[:, 0], state.c[:, 0])
    torch.testing.assert_close(mean.h[:, 0], plain[0])
    torch.testing.assert_close(mean.c[:, 0], 0.4 * 7.0 + 0.6 * plain[1])
    assert "no zoneout" in str(explain(layer))


def test_equal_rates_are_one_rate_and_pairs_are_a_mapping():
    assert layer_of(zoneout=[("h", 0.1), ("c", 0.1)]).zoneout == 0.1
    assert layer_of(zoneout=[["c", 0.5], ["h", 0.05]]).zoneout == {"h": 0.05, "c": 0.5}
    with pytest.raises(ConfigError, match="zoneout names 'd'; the cell's states are h, c"):
        layer_of(zoneout={"d": 0.1})
    with pytest.raises(ConfigError, match=r"zoneout\.c is 2; expected a probability"):
        layer_of(zoneout={"c": 2})


def test_dropped_weights_are_recurrent_matrices_and_noise_is_everywhere():
    cell = LSTM(3, 60)
    ((name, dropped),) = draw_weights(cell, 0.3, 0.0).items()
    assert name == "weight_ifgo_h"
    gone = dropped == 0
    assert abs(gone.float().mean() - 0.3) < 0.01
    torch.testing.assert_close(dropped[~gone], cell.weight_ifgo_h[~gone] / 0.7, rtol=1e-4, atol=0)
    noisy = draw_weights(cell, 0.0, 0.075)
    assert noisy.keys() == cell.graph.declarations.keys()
    difference = noisy["weight_ifgo_h"] - cell.weight_ifgo_h
    assert abs(difference.std() - 0.075) < 0.002
    assert abs(difference.mean()) < 0.003
    assert draw_weights(cell, 0.0, 0.0) == {}


@pytest.mark.parametrize(
    "options", [{"weight_drop": 0.5}, {"weight_noise": 0.1}, {"weight_drop": 0.2, "weight_noise": 0.1}]
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_backend_runs_the_same_drawn_weights_and_hands_their_gradient_to_the_clean_ones(options, bidirectional):
    layer, x = layer_of(layers=2, bidirectional=bidirectional, **options), sequences()
    results = {}
    for backend in BACKENDS:
        layer.backend = backend
        torch.manual_seed(3)
        outputs, _ = layer(x)
        results[backend] = [outputs, *torch.autograd.grad(outputs.sin().sum(), list(layer.parameters()))]
    for backend in BACKENDS[1:]:
        torch.testing.assert_close(results[backend], results["reference"], atol=1e-5, rtol=1e-4)
    assert not torch.equal(layer(x)[0], layer(x)[0]), "each call draws anew"
    assert torch.equal(layer.eval()(x)[0], layer_of(layers=2, bidirectional=bidirectional, backend="vendor")(x)[0])


def test_the_gradient_of_weight_noise_is_that_at_the_noisy_weights():
    layer, x = layer_of("rnn", weight_noise=0.3).double(), sequences().double()
    cell = layer.cells[0]
    torch.manual_seed(3)
    noisy = {name: value.detach().requires_grad_() for name, value in draw_weights(cell, 0.0, 0.3).items()}
    torch.manual_seed(3)
    gradients = torch.autograd.grad(layer(x)[0].sin().sum(), list(layer.parameters()))
    plain = layer_of("rnn").double()
    with plain.cells[0].replaced_parameters(noisy):
        wanted = torch.autograd.grad(plain(x)[0].sin().sum(), list(noisy.values()))
    for name, gradient in zip(noisy, wanted, strict=True):
        found = dict(zip(dict(cell.named_parameters()), gradients, strict=True))[name]
        torch.testing.assert_close(found, gradient)


def test_a_dropped_weight_stays_dropped_for_all_steps_and_gets_no_gradient():
    layer = layer_of("rnn", weight_drop=0.5)
    (gradient,) = torch.autograd.grad(layer(sequences(4, 20))[0].sum(), layer.cells[0].weight_h)
    assert 0 < (gradient == 0).sum() < 16


def test_a_training_step_draws_as_a_call_does():
    layer, x = layer_of(weight_noise=0.1), sequences()
    torch.manual_seed(4)
    wanted, _ = layer(x[:, :1])
    torch.manual_seed(4)
    torch.testing.assert_close(layer.step(x[:, 0])[0], wanted[:, 0])


@pytest.mark.parametrize("option", ["weight_drop", "weight_noise", "dropout_output"])
def test_what_is_drawn_is_refused_by_streams_in_training_and_by_torch(option):
    layer = layer_of(variational=True, **{option: 0.1})
    with pytest.raises(ConfigError, match=r"the layer is training and has .*, which a stream does not draw"):
        layer.stream()
    with pytest.raises(ConfigError, match=f"torch.nn's layers have no {option}=0.1"):
        to_torch(layer)
    layer.eval()
    x = sequences(1)
    torch.testing.assert_close(layer.stream().push(x), layer(x)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(quantize(layer, "bfloat16")(x)[0], layer(x)[0], atol=2e-2, rtol=0)


def test_torch_has_no_mask_per_sequence_between_layers_nor_zoneout_by_state():
    with pytest.raises(ConfigError, match="have no variational=True"):
        to_torch(layer_of(layers=2, dropout=0.1, variational=True))
    with pytest.raises(ConfigError, match="have no zoneout="):
        to_torch(layer_of(zoneout={"h": 0.1}))
    to_torch(layer_of(variational=True))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weight_drop": 1.1}, "weight_drop is 1.1; expected a probability"),
        ({"weight_noise": -0.1}, "weight_noise is -0.1; expected a standard deviation of at least 0"),
        ({"weight_noise": float("nan")}, "weight_noise is nan"),
    ],
)
def test_wrong_rates_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        layer_of(**options)
