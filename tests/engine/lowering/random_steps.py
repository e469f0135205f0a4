"""Cells with random steps, drawn from a seed: any words in any order, so that lowering meets what nobody thought of."""

import random

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

UNARY = (
    tanh, sigmoid, relu, abs, softplus, layer_norm, lambda v: -v, lambda v: 0.5 * v, lambda v: v + 1,
    lambda v: exp(-abs(v)), lambda v: log(1.5 + v * v), lambda v: sqrt(0.5 + v * v), lambda v: 1 / (2 + abs(v)),
)  # fmt: skip
BINARY = (
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (2 + abs(b)), minimum, maximum,
    lambda a, b: where(a < b, a, 0.3 * b), lambda a, b: where(a <= 0.1, b, a), lambda a, b: a + b, lambda a, b: a * b,
)  # fmt: skip


class RandomStep(Cell):
    """States a, b and c of H, 3 and 1 units."""

    state = ("a", "b", "c")

    def __init__(self, input_size, hidden_size, *, seed, bias=True):
        self.seed = seed
        super().__init__(input_size, hidden_size, bias=bias)

    def options(self):
        return {"seed": self.seed}

    @property
    def state_sizes(self):
        return self.hidden_size, 3, 1

    def step(self, x, a, b, c):
        self.random = random.Random(self.seed)
        sizes = (self.hidden_size, 3, 1)
        self.known = {size: [] for size in sizes}
        for size, value in ((self.input_size, x), (self.hidden_size, a), (3, b), (1, c)):
            self.known.setdefault(size, []).append(value)
        self.sources = [x, a, b, c]
        for number in range(self.random.randint(3, 9)):
            size = self.random.choice((*sizes, self.hidden_size))
            self.known[size].append(self.grow(size, str(number)))
        return tuple(tanh(self.random.choice(self.known[size][-3:])) + 0.0 for size in sizes)

    def grow(self, size, name):
        choice, known = self.random.random(), self.known[size]
        if choice < 0.35:
            value = self.affine(*self.pick_sources(), name=name, size=size, bias=self.random.random() < 0.7)
        elif choice < 0.45 and size > 1:
            parts = split(self.affine(*self.pick_sources(), name=name, size=2 * size), 2)
            value = parts[0] * tanh(parts[1]) if self.random.random() < 0.7 else parts[1]
        elif choice < 0.55:
            value = self.random.choice(known) * self.vector(name, self.random.choice((1, size)))
        elif choice < 0.75:
            value = self.random.choice(UNARY)(self.random.choice(known))
        else:
            value = self.random.choice(BINARY)(self.random.choice(known), self.random.choice((*known, *self.known[1])))
        self.sources.append(value)
        return value

    def pick_sources(self):
        return self.random.sample(self.sources, self.random.randint(1, min(3, len(self.sources))))
