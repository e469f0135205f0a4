"""Cells whose steps bring out all that lowering has to do."""

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


class Peephole(Cell):
    state = ("h", "c")

    def step(self, x, h, c):
        i, f, g, o = self.affine(x, h, gates="ifgo")
        i, f = sigmoid(i + self.vector("i") * c), sigmoid(f + self.vector("f") * c)
        c = f * c + i * tanh(g)
        return sigmoid(o + self.vector("o") * c) * tanh(c), c


class CoupledGates(Cell):
    state = ("h", "c")

    def step(self, x, h, c):
        f, g, o = self.affine(x, h, gates="fgo")
        f = sigmoid(f)
        c = f * c + (1 - f) * tanh(g)
        return sigmoid(o) * tanh(c), c


class NormalisedStack(Cell):
    """Layer normalisation over all gates at once; the state keeps the un-normalised c."""

    state = ("h", "c")

    def step(self, x, h, c):
        m = self.hidden_size
        stack = layer_norm(self.matvec(x, name="w", size=4 * m), self.vector("gain_x", 4 * m))
        stack = stack + layer_norm(self.matvec(h, name="u", size=4 * m), self.vector("gain_h", 4 * m))
        i, f, g, o = split(stack + self.vector("b", 4 * m), 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(layer_norm(c, self.vector("gain"), self.vector("shift"))), c


class NormalisedGates(Cell):
    state = ("h",)

    def step(self, x, h):
        a, b = (layer_norm(gate, eps=1e-3) for gate in self.affine(x, h, gates="ab"))
        return sigmoid(a) * h + tanh(layer_norm(a + b)) * layer_norm(relu(b) + h)


class DeepTransition(Cell):
    """DT(S): three layers, each of which also sees the state."""

    def step(self, x, h):
        first = tanh(self.affine(x, h, name="1"))
        second = tanh(self.affine(first, h, name="2"))
        return tanh(self.affine(second, h, name="3"))


class Highway(Cell):
    def step(self, x, h):
        for depth in range(3):
            parts = (x, h) if depth == 0 else (h,)
            a, t = self.affine(*parts, gates="at", name=f"d{depth}")
            t = sigmoid(t)
            h = tanh(a) * t + h * (1 - t)
        return h


class MUT1(Cell):
    def step(self, x, h):
        z = sigmoid(self.affine(x, gates="z"))
        r = sigmoid(self.affine(x, h, gates="r"))
        return tanh(self.matvec(r * h, name="u") + tanh(x) + self.affine(x, name="w")) * z + h * (1 - z)


class MUT2(Cell):
    def step(self, x, h):
        z = sigmoid(self.affine(x, h, gates="z"))
        r = sigmoid(x + self.affine(h, gates="r"))
        return tanh(self.affine(r * h, x, gates="n")) * z + h * (1 - z)


class MUT3(Cell):
    def step(self, x, h):
        z = sigmoid(self.affine(x, tanh(h), gates="z"))
        r = sigmoid(self.affine(x, h, gates="r"))
        return tanh(self.affine(r * h, x, gates="n")) * z + h * (1 - z)


class MGU(Cell):
    def step(self, x, h):
        f = sigmoid(self.affine(x, h, gates="f"))
        return (1 - f) * h + f * tanh(self.affine(x, f * h, gates="n"))


class IndRNN(Cell):
    def step(self, x, h):
        return relu(self.affine(x) + self.vector("u") * h)


class MinGRU(Cell):
    def step(self, x, h):
        z, n = self.affine(x, gates="zn")
        z = sigmoid(z)
        return (1 - z) * h + z * n


class SCRN(Cell):
    state = ("h", "s")

    @property
    def state_sizes(self):
        return self.hidden_size, 3

    def step(self, x, h, s):
        s = 0.05 * self.affine(x, name="b", size=3) + 0.95 * s
        return sigmoid(self.affine(x, h, s, name="h")), s


class Projected(Cell):
    state = ("h", "c")

    @property
    def state_sizes(self):
        return 3, self.hidden_size

    def step(self, x, h, c):
        i, f, g, o = self.affine(x, h, gates="ifgo")
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return self.matvec(sigmoid(o) * tanh(c), name="p", size=3), c


class EveryWord(Cell):
    state = ("h", "c")

    def step(self, x, h, c):
        a, b, d = self.affine(x, h, gates="abd")
        a, b = exp(-abs(a)) + log(1 + softplus(b)), sqrt(b * b + 0.5)
        e = where(a < b, minimum(a, 0.7 * b), maximum(d, c) / (1 + b))
        e = where(d >= e, relu(e) - c, 2 / (3 + exp(tanh(e))))
        return tanh(e / (2 + abs(c))), 0.5 * c + (e > 0.3) * (1 / b) - e / 3


class TruthsOfTheInput(Cell):
    def step(self, x, h):
        gate = (x < 0.3) * (self.vector("u") > 0.1)
        return where(gate, h, tanh(x * h)) * (h <= x) + where(x > 0, x, 0.5 * h)


class UsesItsInput(Cell):
    """x without a product, and what is computed from it by more than one product."""

    def step(self, x, h):
        y = tanh(self.matvec(relu(self.affine(x, name="1")), name="2"))
        return tanh(x * h + self.matvec(h, name="u")) * y + sigmoid(self.affine(x, name="3")) * self.affine(x, name="4")


class OneNumber(Cell):
    """Values of one unit: a parameter, a product, a state and a part of the input product."""

    state = ("h", "s")

    @property
    def state_sizes(self):
        return self.hidden_size, 1

    def step(self, x, h, s):
        g = sigmoid(self.affine(x, h, s, name="g", size=1))
        a = tanh(self.affine(x, h, name="a") * self.vector("v", 1) + s)
        r = self.affine(x, name="r", size=1)
        t = self.matvec(a * r, name="t", size=1) + self.vector("w", 1)
        return g * h + (1 - g) * a * sigmoid(t), tanh(t + s * g) - r


class PassesOn(Cell):
    """The new states are others before the step, swapped; and one that nothing reads."""

    state = ("a", "b", "unread", "same")

    def step(self, x, a, b, unread, same):
        return b, tanh(self.affine(x, a) + same), tanh(b), same


class OneNodeForTwoStates(Cell):
    state = ("h", "g", "x_only")

    def step(self, x, h, g, x_only):
        h = tanh(self.affine(x, h) + 0.1 * g)
        return h, h, self.affine(x, name="y")


class ReadsWhatItHasComputed(Cell):
    """Products of a new state, of a vector in two products, and one matrix twice."""

    state = ("h", "k")

    def step(self, x, h, k):
        h = tanh(self.affine(x, h + 0.0) + self.matvec(h, name="again") + self.vector("p"))
        k = sigmoid(self.affine(h, k, name="k")) * self.matvec(h, name="m")
        return h, layer_norm(k + self.matvec(k * h, name="m") + self.matvec(2 * h, name="n"))


class SharedBiases(Cell):
    def step(self, x, h):
        w, b = self.affine(x), self.vector("b")
        return (
            tanh(w + b + self.matvec(h, name="u")) + 0.1 * tanh(w - b) * sigmoid(b) + relu(self.matvec(x, name="v") + b)
        )


class UsesHalfOfItsGates(Cell):
    def step(self, x, h):
        _, b, _ = self.affine(x, h, gates="abc")
        return tanh(b)


class StackAsASource(Cell):
    """A stacked vector that is a product's source, and a part of a state."""

    state = ("h", "s")

    @property
    def state_sizes(self):
        return self.hidden_size, 2 * self.hidden_size

    def step(self, x, h, s):
        stack = sigmoid(self.affine(x, s, name="s", size=2 * self.hidden_size))
        first, _ = split(stack, 2)
        old, _ = split(s, 2)
        return tanh(self.matvec(stack * s, name="u") + self.matvec(old, name="o") + first * h), s * (1 - stack) + stack


class NeverDifferentiable(Cell):
    """Products whose gradients arrive nowhere."""

    def step(self, x, h):
        return where(self.affine(x, h) < 0.1, tanh(self.vector("p")) * 0.5, 0.3 * self.vector("q"))


class KeepsTheGradientForLater(Cell):
    """The gradient of the new state is used in every stage of the way back."""

    state = ("h", "c")

    def step(self, x, h, c):
        a = tanh(self.affine(x, h, name="a"))
        b = tanh(self.affine(a, name="b"))
        d = tanh(self.affine(b, name="d"))
        return a * b * d, c + h * d


CELLS = [
    Peephole, CoupledGates, NormalisedStack, NormalisedGates, DeepTransition, Highway, MUT1, MUT2, MUT3, MGU, IndRNN,
    MinGRU, SCRN, Projected, EveryWord, TruthsOfTheInput, UsesItsInput, OneNumber, PassesOn, OneNodeForTwoStates,
    ReadsWhatItHasComputed, SharedBiases, UsesHalfOfItsGates, StackAsASource, NeverDifferentiable,
    KeepsTheGradientForLater,
]  # fmt: skip
SAME_SIZE = {MUT1, MUT2, MUT3, TruthsOfTheInput, UsesItsInput}
