"""Cells with random steps, drawn from a seed: any words in any order, so that lowering meets what nobody thought of."""

import math
import random

import numpy as np

from seqloom.cells import Cell
from seqloom.engine.operations import (
    abs,
    exp,
    layer_norm,
    log,
    maximum,
    minimum,
    relu,
    sigmoid,
    softplus,
    split,
    sqrt,
    tanh,
    where,
)  # fmt: skip


def in_place(v):
    v = v * 0.5
    v += 1.0
    v *= -0.25
    return v


def twice_negative(v):
    v = -v
    return -v


UNARY = (
    tanh, sigmoid, relu, abs, softplus, layer_norm, lambda v: -v, lambda v: 0.5 * v, lambda v: v + 1,
    lambda v: exp(-abs(v)), lambda v: log(1.5 + v * v), lambda v: sqrt(0.5 + v * v), lambda v: 1 / (2 + abs(v)),
)  # fmt: skip
BINARY = (
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (2 + abs(b)), minimum, maximum,
    lambda a, b: where(a < b, a, 0.3 * b), lambda a, b: where(a <= 0.1, b, a), lambda a, b: a + b, lambda a, b: a * b,
)  # fmt: skip
# What a compiler is tempted to simplify, and numbers that torch takes for something else than the layer's.
ODD_UNARY = (
    in_place, lambda v: v + 0.0, lambda v: v - 0.0, lambda v: v + -0.0, lambda v: 0.0 - v, lambda v: -0.0 - v,
    twice_negative, lambda v: v * 1.0, lambda v: v * -1, lambda v: 0 * v + 0.5, lambda v: v / 2.0, lambda v: v / -4,
    lambda v: v / 2.0**130, lambda v: 3 / (2 + abs(v)), lambda v: 0.0 / (2 + v * v) + v, lambda v: v + v,
    lambda v: where(1 / (v * 0.0) > 0, v, 0.5 * v), lambda v: where(1 / (v * -0.0) > 0, v, 0.5 * v),
    lambda v: minimum(v, 1e39), lambda v: maximum(v, -math.inf), lambda v: maximum(0.0, v), lambda v: minimum(v, v),
    lambda v: v * 16777217 / 2.0**24, lambda v: v * np.float32(0.5), lambda v: np.int64(2) * v, lambda v: v * 1e-46,
    lambda v: where(1.0, v, 0.5), lambda v: where(0.0, 0.5, v), lambda v: where(v, 0.5 * v, 2.0),
    lambda v: (v > 0) * v, lambda v: (v > 0) + (v < 1) + v, lambda v: ((v > 0) + (v < 1)) * 0.5 * v,
    lambda v: (v > 0) * 3 / 4 + v, lambda v: where(v > 0, 1, 0) * v, lambda v: ((v > 0) * 2 - 1) * v,
    lambda v: minimum(v > 0, 0.5) * v, lambda v: maximum(v > 0, v < 0.5) * v, lambda v: sqrt(v > 0) * v,
    lambda v: where(where(v > 0, v > 1, v < -1), v, 0.1 * v), lambda v: layer_norm((v > 0) + 0.5 * v) * v,
)  # fmt: skip
ODD_BINARY = (
    lambda a, b: where((a < b) * (a < 0.5), a, b), lambda a, b: where((a < b) + (b < 0.1), a, b),
    lambda a, b: (a <= b) * a, lambda a, b: a + -b, lambda a, b: -a + b, lambda a, b: a - -b, lambda a, b: -a * b,
    lambda a, b: where(a, b, 0.3 * a), lambda a, b: where((a < b) < (a < 0.3), a, b), lambda a, b: (a > b) * 1 + a,
    lambda a, b: minimum(a < b, b < 0.3) * a, lambda a, b: where(minimum(a < 0.3, b < a), b, a),
)  # fmt: skip


class RandomStep(Cell):
    """States a, b and c of H, 3 and 1 units."""

    state = ("a", "b", "c")

    def __init__(self, input_size, hidden_size, *, seed, odd=False, bias=True):
        self.seed, self.odd = seed, odd
        super().__init__(input_size, hidden_size, bias=bias)

    def options(self):
        return {"seed": self.seed, "odd": self.odd}

    @property
    def state_sizes(self):
        return self.hidden_size, 3, 1

    def step(self, x, a, b, c):
        return _Drawing(self, x, (a, b, c)).new_states()


class _Drawing:
    """One way through the words, the same for the same seed."""

    def __init__(self, cell, x, states):
        self.cell, self.states, self.random = cell, states, random.Random(cell.seed)
        self.known = {size: [] for size in cell.state_sizes}
        for size, value in zip((cell.input_size, *cell.state_sizes), (x, *states), strict=True):
            self.known.setdefault(size, []).append(value)
        self.sources = [x, *states]

    def new_states(self):
        sizes = self.cell.state_sizes
        for number in range(self.random.randint(3, 9)):
            size = self.random.choice((*sizes, self.cell.hidden_size))
            self.known[size].append(self.grow(size, str(number)))
        return tuple(self.become(size, old) for size, old in zip(sizes, self.states, strict=True))

    def become(self, size, old):
        """A new state; among odd ones, one that stays, or is the same for all rows."""
        if self.cell.odd and self.random.random() < 0.2:
            return old if self.random.random() < 0.5 else self.cell.vector(f"new{size}", size)
        return tanh(self.random.choice(self.known[size][-3:])) + 0.0

    def words(self, plain, odd):
        return self.random.choice(odd if self.cell.odd and self.random.random() < 0.7 else plain)

    def grow(self, size, name):
        choice, known = self.random.random(), self.known[size]
        if choice < 0.35:
            bias = self.random.random() < 0.7
            value = self.cell.affine(*self.pick_sources(), name=name, size=size, bias=bias)
        elif choice < 0.45 and size > 1:
            parts = split(self.cell.affine(*self.pick_sources(), name=name, size=2 * size), 2)
            value = parts[0] * tanh(parts[1]) if self.random.random() < 0.7 else parts[1]
        elif choice < 0.55:
            value = self.random.choice(known) * self.cell.vector(name, self.random.choice((1, size)))
        elif choice < 0.75:
            value = self.words(UNARY, ODD_UNARY)(self.random.choice(known))
        else:
            value = self.words(BINARY, ODD_BINARY)(
                self.random.choice(known), self.random.choice((*known, *self.known[1]))
            )
        self.sources.append(value)
        return value

    def pick_sources(self):
        return self.random.sample(self.sources, self.random.randint(1, min(3, len(self.sources))))
