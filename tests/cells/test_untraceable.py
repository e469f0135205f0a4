"""A step that leaves the vocabulary runs on the plain loop, with one warning that names its line and what to write."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import seqloom
from seqloom import cells
from seqloom.cells import Cell
from seqloom.engine import StepError, VocabularyError, trace
from seqloom.engine.operations import exp, sigmoid, tanh, where
from seqloom.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:.*runs on the plain loop:RuntimeWarning")


class Foreign(Cell):
    """Branches on its memory and calls torch; what it declares is what :class:`Spoken` declares."""

    state = ("h", "c")

    def step(self, x, h, c):
        i, g = self.affine(x, h, gates="ig")
        v = torch.tanh(g) + self.vector("peephole") * c
        if (v.abs() > 0.3).any():
            v = torch.where(v.abs() > 0.3, 0.5 * v, v)
        c = torch.where(h > 0, self.matvec(v, name="state"), self.matvec(x.exp(), name="input", size=c.shape[-1]))
        return sigmoid(i) * F.softsign(c), c


class Spoken(Cell):
    """The same products in the vocabulary."""

    state = ("h", "c")

    def step(self, x, h, c):
        i, g = self.affine(x, h, gates="ig")
        v = tanh(g) + self.vector("peephole") * c
        c = where(h > 0, self.matvec(v, name="state"), self.matvec(exp(x), name="input"))
        return sigmoid(i) * tanh(c), c


def with_step(step):
    return type("Own", (Cell,), {"step": step})


def test_the_warning_names_the_line_once_per_class_and_says_what_to_write():
    kind = with_step(Foreign.step)
    kind.state = Foreign.state
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seqloom.Recurrent(kind, 3, 4, layers=2, bidirectional=True)
        kind(3, 4)
    line = Foreign.step.__code__.co_firstlineno + 2
    assert [str(warning.message) for warning in caught] == [
        f"{__file__}:{line}: Own.step: torch's tanh is not in a step's vocabulary; write tanh(...) from "
        "seqloom.engine.operations. The cell runs on the plain loop, many times slower."
    ]


@pytest.mark.parametrize("bias", [True, False])
def test_its_parameters_are_those_that_symbols_would_declare(bias):
    foreign, spoken = Foreign(3, 4, bias=bias), Spoken(3, 4, bias=bias)
    assert foreign.graph.declarations == spoken.graph.declarations
    assert foreign.graph.products == spoken.graph.products
    assert (spoken.graph.untraceable, len(foreign.graph.nodes)) == (None, 0)


def branch(self, x, h):
    y = self.affine(x, h)
    return tanh(y) if y.sum() > 0 else h


def python_number(self, x, h):
    return float(h.detach().sum()) * tanh(self.affine(x, h))


def power(self, x, h):
    return tanh(self.affine(x, h)) ** 2


def foreign_function(self, x, h):
    return F.gelu(self.affine(x, h))


def deep_in_torch(self, x, h):
    return F.softmax(self.affine(x, h), -1)


def with_numpy(self, x, h):
    return tanh(self.affine(x, h)) * torch.from_numpy(np.asarray([1, 1, 2, 2], np.float32))


def stacked(self, x, h):
    return tanh(self.affine(torch.cat([x, h], -1)))


def picks(self, x, h):
    return tanh(self.affine(x, h)) * h[:, :1]


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (branch, r"no attribute 'sum'; write it with affine, matvec"),
        (python_number, r"no attribute 'detach'"),
        (power, r"write v \* v, sqrt\(v\)"),
        (foreign_function, r"torch's gelu .*; write v \* sigmoid\(1\.702 \* v\)"),
        (deep_in_torch, r"torch's softmax is not in a step's vocabulary"),
        (with_numpy, r"a Tensor meets a value of the step; .* self\.vector\(name\)"),
        (stacked, r"torch's cat .*; pass the vectors one by one to self\.affine"),
        (picks, r"let affine give blocks of them by gates="),
    ],
)
def test_whatever_works_on_tensors_trains_on_the_plain_loop_and_says_its_line(step, says):
    layer = seqloom.Recurrent(with_step(step), 3, 4)
    reason = layer.cells[0].graph.untraceable
    with pytest.raises(VocabularyError, match=says):
        trace(layer.cells[0])
    file, line, _ = reason.split(":", 2)
    assert (file, int(line) - step.__code__.co_firstlineno in (1, 2)) == (__file__, True)
    outputs, _ = layer(torch.randn(2, 5, 3), lengths=torch.tensor([5, 3]))
    outputs.sum().backward()
    assert layer.cells[0].weight_x.grad is not None if step is not stacked else outputs.shape == (2, 5, 4)


def test_a_number_of_one_row_cannot_be_a_branch_on_tensors_either():
    def both_wrong(self, x, h):
        y = self.affine(x, h)
        return y if y > 0 else h

    with pytest.raises(StepError, match=r"write where\(condition, a, b\); on plain tensors it fails as well: Boolean"):
        with_step(both_wrong)(3, 4)


def forgets_a_state(self, x, h):
    return torch.tanh(self.affine(x, h)), h


def forgets_the_rows(self, x, h):
    return torch.tanh(self.affine(x, h)).mean(0)


def repeats_a_key(self, x, h):
    return torch.tanh(self.affine(x)) + self.affine(h)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (forgets_a_state, r"returned 2 values of sizes \(4, 4\); expected .* h of 4 units"),
        (forgets_the_rows, r"returned 1 values of sizes \(None,\)"),
        (repeats_a_key, r"two products have the key ''; give one of them another name="),
    ],
)
def test_contradictions_stay_errors_outside_the_vocabulary(step, says):
    with pytest.raises(StepError, match=says):
        with_step(step)(3, 4)


class Sided(Cell):
    """Two products on two sides of a branch."""

    def step(self, x, h):
        return tanh(self.affine(x, h, name="up" if h.sum() > 0 else "down"))


class Hidden(Cell):
    """A product that nobody sees when the cell is built."""

    def step(self, x, h):
        return tanh(self.affine(x, h) if h.sum() < 1000 else self.affine(x, h, name="late") + self.vector("late"))


def test_products_on_both_sides_of_a_branch_are_found():
    assert {name for name, _ in Sided(3, 4).named_parameters()} == {
        f"{kind}_{side}" for side in ("up_x", "up_h", "down_x", "down_h") for kind in ["weight"]
    } | {"bias_up", "bias_down"}


def test_a_product_that_was_never_seen_is_an_error_when_it_comes():
    cell = Hidden(3, 4)
    cell.step(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(StepError, match=r"Hidden\.step uses a product with the key 'late', which it did not when"):
        cell.step(torch.ones(2, 3), torch.full((2, 4), 1000.0))


def test_building_one_draws_nothing_that_the_initialisation_does_not():
    class Noisy(Cell):
        def step(self, x, h):
            return tanh(self.affine(x, h) + 0.1 * torch.randn(1))

    torch.manual_seed(0)
    noisy = Noisy(3, 4)
    torch.manual_seed(0)
    plain = cells.get("rnn")(3, 4)
    torch.testing.assert_close(noisy.weight_h, plain.weight_h, atol=0, rtol=0)


def test_it_passes_the_standard_battery():
    cells.check_cell(Foreign)


def test_lengths_states_streams_copies_and_pickles_agree():
    torch.manual_seed(0)
    layer, x = seqloom.Recurrent(Foreign, 3, 4, layers=2), torch.randn(2, 6, 3)
    wanted, final = layer(x)
    stream = layer.stream(batch=2)
    assert stream.path == "python"
    torch.testing.assert_close(stream.push(x), wanted)
    state, steps = None, []
    for t in range(6):
        output, state = layer.step(x[:, t], state)
        steps.append(output)
    torch.testing.assert_close(torch.stack(steps, 1), wanted)
    torch.testing.assert_close(state.c, final.c)
    cut, _ = layer(x, lengths=torch.tensor([6, 4]))
    torch.testing.assert_close(cut[1, :4], wanted[1, :4])
    assert not cut[1, 4:].any()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(twin(x)[0], wanted, atol=0, rtol=0)
        assert twin.cells[0].graph.untraceable == layer.cells[0].graph.untraceable


@pytest.mark.parametrize("backend", ["cpu", "vendor", "derived"])
def test_the_other_backends_refuse_with_the_line(backend):
    layer = seqloom.Recurrent(Foreign, 3, 4, backend=backend)
    with pytest.raises(
        ConfigError, match=rf"'{backend}' cannot run this layer: .*\.py:\d+: Foreign\.step: torch's tanh"
    ):
        layer(torch.zeros(2, 3, 3))


def test_it_cannot_be_quantized_and_that_says_why():
    with pytest.raises(ConfigError, match=r"Foreign has no graph .*\.py:\d+: Foreign\.step: torch's tanh"):
        seqloom.quantize(seqloom.Recurrent(Foreign, 3, 4))


def test_a_cell_in_the_vocabulary_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seqloom.Recurrent(Spoken, 3, 4)
