"""Emitted functions, compiled for every instruction set that this machine has, beside a plain evaluation in float64."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqloom import cells
from seqloom.engine.codegen import libraries, toolchain
from seqloom.engine.codegen.built_in import built_in_programs, built_in_source
from seqloom.engine.codegen.emit import code_key, epilogue_source
from seqloom.engine.lowering.form import Instruction, Kind, Op, Operand, Stage
from seqloom.engine.lowering.lowering import lower

LANES = {"portable": 4, "avx2": 8, "avx512": 16}
CAPABLE = {"portable": ("DEFAULT", "AVX2", "AVX512"), "avx2": ("AVX2", "AVX512"), "avx512": ("AVX512",)}


def stage(*code: Instruction) -> Stage:
    """The code alone; where its operands lie is no matter here."""
    operands = {i.a for i in code if i.op in (Op.LOAD, Op.LOAD_ROW, Op.STORE, Op.ADD_ROWS, Op.SUM_UNITS)}
    return Stage(8, (), (Operand(Kind.STATE),) * (max(operands) + 1), code)


def every_operation() -> Stage:
    """One store for each operation on three loads, accumulators, a row's number and a constant."""
    leaves = [Instruction(Op.LOAD, 0), Instruction(Op.LOAD, 1), Instruction(Op.ACCUMULATOR, 1)]
    leaves += [Instruction(Op.LOAD_ROW, 2), Instruction(Op.CONSTANT, value=-0.3), Instruction(Op.ABS, 1)]
    unary = [Op.NEG, Op.SIGMOID, Op.TANH, Op.RELU, Op.EXP, Op.SOFTPLUS, Op.SIGN]
    binary = [Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.MINIMUM, Op.MAXIMUM, Op.LESS, Op.LESS_EQUAL, Op.EQUAL]
    values = [Instruction(op, 0) for op in unary] + [Instruction(op, 5) for op in (Op.LOG, Op.SQRT, Op.RECIPROCAL)]
    values += [Instruction(op, 2, other) for op in binary for other in (1, 3, 4)]
    condition = len(leaves) + len(values)
    values += [Instruction(Op.LESS, 0, 3), Instruction(Op.WHERE, condition, 0, 2)]
    code = leaves + values
    stored = range(5, len(code))
    return stage(*code, *(Instruction(Op.STORE, 3 + place, value) for place, value in enumerate(stored)))


def sums_of_rows_and_units() -> Stage:
    """What layer normalisation is made of."""
    return stage(
        Instruction(Op.LOAD, 0),
        Instruction(Op.LOAD_ROW, 1),
        Instruction(Op.CONSTANT, value=0.125),
        Instruction(Op.MUL, 1, 2),  # once per row
        Instruction(Op.SUB, 0, 3),
        Instruction(Op.MUL, 4, 4),
        Instruction(Op.SUM_UNITS, 2, 5),
        Instruction(Op.ADD_ROWS, 3, 4),
        Instruction(Op.ADD_ROWS, 4, 5),
        Instruction(Op.SUM_UNITS, 5, 2),
    )


def writing_where_it_has_read() -> Stage:
    """An operand that is read, overwritten and read again; a number that nothing uses."""
    return stage(
        Instruction(Op.LOAD, 0),
        Instruction(Op.LOAD, 1),
        Instruction(Op.EXP, 1),
        Instruction(Op.MUL, 0, 1),
        Instruction(Op.ADD, 0, 3),
        Instruction(Op.STORE, 0, 4),
        Instruction(Op.LOAD, 0),
        Instruction(Op.ADD, 6, 6),
        Instruction(Op.STORE, 1, 7),
        Instruction(Op.LOAD_ROW, 2),
        Instruction(Op.STORE, 2, 7),
    )


def lowered(name: str) -> list[Stage]:
    program = lower(cells.get(name)(3, 5).graph)
    return [*program.forward, *program.inference, *program.backward]


def all_stages() -> dict[str, Stage]:
    found = {f.__name__: f() for f in (every_operation, sums_of_rows_and_units, writing_where_it_has_read)}
    for name in ("lstm", "gru", "gru_before"):
        found |= {f"{name}_{place}": each for place, each in enumerate(lowered(name)) if each.code}
    return found


STAGES = all_stages()


class Tile(ctypes.Structure):
    """``seqloom::Tile`` of csrc/tile.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("rows", "units")),
        ("accumulators", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("gate_stride", "row_stride")),
        *((name, ctypes.c_void_p) for name in ("operands", "strides", "sums")),
        ("sum_stride", ctypes.c_int64),
    )


@dataclass
class Data:
    """A tile's memory: operands and accumulators (rows, room) each, where room exceeds the units; sums (sums, rows)."""

    units: int
    operands: list[Tensor]
    accumulators: Tensor
    sums: Tensor

    def double(self) -> Data:
        operands = [operand.double() for operand in self.operands]
        return Data(self.units, operands, self.accumulators.double(), self.sums.double())


