"""What the compiled kernels and the Python around them must say alike."""

from typing import get_args

import pytest
import torch

from seqloom.engine.lowering import code, form, lowering
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime import native, packed
from seqloom.engine.runtime.loaded import Inputs, LoadedProgram
from seqloom.engine.runtime.sequence import run_forward

pytestmark = pytest.mark.skipif(not native.available(), reason="the compiled kernels are missing")


def test_both_languages_enumerate_alike():
    found = {
        enumeration.__name__: {member.name.lower(): member.value for member in enumeration}
        for enumeration in (form.Op, form.Kind, form.Pass)
    }
    found["Weights"] = {name: number for number, name in enumerate(get_args(packed.Weights))}
    assert found == native.kernels().enumerations()


def test_lowering_keeps_to_what_the_kernels_read():
    assert native.kernels().limits() == {
        "version": form.VERSION,
        "columns": lowering._MOST_COLUMNS,
        "stages": lowering._MOST,
        "entries": lowering._MOST,
        "accumulators": code._MOST_ACCUMULATORS,
        "instructions": code._MOST_INSTRUCTIONS,
        "threads": 64,
    }
    assert lowering._MOST == code._MOST_OPERANDS


def test_a_direction_that_does_not_fit_its_program_is_refused():
    kernels = native.kernels()
    program = native.load(form.KernelProgram((3,), (), -1, (), (), (), (), (), 0, (), (), (), (), (), ()))
    here = kernels.Place(torch.zeros(1, 3))
    direction = kernels.Direction(turned=False, linear=here, rows=[], vectors=[], matrices=[], states=[], arrays=[])
    rows = kernels.Batch(time=1, rows=1)
    with pytest.raises(ValueError, match="states has 0 entries; the program expects 1"):
        program.run(which=form.Pass.FORWARD.value, batch=rows, features=0, directions=[direction], threads=1)
    with pytest.raises(ValueError, match="no such pass"):
        program.run(which=3, batch=rows, features=0, directions=[], threads=1)


def test_a_number_that_is_read_for_all_units_and_stored_leaves_its_neighbours_alone(monkeypatch):
    monkeypatch.setenv("SEQLOOM_COMPILE", "0")
    where = (form.Operand(form.Kind.NEW_STATE),)
    five = (form.Instruction(form.Op.CONSTANT, value=5.0), form.Instruction(form.Op.STORE, 0, 0))
    one_more = (
        form.Instruction(form.Op.LOAD_ROW, 0),
        form.Instruction(form.Op.CONSTANT, value=1.0),
        form.Instruction(form.Op.ADD, 0, 1),
        form.Instruction(form.Op.STORE, 0, 2),
    )
    stages = (form.Stage(3, (), where, five), form.Stage(1, (), where, one_more))
    program = form.KernelProgram((3,), (), -1, (), (), (), (), (), 0, (), (), (), stages, stages, ())
    inputs = Inputs(torch.zeros(4, 1), torch.zeros(0, 1), None, [], [], [], [])
    output, *_ = run_forward(LoadedProgram.of(program), PackedRows(2, 2), inputs, directions=1, save=False, threads=1)
    assert output.tolist() == [[6.0, 5.0, 5.0]] * 4
