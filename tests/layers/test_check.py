"""The battery catches planted bugs: each cell below is wrong in one way, and the message says which."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from seqloom.cells import LSTM, Cell, Size, check_cell
from seqloom.cells.golden import GOLDEN
from seqloom.engine.operations import sigmoid, tanh
from seqloom.engine.runtime import cpu, native
from seqloom.errors import ConfigError
from seqloom.layers.check import CellCheckError, Subject, check_permutation
from seqloom.layers.check_kernels import check_state_dict
from seqloom.layers.stream import Stream


class MixesRows(Cell):
    def step(self, x, h):
        h = tanh(self.affine(x, h))
        return h + 0.1 * h.flip(0) if isinstance(h, Tensor) else h


class ComparesWithTheBatch(Cell):
    def step(self, x, h):
        h = tanh(self.affine(x, h))
        return h - h.mean(0, keepdim=True) if isinstance(h, Tensor) else h


class TracesSomethingElse(Cell):
    def step(self, x, h):
        h = self.affine(x, h)
        return sigmoid(h) if isinstance(h, Tensor) and h.requires_grad else tanh(h)


class RemembersBetweenCalls(Cell):
    last = 0.0

    def step(self, x, h):
        h = tanh(self.affine(x, h))
        if isinstance(h, Tensor):
            h, self.last = h + 0.1 * self.last, float(h.sum().detach())
        return h


class CutsTheGradient(Cell):
    def step(self, x, h):
        h = self.affine(x, h)
        return tanh(h) + (h.detach() if isinstance(h, Tensor) else h)


class CountsWrongly(Cell):
    size = Size(input=1, recurrent=1, bias=2)

    def step(self, x, h):
        return tanh(self.affine(x, h))


class DropsATermOfTheVendors(LSTM):
    vendor = "lstm"

    def step(self, x, h, c):
        i, f, g, o = self.affine(x, h, gates="ifgo")
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * c, c


class ChangesTheType(Cell):
    def step(self, x, h):
        h = tanh(self.affine(x, h))
        return h.double() if isinstance(h, Tensor) else h


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (MixesRows, "differs by"),
        (ComparesWithTheBatch, "differs by"),
        (TracesSomethingElse, "new h of the trace and of the tensors: differs"),
        (RemembersBetweenCalls, "differs by"),
        (CutsTheGradient, "gradients and finite differences differ"),
        (CountsWrongly, r"32 parameters, expected 36 \(nm \+ m² \+ 2m"),
        (DropsATermOfTheVendors, "on the vendor backend: differs"),
        (ChangesTheType, r"expected torch\.float32"),
    ],
)
def test_a_planted_bug_is_caught(cell, says):
    with pytest.raises(CellCheckError, match=f"{cell.__name__}: .*{says}"):
        check_cell(cell)


class KeepsANumberBeside(Cell):
    """One that no state dictionary holds."""

    def __init__(self, input_size, hidden_size, *, bias=True):
        self.beside = torch.rand(1, dtype=torch.float64)
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x, h):
        h = self.affine(x, h)
        return tanh(h) * self.beside.to(h.dtype) if isinstance(h, Tensor) else tanh(h)


def test_a_number_that_is_not_saved_is_caught():
    torch.manual_seed(0)
    with pytest.raises(CellCheckError, match="state dict"):
        check_state_dict(Subject(KeepsANumberBeside, {}))


def test_a_wrong_golden_vector_is_caught(monkeypatch):
    wrong = replace(GOLDEN["rnn"], states={"h": (0.1, 0.2, 0.3, 0.4)})
    monkeypatch.setitem(GOLDEN, "rnn", wrong)
    with pytest.raises(CellCheckError, match="golden h"):
        check_cell("rnn")


def test_a_stream_that_is_wrong_is_caught(monkeypatch):
    right = Stream.push
    monkeypatch.setattr(Stream, "push", lambda self, chunk: right(self, chunk) * 1.001)
    with pytest.raises(CellCheckError, match="of a stream and of the layer"):
        check_cell("gru")


@pytest.mark.skipif(not native.available(), reason="the kernels were not built")
def test_a_kernel_that_is_wrong_is_caught(monkeypatch):
    right = cpu.run

    def wrong(*arguments):
        outputs, final = right(*arguments)
        return outputs * 1.001, final

    monkeypatch.setattr(cpu, "run", wrong)
    with pytest.raises(CellCheckError, match="outputs in float32"):
        check_cell("gru")


def test_rows_that_mix_are_caught_by_the_permutation_alone():
    torch.manual_seed(0)
    with pytest.raises(CellCheckError, match="permuted rows"):
        check_permutation(Subject(MixesRows, {}))


def test_the_battery_leaves_the_generator_as_it_was():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    check_cell("rnn")
    torch.testing.assert_close(torch.rand(2), wanted)


def test_what_is_no_cell_is_refused():
    with pytest.raises(ConfigError, match="check_cell takes a name or a Cell class"):
        check_cell(3)