MEANING: dict[Op, Callable[..., Tensor]] = {
    Op.ADD: torch.add, Op.SUB: torch.sub, Op.MUL: torch.mul, Op.DIV: torch.div, Op.NEG: torch.neg,
    Op.RECIPROCAL: torch.reciprocal, Op.SIGMOID: torch.sigmoid, Op.TANH: torch.tanh, Op.RELU: torch.relu,
    Op.EXP: torch.exp, Op.LOG: torch.log, Op.SOFTPLUS: F.softplus, Op.ABS: torch.abs, Op.SIGN: torch.sign,
    Op.SQRT: torch.sqrt, Op.MINIMUM: torch.minimum, Op.MAXIMUM: torch.maximum,
    Op.LESS: lambda a, b: (a < b).double(), Op.LESS_EQUAL: lambda a, b: (a <= b).double(),
    Op.EQUAL: lambda a, b: (a == b).double(), Op.WHERE: lambda a, b, c: torch.where(a != 0, b, c),
}  # fmt: skip
TWO = {Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.MINIMUM, Op.MAXIMUM, Op.LESS, Op.LESS_EQUAL, Op.EQUAL}


def expected(code: Stage, data: Data) -> Data:
    """The code, value by value, on whole arrays; later instructions see what earlier ones stored."""
    data, units = data.double(), data.units
    values: list[Tensor] = []
    sums = iter(data.sums)
    for i in code.code:
        match i.op:
            case Op.LOAD:
                value = data.operands[i.a][:, :units].clone()
            case Op.LOAD_ROW:
                value = data.operands[i.a][:, :1].expand(-1, units).clone()
            case Op.ACCUMULATOR:
                value = data.accumulators[i.a][:, :units]
            case Op.CONSTANT:
                value = torch.tensor(i.value).double().expand(len(data.operands[0]), units)
            case Op.STORE:
                value = data.operands[i.a][:, :units].copy_(values[i.b])
            case Op.ADD_ROWS:
                value = data.operands[i.a][:1, :units].add_(values[i.b].sum(0))
            case Op.SUM_UNITS:
                value = next(sums).add_(values[i.b].sum(1))
            case _:
                count = 3 if i.op == Op.WHERE else 2 if i.op in TWO else 1
                value = MEANING[i.op](*(values[operand] for operand in (i.a, i.b, i.c)[:count]))
        values.append(value)
    return data


def random_data(code: Stage, rows: int, units: int, lanes: int) -> Data:
    """Random numbers; poison in the lanes beyond the units, room to spare between rows, vectors that all rows share."""
    generator = torch.Generator().manual_seed(rows * 100 + units)
    room = -(-units // lanes) * lanes

    def numbers(*shape: int) -> Tensor:
        values = torch.randn(*shape, generator=generator)
        values[..., units:] = torch.nan  # whatever reads it shows
        return values

    shared = {i.a for i in code.code if i.op == Op.ADD_ROWS}
    operands = []
    for place in range(len(code.operands)):
        # Every fourth operand is the same in all rows, unless rows would overwrite each other's values.
        written = any(i.op == Op.STORE and i.a == place for i in code.code)
        one = place in shared or (place % 4 == 1 and not written)
        operands.append(numbers(1, room).expand(rows, room) if one else numbers(rows, room + 3))
    count = sum(i.op == Op.SUM_UNITS for i in code.code)
    accumulators = 1 + max((i.a for i in code.code if i.op == Op.ACCUMULATOR), default=0)
    return Data(units, operands, numbers(accumulators, rows, room + 8), torch.randn(count, rows, generator=generator))


def run(address: int, data: Data) -> None:
    pointers = (ctypes.c_void_p * len(data.operands))(*(operand.data_ptr() for operand in data.operands))
    strides = (ctypes.c_int64 * len(data.operands))(*(operand.stride(0) for operand in data.operands))
    rows = len(data.operands[0])
    tile = Tile(
        rows, data.units, data.accumulators.data_ptr(), data.accumulators.stride(0), data.accumulators.stride(1)
    )
    tile.operands, tile.strides = ctypes.addressof(pointers), ctypes.addressof(strides)
    tile.sums, tile.sum_stride = data.sums.data_ptr(), rows
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(tile))


def assert_close(found: Data, wanted: Data) -> None:
    for mine, truth in zip(found.operands, wanted.operands, strict=True):
        rows = len(mine) if mine.stride(0) else min(1, len(mine))  # what all rows share, the truth has in its first
        both = (mine.double()[:rows, : found.units], truth[:rows, : found.units])
        torch.testing.assert_close(*both, rtol=1e-6, atol=2e-6)
    torch.testing.assert_close(found.sums.double(), wanted.sums, rtol=1e-6, atol=1e-5)


