"""A kernel program executed slowly and literally in float64: the oracle of what lowering writes and the machine runs.

Memory that a program has not written is NaN, so that reading it shows. Stages run one after the other, each first its
products, then its code, instruction by instruction, on all rows of a time step; what threads that own a range of units
could not rely on within a stage is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from seqloom.engine.compiled.form import Instruction, KernelProgram, Kind, Op, Product, Stage, Stream
from seqloom.engine.interpreter import apply

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


@dataclass
class Results:
    """What a run gives, rows in the order of the batch; gradients by the name of the parameter, "x" and "initial.0"."""

    output: Tensor
    finals: list[Tensor]
    inferred: Tensor
    gradients: dict[str, Tensor] = field(default_factory=dict)


def simulate(
    program: KernelProgram,
    cell,
    x: Tensor,
    lengths: Sequence[int],
    initial: Sequence[Tensor],
    d_output: Tensor,
    d_finals: Sequence[Tensor],
    turned: bool = False,
) -> Results:
    """Run x (B, T, D) forward, for inference, and backward from d_output (B, T, H) and d_finals (B, size)."""
    return _Simulation(program, cell, x, list(lengths), list(initial), turned).run(d_output, list(d_finals))


class _Simulation:
    def __init__(self, program, cell, x, lengths, initial, turned):
        self.program, self.cell, self.turned = program, cell, turned
        self.order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
        self.lengths = [lengths[row] for row in self.order]
        self.counts = [sum(length > t for length in self.lengths) for t in range(max(self.lengths, default=0))]
        self.starts = [sum(self.counts[:t]) for t in range(len(self.counts))]
        self.initial = [state[self.order].detach() for state in initial]
        self.shape = x.shape
        self.where = [(self.order[rank], t) for t, count in enumerate(self.counts) for rank in range(count)]
        self.x = self.pack(x).detach().requires_grad_()
        self.parameters = {n: cell.parameter(n).detach().clone().requires_grad_() for n in cell.graph.declarations}
        self.outside = self.evaluate_outside()
        self.matrices = [self.parameters[name].detach() for name, _, _ in program.matrices]

    def pack(self, values):
        return (
            torch.stack([values[row, t] for row, t in self.where])
            if self.where
            else values[:0].reshape(0, values.shape[-1])
        )

    def evaluate_outside(self):
        """Hoisted values that are computed before the steps, with a graph of autograd behind them."""
        wanted = {leaf.node for leaf in self.program.rows} | {node for node, _ in self.program.vectors}
        needed = set(wanted)
        for node in reversed(self.cell.graph.nodes):
            if node.index in needed:
                needed.update(part.index for part in node.inputs)
        values = {}
        for node in self.cell.graph.nodes:
            if node.index in needed:
                values[node.index] = apply(node, values, self.x, {}, self.parameters.__getitem__)
        return {index: values[index] for index in wanted}

    def run(self, d_output, d_finals):
        rows, program = len(self.where), self.program
        weights = [
            (self.parameters[b.weight].detach()[b.offset : b.offset + b.rows],
             sum(self.parameters[name].detach()[b.offset : b.offset + b.rows] for name in b.biases))
            for b in program.linear
        ]  # fmt: skip
        columns = [self.x.detach() @ weight.t() + bias for weight, bias in weights]
        self.linear = torch.cat(columns, 1) if columns else torch.empty(rows, 0).double()
        untouched = self.linear.clone()
        self.histories = [torch.full((rows, size), NAN).double() for size in program.states]
        self.kept = {}
        self.go(program.inference, overlay=False, backward=False)
        assert torch.equal(self.linear, untouched), "inference overwrites the input product"
        inferred = self.histories[0]
        self.histories = [torch.full((rows, size), NAN).double() for size in program.states]
        self.kept = {i: torch.full((rows, a.width), NAN).double() for i, a in enumerate(program.arrays) if a.kept}
        self.go(program.forward, overlay=True, backward=False)
        results = Results(self.unpack(self.histories[0]), self.finals(), self.unpack(inferred))
        self.d_output = self.pack(d_output)
        self.carries = [d[self.order].clone() for d in d_finals]
        self.gradient = torch.full((rows, program.gradient), NAN).double()
        self.sums = [torch.zeros(part.width).double() for part in program.vector_gradients]
        self.go(program.backward, overlay=True, backward=True)
        self.collect(results.gradients)
        return results

    def unpack(self, packed):
        full = torch.zeros(self.shape[0], self.shape[1], packed.shape[-1]).double()
        for value, (row, t) in zip(packed, self.where, strict=True):
            full[row, t] = value
        return full

    def finals(self):
        found = []
        for history, initial in zip(self.histories, self.initial, strict=True):
            final = initial.clone()
            for rank, length in enumerate(self.lengths):
                if length:
                    final[rank] = history[self.starts[0 if self.turned else length - 1] + rank]
            found.append(final[self.unsorted()])
        return found

    def unsorted(self):
        return [self.order.index(row) for row in range(len(self.order))]

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

    def place(self, stream: Stream) -> tuple[object, Tensor]:
        """Which memory a stream lies in, and a view of it from its first unit on: (rows, units)."""
        kind, index, first = stream.kind, stream.index, stream.offset
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
        raise AssertionError(stream)

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
                value = self.place(stage.streams[a])[1][:, :width].clone()
                assert value.shape[1] == width
                assert not value.isnan().any(), f"{stage.streams[a]} is read before it is written"
                return value
            case Op.LOAD_ROW:
                value = self.place(stage.streams[a])[1][:, :1].expand(-1, width).clone()
                assert not value.isnan().any(), f"{stage.streams[a]} is read before it is written"
                return value
            case Op.ACCUMULATOR:
                assert not accumulators[a].isnan().any(), "a product reads what was never written"
                return accumulators[a]
            case Op.CONSTANT:
                return torch.full((self.counts[self.t], width), instruction.value, dtype=torch.float64)
            case Op.WHERE:
                return torch.where(values[a] != 0, values[b], values[c])
            case Op.STORE:
                self.place(stage.streams[a])[1][:, :width] = values[b]
            case Op.ADD_ROWS:
                assert len(self.sums[stage.streams[a].index]) == width
                self.sums[stage.streams[a].index] += values[b].sum(0)
            case Op.SUM_UNITS:
                self.place(stage.streams[a])[1][:, :1] = values[b].sum(1, keepdim=True)
            case _ if op in UNARY:
                return UNARY[op](values[a])
            case _:
                return BINARY[op](values[a], values[b]).double()
        return None

    def collect(self, found):
        program, leaves = self.program, []
        for name, parameter in self.parameters.items():
            found[name] = torch.zeros_like(parameter)
        found["x"] = torch.zeros_like(self.x)
        column = program.linear_gradient
        for block in program.linear if column >= 0 else ():
            part, rows = self.gradient[:, column : column + block.rows], slice(block.offset, block.offset + block.rows)
            found["x"] += part @ self.parameters[block.weight].detach()[rows]
            found[block.weight][rows] += part.t() @ self.x.detach()
            for bias in block.biases:
                found[bias][rows] += part.sum(0)
            column += block.rows
        leaves += [
            (self.outside[leaf.node], self.gradient[:, leaf.gradient : leaf.gradient + leaf.size])
            for leaf in program.rows
            if leaf.gradient >= 0
        ]
        for part, total in zip(program.vector_gradients, self.sums, strict=True):
            vector = self.outside[program.vectors[part.vector][0]]
            whole = torch.zeros_like(vector)
            whole[part.offset : part.offset + (1 if part.total else part.width)] = total.sum() if part.total else total
            leaves.append((vector, whole))
        for part in program.weight_gradients:
            name, _, length = program.matrices[part.matrix]
            flow = self.gradient[:, part.column : part.column + part.rows]
            found[name][part.offset : part.offset + part.rows] += flow.t() @ self.history(part.source)[:, :length]
        self.through_autograd(leaves, found)
        self.collect_initial(found)
        found["x"] = self.unpack(found["x"])

    def through_autograd(self, leaves, found):
        tensors = {"x": self.x, **self.parameters}
        for leaf, gradient in leaves:
            if leaf.requires_grad:
                parts = torch.autograd.grad(leaf, tensors.values(), gradient, retain_graph=True, allow_unused=True)
                for name, part in zip(tensors, parts, strict=True):
                    found[name] = found[name] if part is None else found[name] + part

    def history(self, stream: Stream):
        """(N, units) of a weight gradient's source, step by step as the steps read it."""
        assert stream.kind in (Kind.STATE, Kind.NEW_STATE, Kind.ARRAY)
        pieces = []
        self.step = {}
        for t, count in enumerate(self.counts):
            self.t, self.rows = t, slice(self.starts[t], self.starts[t] + count)
            pieces.append(self.place(stream)[1].clone())
        return torch.cat(pieces) if pieces else torch.zeros(0, 1).double()

    def collect_initial(self, found):
        for state, products in enumerate(self.program.initial_gradients):
            total = self.carries[state]
            for product in products:
                for rank, length in enumerate(self.lengths):
                    if length:
                        row = self.gradient[self.starts[length - 1 if self.turned else 0] + rank]
                        column = product.source.offset
                        for segment in product.gates[0]:
                            rows = slice(segment.offset, segment.offset + segment.length)
                            total[rank] += row[column : column + segment.length] @ self.matrices[segment.matrix][rows]
                            column += segment.length
            found[f"initial.{state}"] = total[self.unsorted()]


