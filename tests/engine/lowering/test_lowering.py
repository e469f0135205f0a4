"""Lowered steps, executed literally in float64, against autograd through the plain loop."""

import copy
from dataclasses import replace

import pytest
import torch

from seqloom.cells import Cell, registry
from seqloom.engine.contract import NO_NOISE
from seqloom.engine.lowering.form import Kind, LinearBlock, Op, Operand, WeightGradient
from seqloom.engine.lowering.lowering import Unlowerable, describe, lower
from seqloom.engine.operations import split, tanh
from seqloom.engine.runtime import reference
from seqloom.engine.runtime.backend import measure_lengths

from .random_steps import RandomStep
from .simulator import simulate
from .steps import CELLS, SAME_SIZE, DeepTransition

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
    sizes = zip(cell.state, cell.state_sizes, strict=True)
    initial = [_state(batch, size, name in cell.positive) for name, size in sizes]
    ragged = measure_lengths(torch.tensor(lengths), x)
    cells, states = [cell], [tuple(initial)]
    if turned:
        cells, states = [cell, cell], [tuple(state.detach() for state in initial), tuple(initial)]
    parameters = {name: cell.parameter(name).detach().requires_grad_() for name in cell.graph.declarations}
    with cell.replaced_parameters(parameters):  # as they act, whatever they are computed from
        outputs, finals = reference.run(cells, x, ragged, states, NO_NOISE)
    output, final = outputs[..., -cell.state_sizes[0] :], finals[-1]
    d_output, d_finals = torch.randn_like(output), [torch.randn_like(state) for state in final]
    names = [*parameters, "x", *(f"initial.{k}" for k in range(len(initial)))]
    tensors = [*parameters.values(), x, *initial]
    expected = torch.autograd.grad([output, *final], tensors, [d_output, *d_finals], allow_unused=True)
    found = simulate(lower(cell.graph), cell, x.detach(), lengths, initial, d_output, d_finals, turned)
    close("output", found.output, output)
    close("inference", found.inferred, output)
    for k, state in enumerate(final):
        close(f"final {k}", found.finals[k], state)
    for name, tensor, gradient in zip(names, tensors, expected, strict=True):
        close(name, found.gradients[name], torch.zeros_like(tensor) if gradient is None else gradient)


def _state(batch, size, positive):
    drawn = torch.randn(batch, size, dtype=torch.float64)
    return (drawn.abs() + 0.5 if positive else drawn).requires_grad_()


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


@pytest.mark.parametrize("seed", range(60))
def test_steps_that_nobody_thought_of_are_lowered_too(seed):
    torch.manual_seed(seed)
    units = [4, 3, 1][seed % 3]
    cell = RandomStep([2, units][seed % 2], units, seed=seed).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    compare(cell, LENGTHS, turned=seed % 2 == 0)


@pytest.mark.parametrize("seed", range(60))
def test_steps_of_odd_words_are_lowered_too(seed):
    torch.manual_seed(seed)
    units = [4, 3, 1][seed % 3]
    cell = RandomStep([2, units][seed % 2], units, seed=seed, odd=True).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    compare(cell, LENGTHS, turned=seed % 2 == 0)


def built(name, units=4):
    return lower(registry.get(name)(3, units).graph)


def test_an_lstm_keeps_its_gates_where_its_input_product_was_and_nothing_else():
    program = built("lstm")
    assert program.linear == (LinearBlock("weight_ifgo_x", ("bias_ifgo",), 0, 16),)
    assert [array.kept for array in program.arrays] == [True] * 4
    assert sorted(array.linear for array in program.arrays) == [0, 4, 8, 12]
    assert (program.gradient, program.linear_gradient) == (16, 0)
    assert program.weight_gradients == (WeightGradient(0, 0, 16, 0, Operand(Kind.STATE)),)


def test_a_gru_shares_the_gradients_of_its_gates():
    program = built("gru")
    assert (program.gradient, program.linear_gradient) == (16, 4)
    source = program.backward[0].products[0]
    assert (source.source.offset, source.length) == (0, 12)
    names = [program.matrices[segment.matrix][0] for segment in source.gates[0]]
    assert names == ["weight_recurrent_h", "weight_rz_h"]
    assert sum(array.kept for array in program.arrays) == 4
    before = built("gru_before")
    assert (before.gradient, before.linear_gradient) == (12, 0)


