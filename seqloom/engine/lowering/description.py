"""A kernel program in words, for people who ask what the engine made of their cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from seqloom.engine.lowering.form import KernelProgram, Kind, LinearBlock, Op, Operand, Product, Stage

__all__ = ["describe"]

_MEMORY = frozenset({Op.LOAD, Op.LOAD_ROW, Op.ACCUMULATOR, Op.CONSTANT, Op.STORE, Op.ADD_ROWS, Op.SUM_UNITS})
_COSTLY = (Op.SIGMOID, Op.TANH, Op.EXP, Op.LOG, Op.SOFTPLUS, Op.SQRT, Op.DIV, Op.RECIPROCAL)
_SOURCES = {
    Kind.STATE: "the state {} before",
    Kind.NEW_STATE: "the new state {}",
    Kind.ARRAY: "array {}",
    Kind.GRADIENT: "gradients of this step",
    Kind.LATER_GRADIENT: "gradients of the step after",
}


def describe(program: KernelProgram) -> list[str]:
    """Lines that say what a step's program computes before the steps, in each stage, and what it keeps.

    States and arrays are numbered from 0.
    """
    lines = ["before the steps: " + "; ".join(_before(program))]
    for name, stages in (("forward", program.forward), ("backward", program.backward)):
        lines.append(f"{name}: {_count(len(stages), 'stage')}")
        lines += [f"  {position}. {_stage(stage)}" for position, stage in enumerate(stages, 1)]
    kept = [array for array in program.arrays if array.kept]
    over = sum(array.width for array in kept if array.linear >= 0)
    own = sum(array.width for array in kept) - over
    lines.append(f"kept for the way back: {_count(own, 'number')} per row and step, {over} more over the input product")
    lines.append(f"gradients: {_count(program.gradient, 'column')} per row and step{_inputs_share(program)}")
    return lines


def _count(number: int, what: str) -> str:
    first, *rest = what.split(" ", 1)
    return " ".join([str(number), first if number == 1 else f"{first}s", *rest])


def _before(program: KernelProgram) -> list[str]:
    parts = [_linear(block) for block in program.linear]
    if program.rows:
        parts.append(f"{_count(len(program.rows), 'value')} of the input, {sum(r.size for r in program.rows)} units")
    if program.vectors:
        parts.append(f"{_count(len(program.vectors), 'vector')} of parameters")
    return parts or ["nothing"]


def _linear(block: LinearBlock) -> str:
    return f"{' + '.join([f'{block.weight} x', *block.biases])} ({block.rows} columns)"


def _stage(stage: Stage) -> str:
    counts = Counter(instruction.op for instruction in stage.code)
    operations = sum(number for op, number in counts.items() if op not in _MEMORY)
    costly = [f"{counts[op]} {op.name.lower()}" for op in _COSTLY if counts[op]]
    written = [_written(stage, op) for op in (Op.STORE, Op.ADD_ROWS, Op.SUM_UNITS)]
    parts = [f"{_count(stage.width, 'unit')}", *map(_product, stage.products)]
    parts.append(_count(operations, "operation") + (f" ({', '.join(costly)})" if costly else ""))
    return "; ".join([*parts, *(part for part in written if part)])


def _product(product: Product) -> str:
    return f"{_count(len(product.gates), 'product')} of {_source(product.source)}, {product.length} long"


def _source(operand: Operand) -> str:
    return _SOURCES.get(operand.kind, operand.kind.name.lower()).format(operand.index)


def _written(stage: Stage, op: Op) -> str:
    operands: Sequence[Operand] = [stage.operands[instruction.a] for instruction in stage.code if instruction.op is op]
    if not operands:
        return ""
    if op is Op.STORE:
        kinds = Counter(operand.kind.name.lower().replace("_", " ") for operand in operands)
        return "stores " + ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    return _count(len(operands), "sum over rows" if op is Op.ADD_ROWS else "sum over units")


def _inputs_share(program: KernelProgram) -> str:
    if program.linear_gradient < 0:
        return ""
    return (
        f", {program.linear_gradient}..{program.linear_gradient + program.linear_width - 1} those of the input product"
    )
