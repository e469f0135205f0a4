"""More cases of PyTorch's own tests (test/test_nn.py), told anew: gradients, and weights that are tied, moved or normed."""

import gc
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

import seqloom.nn

KINDS = ["RNN", "LSTM", "GRU"]


def layer(kind, *arguments, **options):
    return getattr(seqloom.nn, kind)(*arguments, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives_are_the_finite_differences(kind):
    """test_LSTM_grad_and_gradgrad, test_GRU_grad_and_gradgrad"""
    for batch_first in (False, True):
        module = layer(kind, 2, 3, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
        x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
        parameters = list(module.parameters())

        def outputs(x, *weights, module=module):
            return module(x)[0]

        assert gradcheck(outputs, (x, *parameters), fast_mode=True)
        assert gradgradcheck(outputs, (x, *parameters), fast_mode=True)


def test_second_derivatives_of_a_deep_lstm():
    """test_LSTM_differentiable_backward_using_oneDNN"""
    module = layer("LSTM", 3, 3, 20, batch_first=True)
    x = torch.rand(10, 12, 3, requires_grad=True)
    outputs, _ = module(x)
    (gradient,) = torch.autograd.grad(outputs.sum(), x, create_graph=True)
    gradient.sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_can_be_gone_back_twice(kind):
    """test_rnn_retain_variables"""
    module = layer(kind, 10, 20, num_layers=2, dtype=torch.float64)
    x = torch.randn(5, 6, 10, dtype=torch.float64, requires_grad=True)
    outputs, found = module(x)[0], []
    for retain in (True, True, False):
        x.grad, found = None, [*found]
        module.zero_grad()
        outputs.sum().backward(retain_graph=retain)
        found.append([x.grad.clone(), *(parameter.grad.clone() for parameter in module.parameters())])
    for again in found[1:]:
        torch.testing.assert_close(again, found[0], atol=0, rtol=0)


def test_tied_weights_stay_tied():
    """test_cudnn_weight_tying, on a CPU"""
    module = layer("LSTM", 6, 6, batch_first=True, bidirectional=True)
    module.weight_ih_l0_reverse, module.weight_hh_l0_reverse = module.weight_ih_l0, module.weight_hh_l0
    module.bias_ih_l0_reverse, module.bias_hh_l0_reverse = module.bias_ih_l0, module.bias_hh_l0
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    assert len(list(module.parameters())) == 4
    for _ in range(2):
        outputs, _ = module(torch.randn(3, 6, 6))
        optimiser.zero_grad()
        outputs.sum().backward()
        optimiser.step()
    weights = module.all_weights
    assert all(forward is backward for forward, backward in zip(*weights, strict=True))


def test_a_layer_with_a_weight_taken_out_and_put_back_works():
    """test_partial_flat_weights"""
    module, x = layer("LSTM", 10, 6), torch.randn(3, 2, 10)
    wanted = module(x)[0]
    weight = module.weight_ih_l0
    del module.weight_ih_l0
    assert not hasattr(module, "weight_ih_l0")
    module.float()
    module.weight_ih_l0 = weight.detach().clone()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module.flatten_parameters()
        torch.testing.assert_close(module(x)[0], wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_weight_norm_acts_and_comes_off(kind):
    """test_weight_norm, with a recurrent layer"""
    module, x = layer(kind, 3, 4), torch.randn(5, 2, 3)
    wanted = module(x)[0]
    for norm in (nn.utils.weight_norm, nn.utils.parametrizations.weight_norm):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            norm(module, name="weight_hh_l0")
        torch.testing.assert_close(module(x)[0], wanted)
        with torch.no_grad():
            dict(module.named_parameters())[
                "weight_hh_l0_g" if norm is nn.utils.weight_norm else "parametrizations.weight_hh_l0.original0"
            ].mul_(2.0)
        assert not torch.allclose(module(x)[0], wanted)
        module(x)[0].sum().backward()
        with torch.no_grad():
            wanted = module(x)[0]
        if norm is nn.utils.weight_norm:
            nn.utils.remove_weight_norm(module, name="weight_hh_l0")
        else:
            nn.utils.parametrize.remove_parametrizations(module, "weight_hh_l0")
        torch.testing.assert_close(module(x)[0].detach(), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_that_nobody_holds_goes(kind):
    """the layers' weak references to their own weights must not be lost, nor hold them"""
    module = layer(kind, 3, 4)
    module(torch.zeros(2, 1, 3))[0].sum().backward()
    witness = weakref.ref(module.weight_ih_l0)
    del module
    gc.collect()
    assert witness() is None
