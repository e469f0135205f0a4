"""A kernel program in torch's operations, so that autograd can record it: where gradients of gradients are wanted.

Also the plainest statement of what a program means: no memory is shared, packed or overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seqloom.engine.lowering.form import Instruction, KernelProgram, Kind, Op, Operand, Product, Stage
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime.sequence import Inputs

__all__ = ["replay"]

_FUNCTIONS: dict[Op, Callable[..., Tensor]] = {
    Op.ADD: torch.add,
    Op.SUB: torch.sub,
    Op.MUL: torch.mul,
    Op.DIV: torch.div,
    Op.NEG: torch.neg,
    Op.RECIPROCAL: torch.reciprocal,
    Op.SIGMOID: torch.sigmoid,
    Op.TANH: torch.tanh,
    Op.RELU: torch.relu,
    Op.EXP: torch.exp,
    Op.LOG: torch.log,
    Op.SOFTPLUS: F.softplus,
    Op.ABS: torch.abs,
    Op.SIGN: torch.sign,
    Op.SQRT: torch.sqrt,
    Op.MINIMUM: torch.minimum,
    Op.MAXIMUM: torch.maximum,
    Op.LESS: lambda a, b: (a < b).to(a.dtype),
    Op.LESS_EQUAL: lambda a, b: (a <= b).to(a.dtype),
    Op.EQUAL: lambda a, b: (a == b).to(a.dtype),
}


def replay(program: KernelProgram, rows: PackedRows, inputs: Inputs, directions: int) -> list[Tensor]:
    """The output (N, directions * H) and the final states of each direction, as a run of the machine returns them."""
    linear = F.linear(inputs.x, inputs.weight, inputs.bias) if program.linear_width else None
    outputs, finals = [], list[Tensor]()
    for direction in range(directions):
        replayed = _Replay(program, rows, inputs, linear, direction).run()
        outputs.append(replayed[0])
        finals += replayed[1:]
    return [torch.cat(outputs, 1), *finals]


@dataclass
class _Replay:
    program: KernelProgram
    rows: PackedRows
    inputs: Inputs
    linear: Tensor | None
    direction: int
    states: list[Tensor] = field(default_factory=list)
    written: dict[tuple[Kind, int], dict[int, Tensor]] = field(default_factory=dict)

    def own(self, tensors: Sequence[Tensor], count: int) -> Sequence[Tensor]:
        return tensors[self.direction * count : (self.direction + 1) * count]

    def run(self) -> list[Tensor]:
        program, time, batch = self.program, self.rows.time, self.rows.batch
        counts = self.rows.sizes
        starts = [sum(counts[:t]) for t in range(time)]
        x = self.inputs.x
        begun = list(self.own(self.inputs.initial, len(program.states)))
        begun = begun or [x.new_zeros(batch, size) for size in program.states]
        current, outputs = begun, list[Any]([None] * time)
        for t in reversed(range(time)) if self.direction else range(time):
            # Rows that ended, or have not begun, hold their state.
            self.states = [state[: counts[t]] for state in current]
            new = self.step(starts[t], counts[t])
            outputs[t] = new[0]
            current = [torch.cat([state, old[counts[t] :]]) for state, old in zip(new, current, strict=True)]
        return [torch.cat(outputs) if outputs else x.new_empty(0, program.states[0]), *current]

    def step(self, start: int, count: int) -> list[Tensor]:
        self.written = {}
        for stage in self.program.inference:
            accumulators = [
                value for product in stage.products for value in self.multiply(stage, product, start, count)
            ]
            values = list[Any]()
            for instruction in stage.code:
                values.append(self.execute(stage, instruction, values, accumulators, start, count))
        sizes = self.program.states
        return [self.read(Operand(Kind.NEW_STATE, i), size, start, count) for i, size in enumerate(sizes)]

    def multiply(self, stage: Stage, product: Product, start: int, count: int) -> list[Tensor]:
        source = self.read(product.source, product.length, start, count)
        matrices = self.own(self.inputs.matrices, len(self.program.matrices))
        products = []
        for gate in product.gates:
            blocks = [
                matrices[s.matrix][s.offset : s.offset + s.length, : stage.width].t()
                if s.transposed
                else matrices[s.matrix][s.offset : s.offset + stage.width, : s.length]
                for s in gate
            ]
            products.append(F.linear(source, torch.cat(blocks, 1)))
        return products

    def execute(
        self,
        stage: Stage,
        instruction: Instruction,
        values: list[Any],
        accumulators: list[Tensor],
        start: int,
        count: int,
    ) -> Tensor | None:
        a, b, c = instruction.a, instruction.b, instruction.c
        match instruction.op:
            case Op.LOAD:
                return self.read(stage.operands[a], stage.width, start, count)
            case Op.LOAD_ROW:
                return self.read(stage.operands[a], 1, start, count)
            case Op.ACCUMULATOR:
                return accumulators[a]
            case Op.CONSTANT:
                return self.inputs.x.new_full((1, 1), instruction.value)
            case Op.WHERE:
                return torch.where(values[a] != 0, values[b], values[c])
            case Op.STORE:
                self.write(stage.operands[a], values[b].expand(count, stage.width))
                return None
            case Op.SUM_UNITS:
                self.write(stage.operands[a], values[b].expand(count, stage.width).sum(1, keepdim=True))
                return None
            case op:
                binary = op in (
                    Op.ADD,
                    Op.SUB,
                    Op.MUL,
                    Op.DIV,
                    Op.MINIMUM,
                    Op.MAXIMUM,
                    Op.LESS,
                    Op.LESS_EQUAL,
                    Op.EQUAL,
                )
                return _FUNCTIONS[op](*(values[i] for i in ((a, b) if binary else (a,))))

    def write(self, operand: Operand, value: Tensor) -> None:
        self.written.setdefault((operand.kind, operand.index), {})[operand.offset] = value

    def read(self, operand: Operand, width: int, start: int, count: int) -> Tensor:
        match operand.kind:
            case Kind.LINEAR:
                assert self.linear is not None
                whole = self.linear[start : start + count, self.direction * self.program.linear_width :]
            case Kind.ROWS:
                whole = self.own(self.inputs.rows, len(self.program.rows))[operand.index][start : start + count]
            case Kind.STATE:
                whole = self.states[operand.index]
            case Kind.VECTOR:
                whole = self.own(self.inputs.vectors, len(self.program.vectors))[operand.index].unsqueeze(0)
            case _:
                pieces = self.written[operand.kind, operand.index]
                whole = (
                    pieces[0] if len(pieces) == 1 and 0 in pieces else torch.cat([pieces[k] for k in sorted(pieces)], 1)
                )
        return whole.narrow(1, operand.offset, width)
