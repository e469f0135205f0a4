"""The derived backend: any cell's step as a program, with a backward pass derived from its graph, in torch's kernels.

Against the plain loop it does what a compiled engine does, one level higher: what depends on the input alone is one
product over all time steps, rows that have ended leave the batch (padding is never computed), and the gradient of each
recurrent matrix is one product over all time steps. Gradients of gradients run through the same program, recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seqloom.engine.contract import Noise, Ragged, SequenceCell, States, Work, concatenate_directions, zero_states
from seqloom.engine.interpreter import apply
from seqloom.engine.lowering.tensor_program import TensorInstruction, TensorProgram, lower_to_tensors
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime.entrance import hides_operators

__all__ = ["drawback", "limitation", "run"]


def limitation(cells: Sequence[SequenceCell], noise: Noise) -> str | None:
    """Why this backend cannot run a layer, or none where it can."""
    if noise.active:
        return "a derived program has no dropout_state and no zoneout"
    if cells[0].graph.untraceable:
        return cells[0].graph.untraceable
    if hides_operators():
        return "torch.func, forward-mode derivatives and torch.jit.trace see through torch's operators only"
    program = _program(cells[0])
    changing = {*program.rows, *program.states, *(slot for _, _, slot in program.forward)}
    if not changing.issuperset(program.outputs):
        return f"a state of {type(cells[0]).__name__} depends on nothing"
    return None


def drawback(cells: Sequence[SequenceCell], work: Work) -> str | None:
    """Why another backend that can run the layer would run this work faster: the order of preference knows."""
    return None


def run(
    cells: Sequence[SequenceCell], x: Tensor, ragged: Ragged | None, initial: Sequence[States] | None, noise: Noise
) -> tuple[Tensor, list[States]]:
    """One layer; see :func:`seqloom.engine.runtime.backend.run_layer`."""
    rows = PackedRows(x.shape[1], x.shape[0]) if ragged is None else ragged.packed
    packed = rows.pack(x)
    outputs, final = [], []
    for direction, cell in enumerate(cells):
        states = zero_states(cell, x) if initial is None else initial[direction]
        program, sorted_states = _program(cell), [rows.sort(state) for state in states]
        tensors = [*_leaves(cell, program, packed), *(cell.parameter(name) for name in program.weights), *sorted_states]
        plan = _Plan(program, rows.sizes, backward=direction == 1)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            output, *last = _Sequence.apply(plan, *tensors)  # type: ignore[no-untyped-call]
        else:
            output, *last = plan.run(tensors)
        outputs.append(output)
        final.append(tuple(rows.unsort(state) for state in last))
    return rows.unpack(concatenate_directions(outputs)), final


def _program(cell: SequenceCell) -> TensorProgram:
    graph = cell.graph
    if graph.program is None:
        graph.program = lower_to_tensors(graph)
    program: TensorProgram = graph.program
    return program


def _leaves(cell: SequenceCell, program: TensorProgram, packed: Tensor) -> list[Tensor]:
    """What does not depend on the state, for all rows and steps at once: the program's rows, then its vectors."""
    wanted, values = (*program.rows, *program.vectors), dict[int, Any]()
    needed = set(wanted)
    for node in reversed(program.graph.nodes):
        if node.index in needed and node.operation != "state":
            needed.update(part.index for part in node.inputs)
    for node in program.graph.nodes:
        if node.index not in needed:
            continue
        if node.operation == "add" and [part.operation for part in node.inputs] == ["product", "parameter"]:
            product, bias = node.inputs
            weight = cell.parameter(product.attributes[0])
            values[node.index] = F.linear(values[product.inputs[0].index], weight, cell.parameter(bias.attributes[0]))
        elif not (node.operation == "product" and _feeds_one_bias(program, node.index, needed)):
            values[node.index] = apply(node, values, packed, {}, cell.parameter)
    return [values[index] for index in wanted]


def _feeds_one_bias(program: TensorProgram, index: int, needed: set[int]) -> bool:
    if index in program.rows or index in program.vectors:
        return False
    users = [node for node in program.graph.nodes if node.index in needed and index in [p.index for p in node.inputs]]
    return all(n.operation == "add" and [p.operation for p in n.inputs] == ["product", "parameter"] for n in users)


def _execute(instructions: Sequence[TensorInstruction], slots: list[Any]) -> None:
    for function, arguments, result in instructions:
        slots[result] = function(*[slots[argument] for argument in arguments])


