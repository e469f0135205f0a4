"""On small integers every sum is exact in float32, so that nothing but equality will do."""

import pytest
import torch

from .cells import EXACT
from .configurations import SIZES, Configuration, Data, build_layer
from .judge import limitation

CELLS = (*EXACT, "rnn_relu")
BATCHES, LARGEST = (1, 2, 5, 9, 17, 33), 2**24


def integers(generator, *shape, limit=3):
    return torch.randint(-limit, limit + 1, shape, generator=generator).float()


def sparse(generator, rows, columns):
    """A matrix with three units of size one in each row, so that no state explodes."""
    matrix = torch.zeros(rows, columns)
    places = torch.randint(columns, (rows, min(3, columns)), generator=generator)
    return matrix.scatter_(1, places, torch.randint(0, 2, places.shape, generator=generator) * 2.0 - 1)


def problem(cell, hidden_size, seed):
    generator = torch.Generator().manual_seed(seed)
    batch, features = BATCHES[seed % len(BATCHES)], 1 + seed * 7 % 37
    lengths = ("none", "zeros", "random")[seed % 3]
    configuration = Configuration(
        cell, features, hidden_size, batch, 5, bidirectional=seed % 2 == 0, lengths=lengths, seed=seed
    )
    layer = build_layer(configuration)
    parameters = {
        name: sparse(generator, *value.shape) if value.dim() == 2 else integers(generator, *value.shape, limit=1)
        for name, value in layer.named_parameters()
    }
    state = layer.initial_state(batch)
    given = {
        "x": integers(generator, batch, 5, features),
        **{
            f"state.{name}": integers(generator, *field.shape) for name, field in zip(state._fields, state, strict=True)
        },
    }
    gradients = [integers(generator, batch, 5, layer.output_size), *(integers(generator, *f.shape) for f in state)]
    return configuration, parameters, given, gradients, Data.of(configuration).lengths


def answer(problem, backend, dtype):
    configuration, parameters, given, gradients, lengths = problem
    layer = build_layer(configuration, backend).to(dtype)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(parameters[name])
    x, *state = (value.to(dtype, copy=True).requires_grad_() for value in given.values())
    results = dict(zip(("outputs", *layer.cells[0].state), _flat(layer(x, state, lengths)), strict=True))
    pairs = [(r, g.to(dtype)) for r, g in zip(results.values(), gradients, strict=True) if r.requires_grad]
    torch.autograd.backward([result for result, _ in pairs], [gradient for _, gradient in pairs])
    leaves = {**dict(layer.named_parameters()), **dict(zip(given, (x, *state), strict=True))}
    found = {name: value.detach() for name, value in results.items()}
    zero = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    return found | {f"d {n}": zero[n] if leaf.grad is None else leaf.grad for n, leaf in leaves.items()}


def _flat(result):
    return [result[0], *result[1]]


@pytest.mark.parametrize("cell", CELLS)
def test_integers_are_bit_for_bit_right(cell, backend):
    if limitation(backend, Configuration(cell, 2, 2, 1, 1)):
        pytest.skip(f"the {backend} backend refuses the cell")
    for seed, hidden_size in enumerate(SIZES):
        asked = problem(cell, hidden_size, seed)
        right, found = answer(asked, "reference", torch.float64), answer(asked, backend, torch.float32)
        assert max(float(value.abs().max()) for value in right.values()) < LARGEST, "no longer exact in float32"
        for name, value in right.items():
            wrong = (found[name].double() != value).nonzero().tolist()
            assert not wrong, f"{asked[0]!r} on {backend}: {name} is wrong at {wrong[:8]} ({len(wrong)} places)"
            assert found[name].dtype == torch.float32
