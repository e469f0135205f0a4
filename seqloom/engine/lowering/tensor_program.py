"""A step lowered to two lists of instructions: forward, and backward as reverse mode derives it from the graph.

What does not depend on the state is split off: the *rows* (one value per row and time step, computed for all steps at
once before the loop) and the *vectors* (the same for all of them). An instruction reads and writes numbered slots of
a list; the first slots are the graph's nodes, the next the gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from seqloom.engine import operations
from seqloom.engine.adjoint import RULES, Rule
from seqloom.engine.graph import APPLY, SOURCES, Graph, Symbol

__all__ = ["TensorInstruction", "TensorProgram", "lower_to_tensors"]

TensorInstruction: TypeAlias = tuple[Callable[..., Any], tuple[int, ...], int]
"""A function, the slots of its arguments, the slot of its result."""


@dataclass(frozen=True)
class TensorProgram:
    """One step of a cell, ready to be run over a sequence in either direction."""

    graph: Graph
    rows: tuple[int, ...]
    """Nodes that change with x but not with the state, and are used with it: (rows, size) in each step."""
    vectors: tuple[int, ...]
    """Nodes that change with neither: (size,)."""
    states: tuple[int, ...]
    weights: dict[str, int]
    """The slot of each recurrent matrix; the next slot is its transpose."""
    constants: dict[int, float]
    forward: tuple[TensorInstruction, ...]
    outputs: tuple[int, ...]
    seeds: tuple[int, ...]
    """Slots of the gradients of the outputs."""
    backward: tuple[TensorInstruction, ...]
    gradients: dict[int, int]
    """For each node among rows, vectors and states: the slot of its gradient, where it has one."""
    products: tuple[tuple[str, int, int], ...]
    """Recurrent products: matrix, slot of the vector, slot of the gradient of the result."""
    saved: tuple[int, ...]
    """Forward slots that the backward instructions or the weight gradients read."""
    slots: int


def lower_to_tensors(graph: Graph) -> TensorProgram:
    """The program of a traced step."""
    return _Lowering(graph).program()


@dataclass
class _Lowering:
    graph: Graph
    slots: int = 0
    weights: dict[str, int] = field(default_factory=dict)
    backward: list[TensorInstruction] = field(default_factory=list)
    contributions: dict[int, list[int]] = field(default_factory=dict)
    blocks: dict[int, dict[int, int]] = field(default_factory=dict)
    products: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slots = len(self.graph.nodes)
        live = _reachable(self.graph)
        self.live = [node for node in self.graph.nodes if node.index in live]
        self.inner = [n for n in self.live if self.graph.depends_on_state(n) and n.operation != "state"]
        used = {part.index for node in self.inner for part in node.inputs} | {s.index for s in self.graph.outputs}
        outer = [node for node in self.live if node.index in used and not self.graph.depends_on_state(node)]
        on_input = _depending_on_input(self.graph)
        self.rows = tuple(node.index for node in outer if node.index in on_input)
        self.constants = {node.index: float(node.attributes[0]) for node in outer if node.operation == "constant"}
        self.vectors = tuple(n.index for n in outer if n.index not in on_input and n.index not in self.constants)
        for node in self.inner:
            if node.operation == "product" and node.attributes[0] not in self.weights:
                self.weights[node.attributes[0]] = self._slots(2)

    def program(self) -> TensorProgram:
        forward = self._forward()
        seeds = tuple(self._slots(1) for _ in self.graph.outputs)
        for symbol, seed in zip(self.graph.outputs, seeds, strict=True):
            self.contributions.setdefault(symbol.index, []).append(seed)
        for node in reversed(self.inner):
            gradient = self._gradient(node)
            if gradient is not None:
                self._differentiate(node, gradient)
        # A state that the step does not read still is a leaf; all three kinds are treated alike.
        states = tuple(node.index for node in self.graph.nodes if node.operation == "state")
        leaves = (*self.rows, *self.vectors, *states)
        gradients = {leaf: self._gradient(self.graph.nodes[leaf]) for leaf in leaves}
        outer = {*self.constants, *self.vectors, *(slot + k for slot in self.weights.values() for k in (0, 1))}
        read = {slot for _, arguments, _ in self.backward for slot in arguments} | {v for _, v, _ in self.products}
        return TensorProgram(
            graph=self.graph,
            rows=self.rows,
            vectors=self.vectors,
            states=states,
            weights=self.weights,
            constants=self.constants,
            forward=tuple(forward),
            outputs=tuple(symbol.index for symbol in self.graph.outputs),
            seeds=seeds,
            backward=tuple(self.backward),
            gradients={leaf: slot for leaf, slot in gradients.items() if slot is not None},
            products=tuple(self.products),
            saved=tuple(sorted(slot for slot in read if slot < len(self.graph.nodes) and slot not in outer)),
            slots=self.slots,
        )

    def _slots(self, count: int) -> int:
        self.slots += count
        return self.slots - count

    def _emit(self, function: Callable[..., Any], *arguments: int) -> int:
        slot = self._slots(1)
        self.backward.append((function, arguments, slot))
        return slot

    def _forward(self) -> list[TensorInstruction]:
        uses: dict[int, int] = {}
        for node in self.inner:
            for part in node.inputs:
                uses[part.index] = uses.get(part.index, 0) + 1
        for symbol in self.graph.outputs:
            uses[symbol.index] = uses.get(symbol.index, 0) + 1
        fused = {node.index: self._addend(node, uses) for node in self.inner}
        absorbed = {product.index for product in fused.values() if product is not None}
        return [self._instruction(node, fused[node.index]) for node in self.inner if node.index not in absorbed]

    def _addend(self, node: Symbol, uses: dict[int, int]) -> Symbol | None:
        """The product that an addition takes into one call of the product routine: used here only, added to a vector."""
        if node.operation != "add":
            return None
        for product, other in (node.inputs, node.inputs[::-1]):
            single = product.operation == "product" and uses.get(product.index) == 1
            if single and self.graph.depends_on_state(product) and other.size == product.size and other is not product:
                return None if other.operation == "constant" else product
        return None

    def _instruction(self, node: Symbol, product: Symbol | None) -> TensorInstruction:
        if product is not None:
            other = node.inputs[0] if node.inputs[1] is product else node.inputs[1]
            transposed = self.weights[product.attributes[0]] + 1
            return _add_product, (other.index, product.inputs[0].index, transposed), node.index
        arguments = tuple(part.index for part in node.inputs)
        match node.operation:
            case "product":
                return _product, (*arguments, self.weights[node.attributes[0]] + 1), node.index
            case "block":
                start = node.attributes[0] * node.size
                return partial(torch.narrow, dim=-1, start=start, length=node.size), arguments, node.index
            case "layer_norm":
                return partial(operations.layer_norm, eps=node.attributes[0]), arguments, node.index
            case name:
                return APPLY.get(name) or getattr(operations, name), arguments, node.index

    def _gradient(self, node: Symbol) -> int | None:
        """The slot of the sum of what has been contributed to a node's gradient."""
        terms = list(self.contributions.get(node.index, ()))
        blocks = self.blocks.get(node.index)
        if blocks:
            size = next(n.size for n in self.inner if n.operation == "block" and n.inputs[0] is node)
            positions = tuple(sorted(blocks))
            join = torch_cat if len(positions) * size == node.size else partial(_scatter, positions, size, node.size)
            terms.append(self._emit(join, *(blocks[position] for position in positions)))
        if not terms:
            return None
        total = terms[0]
        for term in terms[1:]:
            total = self._emit(torch.add, total, term)
        return total

    def _differentiate(self, node: Symbol, gradient: int) -> None:
        if node.operation == "product":
            name, vector = node.attributes[0], node.inputs[0]
            self.products.append((name, vector.index, gradient))
            self._contribute(vector, self._emit(_product, gradient, self.weights[name]))
        elif node.operation == "block":
            parent, position = node.inputs[0], node.attributes[0]
            self.blocks.setdefault(parent.index, {})[position] = gradient
        else:
            for position, operand in enumerate(node.inputs):
                rule = RULES[node.operation][position]
                if operand.operation != "constant" and rule is not None:
                    self._contribute(operand, self._reduced(node, operand, self._apply(rule, node, gradient)))

    def _apply(self, rule: Rule, node: Symbol, gradient: int) -> int:
        if rule.function is None:
            return gradient
        named = {"gradient": gradient, "result": node.index}
        slots = [named[key] if isinstance(key, str) else node.inputs[key].index for key in rule.reads]
        function = partial(rule.function, *node.attributes) if node.attributes else rule.function
        return self._emit(function, *slots)

    def _reduced(self, node: Symbol, operand: Symbol, gradient: int) -> int:
        return self._emit(_row_sum, gradient) if operand.size < node.size else gradient

    def _contribute(self, node: Symbol, gradient: int) -> None:
        self.contributions.setdefault(node.index, []).append(gradient)


