"""A stage's elementwise code as C++: one function over a tile's rows and units, in the vocabulary of ``csrc/vector.h``.

The code alone decides the function, not where its operands lie, so cells share functions, and a function is found by a
hash of the code. A product and a sum are rounded once exactly where the virtual machine does so.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from seqloom.engine.lowering.form import Instruction, Op, Stage, code_words

__all__ = ["code_key", "epilogue_source", "function_name"]

_INFIX = {Op.ADD: "+", Op.SUB: "-", Op.MUL: "*", Op.DIV: "/"}
_UNARY = {
    Op.RECIPROCAL: "reciprocal", Op.SIGMOID: "sigmoid", Op.TANH: "tanh", Op.RELU: "relu", Op.EXP: "exp", Op.LOG: "log",
    Op.SOFTPLUS: "softplus", Op.ABS: "absolute", Op.SIGN: "sign", Op.SQRT: "sqrt", Op.NEG: "-",
}  # fmt: skip
_BINARY = {
    Op.MINIMUM: "minimum", Op.MAXIMUM: "maximum", Op.LESS: "less", Op.LESS_EQUAL: "less_equal", Op.EQUAL: "equal",
}  # fmt: skip
_LEAVES = (Op.LOAD, Op.LOAD_ROW, Op.ACCUMULATOR, Op.CONSTANT)
_EFFECTS = (Op.STORE, Op.ADD_ROWS, Op.SUM_UNITS)


def code_key(stage: Stage) -> int:
    """A 64-bit hash of a stage's code, the same in every process; stages of one key share a function."""
    words = code_words(stage)
    digest = hashlib.blake2b(struct.pack(f"<{len(words)}i", *words), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def function_name(key: int) -> str:
    """The name of a key's function wherever it is compiled."""
    return f"code_{key:016x}"


def epilogue_source(stage: Stage, name: str) -> str:
    """A C++ function ``void NAME(const seqloom::Tile* tile)`` that runs the stage's code.

    It belongs into the namespace ``seqloom::SEQLOOM_ISA``, after ``tile.h`` and ``mathematics.h``. The operands must be
    earlier values, which the machine checks when it reads a program.
    """
    return _Function(tuple(stage.code)).source(name)


class _Level(IntEnum):
    """How often a statement runs."""

    ONCE = 0
    ROW = 1
    VECTOR = 2


@dataclass(frozen=True)
class _Function:
    code: tuple[Instruction, ...]

    def source(self, name: str) -> str:
        lines = [
            f"void {name}(const seqloom::Tile* tile) {{",
            *_indented(1, self._places()),
            *_indented(1, self._values(_Level.ONCE)),
            *_indented(1, ["for (int64_t r = 0; r < rows; r++) {"]),
            *_indented(2, self._places_in_row()),
            *_indented(2, self._values(_Level.ROW)),
            *_indented(2, ["for (int64_t u = 0; u < units; u += LANES) {"]),
            *_indented(3, self._values(_Level.VECTOR)),
            *_indented(2, ["}"]),
            *_indented(2, (f"sums[{k} * sum_stride + r] += sum(total{k});" for k in range(len(self._sums)))),
            *_indented(1, ["}"]),
            "}",
        ]
        return "\n".join(lines) + "\n"

    def _places(self) -> Iterator[str]:
        yield "const int64_t rows = tile->rows, units = tile->units;"
        if self._accumulators:
            yield "const int64_t row_stride = tile->row_stride;"
        for a in self._accumulators:
            yield f"const float* const accumulator{a} = tile->accumulators + {a} * tile->gate_stride;"
        for s in self._memory_operands:
            stride = "" if s in self._totals else f" const int64_t stride{s} = tile->strides[{s}];"
            yield f"float* const operand{s} = tile->operands[{s}];{stride}"
        if self._sums:
            yield "float* const sums = tile->sums;"
            yield "const int64_t sum_stride = tile->sum_stride;"

    def _places_in_row(self) -> Iterator[str]:
        for a in self._accumulators:
            yield f"const float* const gate{a} = accumulator{a} + r * row_stride;"
        for s in self._memory_operands:
            if s not in self._totals:
                yield f"float* const row{s} = operand{s} + r * stride{s};"
        for k in range(len(self._sums)):
            yield f"vec total{k}{{}};"

    def _values(self, level: _Level) -> Iterator[str]:
        for number, instruction in enumerate(self.code):
            if self._levels[number] != level:
                continue
            if instruction.op in _EFFECTS:
                yield self._effect(number, instruction)
            elif number in self._live and number not in self._fused.values():
                yield f"const vec v{number} = {self._expression(number, instruction)};"

    def _effect(self, number: int, instruction: Instruction) -> str:
        place, value = f"{instruction.a:d}", f"v{instruction.b:d}"
        match instruction.op:
            case Op.STORE:
                return f"store(row{place} + u, {value});"
            case Op.ADD_ROWS:
                return f"store(operand{place} + u, load(operand{place} + u) + {value});"
            case _:
                return f"total{self._sums.index(number)} += first_lanes({value}, units - u);"

    def _expression(self, number: int, instruction: Instruction) -> str:
        op = instruction.op
        a, b, c = f"v{instruction.a:d}", f"v{instruction.b:d}", f"v{instruction.c:d}"
        if number in self._fused:
            product = self.code[self._fused[number]]
            addend = b if instruction.a == self._fused[number] else a
            return f"fma(v{product.a:d}, v{product.b:d}, {addend})"
        if op in _INFIX:
            return f"{a} {_INFIX[op]} {b}"
        if op in _UNARY:
            return f"{_UNARY[op]}{a}" if op == Op.NEG else f"{_UNARY[op]}({a})"
        if op in _BINARY:
            return f"{_BINARY[op]}({a}, {b})"
        match op:
            case Op.WHERE:
                return f"where({a}, {b}, {c})"
            case Op.LOAD:
                return f"load(row{instruction.a:d} + u)"
            case Op.LOAD_ROW:
                return f"broadcast(*row{instruction.a:d})"
            case Op.ACCUMULATOR:
                return f"load(gate{instruction.a:d} + u)"
            case _:
                return f"broadcast({_literal(instruction.value)})"

    @cached_property
    def _fused(self) -> dict[int, int]:
        """Sums that take in a product which nothing else uses: the rule of ``allocate_registers`` in csrc/program.cpp."""
        uses = [0] * len(self.code)
        for instruction in self.code:
            for operand in _operands(instruction):
                uses[operand] += 1
        fused: dict[int, int] = {}
        for number, instruction in enumerate(self.code):
            if instruction.op != Op.ADD or instruction.a == instruction.b:
                continue
            for product in (instruction.a, instruction.b):
                if self.code[product].op == Op.MUL and uses[product] == 1:
                    fused[number] = product
                    break
        return fused

    @cached_property
    def _live(self) -> set[int]:
        live: set[int] = set()
        for number in reversed(range(len(self.code))):
            if number in live or self.code[number].op in _EFFECTS:
                live.update(_operands(self.code[number]))
        return live

    @cached_property
    def _levels(self) -> list[_Level]:
        """Constants once, a row's numbers once per row, and what is made of them alone likewise."""
        levels: list[_Level] = []
        stored = False
        for instruction in self.code:
            stored |= instruction.op == Op.STORE
            if instruction.op == Op.CONSTANT:
                level = _Level.ONCE
            elif instruction.op == Op.LOAD_ROW:
                # In a stage of width 1 it may read what was stored just before.
                level = _Level.VECTOR if stored else _Level.ROW
            elif instruction.op in _LEAVES or instruction.op in _EFFECTS:
                level = _Level.VECTOR
            else:
                level = max(levels[operand] for operand in _operands(instruction))
            levels.append(level)
        return levels

    @cached_property
    def _sums(self) -> list[int]:
        return [number for number, instruction in enumerate(self.code) if instruction.op == Op.SUM_UNITS]

    @cached_property
    def _totals(self) -> set[int]:
        return {instruction.a for instruction in self.code if instruction.op == Op.ADD_ROWS}

    @cached_property
    def _memory_operands(self) -> list[int]:
        used = {self.code[number].a for number in self._live if self.code[number].op in (Op.LOAD, Op.LOAD_ROW)}
        return sorted(used | {k.a for k in self.code if k.op in (Op.STORE, Op.ADD_ROWS)})

    @cached_property
    def _accumulators(self) -> list[int]:
        return sorted({self.code[number].a for number in self._live if self.code[number].op == Op.ACCUMULATOR})


def _operands(instruction: Instruction) -> tuple[int, ...]:
    """Numbers of the values that an instruction reads."""
    a, b, c = instruction.a, instruction.b, instruction.c
    if instruction.op in _LEAVES:
        return ()
    if instruction.op in _EFFECTS:
        return (b,)
    if instruction.op == Op.WHERE:
        return (a, b, c)
    return (a, b) if instruction.op in _INFIX or instruction.op in _BINARY else (a,)


def _literal(value: float) -> str:
    (single,) = struct.unpack("<f", struct.pack("<f", value))
    if math.isnan(single):
        return '__builtin_nanf("")'
    if math.isinf(single):
        return "__builtin_inff()" if single > 0 else "-__builtin_inff()"
    return re.sub(r"\.?0*p", "p", single.hex(), count=1) + "f"


def _indented(depth: int, lines: Iterable[str]) -> Iterator[str]:
    return ("    " * depth + line for line in lines)