@dataclass(frozen=True)
class _Plan:
    """A program over the time steps of one packed batch, in one direction.

    Its tensors are, in this order: rows (N, size), vectors (size,), recurrent matrices, initial states (B, H).
    """

    program: TensorProgram
    counts: list[int]
    backward: bool

    def steps(self) -> list[tuple[int, int, int]]:
        """(time, first row, rows) of each step in the order of the computation."""
        starts = [0]
        for count in self.counts:
            starts.append(starts[-1] + count)
        steps = list(zip(range(len(self.counts)), starts, self.counts, strict=False))
        return steps[::-1] if self.backward else steps

    def split(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        program, parts, start = self.program, [], 0
        for size in (len(program.rows), len(program.vectors), len(program.weights), len(program.states)):
            parts.append(list(tensors[start : start + size]))
            start += size
        return parts[0], parts[1], parts[2], parts[3]

    def fixed(self, tensors: Sequence[Tensor]) -> list[Any]:
        """Slots filled with what is the same in every step."""
        program, slots = self.program, [None] * self.program.slots
        _, vectors, weights, _ = self.split(tensors)
        filled: dict[int, Any] = {**program.constants, **dict(zip(program.vectors, vectors, strict=True))}
        for slot, weight in zip(program.weights.values(), weights, strict=True):
            filled[slot], filled[slot + 1] = weight, weight.t()
        for slot, value in filled.items():
            slots[slot] = value
        return slots

    def run(self, tensors: Sequence[Tensor], keep: list[Tensor] | None = None) -> tuple[Tensor, ...]:
        """Outputs (N, H) and final states (B, H); the values that the way back needs are appended to ``keep``."""
        program = self.program
        rows, _, _, initial = self.split(tensors)
        slots, ended = self.fixed(tensors), list[list[Tensor]]()
        # Rows come and go at the end of the batch: going forward the short ones leave, going backward they join.
        states, alive = ([s[:0] for s in initial], 0) if self.backward else (initial, len(initial[0]))
        outputs: list[Any] = [None] * len(self.counts)
        for time, start, count in self.steps():
            if count > alive:
                states = [torch.cat([s, i[alive:count]]) for s, i in zip(states, initial, strict=True)]
            elif count < alive:
                ended.append([state[count:] for state in states])
                states = [state[:count] for state in states]
            alive = count
            for slot, value in zip(program.states, states, strict=True):
                slots[slot] = value
            for slot, value in zip(program.rows, rows, strict=True):
                slots[slot] = value[start : start + count]
            _execute(program.forward, slots)
            if keep is not None:
                keep.extend(slots[slot] for slot in program.saved)
            # A truth times a number is float32 in torch, beside any shorter type.
            states = [slots[slot].to(state.dtype) for slot, state in zip(program.outputs, states, strict=True)]
            outputs[time] = states[0]
        ended.append(states)
        if self.backward:
            ended.insert(0, [state[alive:] for state in initial])
        final = [torch.cat(pieces[::-1]) for pieces in zip(*ended, strict=True)]
        return (torch.cat(outputs), *final)

    def gradients(
        self, tensors: Sequence[Tensor], kept: Sequence[Tensor], given: Sequence[Tensor]
    ) -> list[Tensor | None]:
        """The gradients of all tensors from those of the outputs and final states."""
        program = self.program
        slots, width = self.fixed(tensors), len(program.saved)
        d_outputs, d_states = given[0], list(given[1:])
        wanted = {slot for leaf, slot in program.gradients.items() if leaf not in program.states}
        wanted.update(slot for _, vector, gradient in program.products for slot in (vector, gradient))
        history: dict[int, list[Any]] = {slot: [None] * len(self.counts) for slot in wanted}
        order = self.steps()
        for position in reversed(range(len(order))):
            time, start, count = order[position]
            for slot, value in zip(program.saved, kept[position * width : (position + 1) * width], strict=True):
                slots[slot] = value
            for slot, state in zip(program.seeds, d_states, strict=True):
                slots[slot] = state[:count]
            slots[program.seeds[0]] = slots[program.seeds[0]] + d_outputs[start : start + count]
            _execute(program.backward, slots)
            for slot, values in history.items():
                values[time] = slots[slot]
            for k, leaf in enumerate(program.states):
                gradient = program.gradients.get(leaf)
                before = torch.zeros_like(d_states[k][:count]) if gradient is None else slots[gradient]
                ended = d_states[k][count:]  # what flows back to rows that are not in this step waits for theirs
                d_states[k] = torch.cat([before, ended]) if len(ended) else before
        whole = {slot: torch.cat(values) for slot, values in history.items()}
        return [*self._collect(whole), *d_states]

    def _collect(self, whole: dict[int, Tensor]) -> list[Tensor | None]:
        """The gradients of rows, vectors and matrices from what all steps gave; none where nothing arrives."""
        program = self.program
        arrived = {leaf: whole[slot] for leaf, slot in program.gradients.items() if leaf not in program.states}
        gradients = [arrived.get(leaf) for leaf in program.rows]
        gradients += [arrived[leaf].sum(0) if leaf in arrived else None for leaf in program.vectors]
        matrices: dict[str, Tensor] = {}
        for name, vector, gradient in program.products:
            term = whole[gradient].t() @ whole[vector].to(whole[gradient].dtype)
            matrices[name] = matrices[name] + term if name in matrices else term
        return [*gradients, *(matrices.get(name) for name in program.weights)]


class _Sequence(torch.autograd.Function):
    """The program over a sequence as one operation of autograd."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        kept: list[Tensor] = []
        results = plan.run(tensors, kept)
        ctx.plan, ctx.inputs = plan, len(tensors)
        ctx.save_for_backward(*tensors, *kept)
        return results

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Any, ...]:
        saved = ctx.saved_tensors  # read once: recomputation hands them out only once
        tensors, kept = saved[: ctx.inputs], saved[ctx.inputs :]
        if torch.is_grad_enabled():  # somebody wants gradients of these gradients: let autograd record the program
            results = ctx.plan.run(tensors)
            sought = [tensor for tensor in tensors if tensor.requires_grad]
            gradients = iter(torch.autograd.grad(results, sought, given, create_graph=True, allow_unused=True))
            return None, *(next(gradients) if tensor.requires_grad else None for tensor in tensors)
        return None, *ctx.plan.gradients(tensors, kept, given)
