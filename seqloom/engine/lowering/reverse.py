"""Reverse mode on the values of a step: the backward pass, added to the same graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from seqloom.engine.lowering.blocks import CutStep, Normal
from seqloom.engine.lowering.form import Op
from seqloom.engine.lowering.values import Node, Source, Value, Values

__all__ = ["StepGradients", "differentiate", "source_of"]

_LEARNING = frozenset({Node.LINEAR, Node.ROWS, Node.STATE, Node.VECTOR, Node.PRODUCT})


@dataclass(eq=False)
class StepGradients:
    """Where gradients arrive.

    Attributes:
        leaves: leaf and gradient. A vector of one unit may have a gradient of every unit, to be summed.
        products: by what they read, the recurrent products and the gradients of their results.
    """

    leaves: list[tuple[Value, Value]] = field(default_factory=list)
    products: dict[Source, list[tuple[Value, Value]]] = field(default_factory=dict)


def source_of(step: CutStep, pieces: tuple[Value, ...]) -> Source:
    """What a product of a vector in pieces reads."""
    return (-1, step.states.index(pieces)) if pieces in step.states else tuple(piece.index for piece in pieces)


def reachable(roots: list[Value]) -> list[Value]:
    """The values that others are computed from, and they themselves, inputs first."""
    reached: dict[int, Value] = {}
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        if value.index not in reached:
            reached[value.index] = value
            waiting += value.inputs
    return [reached[index] for index in sorted(reached)]


def differentiate(step: CutStep) -> StepGradients:
    """The gradients of one step, from those of the new states.

    The gradient of a state from the products that read it comes from the step after, before this step's is known; where
    it turns out that nothing of it arrives in the products' results, it is left out.
    """
    forward = reachable([piece for pieces in step.outputs for piece in pieces])
    read = {source_of(step, value.inputs) for value in forward if value.operation is Node.PRODUCT}
    while True:
        gradients = _Reverse(step, forward, read).run()
        idle = {source for source in read if source[0] == -1 and source not in gradients.products}
        if not idle:
            return gradients
        read -= idle


@dataclass
class _Reverse:
    step: CutStep
    forward: list[Value]
    read: set[Source]
    gradients: StepGradients = field(default_factory=StepGradients)
    terms: dict[int, list[Value]] = field(default_factory=dict)
    wide: dict[int, dict[int, list[Value]]] = field(default_factory=dict)
    """For a value of width 1, by width, what reached it in computations of that many units."""
    ready: dict[int, list[Source]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = self.step.values
        self.moving: set[int] = set()
        for value in self.forward:
            if value.operation in _LEARNING or any(part.index in self.moving for part in value.inputs):
                self.moving.add(value.index)
        normals = self.step.normals
        self.normals = {result.index: normal for normal in normals for result in normal.results}
        self.sources = {index for source in self.read if source[0] != -1 for index in source}

    def run(self) -> StepGradients:
        for state, pieces in enumerate(self.step.outputs):
            first = 0
            for piece in pieces:
                width = self.step.sizes[state] // len(pieces)
                self._arrive(piece, self._seed(state, first, width), width)
                first += width
        for value in reversed(self.forward):
            if value.index in self.moving:
                self._pass(value)
        return self.gradients

    def _seed(self, state: int, first: int, width: int) -> Value:
        """The gradient of units of a new state."""
        values = self.values
        terms = [values.make(Node.CARRY, (), width, state, first)]
        source = (-1, state)
        if source in self.read:
            terms.append(self._back_product(source, (), self.step.sizes[state], first, width))
        if state == 0:
            terms.append(values.make(Node.OUTPUT_GRADIENT, (), width, first))
        return values.total(terms)

    def _back_product(self, source: Source, inputs: tuple[Value, ...], size: int, first: int, width: int) -> Value:
        whole = self.values.make(Node.BACK_PRODUCT, inputs, size, source)
        return whole if width == size else self.values.make(Node.PART, (whole,), width, first)

    def _arrive(self, value: Value, gradient: Value, units: int) -> None:
        """A term of a value's gradient, computed on so many units."""
        if value.width == 1 and units > 1:
            self.wide.setdefault(value.index, {}).setdefault(units, []).append(gradient)
        else:
            self.terms.setdefault(value.index, []).append(gradient)

    def _pass(self, value: Value) -> None:
        if value.index in self.sources:
            self._take_from_products(value)
        if value.operation is Node.VECTOR and value.width == 1:
            for units, terms in self.wide.pop(value.index, {}).items():
                total = self.values.total(terms)
                self.gradients.leaves.append(
                    (value, total if total.width == units else self.values.scaled(total, units))
                )
        for units, terms in self.wide.pop(value.index, {}).items():
            summed = self.values.row_sum(self.values.total(terms), units)
            self.terms.setdefault(value.index, []).append(summed)
        normal = self.normals.get(value.index)
        if normal is not None:
            if value.index == min(result.index for result in normal.results):
                self._pass_normal(normal)
            return
        if value.index not in self.terms:
            return
        gradient = self.values.total(self.terms[value.index])
        if value.operation is Node.PRODUCT:
            self.gradients.products.setdefault(source_of(self.step, value.inputs), []).append((value, gradient))
        elif isinstance(value.operation, Node):
            self.gradients.leaves.append((value, gradient))
        else:
            for part, term in _terms(self.values, value, gradient, self.moving):
                self._arrive(part, term, value.width)

    def _take_from_products(self, value: Value) -> None:
        """What comes through the products that read a vector with this piece; all of them are later values."""
        for source, products in list(self.gradients.products.items()):
            if source[0] == -1:
                continue
            first, size = 0, products[0][0].attributes[2]
            width = size // len(source)
            gradients = tuple(gradient for _, gradient in products)
            for index in source:
                if index == value.index:
                    self._arrive(value, self._back_product(source, gradients, size, first, width), width)
                first += width

    def _pass_normal(self, normal: Normal) -> None:
        """``inverse * (d - mean(d) - y mean(d y))``: both means in one go over the units."""
        values, units = self.values, normal.units
        pieces = [(piece, y, self.terms.get(y.index)) for piece, y in zip(normal.pieces, normal.results, strict=True)]
        known = [(y, values.total(terms)) for _, y, terms in pieces if terms]
        if not known:
            return
        width = units // len(normal.pieces)
        mean = values.scaled(values.row_sum(values.total(d for _, d in known), width), 1.0 / units)
        along = values.row_sum(values.total(values.mul(d, y) for y, d in known), width)
        along = values.scaled(along, 1.0 / units)
        for piece, y, terms in pieces:
            shift = values.add(mean, values.mul(y, along))
            inner = values.sub(values.total(terms), shift) if terms else values.apply(Op.NEG, shift)
            self._arrive(piece, values.mul(inner, normal.inverse), width)


