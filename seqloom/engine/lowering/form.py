"""The form of a kernel program: what the C++ machine executes, as plain data that can be written down and read back.

A program is three lists of *stages*: ``forward`` (training: keeps what the backward pass reads), ``inference`` (keeps
nothing) and ``backward``. A step of the sequence executes the stages of its list in order, over all rows that have the
step. A stage first computes products (``accumulator = packed matrix times a vector in memory``), then runs straight-line
elementwise code on every (row, unit), for ``width`` units. All values of a stage have that width, or width 1 (the same
for all units of a row). A value that a later stage needs, other than unit by unit in the same code, goes through memory.

Memory is reached through *operands*. Rows of a packed batch are ordered by time, the rows of one time step together, the
longest sequence first, so that the rows which have a step are always the first ones.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

__all__ = [
    "Array",
    "Instruction",
    "KernelProgram",
    "Kind",
    "LinearBlock",
    "Op",
    "Operand",
    "Pass",
    "Product",
    "RowLeaf",
    "Segment",
    "Stage",
    "VectorGradient",
    "WeightGradient",
]  # fmt: skip

VERSION = 1


class Op(IntEnum):
    """Operations of the elementwise code; ``a``, ``b``, ``c`` are numbers of earlier values unless said otherwise.

    Every instruction, also a store, has a number: its place in the stage's code. Truth values are 1.0 and 0.0.
    """

    LOAD = 0  # operand a, at this row and unit
    LOAD_ROW = 1  # operand a of width 1, at this row, for all units
    ACCUMULATOR = 2  # accumulator a of the stage's products
    CONSTANT = 3  # the instruction's value
    ADD = 4
    SUB = 5
    MUL = 6
    DIV = 7
    NEG = 8
    RECIPROCAL = 9
    SIGMOID = 10
    TANH = 11
    RELU = 12
    EXP = 13
    LOG = 14
    SOFTPLUS = 15
    ABS = 16
    SIGN = 17  # -1, 0 or 1
    SQRT = 18
    MINIMUM = 19
    MAXIMUM = 20
    LESS = 21  # 1.0 where a < b
    LESS_EQUAL = 22
    EQUAL = 23
    WHERE = 24  # b where a != 0, c elsewhere; the other branch does not leak
    STORE = 25  # operand a := value b
    ADD_ROWS = 26  # operand a (a VECTOR_GRADIENT), unit by unit, += the sum of value b over rows and time steps
    SUM_UNITS = (
        27  # operand a of width 1 := the sum of value b over all units of the stage; read from the next stage on
    )


class Kind(IntEnum):
    """Where an operand lies; (index, offset) says which array and from which column its units are."""

    LINEAR = 0  # the input product of all steps, (N, linear width); offset in columns
    ROWS = 1  # another hoisted value, index; (N, size)
    STATE = 2  # state index before the step: the array of the step before, or the initial state where there is none
    NEW_STATE = 3  # state index after the step
    ARRAY = 4  # array index: written in a forward stage, read in a later one or in backward
    VECTOR = 5  # vector index, the same in every row and step
    OUTPUT_GRADIENT = 6  # backward: gradient of the layer's output (state 0) at this step, from outside
    CARRY = (
        7  # backward: the elementwise part of the gradient of state index; read what the step after left, then write
    )
    GRADIENT = 8  # backward: the gradient array (N, gradient width) at this step; offset in columns
    LATER_GRADIENT = 9  # backward, as a product's source only: the gradient array one time step later; none: zero
    TEMPORARY = 10  # backward: temporary index, written in a stage and read in a later one of the same step
    VECTOR_GRADIENT = 11  # backward: accumulator index over rows and steps


class Pass(IntEnum):
    """Which of a program's lists of stages is run."""

    FORWARD = 0  # for training
    INFERENCE = 1
    BACKWARD = 2


@dataclass(frozen=True)
class Operand:
    """A place in memory for each (row, unit)."""

    kind: Kind
    index: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Instruction:
    """One elementwise operation."""

    op: Op
    a: int = 0
    b: int = 0
    c: int = 0
    value: float = 0.0


@dataclass(frozen=True)
class Segment:
    """A block of a matrix M for a product's accumulator: entry (unit u, position k) of the block is ``M[offset + u, k]``,
    or ``M[offset + k, u]`` where it is transposed; ``length`` positions."""

    matrix: int
    transposed: bool
    offset: int
    length: int


@dataclass(frozen=True)
class Product:
    """Accumulators ``first ... first + len(gates) - 1`` of a stage: each gate is a matrix (width, K) times the source.

    The source is K consecutive floats per row, at the operand's offset. A gate's segments lie one after the other along K,
    and their lengths add up to the same K for every gate.
    """

    source: Operand
    first: int
    gates: tuple[tuple[Segment, ...], ...]

    @property
    def length(self) -> int:
        """K: positions of the source vector."""
        return sum(segment.length for segment in self.gates[0])