def test_a_product_waits_for_what_it_multiplies_and_for_nothing_else():
    stages = {
        name: [len(passes) for passes in (p.forward, p.backward)] for name in registry.names() for p in [built(name)]
    }
    assert stages["lstm"] == stages["gru"] == stages["rnn"] == [1, 1]
    assert stages["gru_before"] == [2, 2]
    assert len(lower(DeepTransition(3, 4).graph).forward) == 3


@pytest.mark.parametrize("cell", [*CELLS, *map(registry.get, registry.names())], ids=lambda cell: cell.__name__)
def test_inference_stores_nothing_that_no_later_stage_reads(cell):
    stages = lower(random_cell(cell).graph).inference
    for position, stage in enumerate(stages):
        stored = {stage.operands[i.a] for i in stage.code if i.op in (Op.STORE, Op.SUM_UNITS)}
        later = [(s, 1) for after in stages[position + 1 :] for s in after.operands]
        later += [(p.source, p.length) for after in stages[position + 1 :] for p in after.products]
        for operand in stored:
            same = [(s.offset, length) for s, length in later if (s.kind, s.index) == (operand.kind, operand.index)]
            read = any(offset <= operand.offset < offset + length for offset, length in same)
            assert read or operand.kind is Kind.NEW_STATE, operand


def test_a_program_is_made_once_for_all_cells_that_share_a_graph():
    cell = registry.get("lstm")(3, 4)
    assert lower(cell.graph) is lower(copy.deepcopy(cell).graph)


class CutTooFine(Cell):
    def step(self, x, h):
        parts = split(self.affine(x, h, name="a", size=80), 80)
        return tanh(parts[0] * h + parts[79])


class TooManyGates(Cell):
    def step(self, x, h):
        gates = [f"g{number}" for number in range(70)]
        return tanh(sum(self.matvec(h, name=gate) * (number + 1) for number, gate in enumerate(gates)))


class TooDeep(Cell):
    def step(self, x, h):
        for number in range(260):
            h = tanh(self.matvec(h, name=f"u{number}"))
        return h


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (CutTooFine, "cut in 80 pieces, more than 64"),
        (TooManyGates, "70 accumulators, more than 64"),
        (TooDeep, "260 stages, more than 256"),
    ],
)
def test_what_does_not_fit_the_machine_is_refused_with_a_reason(cell, reason):
    graph = cell(3, 4).graph
    for _ in range(2):
        with pytest.raises(Unlowerable, match=reason):
            lower(graph)


def test_a_description_says_what_a_step_costs():
    lines = describe(built("gru_before"))
    assert lines[0] == "before the steps: weight_rz_x x + bias_rz (8 columns); weight_n_x x + bias_n (4 columns)"
    assert lines[1] == "forward: 2 stages"
    assert lines[-1] == "gradients: 12 columns per row and step, 0..11 those of the input product"
    for cell in CELLS:
        assert all(describe(lower(random_cell(cell).graph)))


def with_stages(change):
    """Damage to the stages of each pass."""
    return lambda program: replace(
        program, **{name: change(getattr(program, name)) for name in ("forward", "inference", "backward")}
    )


def exchanged_gates(stages):
    products = [tuple(replace(p, gates=p.gates[::-1]) for p in stage.products) for stage in stages]
    return tuple(replace(stage, products=changed) for stage, changed in zip(stages, products, strict=True))


def overwritten_early(program):
    """Arrays lie over columns of the input product that a later stage still reads."""
    width = program.linear_width
    return replace(
        program, arrays=tuple(a if a.linear < 0 else replace(a, linear=width - 4 - a.linear) for a in program.arrays)
    )


DAMAGES = {
    "stages in the wrong order": ("gru_before", with_stages(lambda stages: stages[::-1])),
    "a stage left out": ("gru_before", with_stages(lambda stages: stages[1:])),
    "gates exchanged": ("lstm", with_stages(exchanged_gates)),
    "memory used again too early": ("gru_before", overwritten_early),
    "no weight gradient": ("rnn", lambda program: replace(program, weight_gradients=())),
    "no gradient of the initial state": ("rnn", lambda program: replace(program, initial_gradients=((),))),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_the_oracle_rejects_a_damaged_program(what, monkeypatch):
    name, damage = DAMAGES[what]
    cell = random_cell(registry.get(name))
    compare(cell, LENGTHS, turned=False)
    monkeypatch.setitem(cell.graph.lowered, "kernel", damage(lower(cell.graph)))
    with pytest.raises(AssertionError):
        compare(cell, LENGTHS, turned=False)