def _terms(values: Values, value: Value, gradient: Value, moving: set[int]) -> Iterator[tuple[Value, Value]]:
    assert isinstance(value.operation, Op)
    for part, rule in zip(value.inputs, _RULES.get(value.operation, ()), strict=False):
        if rule is not None and part.index in moving:
            yield part, rule(values, value, gradient)


_Rule = Callable[[Values, Value, Value], Value]


def _chosen(position: int) -> _Rule:
    """Nothing for the input that was left, half where both are equal, all for both beside NaN, as in torch."""

    def rule(values: Values, value: Value, gradient: Value) -> Value:
        smaller, larger = value.inputs if (value.operation is Op.MINIMUM) == (position == 1) else value.inputs[::-1]
        shared = values.apply(Op.WHERE, values.apply(Op.EQUAL, *value.inputs), values.scaled(gradient, 0.5), gradient)
        return values.apply(Op.WHERE, values.apply(Op.LESS, smaller, larger), values.constant(0.0), shared)

    return rule


def _divisor(values: Values, value: Value, gradient: Value) -> Value:
    return values.apply(Op.NEG, values.apply(Op.DIV, values.mul(gradient, value), value.inputs[1]))


def _relu(values: Values, value: Value, gradient: Value) -> Value:
    zero = values.constant(0.0)
    return values.apply(Op.WHERE, values.apply(Op.LESS_EQUAL, value, zero), zero, gradient)  # NaN passes, as in torch


def _sigmoid(values: Values, value: Value, gradient: Value) -> Value:
    return values.mul(values.mul(gradient, value), values.sub(values.constant(1.0), value))


def _tanh(values: Values, value: Value, gradient: Value) -> Value:
    return values.mul(gradient, values.sub(values.constant(1.0), values.mul(value, value)))


_RULES: dict[Op, tuple[_Rule | None, ...]] = {
    Op.ADD: (lambda v, y, g: g, lambda v, y, g: g),
    Op.SUB: (lambda v, y, g: g, lambda v, y, g: v.apply(Op.NEG, g)),
    Op.MUL: (lambda v, y, g: v.mul(g, y.inputs[1]), lambda v, y, g: v.mul(g, y.inputs[0])),
    Op.DIV: (lambda v, y, g: v.apply(Op.DIV, g, y.inputs[1]), _divisor),
    Op.NEG: (lambda v, y, g: v.apply(Op.NEG, g),),
    Op.RECIPROCAL: (lambda v, y, g: v.apply(Op.NEG, v.mul(g, v.mul(y, y))),),
    Op.SIGMOID: (_sigmoid,),
    Op.TANH: (_tanh,),
    Op.RELU: (_relu,),
    Op.EXP: (lambda v, y, g: v.mul(g, y),),
    Op.LOG: (lambda v, y, g: v.apply(Op.DIV, g, y.inputs[0]),),
    Op.SOFTPLUS: (lambda v, y, g: v.mul(g, v.apply(Op.SIGMOID, y.inputs[0])),),
    Op.ABS: (lambda v, y, g: v.mul(g, v.apply(Op.SIGN, y.inputs[0])),),
    Op.SQRT: (lambda v, y, g: v.mul(g, v.apply(Op.DIV, v.constant(0.5), y)),),
    Op.MINIMUM: (_chosen(0), _chosen(1)),
    Op.MAXIMUM: (_chosen(0), _chosen(1)),
    Op.WHERE: (
        None,
        lambda v, y, g: v.apply(Op.WHERE, y.inputs[0], g, v.constant(0.0)),
        lambda v, y, g: v.apply(Op.WHERE, y.inputs[0], v.constant(0.0), g),
    ),
}
"""For each operation and input: the values, the result and its gradient to the input's gradient."""
