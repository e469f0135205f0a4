"""What the tests of gradient algorithms share: small layers with general weights, a loss of every step, comparisons."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.cells import Cell, names
from seqloom.engine.operations import relu, sigmoid, tanh
from seqloom.layers.recurrent import Recurrent
from seqloom.learning import Gradients

INPUT, HIDDEN, TIME = 3, 5, 20


class Peephole(Cell):
    """A user's cell: an LSTM whose gates see its memory, the output gate the new one."""

    state = ("h", "c")

    def step(self, x: Any, h: Any, c: Any) -> Any:
        i, f, g, o = self.affine(x, h, gates="ifgo")
        new = sigmoid(f + self.vector("f") * c) * c + sigmoid(i + self.vector("i") * c) * tanh(g)
        return sigmoid(o + self.vector("o") * new) * tanh(new), new


class Independent(Cell):
    """Rectified units, each of which sees itself only."""

    def step(self, x: Any, h: Any) -> Any:
        return relu(self.affine(x) + self.vector("u") * h)


class Leaking(Cell):
    """A gated average whose gate and candidate do not see the state."""

    def step(self, x: Any, h: Any) -> Any:
        z, n = self.affine(x, gates="zn")
        return (1 - sigmoid(z)) * h + sigmoid(z) * n


class Rotating(Cell):
    """Pairs of states that turn: diagonal in complex numbers, with an output that is no state of its own units."""

    state = ("real", "imaginary")

    def step(self, x: Any, real: Any, imaginary: Any) -> Any:
        a, b = self.vector("a"), self.vector("b")
        return a * real - b * imaginary + self.affine(x), b * real + a * imaginary + self.affine(x, name="other")


DIAGONAL: list[Any] = [
    *(Independent, Leaking, Rotating),
    *sorted({"indrnn", "lru", "mingru", "minlstm", "qrnn", "rg_lru", "sru"} & set(names())),
]


def layer_of(cell: Any, layers: int = 1, *, seed: int = 0, **options: Any) -> Recurrent:
    torch.manual_seed(seed)
    layer = Recurrent(cell, INPUT, HIDDEN, layers=layers, **options).double()
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.6, 0.6)
    return layer


def inputs(batch: int = 2, time: int = TIME, *, seed: int = 1) -> Tensor:
    return torch.randn(batch, time, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def loss_of(width: int, time: int = TIME, *, seed: int = 2) -> Callable[[Tensor, int], Tensor]:
    """One number per row, another function of the outputs at every step."""
    weights = torch.randn(time, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return lambda output, t: (output.sin() * weights[t]).sum(1)


def random_state(layer: Recurrent, batch: int = 2) -> Any:
    zeros = layer.initial_state(batch)
    return zeros._make(torch.rand_like(field) + 0.1 for field in zeros)


def difference(one: Gradients, other: Gradients) -> float:
    """The largest of all differences between the gradients."""
    assert one.gradients.keys() == other.gradients.keys()
    return max(float((one.gradients[name] - other.gradients[name]).abs().max()) for name in one.gradients)


def assert_equal(one: Gradients, other: Gradients, tolerance: float = 1e-10) -> None:
    """Loss, final state and gradients of two algorithms."""
    torch.testing.assert_close(one.loss, other.loss, atol=tolerance, rtol=0)
    for field, wanted in zip(one.state, other.state, strict=True):
        torch.testing.assert_close(field, wanted, atol=tolerance, rtol=0)
    assert difference(one, other) <= tolerance
