"""The base of every cell: declaration of parameters, errors that name the line, and the claims of subclasses."""

import copy

import pytest
import torch
from torch import nn

from seqloom import cells
from seqloom.cells import LSTM, Cell, registry
from seqloom.engine import StepError, trace
from seqloom.engine.operations import maximum, tanh
from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent


def shapes(cell: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in cell.named_parameters()}


def test_a_step_declares_the_parameters_that_it_uses():
    assert shapes(LSTM(3, 4)) == {"weight_ifgo_x": (16, 3), "weight_ifgo_h": (16, 4), "bias_ifgo": (16,)}
    assert shapes(LSTM(3, 4, bias=False)) == {"weight_ifgo_x": (16, 3), "weight_ifgo_h": (16, 4)}


def test_products_of_computed_vectors_are_labelled_by_position():
    assert shapes(cells.get("gru_before")(3, 4))["weight_n_v2"] == (4, 4)


class Projected(Cell):
    """A state of one size fed by another of a second size, with an argument of its own."""

    state = ("r", "c")

    def __init__(self, input_size, hidden_size, *, bias=True, projection=2):
        self.projection = projection
        super().__init__(input_size, hidden_size, bias=bias)

    @property
    def state_sizes(self):
        return (self.projection, self.hidden_size)

    def options(self):
        return {"projection": self.projection}

    def step(self, x, r, c):
        c = 0.5 * c + tanh(self.affine(x, r))
        return self.matvec(c, name="project", size=self.projection), c


def test_states_may_have_sizes_of_their_own():
    assert shapes(Projected(3, 4)) == {
        "weight_x": (4, 3),
        "weight_r": (4, 2),
        "bias": (4,),
        "weight_project_v1": (2, 4),
    }
    outputs, state = Recurrent(Projected, 3, 4, layers=2, bidirectional=True)(torch.randn(2, 5, 3))
    assert outputs.shape == (2, 5, 4)
    assert (state.r.shape, state.c.shape) == ((2, 4, 2), (2, 4, 4))
    cells.check_cell(Projected, projection=3)


def test_another_cell_of_the_same_kind_keeps_its_options():
    layer = Recurrent(Projected(3, 4, bias=False, projection=3), layers=2)
    assert layer.cells[1].projection == 3
    assert layer.cells[1].input_size == 3
    assert not layer.cells[1].use_bias


def test_products_named_alike_share_their_parameters():
    class Twice(Cell):
        def step(self, x, h):
            h = tanh(self.affine(x, h))
            h = tanh(self.matvec(h, name="again"))
            return tanh(self.matvec(h, name="again"))

    assert shapes(Twice(3, 4)) == {"weight_x": (4, 3), "weight_h": (4, 4), "bias": (4,), "weight_again_v1": (4, 4)}
    cells.check_cell(Twice)


def make_step(step):
    return type("Broken", (Cell,), {"step": step})


def branches(self, x, h):
    y = self.affine(x, h)
    return y if y > 0 else h


def misspells(self, x, h):
    return tanh(self.afine(x, h))


def unpacks_without_gates(self, x, h):
    a, b = self.affine(x, h)
    return a * b


def adds_different_sizes(self, x, h):
    return x + h


def repeats_a_key(self, x, h):
    return self.affine(x) + self.affine(h)


def multiplies_nothing(self, x, h):
    return h + self.affine()


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (branches, r"cannot branch on a value that it computes; write where\(condition, a, b\)"),
        (misspells, r"'Broken' object has no attribute 'afine'$"),
        (unpacks_without_gates, r"affine gives as many values as gates= has letters"),
        (adds_different_sizes, r"add of vectors of 3 and 4 units; expected equal sizes"),
        (repeats_a_key, r"two products have the key ''; give one of them another name="),
        (multiplies_nothing, r"a product of nothing"),
    ],
)
def test_a_step_that_is_wrong_is_told_its_line(step, says):
    with pytest.raises(StepError, match=says) as caught:
        make_step(step)(3, 4)
    first = step.__code__.co_firstlineno
    file, line, _ = str(caught.value).split(":", 2)
    assert file == __file__
    assert first < int(line) <= first + 2


@pytest.mark.parametrize("wrong", [lambda self, x, h: (h, h), lambda self, x, h: x, lambda self, x, h: 0.0])
def test_a_step_must_return_its_states(wrong):
    with pytest.raises(StepError, match=r"Broken\.step returned .* expected the new states .* h of 4 units"):
        make_step(wrong)(3, 4)


@pytest.mark.parametrize("sizes", [(0, 4), (3, -1), (3, 2.5), (True, 4)])
def test_sizes_must_be_positive_integers(sizes):
    with pytest.raises(ConfigError, match=r"LSTM: (input|hidden)_size is .*; expected an integer of at least 1"):
        LSTM(*sizes)


def test_a_subclass_that_changes_the_step_does_not_claim_the_vendors_kernel():
    class Clipped(LSTM):
        def step(self, x, h, c):
            h, c = super().step(x, h, c)
            return maximum(h, -0.1), c

    class Renamed(LSTM):
        pass

    assert Clipped.vendor is None
    assert Renamed.vendor == "lstm"
    cells.check_cell(Clipped)


def test_a_copy_has_parameters_of_its_own_and_the_same_graph():
    cell = LSTM(3, 4)
    twin = copy.deepcopy(cell)
    assert twin.graph is cell.graph
    assert twin.weight_ifgo_x is not cell.weight_ifgo_x


def test_a_cell_can_be_traced_again():
    cell = LSTM(3, 4)
    assert str(trace(cell)) == str(cell.graph)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ConfigError, match=r"cell: 'lstmm' .* did you mean 'lstm'\? \(seqloom cells lists all\)"):
        cells.get("lstmm")


def test_a_name_is_given_once():
    with pytest.raises(ConfigError, match="'lstm' is LSTM already"):

        @registry.register("lstm")
        class Other(Cell):
            pass

    assert cells.get("lstm") is LSTM