@dataclass(frozen=True)
class Stage:
    """Products, then elementwise code over ``width`` units. Accumulators are numbered through all products in order."""

    width: int
    products: tuple[Product, ...]
    operands: tuple[Operand, ...]
    code: tuple[Instruction, ...]


@dataclass(frozen=True)
class Array:
    """A forward value in memory. Where it is ``kept`` for the backward pass it has one row for each row of the packed
    batch; else one per row of a step. ``linear``: columns of the input product, no longer needed, that it overwrites in
    training; -1 for memory of its own."""

    width: int
    kept: bool
    linear: int = -1


@dataclass(frozen=True)
class LinearBlock:
    """``rows`` columns of the input product ``x W^T + b``: rows from ``offset`` on of a weight and of its bias.

    ``biases`` are added; there may be none.
    """

    weight: str
    biases: tuple[str, ...]
    offset: int
    rows: int


@dataclass(frozen=True)
class RowLeaf:
    """A hoisted value that is not an input product: its graph node, its units, and the columns of its gradient."""

    node: int
    size: int
    gradient: int  # first column in the gradient array; -1 where no gradient arrives


@dataclass(frozen=True)
class VectorGradient:
    """An accumulator: what it sums belongs to ``width`` units of a vector from ``offset`` on; where the vector has one
    unit only (``total``), the sum over the accumulator's units belongs to it."""

    vector: int
    offset: int
    width: int
    total: bool = False


@dataclass(frozen=True)
class WeightGradient:
    """Rows of a matrix's gradient: ``gradient[:, column : column + rows]^T times source``, over all rows and steps."""

    matrix: int
    offset: int
    rows: int
    column: int
    source: Operand  # STATE, NEW_STATE or a kept ARRAY


@dataclass(frozen=True)
class KernelProgram:
    """One step of a cell for the C++ machine, and what surrounds it: where its inputs come from and gradients go."""

    states: tuple[int, ...]
    linear: tuple[LinearBlock, ...]
    linear_gradient: int
    """First column of the gradient of the input product in the gradient array; -1 where there is none."""
    rows: tuple[RowLeaf, ...]
    vectors: tuple[tuple[int, int], ...]
    """(graph node, size) of each."""
    matrices: tuple[tuple[str, int, int], ...]
    """(parameter's name, rows, columns) of each recurrent matrix."""
    arrays: tuple[Array, ...]
    temporaries: tuple[int, ...]
    """Widths."""
    gradient: int
    """Columns of the gradient array."""
    vector_gradients: tuple[VectorGradient, ...]
    weight_gradients: tuple[WeightGradient, ...]
    initial_gradients: tuple[tuple[Product, ...], ...]
    """For each state, products (of LATER_GRADIENT) that are added to its last CARRY: the gradient of the initial state."""
    forward: tuple[Stage, ...]
    inference: tuple[Stage, ...]
    backward: tuple[Stage, ...]

    @cached_property
    def linear_width(self) -> int:
        """Columns of the input product."""
        return sum(block.rows for block in self.linear)

    def words(self) -> bytes:
        """What the C++ machine reads: 32-bit little-endian words, in the order of :func:`_words`."""
        numbers = _words(self)
        return struct.pack(f"<{len(numbers)}i", *numbers)


def _words(program: KernelProgram) -> list[int]:
    words = [VERSION, program.linear_width, program.gradient]
    for sizes in (program.states, [leaf.size for leaf in program.rows], [size for _, size in program.vectors]):
        words += [len(sizes), *sizes]
    words.append(len(program.matrices))
    for _, rows, columns in program.matrices:
        words += [rows, columns]
    words.append(len(program.arrays))
    for array in program.arrays:
        words += [array.width, int(array.kept), array.linear]
    words += [len(program.temporaries), *program.temporaries]
    words += [len(program.vector_gradients), *(accumulator.width for accumulator in program.vector_gradients)]
    for stages in (program.forward, program.inference, program.backward):
        words.append(len(stages))
        for stage in stages:
            words += stage_words(stage)
    return words


def stage_words(stage: Stage) -> list[int]:
    """One stage as words: width; products; operands; code."""
    words = [stage.width, len(stage.products)]
    for product in stage.products:
        words += [product.source.kind, product.source.index, product.source.offset, product.length, len(product.gates)]
        for gate in product.gates:
            words.append(len(gate))
            for segment in gate:
                words += [segment.matrix, int(segment.transposed), segment.offset, segment.length]
    words.append(len(stage.operands))
    for operand in stage.operands:
        words += [operand.kind, operand.index, operand.offset]
    return words + code_words(stage)


def code_words(stage: Stage) -> list[int]:
    """The elementwise code as words; it alone, not where its operands lie, decides which compiled code fits it."""
    words = [len(stage.code)]
    for instruction in stage.code:
        bits = struct.unpack("<i", struct.pack("<f", instruction.value))[0]
        words += [instruction.op, instruction.a, instruction.b, instruction.c, bits]
    return words
