"""However input, states, weights and saved tensors lie in memory, every cell gives the numbers of contiguous ones."""

import copy

import pytest
import torch
from torch import nn

from seqloom import Recurrent
from seqloom.cells import registry

FEATURES, UNITS, STEPS = 5, 4, 4
ROWS = (3, 17)  # from sixteen on the kernels read the input's weights and biases themselves
LAYOUTS = {
    "columns of a wider tensor": lambda t: _column(t),
    "transposed": lambda t: t.movedim(-1, 0).contiguous().movedim(0, -1),
    "inside another": lambda t: _inside(t),
    "every other": lambda t: torch.stack([t, torch.full_like(t, torch.nan)], 0)[0] if not t.dim() else _every_other(t),
    "negated": lambda t: torch._neg_view(-t),
}


def _column(tensor):
    wide = torch.full((*tensor.shape, 2), torch.nan)
    wide[..., 0] = tensor
    return wide[..., 0]


def _inside(tensor):
    wide = torch.full([size + 2 for size in tensor.shape], torch.nan)
    inner = wide[tuple(slice(1, -1) for _ in tensor.shape)]
    inner.copy_(tensor)
    return inner


def _every_other(tensor):
    wide = torch.full((2 * tensor.shape[0], *tensor.shape[1:]), torch.nan)
    wide[::2] = tensor
    return wide[::2]


def _expanded(tensor):
    """The first entry everywhere, in the memory of one."""
    return tensor.detach().flatten()[:1].clone().expand(tensor.numel()).view(tensor.shape)


def layer_of(name):
    torch.manual_seed(7)
    layer = Recurrent(name, FEATURES, UNITS, bidirectional=True, backend="cpu")
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.6, 0.6)
    return layer


def laid_out(layer, lay, wanted=lambda name: True):
    """A copy whose stored weights lie in memory as ``lay`` says."""
    other = copy.deepcopy(layer)
    for cell in other.cells:
        for name, parameter in list(cell.named_parameters(recurse=False)):
            if wanted(name):
                setattr(cell, name, nn.Parameter(lay(parameter.detach())))
    return other


def given(layer, rows):
    torch.manual_seed(rows)
    x, zeros = torch.randn(rows, STEPS, FEATURES), layer.initial_state(rows)
    state = [
        torch.rand_like(field) + (0.5 if name in layer.first_cell.positive else -0.5)
        for name, field in zip(zeros._fields, zeros, strict=True)
    ]
    return x, state


def outcome(layer, x, state, lengths=None):
    with torch.no_grad():
        plain = layer(x, state, lengths)
    leaves = [x.detach().requires_grad_(), *(field.detach().requires_grad_() for field in state)]
    outputs, final = layer(leaves[0], leaves[1:], lengths)
    loss = outputs.sin().sum() + sum(field.cos().sum() for field in final)
    gradients = torch.autograd.grad(loss, [*leaves, *layer.parameters()], materialize_grads=True)
    return [plain[0], *plain[1], outputs, *final, *gradients]


def near(found, wanted):
    for left, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", registry.names())
def test_layers_read_any_layout(name, layout):
    layer, lay = layer_of(name), LAYOUTS[layout]
    strided = laid_out(layer, lay)
    for rows in ROWS:
        x, state = given(layer, rows)
        wanted = outcome(layer, x, state)
        near(outcome(strided, lay(x), [lay(field) for field in state]), wanted)
        near(outcome(layer, lay(x), [lay(field) for field in state]), wanted)
    lengths = torch.arange(rows) % (STEPS + 1)
    near(
        outcome(strided, lay(x), [lay(field) for field in state], lay(lengths.float()).long()),
        outcome(layer, x, state, lengths),
    )


@pytest.mark.parametrize("name", registry.names())
def test_expanded_weights_are_read_as_they_are(name):
    layer = layer_of(name)
    for kind in ("weight", "bias", "vector"):
        if not any(part.startswith(kind) for part in dict(layer.cells[0].named_parameters())):
            continue
        dense = laid_out(layer, lambda t: _expanded(t).contiguous(), lambda part, kind=kind: part.startswith(kind))
        strided = laid_out(layer, _expanded, lambda part, kind=kind: part.startswith(kind))
        for rows in ROWS:
            x, state = given(layer, rows)
            near(outcome(strided, _expanded(x), state), outcome(dense, _expanded(x).contiguous(), state))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", registry.names())
def test_streams_read_any_layout(name, layout):
    lay = LAYOUTS[layout]
    torch.manual_seed(7)
    layer = Recurrent(name, FEATURES, UNITS).eval()
    for rows in (1, *ROWS):
        x, state = given(layer, rows)
        with torch.no_grad():
            wanted, final = layer(x, state)
        for weights in ("float32", "int8"):
            dense = layer.stream(rows, weights=weights, state=state)
            stream = laid_out(layer, lay).stream(rows, weights=weights, state=[lay(field) for field in state])
            found = torch.cat([stream.step(lay(x[:, 0])).unsqueeze(1), stream.push(lay(x[:, 1:]))], 1)
            right = torch.cat([dense.step(x[:, 0].contiguous()).unsqueeze(1), dense.push(x[:, 1:])], 1)
            near([found, *stream.state], [right, *dense.state])
            if weights == "float32":
                near([found, *stream.state], [wanted, *final])


@pytest.mark.parametrize("name", registry.names())
def test_saved_tensors_may_come_back_otherwise(name):
    layer = layer_of(name)
    x, state = given(layer, ROWS[1])
    wanted = outcome(layer, x, state)
    for lay in LAYOUTS.values():

        def unpack(t, lay=lay):
            # What torch's own layer_norm saves of each row it reads as contiguous, whatever comes back.
            return lay(t) if t.is_floating_point() and t.dim() and t.shape[-1] > 1 else t

        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().clone(), unpack):
            near(outcome(layer, x, state), wanted)
