"""What layers of torch have on the engine beside what they have in torch: streams, and weights in fewer bits."""

import copy
import pickle

import pytest
import torch
from torch import nn

import seqloom

KINDS = ("RNN", "LSTM", "GRU")


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_both_biases_have_memory_of_their_own(kind):
    layer = seqloom.accelerate(getattr(nn, kind)(4, 6))
    gradients = torch.autograd.grad(layer(torch.randn(8, 2, 4))[0].sum(), list(layer.parameters()))
    assert len({gradient.data_ptr() for gradient in gradients}) == len(gradients)


def test_fx_takes_a_layer_for_a_leaf():
    model = seqloom.accelerate(nn.Sequential(nn.Embedding(10, 4), nn.LSTM(4, 6)))
    nodes = torch.fx.symbolic_trace(model).graph.nodes
    assert [node.target for node in nodes if node.op == "call_module"] == ["0", "1"]


@pytest.mark.parametrize("kind", KINDS)
def test_accelerated_layers_stream_and_are_quantised(kind):
    model = seqloom.accelerate(nn.Sequential(getattr(nn, kind)(4, 6))).eval()
    x = torch.randn(9, 1, 4)
    wanted = model(x)[0].detach()
    torch.testing.assert_close(model[0].stream().push(x[:, 0]).unsqueeze(1), wanted, atol=1e-5, rtol=0)
    small = seqloom.quantize(model)
    torch.testing.assert_close(small(x)[0], wanted, atol=0.03, rtol=0)


OPTIONS = ({}, {"batch_first": True}, {"num_layers": 2}, {"bidirectional": True}, {"bias": False})


def parts(result):
    outputs, state = result
    return [outputs, *(state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [*OPTIONS, {"proj_size": 3}], ids=str)
def test_a_quantised_layer_is_called_like_the_layer(kind, options):
    if "proj_size" in options and kind != "LSTM":
        options = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    layer = seqloom.accelerate(getattr(nn, kind)(4, 6, **options)).eval()
    small, x = seqloom.quantize(layer), torch.randn(7, 3, 4)
    state = layer(x)[1]
    calls = [(x,), (x, state), (torch.randn(7, 4),)]
    if not options.get("batch_first"):
        packed = nn.utils.rnn.pack_padded_sequence(x, [3, 7, 5], enforce_sorted=False)
        torch.testing.assert_close(small(packed)[0].data, layer(packed)[0].data, atol=0.05, rtol=0)
    for call in calls:
        for found, wanted in zip(parts(small(*call)), parts(layer(*call)), strict=True):
            torch.testing.assert_close(found, wanted, atol=0.05, rtol=0)
    again = pickle.loads(pickle.dumps(small))
    assert torch.equal(again(x)[0], small(x)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bias": False}], ids=str)
def test_a_stream_goes_on_as_the_layer_does(kind, options):
    layer, x = seqloom.accelerate(getattr(nn, kind)(4, 6, **options)).eval(), torch.randn(7, 4)
    wanted, stream = layer(x)[0].detach(), layer.stream()
    stream.push(x[:3])
    for each in (stream.branch(), copy.copy(stream), copy.deepcopy(stream), pickle.loads(pickle.dumps(stream)), stream):
        torch.testing.assert_close(each.push(x[3:]), wanted[3:], atol=1e-5, rtol=0)


def test_a_pickled_stream_keeps_its_kind_of_weights():
    stream, x = seqloom.accelerate(nn.GRU(4, 6)).stream(weights="int8", threads=2), torch.randn(7, 4)
    stream.push(x)
    again = pickle.loads(pickle.dumps(stream))
    assert (again.weights, again.threads) == ("int8", 2)
    assert torch.equal(again.push(x), stream.push(x))
