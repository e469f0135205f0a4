"""A sequence through a kernel program, slowly and literally: the oracle of lowering and of the machine.

Around the steps it does what the engine does: the input product before, weight gradients after.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seqloom.engine.interpreter import apply
from seqloom.engine.lowering.form import KernelProgram, Kind, Operand

from .literal import NAN, Execution


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


class _Simulation(Execution):
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

    def history(self, operand: Operand):
        """(N, units) of a weight gradient's source, step by step as the steps read it."""
        assert operand.kind in (Kind.STATE, Kind.NEW_STATE, Kind.ARRAY)
        pieces = []
        self.step = {}
        for t, count in enumerate(self.counts):
            self.t, self.rows = t, slice(self.starts[t], self.starts[t] + count)
            pieces.append(self.place(operand)[1].clone())
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