def _product(vector: Tensor, matrix: Tensor) -> Tensor:
    return torch.mm(vector.to(matrix.dtype), matrix)


def _add_product(other: Tensor, vector: Tensor, matrix: Tensor) -> Tensor:
    if vector.dtype is not matrix.dtype or other.dtype is not matrix.dtype:
        return other + _product(vector, matrix)
    return torch.addmm(other, vector, matrix)


def torch_cat(*blocks: Tensor) -> Tensor:
    """The gradient of a stack of gates from those of all its gates."""
    return torch.cat(blocks, -1)


def _scatter(positions: Sequence[int], size: int, width: int, *blocks: Tensor) -> Tensor:
    full = blocks[0].new_zeros(*blocks[0].shape[:-1], width)
    for position, block in zip(positions, blocks, strict=True):
        full.narrow(-1, position * size, size).copy_(block)
    return full


def _row_sum(gradient: Tensor) -> Tensor:
    return gradient.sum(-1, keepdim=True)


def _reachable(graph: Graph) -> set[int]:
    reached = {symbol.index for symbol in graph.outputs}
    for node in reversed(graph.nodes):
        if node.index in reached:
            reached.update(part.index for part in node.inputs)
    return reached


def _depending_on_input(graph: Graph) -> set[int]:
    depending: set[int] = set()
    for node in graph.nodes:
        if node.operation == "input" or (
            node.operation not in SOURCES and any(p.index in depending for p in node.inputs)
        ):
            depending.add(node.index)
    return depending