def _check_threads(simulation: _Simulation, stage: Stage) -> None:
    """Threads own ranges of units and wait for each other between stages only."""
    written: dict[tuple[object, int], int] = {}
    units = {Op.STORE: stage.width, Op.SUM_UNITS: 1}
    for number, instruction in enumerate(stage.code):
        if instruction.op in units:
            (*memory, first), _ = simulation.place(stage.streams[instruction.a])
            for unit in range(first, first + units[instruction.op]):
                assert (tuple(memory), unit) not in written, "a stage writes a place twice"
                written[tuple(memory), unit] = number if instruction.op is Op.STORE else -1
    for number, instruction in enumerate(stage.code):
        if instruction.op in (Op.LOAD, Op.LOAD_ROW):
            (*memory, first), _ = simulation.place(stage.streams[instruction.a])
            for unit in range(stage.width if instruction.op is Op.LOAD else 1):
                store = written.get((tuple(memory), first + unit))
                if store is not None:
                    assert instruction.op is Op.LOAD, "a stage reads a whole row's number where it writes it"
                    assert number < store, "a stage reads what it has written"
                    (*_, begin), _ = simulation.place(stage.streams[stage.code[store].a])
                    assert begin == first, "a stage overwrites what another unit reads"
    for product in stage.products:
        (*memory, first), _ = simulation.place(product.source)
        for unit in range(first, first + product.length):
            assert (tuple(memory), unit) not in written, "a product reads what its own stage writes"
