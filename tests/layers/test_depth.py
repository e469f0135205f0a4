"""Networks before and behind a layer, against the layer and the network by hand."""

import pytest
import torch
from torch.nn import functional as F

from seqloom.errors import ConfigError
from seqloom.layers.depth import DeepInput, DeepOutput
from seqloom.layers.dilated import Dilated
from seqloom.layers.recurrent import Recurrent

LENGTHS = torch.tensor([6, 2, 0])
PADDING = torch.arange(6) >= LENGTHS[:, None]
LAYERS = {
    "recurrent": lambda: Recurrent("lstm", 4, 5),
    "dilated": lambda: Dilated("gru", 4, 5, dilations=[2, 3]),
}


def sequences():
    torch.manual_seed(2)
    return torch.randn(3, 6, 3, dtype=torch.float64)


def wrapped(name, activation="tanh"):
    torch.manual_seed(1)
    layer = LAYERS[name]()
    before = DeepInput(layer, 3, [7], activation=activation)
    return layer, before, DeepOutput(before, 2, [6], activation=activation).double()


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_networks_are_applied_to_each_step_and_nothing_is_left_in_the_padding(name, activation):
    layer, before, deep = wrapped(name, activation)
    bend = {"tanh": torch.tanh, "relu": F.relu, "gelu": F.gelu}[activation]
    given = sequences().masked_fill(PADDING.unsqueeze(-1), 1e3).requires_grad_()
    outputs, state = deep(given, lengths=LENGTHS)
    first, second = before.network.layers
    inner, final = layer(bend(second(bend(first(sequences())))), lengths=LENGTHS)
    first, last = deep.network.layers
    wanted = last(bend(first(inner))).masked_fill(PADDING.unsqueeze(-1), 0.0)
    torch.testing.assert_close(outputs, wanted, atol=1e-14, rtol=0)
    torch.testing.assert_close(tuple(state), tuple(final), atol=1e-14, rtol=0)
    assert not torch.autograd.grad(outputs.sum(), given)[0][PADDING].any()


@pytest.mark.parametrize("name", LAYERS)
def test_chunks_and_steps_give_the_whole(name):
    _, _, deep = wrapped(name)
    x = sequences()
    wanted, final = deep(x)
    first, state = deep(x[:, :4], deep.initial_state(3))
    second, state = deep(x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(tuple(state), tuple(final), atol=1e-12, rtol=0)
    outputs, state = [], None
    for t in range(6):
        output, state = deep.step(x[:, t], state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, 1), wanted, atol=1e-12, rtol=0)


def test_an_output_without_hidden_layers_is_linear_and_an_input_never_is():
    layer = Recurrent("rnn", 4, 5)
    assert (len(DeepOutput(layer, 2).network.layers), DeepOutput(layer, 2).network.bent) == (1, 0)
    assert (len(DeepInput(layer, 3).network.layers), DeepInput(layer, 3).network.bent) == (1, 1)


def test_dropout_rests_in_evaluation():
    deep = DeepInput(Recurrent("rnn", 4, 5), 3, dropout=0.5).double()
    x = sequences()
    assert not torch.equal(deep(x)[0], deep(x)[0])
    deep.eval()
    assert torch.equal(deep(x)[0], deep(x)[0])


def test_what_cannot_be_wrapped_is_refused():
    with pytest.raises(ConfigError, match="takes a batch-first layer"):
        DeepInput(Recurrent("rnn", 4, 5, batch_first=False), 3)
    with pytest.raises(ConfigError, match="activation is 'sine'; expected 'tanh', 'relu' or 'gelu'"):
        DeepOutput(Recurrent("rnn", 4, 5), 3, activation="sine")
    with pytest.raises(ConfigError, match=r"sizes\[0\] is 0"):
        DeepOutput(Recurrent("rnn", 4, 5), 3, [0])
    with pytest.raises(ValueError, match=r"expected .B, T, D. with D = 3 features"):
        DeepInput(Recurrent("rnn", 4, 5), 3)(torch.zeros(1, 2, 4))