@pytest.fixture(scope="module", params=LANES)
def isa(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if torch.backends.cpu.get_cpu_capability() not in CAPABLE[name]:
        pytest.skip(f"this machine has no {name}")
    return name


@pytest.fixture(scope="module")
def functions(isa: str, tmp_path_factory: pytest.TempPathFactory) -> dict[int, int]:
    tools = toolchain.find()
    if tools is None:
        pytest.skip("no C++ compiler")
    place = tmp_path_factory.mktemp(isa)
    source, library = place / "stages.cpp", place / "stages.so"
    source.write_text(toolchain.library_source(list(STAGES.values())))
    assert tools.start(source, library, isa, nice=False).wait() is None
    return libraries.addresses(library, {code_key(each) for each in STAGES.values()})


@pytest.mark.parametrize("name", STAGES)
def test_compiled_code_computes_what_the_code_says(functions: dict[int, int], isa: str, name: str) -> None:
    lanes, code = LANES[isa], STAGES[name]
    for rows, units in ((1, lanes), (1, 1), (6, 2 * lanes), (3, 3 * lanes + 1), (5, lanes - 1), (0, lanes)):
        data = random_data(code, rows, units, lanes)
        wanted = expected(code, data)
        run(functions[code_key(code)], data)
        assert_close(data, wanted)


@pytest.mark.parametrize("name", STAGES)
def test_nan_stays_in_its_row(functions: dict[int, int], isa: str, name: str) -> None:
    code = STAGES[name]
    clean, dirty = (random_data(code, 3, LANES[isa], LANES[isa]) for _ in range(2))
    dirty.accumulators[:, 1] = torch.nan
    for operand in dirty.operands:
        if operand.stride(0):
            operand[1] = torch.nan
    for data in (clean, dirty):
        run(functions[code_key(code)], data)
    assert torch.equal(clean.sums[:, [0, 2]], dirty.sums[:, [0, 2]])
    totals = {i.a for i in code.code if i.op == Op.ADD_ROWS}
    for place, (before, after) in enumerate(zip(clean.operands, dirty.operands, strict=True)):
        if place not in totals:
            assert torch.equal(before[[0, 2], : clean.units], after[[0, 2], : clean.units])


def test_operands_may_lie_over_each_other(functions: dict[int, int], isa: str) -> None:
    """Training keeps gates where the input product lay: another operand, the same memory."""
    code = lowered("lstm")[0]
    apart = random_data(code, 4, 2 * LANES[isa], LANES[isa])
    loads, stores = ([i.a for i in code.code if i.op == op] for op in (Op.LOAD, Op.STORE))
    pairs = [pair for pair in zip(loads, stores, strict=False) if apart.operands[pair[0]].stride(0)]
    assert pairs
    together = replace(apart, operands=[operand.clone() for operand in apart.operands])
    for load, store in pairs:
        together.operands[store] = together.operands[load]
    run(functions[code_key(code)], apart)
    run(functions[code_key(code)], together)
    for store in stores:
        assert torch.equal(apart.operands[store][:, : apart.units], together.operands[store][:, : apart.units])


def test_a_stage_of_width_one_reads_the_number_that_it_stored() -> None:
    code = stage(
        Instruction(Op.LOAD, 0), Instruction(Op.STORE, 1, 0), Instruction(Op.LOAD_ROW, 1), Instruction(Op.STORE, 2, 2)
    )
    source = epilogue_source(code, "name")
    assert source.index("store(row1") < source.index("broadcast(*row1)")


def test_a_product_is_rounded_with_the_sum_that_alone_uses_it() -> None:
    loads = [Instruction(Op.LOAD, place) for place in range(3)]
    alone = [*loads, Instruction(Op.MUL, 0, 1), Instruction(Op.ADD, 2, 3), Instruction(Op.STORE, 3, 4)]
    assert "fma(v0, v1, v2)" in epilogue_source(stage(*alone), "name")
    assert "fma" not in epilogue_source(stage(*alone, Instruction(Op.STORE, 4, 3)), "name")


@pytest.mark.parametrize("value", [0.1, -2.5, 0.0, -0.0, 1e-45, 3.4e38, 16.0])
def test_constants_are_written_exactly(value: float) -> None:
    source = epilogue_source(stage(Instruction(Op.CONSTANT, value=value), Instruction(Op.STORE, 0, 0)), "name")
    text = source.split("broadcast(")[1].split("f)")[0]
    assert float.fromhex(text).hex() == float(torch.tensor(value)).hex()


def test_every_operation_is_tried() -> None:
    assert {instruction.op for each in STAGES.values() for instruction in each.code} == set(Op)


def test_keys_tell_codes_apart_and_nothing_else() -> None:
    code = stage(Instruction(Op.CONSTANT, value=1.0), Instruction(Op.STORE, 0, 0))
    assert code_key(code) == 5647862518511500108
    assert code_key(replace(code, width=3, operands=(Operand(Kind.ARRAY, 2, 7),))) == code_key(code)
    assert code_key(stage(Instruction(Op.CONSTANT, value=2.0), Instruction(Op.STORE, 0, 0))) != code_key(code)


def test_the_built_in_code_is_that_of_the_cells_that_are_said_to_be_built_in() -> None:
    written = (Path(__file__).parents[3] / "csrc" / "built_in.inc").read_text()
    assert written == built_in_source(built_in_programs()), "write it anew, as its head says, and build the kernels"
