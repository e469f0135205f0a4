"""What people do to torch's layers gives the same on the engine's: values, shapes, types, or an error of the kind."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad, functional
from torch.nn.utils import parameters_to_vector, parametrizations, prune, vector_to_parameters
from torch.utils.checkpoint import checkpoint

import seqloom

CASES = {}


def case(function):
    """A test of a layer of 4 features and 6 units on sequences of some length; returns tensors to compare."""
    CASES[function.__name__] = function
    return function


def gradients(layer, value):
    return torch.autograd.grad(value, list(layer.parameters()), allow_unused=True)


def outputs_and_gradients(layer, steps):
    outputs = layer(torch.randn(steps, 2, 4))[0]
    return outputs, *gradients(layer, outputs.sum())


def begun(layer, *shape):
    state = torch.randn(shape), torch.randn(shape)
    return state if isinstance(layer, nn.LSTM) else state[:1]


def given(state):
    return tuple(state) if len(state) == 2 else state[0]


# Written into: outputs, states, inputs and weights.


@case
def states_overwritten(layer, steps):
    outputs, state = layer(torch.randn(steps, 2, 4))
    last = state[-1] if isinstance(state, tuple) else state
    last.mul_(3)
    return gradients(layer, last.square().sum() + outputs.sum())


@case
def input_overwritten_before_the_gradient(layer, steps):
    x = torch.randn(steps, 2, 4)
    outputs = layer(x)[0]
    x.mul_(2)
    return gradients(layer, outputs.sum())


@case
def weight_overwritten_before_the_gradient(layer, steps):
    outputs = layer(torch.randn(steps, 2, 4))[0]
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2)
    return gradients(layer, outputs.sum())


@case
def transposed_data(layer, steps):
    weight = layer.weight_hh_l0
    weight.data = 0.3 * torch.randn(weight.shape[::-1]).t()
    return outputs_and_gradients(layer, steps)


@case
def every_other_column(layer, steps):
    weight = layer.weight_ih_l0
    weight.data = torch.randn(weight.shape[0], 2 * weight.shape[1])[:, ::2]
    return outputs_and_gradients(layer, steps)


@case
def bias_of_a_column(layer, steps):
    layer.bias_ih_l0.data = torch.randn(len(layer.bias_ih_l0), 2)[:, 1]
    return outputs_and_gradients(layer, steps)


@case
def bias_of_one_number(layer, steps):
    layer.bias_hh_l0.data = torch.randn(1).expand(len(layer.bias_hh_l0))
    return outputs_and_gradients(layer, steps)


@case
def data_exchanged_and_put_back(layer, steps):
    x, old = torch.randn(steps, 2, 4), layer.weight_hh_l0.data
    first = layer(x)[0]
    layer.weight_hh_l0.data = 2 * old
    second = layer(x)[0]
    layer.weight_hh_l0.data = old
    return first, second, layer(x)[0]


@case
def data_of_two_exchanged(layer, steps):
    x, one, other = torch.randn(steps, 2, 4), layer.bias_ih_l0, layer.bias_hh_l0
    first = layer(x)[0]
    one.data, other.data = 3 * other.data, one.data
    return first, layer(x)[0]


@case
def another_parameter(layer, steps):
    layer(torch.randn(steps, 2, 4))
    layer.weight_hh_l0 = nn.Parameter(0.3 * torch.randn_like(layer.weight_hh_l0))
    return outputs_and_gradients(layer, steps)


@case
def tensors_swapped(layer, steps):
    x = torch.randn(steps, 2, 4)
    first = layer(x)[0].detach()
    torch.utils.swap_tensors(layer.weight_hh_l0, nn.Parameter(0.3 * torch.randn_like(layer.weight_hh_l0)))
    return first, layer(x)[0]


@case
def another_storage(layer, steps):
    x = torch.randn(steps, 2, 4)
    first = layer(x)[0]
    with torch.no_grad():
        layer.weight_hh_l0.set_(0.3 * torch.randn(layer.weight_hh_l0.shape))
    return first.detach(), layer(x)[0]


@case
def parameters_from_a_vector(layer, steps):
    vector_to_parameters(1.5 * parameters_to_vector(layer.parameters()), layer.parameters())
    return outputs_and_gradients(layer, steps)


@case
def parameter_of_a_subclass(layer, steps):
    class Special(nn.Parameter):
        pass

    layer.weight_hh_l0 = Special(layer.weight_hh_l0.data.clone())
    return outputs_and_gradients(layer, steps)


@case
def some_parameters_frozen(layer, steps):
    layer.weight_ih_l0.requires_grad_(False)
    outputs = layer(torch.randn(steps, 2, 4))[0]
    return torch.autograd.grad(outputs.sum(), [each for each in layer.parameters() if each.requires_grad])


@case
def all_parameters_frozen(layer, steps):
    layer.requires_grad_(False)
    x = torch.randn(steps, 2, 4, requires_grad=True)
    assert not layer(x.detach())[0].requires_grad
    return torch.autograd.grad(layer(x)[0].sum(), x)


@case
def gradients_clipped_in_place(layer, steps):
    layer(torch.randn(steps, 2, 4))[0].square().sum().backward()
    norm = nn.utils.clip_grad_norm_(layer.parameters(), 0.01, foreach=True)
    return norm, *(each.grad for each in layer.parameters())


@case
def gradients_added_up(layer, steps):
    for _ in range(3):
        layer(torch.randn(steps, 2, 4))[0].square().sum().backward()
    return [each.grad for each in layer.parameters()]


# Derivatives of every kind.


@case
def jacobian_at_once(layer, steps):
    return functional.jacobian(lambda x: layer(x)[0], torch.randn(steps, 1, 4), vectorize=True)


@case
def jacobian_of_the_state_at_once(layer, steps):
    x, state = torch.randn(steps, 1, 4), begun(layer, len(layer.all_weights), 1, 6)
    return functional.jacobian(lambda *fields: layer(x, given(fields))[0], state, vectorize=True)


@case
def many_gradients_at_once(layer, steps):
    x = torch.randn(steps, 1, 4, requires_grad=True)
    outputs = layer(x)[0]
    weights = torch.randn(3, *outputs.shape)
    return torch.autograd.grad(outputs, [x, *layer.parameters()], weights, is_grads_batched=True)


@case
def second_derivatives(layer, steps):
    x = torch.randn(steps, 1, 4, requires_grad=True)
    first = torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)[0]
    return torch.autograd.grad(first.square().sum(), x)


@case
def gradients_twice(layer, steps):
    value = layer(torch.randn(steps, 2, 4))[0].sum()
    return *torch.autograd.grad(value, list(layer.parameters()), retain_graph=True), *gradients(layer, value)


@case
def gradients_twice_of_a_freed_graph(layer, steps):
    value = layer(torch.randn(steps, 2, 4))[0].sum()
    value.backward()
    value.backward()


@case
def gradients_of_a_function_of_parameters(layer, steps):
    x = torch.randn(steps, 2, 4)
    call = torch.func.grad(lambda parameters: torch.func.functional_call(layer, parameters, (x,))[0].sum())
    return list(call(dict(layer.named_parameters())).values())


@case
def other_parameters_for_a_call(layer, steps):
    doubled = {name: 2 * value for name, value in layer.named_parameters()}
    return torch.func.functional_call(layer, doubled, (torch.randn(steps, 2, 4),))[0]


@case
def mapped_over_batches(layer, steps):
    return torch.vmap(lambda x: layer(x)[0])(torch.randn(3, steps, 2, 4))


@case
def gradients_mapped_over_batches(layer, steps):
    return torch.vmap(torch.func.grad(lambda x: layer(x)[0].sum()))(torch.randn(3, steps, 2, 4))


@case
def jacobian_by_reverse_mode(layer, steps):
    return torch.func.jacrev(lambda x: layer(x)[0])(torch.randn(steps, 1, 4))


@case
def tangent_of_a_function(layer, steps):
    x = torch.randn(steps, 1, 4)
    return torch.func.jvp(lambda x: layer(x)[0], (x,), (x.cos(),))


@case
def tangent_of_a_dual_number(layer, steps):
    x = torch.randn(steps, 1, 4)
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(layer(forward_ad.make_dual(x, x.cos()))[0]).tangent


@case
def computed_again(layer, steps):
    x = torch.randn(steps, 2, 4, requires_grad=True)
    return gradients(layer, checkpoint(lambda x: layer(x)[0], x, use_reentrant=False).sum())


@case
def state_handed_on(layer, steps):
    _, state = layer(torch.randn(steps, 2, 4))
    return gradients(layer, layer(torch.randn(steps, 2, 4), state)[0].sum())


# Weights that are made, hooks, copies.


@case
def orthogonal_weights(layer, steps):
    parametrizations.orthogonal(layer, "weight_hh_l0")
    return outputs_and_gradients(layer, steps)


@case
def pruned(layer, steps):
    prune.l1_unstructured(layer, "weight_hh_l0", 0.5)
    return outputs_and_gradients(layer, steps)


@case
def hooks_called(layer, steps):
    calls = []
    for parameter in layer.parameters():
        parameter.register_hook(lambda gradient: calls.append(1))
        parameter.register_post_accumulate_grad_hook(lambda parameter: calls.append(10))
    layer.register_forward_hook(lambda *arguments: calls.append(100))
    layer.register_full_backward_hook(lambda *arguments: calls.append(1000))
    layer(torch.randn(steps, 2, 4, requires_grad=True))[0].sum().backward()
    return torch.tensor(float(sum(calls)))


@case
def copied(layer, steps):
    return outputs_and_gradients(copy.deepcopy(layer), steps)


@case
def pickled(layer, steps):
    return outputs_and_gradients(pickle.loads(pickle.dumps(layer)), steps)


@case
def traced(layer, steps):
    x = torch.randn(steps, 2, 4)
    return torch.jit.trace(layer, (x,))(x)[0]


@case
def exported(layer, steps):
    x = torch.randn(steps, 2, 4)
    return torch.export.export(layer, (x,)).module()(x)[0]


# Inputs.


@case
def batch_of_none(layer, steps):
    return layer(torch.randn(steps, 0, 4))[0]


@case
def batch_first_in_memory(layer, steps):
    return layer(torch.randn(2, steps, 4).transpose(0, 1))[0]


@case
def one_step_repeated(layer, steps):
    x = torch.randn(1, 1, 4, requires_grad=True)
    return torch.autograd.grad(layer(x.expand(steps, 2, 4))[0].sum(), x)


@case
def steps_that_overlap(layer, steps):
    return layer(torch.randn(steps + 3).as_strided((steps, 1, 4), (1, 1, 1)))[0]


@case
def negated_when_read(layer, steps):
    return layer(torch.randn(steps, 2, 4, dtype=torch.complex64).conj().imag)[0]


@case
def not_a_number(layer, steps):
    x = torch.randn(steps, 2, 4)
    x[0, 0] = float("nan")
    return layer(x)[0].nan_to_num(7.0)


@case
def double_precision(layer, steps):
    layer.double()
    outputs = layer(torch.randn(steps, 2, 4).double())[0]
    return outputs, *gradients(layer, outputs.sum())


@case
def another_precision_than_the_layers(layer, steps):
    return layer(torch.randn(steps, 2, 4).double())[0]


@case
def whole_numbers(layer, steps):
    return layer(torch.ones(steps, 2, 4, dtype=torch.int64))[0]


@case
def too_many_features(layer, steps):
    return layer(torch.randn(steps, 2, 5))[0]


@case
def too_many_dimensions(layer, steps):
    return layer(torch.randn(steps, 2, 4, 4))[0]


def tensors(values):
    if isinstance(values, torch.Tensor):
        yield values
    else:
        for value in values:
            yield from tensors(value)


def result(test, layer, steps):
    torch.manual_seed(2)
    try:
        return list(tensors(test(layer, steps)))
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("steps", "options"), [(4, {}), (5, {"num_layers": 2, "bidirectional": True}), (40, {})], ids=str
)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")
def test_what_torch_does(name, kind, steps, options):
    torch.manual_seed(1)
    layer = getattr(nn, kind)(4, 6, **options)
    wanted, found = (result(CASES[name], each, steps) for each in (layer, seqloom.accelerate(copy.deepcopy(layer))))
    if isinstance(wanted, Exception):
        assert type(found) is type(wanted), found
        return
    assert not isinstance(found, Exception), found
    torch.testing.assert_close(found, wanted, atol=3e-5, rtol=3e-5)


@pytest.mark.parametrize("kind", ["RNN", "GRU"])
@pytest.mark.parametrize("steps", [4, 5, 40])
@pytest.mark.parametrize("write", [lambda o: o.mul_(2), lambda o: o[1:2].zero_(), lambda o: o.__setitem__(0, 0.0)])
def test_outputs_that_are_overwritten_have_their_gradients(kind, steps, write):
    torch.manual_seed(0)
    layer, x = getattr(nn, kind)(4, 6), torch.randn(steps, 2, 4)
    found = []
    for each in (layer, seqloom.accelerate(copy.deepcopy(layer))):
        outputs = each(x)[0]
        write(outputs)
        found.append(gradients(each, outputs.square().sum()))
    torch.testing.assert_close(found[1], found[0], atol=3e-5, rtol=3e-5)


@pytest.mark.parametrize("steps", [5, 40])
def test_outputs_of_an_lstm_may_be_overwritten_where_the_engine_runs_it(steps):
    """As of the other kinds; torch's own LSTM refuses it."""
    layer, x = nn.LSTM(4, 6), torch.randn(steps, 2, 4)
    wanted = gradients(layer, (2 * layer(x)[0]).square().sum())
    seqloom.accelerate(layer)
    outputs = layer(x)[0]
    outputs.mul_(2)
    torch.testing.assert_close(gradients(layer, outputs.square().sum()), wanted, atol=3e-5, rtol=3e-5)
