"""The steps of a kernel program executed literally: stage by stage, instruction by instruction, in float64.

Memory that a program has not written is NaN, so that reading it shows. What threads that own ranges of units could not
rely on within a stage is refused.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from seqloom.engine.lowering.form import Instruction, Kind, Op, Operand, Product, Stage

NAN = float("nan")
UNARY = {
    Op.NEG: torch.neg, Op.RECIPROCAL: torch.reciprocal, Op.SIGMOID: torch.sigmoid, Op.TANH: torch.tanh,
    Op.RELU: torch.relu, Op.EXP: torch.exp, Op.LOG: torch.log, Op.SOFTPLUS: F.softplus, Op.ABS: torch.abs,
    Op.SIGN: torch.sign, Op.SQRT: torch.sqrt,
}  # fmt: skip
BINARY = {
    Op.ADD: torch.add, Op.SUB: torch.sub, Op.MUL: torch.mul, Op.DIV: torch.div, Op.MINIMUM: torch.minimum,
    Op.MAXIMUM: torch.maximum, Op.LESS: torch.lt, Op.LESS_EQUAL: torch.le, Op.EQUAL: torch.eq,
}  # fmt: skip


class Execution:
    """The steps of one pass; a subclass brings the memory: see :mod:`simulator`."""

    def go(self, stages, *, overlay, backward):
        times = list(range(len(self.counts)))
        for t in times[::-1] if self.turned != backward else times:
            self.t, self.overlay = t, overlay
            count = self.counts[t]
            self.rows = slice(self.starts[t], self.starts[t] + count)
            self.step = {i: torch.full((count, a.width), NAN).double() for i, a in enumerate(self.program.arrays)}
            self.temporaries = [torch.full((count, width), NAN).double() for width in self.program.temporaries]
            for stage in stages:
                self.execute(stage)

    def place(self, operand: Operand) -> tuple[object, Tensor]:
        """Which memory a operand lies in, and a view of it from its first unit on: (rows, units)."""
        kind, index, first = operand.kind, operand.index, operand.offset
        count = self.counts[self.t]
        match kind:
            case Kind.LINEAR:
                return ("linear", first), self.linear[self.rows, first:]
            case Kind.ROWS:
                leaf = self.program.rows[index]
                whole = self.outside[leaf.node].detach().expand(len(self.where), leaf.size)
                return ("rows", index, first), whole[self.rows, first:]
            case Kind.STATE:
                return ("state", index, first), self.before(index)[:, first:]
            case Kind.NEW_STATE:
                return ("new", index, first), self.histories[index][self.rows, first:]
            case Kind.ARRAY:
                array = self.program.arrays[index]
                if array.linear >= 0 and self.overlay:
                    assert array.kept
                    end = array.linear + array.width
                    return ("linear", array.linear + first), self.linear[self.rows, array.linear + first : end]
                memory = self.kept[index][self.rows] if index in self.kept else self.step[index]
                return ("array", index, first), memory[:, first:]
            case Kind.VECTOR:
                vector = self.outside[self.program.vectors[index][0]].detach()
                return ("vector", index, first), vector[first:].expand(count, -1)
            case Kind.OUTPUT_GRADIENT:
                return ("output gradient", first), self.d_output[self.rows, first:]
            case Kind.CARRY:
                return ("carry", index, first), self.carries[index][:count, first:]
            case Kind.GRADIENT:
                return ("gradient", first), self.gradient[self.rows, first:]
            case Kind.LATER_GRADIENT:
                return ("later", first), self.later()[:, first:]
            case Kind.TEMPORARY:
                return ("temporary", index, first), self.temporaries[index][:, first:]
        raise AssertionError(operand)

    def before(self, state):
        count, earlier = self.counts[self.t], self.t + 1 if self.turned else self.t - 1
        value = self.initial[state][:count].clone()
        if 0 <= earlier < len(self.counts):
            known = min(count, self.counts[earlier])
            value[:known] = self.histories[state][self.starts[earlier] : self.starts[earlier] + known]
        return value

    def later(self):
        count, later = self.counts[self.t], self.t - 1 if self.turned else self.t + 1
        value = torch.zeros(count, self.program.gradient).double()
        if 0 <= later < len(self.counts):
            known = min(count, self.counts[later])
            value[:known] = self.gradient[self.starts[later] : self.starts[later] + known]
        return value

    def execute(self, stage: Stage):
        _check_threads(self, stage)
        accumulators = {}
        for product in stage.products:
            for position, value in enumerate(self.multiply(stage, product)):
                accumulators[product.first + position] = value
        values: list[Tensor | None] = []
        for instruction in stage.code:
            values.append(self.instruct(stage, instruction, values, accumulators))

    def multiply(self, stage: Stage, product: Product):
        source = self.place(product.source)[1][:, : product.length]
        for gate in product.gates:
            assert sum(segment.length for segment in gate) == product.length
            total, first = 0, 0
            for segment in gate:
                matrix = self.matrices[segment.matrix]
                part = source[:, first : first + segment.length]
                if segment.transposed:
                    total = total + part @ matrix[segment.offset : segment.offset + segment.length, : stage.width]
                else:
                    total = total + part @ matrix[segment.offset : segment.offset + stage.width, : segment.length].t()
                first += segment.length
            assert total.shape[1] == stage.width
            yield total

    def instruct(self, stage: Stage, instruction: Instruction, values, accumulators):
        op, a, b, c = instruction.op, instruction.a, instruction.b, instruction.c
        width = stage.width
        match op:
            case Op.LOAD:
                value = self.place(stage.operands[a])[1][:, :width].clone()
                assert value.shape[1] == width
                assert not value.isnan().any(), f"{stage.operands[a]} is read before it is written"
                return value
            case Op.LOAD_ROW:
                value = self.place(stage.operands[a])[1][:, :1].expand(-1, width).clone()
                assert not value.isnan().any(), f"{stage.operands[a]} is read before it is written"
                return value
            case Op.ACCUMULATOR:
                assert not accumulators[a].isnan().any(), "a product reads what was never written"
                return accumulators[a]
            case Op.CONSTANT:
                return torch.full((self.counts[self.t], width), instruction.value, dtype=torch.float64)
            case Op.WHERE:
                return torch.where(values[a] != 0, values[b], values[c])
            case Op.STORE:
                self.place(stage.operands[a])[1][:, :width] = values[b]
            case Op.ADD_ROWS:
                assert len(self.sums[stage.operands[a].index]) == width
                self.sums[stage.operands[a].index] += values[b].sum(0)
            case Op.SUM_UNITS:
                self.place(stage.operands[a])[1][:, :1] = values[b].sum(1, keepdim=True)
            case _ if op in UNARY:
                return UNARY[op](values[a])
            case _:
                return BINARY[op](values[a], values[b]).double()
        return None


def _check_threads(execution: Execution, stage: Stage) -> None:
    """Threads own ranges of units and wait for each other between stages only."""
    written: dict[tuple[object, int], int] = {}
    units = {Op.STORE: stage.width, Op.SUM_UNITS: 1}
    for number, instruction in enumerate(stage.code):
        if instruction.op in units:
            (*memory, first), _ = execution.place(stage.operands[instruction.a])
            for unit in range(first, first + units[instruction.op]):
                assert (tuple(memory), unit) not in written, "a stage writes a place twice"
                written[tuple(memory), unit] = number if instruction.op is Op.STORE else -1
    for number, instruction in enumerate(stage.code):
        if instruction.op in (Op.LOAD, Op.LOAD_ROW):
            (*memory, first), _ = execution.place(stage.operands[instruction.a])
            for unit in range(stage.width if instruction.op is Op.LOAD else 1):
                store = written.get((tuple(memory), first + unit))
                if store is not None:
                    assert instruction.op is Op.LOAD, "a stage reads a whole row's number where it writes it"
                    assert number < store, "a stage reads what it has written"
                    (*_, begin), _ = execution.place(stage.operands[stage.code[store].a])
                    assert begin == first, "a stage overwrites what another unit reads"
    for product in stage.products:
        (*memory, first), _ = execution.place(product.source)
        for unit in range(first, first + product.length):
            assert (tuple(memory), unit) not in written, "a product reads what its own stage writes"
