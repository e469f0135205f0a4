"""What people do to torch's layers works on the engine's too, however long the sequence."""

import pytest
import torch
from torch import nn

import seqloom

KINDS = ("RNN", "LSTM", "GRU")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [4, 5, 30])
def test_outputs_may_be_overwritten(kind, steps):
    layer, x = getattr(nn, kind)(4, 6), torch.randn(steps, 2, 4)
    wanted = torch.autograd.grad(nn.functional.relu(layer(x)[0].clone()).sum(), list(layer.parameters()))
    seqloom.accelerate(layer)
    if kind == "LSTM" and steps < 5:
        pytest.skip("so few steps run on torch's own kernel, which refuses it in torch.nn, too")
    found = torch.autograd.grad(nn.ReLU(inplace=True)(layer(x)[0]).sum(), list(layer.parameters()))
    for gradient, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, right, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_jacobians_are_taken_at_once(kind):
    layer, x = getattr(nn, kind)(3, 4), torch.randn(8, 1, 3)
    wanted = torch.autograd.functional.jacobian(lambda value: layer(value)[0], x)
    seqloom.accelerate(layer)
    found = torch.autograd.functional.jacobian(lambda value: layer(value)[0], x, vectorize=True)
    torch.testing.assert_close(found, wanted)


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
