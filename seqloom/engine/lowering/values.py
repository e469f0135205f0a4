"""The values of a step for the machine: a hash-consed graph in which every value is one block of units, or one number.

:mod:`~seqloom.engine.lowering.blocks` builds it from a traced step, :mod:`~seqloom.engine.lowering.reverse` adds the
backward pass to the same graph, and :mod:`~seqloom.engine.lowering.stages` makes code of it. Inputs precede results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import reduce
from typing import Any, TypeAlias

from seqloom.engine.lowering.form import Op

__all__ = ["CHEAP", "LEAVES", "Node", "Source", "Unlowerable", "Value", "Values"]


class Unlowerable(ValueError):  # noqa: N818  # an answer, not a mistake of anybody's
    """A step does not fit the machine; the message is the reason, in one sentence."""


class Node(Enum):
    """What a value is, beside the elementwise operations of :class:`~seqloom.engine.lowering.form.Op`."""

    LINEAR = auto()
    """Columns of the input product: (weight, biases, first row)."""
    ROWS = auto()
    """A hoisted value: (graph node, first unit)."""
    STATE = auto()
    """A state before the step: (state, first unit)."""
    VECTOR = auto()
    """The same in all rows and steps: (graph node, first unit)."""
    CARRY = auto()
    """The elementwise part of the gradient of a new state: (state, first unit)."""
    OUTPUT_GRADIENT = auto()
    """(first unit)."""
    PRODUCT = auto()
    """Rows of a recurrent matrix times the vector whose pieces are the inputs: (matrix, first row, length)."""
    BACK_PRODUCT = auto()
    """The gradient of a vector through all products that read it: (:data:`Source`, ); inputs: the gradients of their
    results in this step, none where they are those of the step after."""
    ROW_SUM = auto()
    """The sum of the input over its units."""
    PART = auto()
    """Units of a wider value: (first unit)."""


LEAVES = frozenset({Node.LINEAR, Node.ROWS, Node.STATE, Node.VECTOR, Node.CARRY, Node.OUTPUT_GRADIENT})
CHEAP = frozenset(
    {
        Op.ADD, Op.SUB, Op.MUL, Op.NEG, Op.RELU, Op.ABS, Op.SIGN, Op.MINIMUM, Op.MAXIMUM, Op.LESS, Op.LESS_EQUAL,
        Op.EQUAL, Op.WHERE,
    }
)  # fmt: skip
"""Operations that are as well computed again as read from memory."""


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """One value per row and unit (``width`` units), or one per row (width 1). Compared by identity."""

    index: int
    operation: Op | Node
    inputs: tuple[Value, ...]
    width: int
    attributes: tuple[Any, ...] = ()

    @property
    def number(self) -> float | None:
        """The value of a constant, none for anything else."""
        return self.attributes[0] if self.operation is Op.CONSTANT else None

    @property
    def elementwise(self) -> bool:
        return isinstance(self.operation, Op) and self.operation is not Op.CONSTANT


_LARGEST = 3.4028235677973366e38
"""From here on a number rounds to infinity in float32."""

_NORMAL = 126
"""2 to plus and minus this have all their digits in float32, and so have their inverses."""

Source: TypeAlias = tuple[int, ...]
"""What products read: ``(-1, state)`` for a whole state before the step, or the indices of the pieces of a vector."""

_Key: TypeAlias = tuple[Op | Node, tuple[int, ...], int, tuple[Any, ...]]


@dataclass(eq=False)
class Values:
    """All values of a step; equal expressions are one value, and what is obvious is simplified."""

    everything: list[Value] = field(default_factory=list)
    _known: dict[_Key, Value] = field(default_factory=dict)

    def make(self, operation: Op | Node, inputs: Sequence[Value], width: int, *attributes: Any) -> Value:
        """The value with these contents: the existing one, or a new one at the end."""
        # 0.0 and -0.0 are equal numbers and are not the same.
        told_apart = tuple(map(repr, attributes)) if operation is Op.CONSTANT else attributes
        key = (operation, tuple(value.index for value in inputs), width, told_apart)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Value(len(self.everything), operation, tuple(inputs), width, attributes)
            self.everything.append(known)
        return known

    def constant(self, number: float) -> Value:
        return self.make(Op.CONSTANT, (), 1, number if abs(number) < _LARGEST else number * math.inf)

    def apply(self, operation: Op, *inputs: Value) -> Value:
        """An operation unit by unit."""
        numbers = [value.number for value in inputs]
        if operation in _NUMBERS and all(number is not None for number in numbers):
            try:
                return self.constant(_NUMBERS[operation](*numbers))
            except (ValueError, ZeroDivisionError, OverflowError):
                pass  # the machine gives the infinity or the NaN
        simpler = _SIMPLER.get(operation)
        simplified = simpler(self, *inputs) if simpler else None
        if simplified is not None:
            return simplified
        if operation in (Op.ADD, Op.MUL) and inputs[0].index > inputs[1].index:
            inputs = inputs[::-1]
        return self.make(operation, inputs, max(value.width for value in inputs))

    def add(self, a: Value, b: Value) -> Value:
        return self.apply(Op.ADD, a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self.apply(Op.SUB, a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self.apply(Op.MUL, a, b)

    def scaled(self, value: Value, factor: float) -> Value:
        return self.apply(Op.MUL, value, self.constant(factor))

    def total(self, terms: Iterable[Value]) -> Value:
        """The sum of at least one value."""
        return reduce(self.add, terms)

    def row_sum(self, value: Value, units: int) -> Value:
        """The sum over ``units`` units of a value, which may be the same in all of them."""
        if value.width == 1:
            return self.scaled(value, units)
        return self.make(Node.ROW_SUM, (value,), 1)


def _is_negative_zero(value: Value) -> bool:
    return value.number == 0.0 and math.copysign(1.0, value.number) < 0.0


def _simpler_add(values: Values, a: Value, b: Value) -> Value | None:
    if _is_negative_zero(a):  # 0.0 is not as good: it changes the sign of -0.0
        return b
    if _is_negative_zero(b):
        return a
    if b.operation is Op.NEG:
        return values.sub(a, b.inputs[0])
    return values.sub(b, a.inputs[0]) if a.operation is Op.NEG else None


def _simpler_sub(values: Values, a: Value, b: Value) -> Value | None:
    if b.number == 0.0 and not _is_negative_zero(b):
        return a
    if _is_negative_zero(a):
        return values.apply(Op.NEG, b)
    return values.add(a, b.inputs[0]) if b.operation is Op.NEG else None


def _simpler_mul(values: Values, a: Value, b: Value) -> Value | None:
    for factor, other in ((a, b), (b, a)):
        if factor.number == 1.0:
            return other
        if factor.number == -1.0:
            return values.apply(Op.NEG, other)
        if factor.operation is Op.NEG:  # a sign outside meets the sum that takes it in
            return values.apply(Op.NEG, values.mul(factor.inputs[0], other))
    return None


def _simpler_div(values: Values, a: Value, b: Value) -> Value | None:
    if b.number is not None and math.frexp(b.number)[0] in (0.5, -0.5) and abs(math.log2(abs(b.number))) <= _NORMAL:
        return values.scaled(a, 1.0 / b.number)  # exact for powers of two
    return None if a.number is None else values.scaled(values.apply(Op.RECIPROCAL, b), a.number)  # as torch does


def _simpler_neg(values: Values, a: Value) -> Value | None:
    return a.inputs[0] if a.operation is Op.NEG else None


_SIMPLER: dict[Op, Callable[..., Value | None]] = {
    Op.ADD: _simpler_add,
    Op.SUB: _simpler_sub,
    Op.MUL: _simpler_mul,
    Op.DIV: _simpler_div,
    Op.NEG: _simpler_neg,
}
_NUMBERS: dict[Op, Callable[..., float]] = {
    Op.ADD: lambda a, b: a + b,
    Op.SUB: lambda a, b: a - b,
    Op.MUL: lambda a, b: a * b,
    Op.DIV: lambda a, b: a / b,
    Op.NEG: lambda a: -a,
    Op.RECIPROCAL: lambda a: 1.0 / a,
    Op.SQRT: math.sqrt,
    Op.ABS: abs,
}
