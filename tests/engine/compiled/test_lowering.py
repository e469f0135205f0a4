"""Lowered steps, executed literally in float64, against autograd through the plain loop."""

import sys
from pathlib import Path

import pytest
import torch

from seqloom.cells import registry
from seqloom.engine import reference
from seqloom.engine.backend import measure_lengths
from seqloom.engine.compiled.lowering import lower
from seqloom.engine.contract import NO_NOISE

sys.path.insert(0, str(Path(__file__).parent))
from simulator import simulate
from steps import CELLS, SAME_SIZE

LENGTHS = [2, 5, 0, 1, 5, 4]


def random_cell(cell_class, units=4, **options):
    torch.manual_seed(units)
    cell = cell_class(units if cell_class in SAME_SIZE else 3, units, **options).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return cell


def compare(cell, lengths, turned):
    """The program of a cell against autograd through the loop: outputs, final states and all gradients."""
    batch, time = len(lengths), max(lengths)
    x = torch.randn(batch, time, cell.input_size, dtype=torch.float64, requires_grad=True)
    initial = [torch.randn(batch, n, dtype=torch.float64, requires_grad=True) for n in cell.state_sizes]
    ragged = measure_lengths(torch.tensor(lengths), x)
    cells, states = [cell], [tuple(initial)]
    if turned:
        cells, states = [cell, cell], [tuple(state.detach() for state in initial), tuple(initial)]
    outputs, finals = reference.run(cells, x, ragged, states, NO_NOISE)
    output, final = outputs[..., -cell.state_sizes[0] :], finals[-1]
    d_output, d_finals = torch.randn_like(output), [torch.randn_like(state) for state in final]
    names = [*(name for name in cell.graph.declarations), "x", *(f"initial.{k}" for k in range(len(initial)))]
    tensors = [*(cell.parameter(name) for name in cell.graph.declarations), x, *initial]
    expected = torch.autograd.grad([output, *final], tensors, [d_output, *d_finals], allow_unused=True)
    found = simulate(lower(cell.graph), cell, x.detach(), lengths, initial, d_output, d_finals, turned)
    close("output", found.output, output)
    close("inference", found.inferred, output)
    for k, state in enumerate(final):
        close(f"final {k}", found.finals[k], state)
    for name, tensor, gradient in zip(names, tensors, expected, strict=True):
        close(name, found.gradients[name], torch.zeros_like(tensor) if gradient is None else gradient)


def close(name, found, expected):
    torch.testing.assert_close(found.detach(), expected.detach(), rtol=1e-9, atol=1e-9, msg=lambda m: f"{name}: {m}")


@pytest.mark.parametrize("turned", [False, True], ids=["forward", "turned"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_a_program_computes_what_its_step_says_and_all_gradients(cell, turned):
    compare(random_cell(cell), LENGTHS, turned)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name", registry.names())
def test_registered_cells_are_lowered_to_what_they_compute(name, bias):
    for turned in (False, True):
        compare(random_cell(registry.get(name), bias=bias), LENGTHS, turned)


@pytest.mark.parametrize("cell", [*CELLS, *map(registry.get, registry.names())], ids=lambda cell: cell.__name__)
def test_a_single_unit_and_a_single_step_are_no_exception(cell):
    compare(random_cell(cell, 1), [1, 1], False)
    compare(random_cell(cell, 1), LENGTHS, True)
