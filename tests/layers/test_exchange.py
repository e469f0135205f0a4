"""Equality with torch's own layers, weights exchanged both ways, on packed batches of different lengths."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqloom.engine.contract import NO_NOISE
from seqloom.engine.runtime.backend import BACKENDS
from seqloom.errors import ConfigError
from seqloom.layers.exchange import from_torch, to_torch
from seqloom.layers.recurrent import Recurrent

KINDS = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
    "rnn_relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstmp": lambda *sizes, **options: nn.LSTM(*sizes, proj_size=2, **options),
}


def packed(
    module: nn.Module, x: Tensor, lengths: Tensor, state: tuple[Tensor, ...] | None
) -> tuple[Tensor, list[Tensor]]:
    """What torch's layer does on packed sequences: outputs and states, both batch first."""
    turned = None if state is None else [field.transpose(0, 1).contiguous() for field in state]
    given = turned[0] if turned is not None and len(turned) == 1 else turned
    outputs, final = module(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False), given)
    final = final if isinstance(final, tuple) else (final,)
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
    return padded, [field.transpose(0, 1) for field in final]


@pytest.mark.parametrize("backend", ["reference", "derived", "vendor"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("layers", "bidirectional", "started", "bias"),
    [
        (1, False, False, True),
        (1, True, True, True),
        (2, True, False, False),
        (2, False, True, True),
        (3, True, True, True),
    ],
)
def test_outputs_states_and_gradients_equal_torchs_on_packed_lengths(
    kind, layers, bidirectional, started, bias, backend
):
    torch.manual_seed(layers)
    options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, "batch_first": True}
    module = KINDS[kind](3, 4, **options).double()
    layer = from_torch(module)
    if BACKENDS[backend].limitation(list(layer.cells), NO_NOISE):
        pytest.skip(f"{backend} has no {kind}")
    layer.backend = backend
    x = torch.randn(6, 7, 3, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([3, 7, 1, 5, 7, 2])
    state = tuple(torch.randn_like(field) for field in layer.initial_state(6)) if started else None
    wanted, wanted_state = packed(module, x, lengths, state)
    outputs, final = layer(x, state, lengths)
    torch.testing.assert_close(outputs, wanted, atol=1e-12, rtol=0)
    for found, field in zip(final, wanted_state, strict=True):
        torch.testing.assert_close(found, field, atol=1e-12, rtol=0)
    weight = torch.randn_like(outputs)
    losses = ((outputs * weight).sum() + final[-1].sin().sum(), (wanted * weight).sum() + wanted_state[-1].sin().sum())
    found, wanted = (torch.autograd.grad(loss, x)[0] for loss in losses)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_there_and_back_again(kind, bidirectional):
    module = KINDS[kind](3, 4, num_layers=2, bidirectional=bidirectional, batch_first=True, dropout=0.25)
    back = to_torch(from_torch(module))
    assert (type(back), back.mode, back.batch_first, back.dropout) == (type(module), module.mode, True, 0.25)
    assert back.proj_size == module.proj_size
    x = torch.randn(2, 5, 3)
    torch.testing.assert_close(back.eval()(x)[0], module.eval()(x)[0])


def test_time_first_modules_stay_time_first():
    module = nn.GRU(3, 4)
    x = torch.randn(5, 2, 3)
    outputs, state = from_torch(module)(x)
    torch.testing.assert_close(outputs, module(x)[0])
    torch.testing.assert_close(state.h.transpose(0, 1), module(x)[1])


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: from_torch(nn.Linear(3, 4)), "this is a Linear"),
        (lambda: to_torch(Recurrent("gru_before", 3, 4)), r"torch\.nn has no GRUBefore"),
        (lambda: to_torch(Recurrent("gru", 3, 4, zoneout=0.1)), "have no zoneout=0.1"),
        (lambda: to_torch(Recurrent("gru", 3, 4, bidirectional=True, merge="sum")), "have no merge='sum'"),
    ],
)
def test_what_has_no_counterpart_is_refused(build, says):
    with pytest.raises(ConfigError, match=says):
        build()
