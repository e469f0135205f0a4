"""The battery catches planted bugs: each cell below is wrong in one way, and the message says which."""

from contextlib import contextmanager
from dataclasses import replace
from threading import main_thread

import pytest
import torch
from torch import Tensor, nn

from seqloom.cells import LSTM, Cell, Size, check_cell, registry
from seqloom.cells import cell as cell_module
from seqloom.cells.golden import GOLDEN
from seqloom.engine.operations import sigmoid, tanh
from seqloom.engine.runtime import backend, cpu, native, reference
from seqloom.errors import ConfigError
from seqloom.layers.check import CellCheckError, Subject, check_permutation
from seqloom.layers.check_calls import (
    check_gradient_memory,
    check_mapped,
    check_memory_later,
    check_nothing,
    check_sixteen_bits,
    check_threads,
)
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


class AddsTwoBiases(Cell):
    def step(self, x, h):
        return tanh(self.affine(x, name="x") + self.affine(h, name="h"))


class TakesLongerNumbers(Cell):
    def step(self, x, h):
        return tanh(self.affine(x, h)).float().flip(-1).to(torch.promote_types(h.dtype, torch.float32))


def loses_its_constants(cell, fn, recurse=True):
    without = any(buffer.is_meta for buffer in cell._buffers.values())
    moved = nn.Module._apply(cell, fn, recurse)
    for buffer in cell._buffers.values() if without else ():
        if not buffer.is_meta:
            buffer.fill_(7.0)
    return moved


@contextmanager
def stays(cell, change):
    thread = main_thread().ident
    cell._acting[thread] = change(cell._acting.get(thread) or cell_module._Acting())
    yield


FAULTS_OF_CALLS = [
    (check_memory_later, Cell, "_apply", loses_its_constants, "clockwork", "memory came later: differs"),
    (check_mapped, cpu, "hides_operators", lambda: False, "gru", ""),
    (check_threads, Cell, "_act", stays, "gru", "several threads"),
    (check_nothing, backend, "_with_zero_gradients", lambda cells, x, *results: results, "gru", "have no gradients"),
    (check_gradient_memory, cpu, "added", torch.add, AddsTwoBiases, "share memory"),
    (check_sixteen_bits, reference, "_promoted", lambda value, old: False, TakesLongerNumbers, "bfloat16"),
]


@pytest.mark.parametrize(("check", "owner", "name", "wrong", "cell", "says"), FAULTS_OF_CALLS)
@pytest.mark.filterwarnings("ignore")
def test_a_planted_fault_of_calls_is_caught(check, owner, name, wrong, cell, says, monkeypatch):
    subject = Subject(registry.get(cell) if isinstance(cell, str) else cell, {})
    torch.manual_seed(0)
    check(subject)
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises((CellCheckError, RuntimeError), match=says):
        check(subject)


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
