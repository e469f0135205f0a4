"""What a step reads besides its arguments acts when it changes, on every path; what nobody could see change is refused."""

import copy
import enum
import functools
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seqloom
from seqloom.cells import Cell, registry
from seqloom.engine.graph import StepError
from seqloom.engine.operations import maximum, sigmoid, tanh

FACTOR = 1.0
FACTORS = [1.0]


def outside(value):
    return value * FACTOR


class Kind(enum.Enum):
    WHOLE = 1
    HALF = 2


@dataclass
class Options:
    factor: float = 1.0


class Holder:
    def __init__(self):
        self.factor = 1.0


class Plain(Cell):
    """Something that the step reads is set before the step is traced."""

    def __init__(self, input_size, hidden_size, *, bias=True):
        self.__dict__["held"] = self.made()
        super().__init__(input_size, hidden_size, bias=bias)

    def made(self):
        return None

    def factor(self):
        return self.held

    def step(self, x, h):
        return tanh(self.affine(x, h)) * self.factor()


class OfAttribute(Plain):
    def made(self):
        return 1.0


class OfItem(Plain):
    def made(self):
        return [1.0]

    def factor(self):
        return self.held[0]


class OfNestedItem(Plain):
    def made(self):
        return {"a": {"b": [1.0]}}

    def factor(self):
        return self.held["a"]["b"][0]


class OfDataclass(Plain):
    def made(self):
        return Options()

    def factor(self):
        return self.held.factor


class OfObject(OfDataclass):
    def made(self):
        return Holder()


class OfNamespace(OfDataclass):
    def made(self):
        return SimpleNamespace(factor=1.0)


class OfArray(Plain):
    def made(self):
        return np.ones(1)

    def factor(self):
        return float(self.held[0])


class OfClass(Plain):
    scale = 1.0

    def factor(self):
        return self.scale


class OfItsOwnClass(OfClass):
    scale = 1.0

    def factor(self):
        return type(self).scale


class OfProperty(Plain):
    def made(self):
        return 1.0

    @property
    def scale(self):
        return self.held

    def factor(self):
        return self.scale


class OfSomethingMissing(Plain):
    def factor(self):
        return getattr(self, "scale", 1.0)


class OfModule(Plain):
    def factor(self):
        return FACTOR


class OfListOfModule(Plain):
    def factor(self):
        return FACTORS[0]


class OfFunctionOfModule(Plain):
    def step(self, x, h):
        return outside(tanh(self.affine(x, h)))


class OfDefault(Plain):
    def factor(self, values=[1.0]):  # noqa: B006  # the fault that is looked for
        return values[0]


class OfFunction(Plain):
    function = staticmethod(tanh)

    def step(self, x, h):
        return self.function(self.affine(x, h))


class OfPartial(Plain):
    def made(self):
        return functools.partial(maximum, 0.1)

    def step(self, x, h):
        return self.held(tanh(self.affine(x, h)))


class OfEnumeration(Plain):
    def made(self):
        return Kind.WHOLE

    def factor(self):
        return 1.0 if self.held is Kind.WHOLE else 0.5


class OfMode(Plain):
    def factor(self):
        return 0.5 if self.training else 1.0


class OfBuffer(Plain):
    def factor(self):
        return float(self.scale) if hasattr(self, "scale") else 1.0


def set_module(name, value):
    globals()[name] = value


CHANGES = [
    (OfAttribute, lambda cell: setattr(cell, "held", 2.0)),
    (OfItem, lambda cell: cell.held.__setitem__(0, 2.0)),
    (OfNestedItem, lambda cell: cell.held["a"]["b"].__setitem__(0, 2.0)),
    (OfDataclass, lambda cell: setattr(cell.held, "factor", 2.0)),
    (OfObject, lambda cell: setattr(cell.held, "factor", 2.0)),
    (OfNamespace, lambda cell: setattr(cell.held, "factor", 2.0)),
    (OfArray, lambda cell: cell.held.__setitem__(0, 2.0)),
    (OfClass, lambda cell: setattr(OfClass, "scale", OfClass.scale + 1.0)),
    (OfItsOwnClass, lambda cell: setattr(OfItsOwnClass, "scale", OfItsOwnClass.scale + 1.0)),
    (OfProperty, lambda cell: setattr(cell, "held", 2.0)),
    (OfSomethingMissing, lambda cell: setattr(cell, "scale", 2.0)),
    (OfModule, lambda cell: set_module("FACTOR", FACTOR + 1.0)),
    (OfListOfModule, lambda cell: FACTORS.__setitem__(0, FACTORS[0] + 1.0)),
    (OfFunctionOfModule, lambda cell: set_module("FACTOR", FACTOR + 1.0)),
    (
        OfDefault,
        lambda cell: OfDefault.factor.__defaults__[0].__setitem__(0, 1.0 + OfDefault.factor.__defaults__[0][0]),
    ),
    (OfFunction, lambda cell: setattr(cell, "function", sigmoid)),
    (OfPartial, lambda cell: setattr(cell, "held", functools.partial(maximum, 0.3))),
    (OfEnumeration, lambda cell: setattr(cell, "held", Kind.HALF)),
    (OfMode, lambda cell: cell.eval()),
    (OfBuffer, lambda cell: cell.register_buffer("scale", torch.tensor(2.0))),
]


def outputs_of_all_paths(layer):
    """Forward, step by step, a stream; the plain loop, which reads everything anew."""
    torch.manual_seed(0)
    x = torch.randn(2, 8, 4)
    with torch.no_grad():
        layer.backend = "reference"
        wanted = layer(x)[0]
        layer.backend = None
        found = layer(x)[0], layer.stream(2).push(x)
        state, steps = None, []
        for t in range(8):
            output, state = layer.step(x[:, t], state)
            steps.append(output)
    for each in (*found, torch.stack(steps, 1)):
        torch.testing.assert_close(each, wanted, atol=1e-5, rtol=1e-5)
    return wanted


@pytest.mark.parametrize(("cell", "change"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize(
    "copied", [lambda layer: layer, copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_a_change_acts(cell, change, copied):
    layer = copied(seqloom.Recurrent(cell, 4, 4))
    assert not layer.cells[0].graph.untraceable, "it is compiled"
    before = outputs_of_all_paths(layer)
    change(layer.cells[0])
    after = outputs_of_all_paths(layer)
    assert cell is OfFunction or not torch.allclose(before, after)


def test_a_value_that_comes_back_finds_its_graph():
    layer = seqloom.Recurrent(OfAttribute, 4, 4)
    cell, first = layer.cells[0], layer.cells[0].graph
    for value in (2.0, 1.0):
        cell.held = value
    assert cell.graph is first
    for value in range(100):
        cell.held = float(value)
    assert len(cell._graphs) < 20, "memory does not grow with the values"


def test_two_directions_that_read_different_numbers_run():
    layer, x = seqloom.Recurrent(OfAttribute, 4, 4, bidirectional=True), torch.randn(2, 8, 4)
    layer.cells[1].held = 2.0
    found = layer(x)[0]
    layer.backend = "reference"
    torch.testing.assert_close(found, layer(x)[0])


def test_a_compiled_layer_follows():
    layer, x = seqloom.Recurrent(OfAttribute, 4, 4).eval(), torch.randn(2, 8, 4)
    quick = torch.compile(layer, fullgraph=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(quick(x)[0], layer(x)[0])
        layer.cells[0].held = 3.0
        torch.testing.assert_close(quick(x)[0], layer(x)[0])


def test_threads_that_build_and_call_do_not_disturb_each_other():
    layer, x = seqloom.Recurrent(OfClass, 4, 4).eval(), torch.randn(1, 8, 4)
    wanted = layer(x)[0]

    def call(number):
        if number % 4 == 0:
            seqloom.Recurrent(OfClass, 4, 4)
        return torch.equal(layer(x)[0], wanted)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(80)))


def test_threads_may_set_what_a_step_reads():
    layer, x = seqloom.Recurrent(OfAttribute, 4, 4).eval(), torch.randn(1, 8, 4)

    def call(number):
        layer.cells[0].held = float(number % 3)
        return bool(layer(x)[0].isfinite().all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(200)))
    assert not layer.cells[0].graph.untraceable
    outputs_of_all_paths(layer)


@pytest.mark.parametrize("name", registry.names())
def test_no_registered_cell_is_looked_at_in_every_call(name):
    """They read numbers of their own only, of which the cell is told when they are set."""
    assert seqloom.Recurrent(name, 8, 8).cells[0].graph.surroundings.changing == ()


class Counts(Cell):
    calls = 0

    def step(self, x, h):
        self.calls += 1
        return tanh(self.affine(x, h)) / self.calls


class KeepsWhatItMade(Cell):
    def step(self, x, h):
        self.gate = sigmoid(self.affine(x, h))
        return 0.5 * h + 0.5 * tanh(self.affine(x, h, name="new"))


class Draws(Cell):
    def step(self, x, h):
        return tanh(self.affine(x, h)) * random.random()


class AsksForGradients(Cell):
    def step(self, x, h):
        return tanh(self.affine(x, h)) * (1.0 if torch.is_grad_enabled() else 0.5)


class AsksForTheType(Cell):
    def step(self, x, h):
        return tanh(self.affine(x, h)) * (1.0 if isinstance(x, Tensor) else 0.5)


class AsksForAnAttribute(Cell):
    def step(self, x, h):
        return tanh(self.affine(x, h)) * (1.0 if hasattr(x, "shape") else 0.5)


class LooksUpALongTable(Plain):
    def made(self):
        return np.linspace(1.0, 2.0, 1000)

    def factor(self):
        return float(self.held[3])


class AsksAModule(Cell):
    def __init__(self, input_size, hidden_size, *, bias=True):
        nn.Module.__init__(self)
        self.__dict__["norm"] = nn.LayerNorm(3)
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x, h):
        return tanh(self.affine(x, h)) + self.norm.eps


REFUSED = [
    (Counts, "reads and sets self.calls"),
    (KeepsWhatItMade, "sets self.gate and never reads it"),
    (Draws, "two traces of the step differ"),
    (AsksForGradients, "two traces of the step differ"),
    (AsksForTheType, "on tensors the step gives another h"),
    (AsksForAnAttribute, "on tensors the step gives another h"),
    (LooksUpALongTable, "self.held, a ndarray whose changes nobody would see"),
    (AsksAModule, "self.norm, a LayerNorm whose changes nobody would see"),
]


@pytest.mark.parametrize(("cell", "says"), REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_followed_runs_on_the_plain_loop_and_says_why(cell, says):
    layer = seqloom.Recurrent(cell, 4, 4)
    assert says in layer.cells[0].graph.untraceable
    assert layer(torch.randn(2, 8, 4))[0].shape == (2, 8, 4)


class HasScratchPaper(Plain):
    def made(self):
        return "blank"

    def step(self, x, h):
        self.held = [tanh(self.affine(x, h)), h]
        return 0.5 * self.held[0] + 0.5 * self.held[1]


def test_a_step_may_keep_something_for_itself():
    layer = seqloom.Recurrent(HasScratchPaper, 4, 4)
    assert not layer.cells[0].graph.untraceable
    outputs_of_all_paths(layer)


class GrowsALayer(OfAttribute):
    def made(self):
        return False

    def step(self, x, h):
        new = tanh(self.affine(x, h))
        return tanh(self.affine(new, name="more")) if self.held else new


def test_a_change_that_wants_other_parameters_is_refused():
    layer = seqloom.Recurrent(GrowsALayer, 4, 4)
    with pytest.raises(StepError, match="uses bias_more, weight_more_v1, which it did not when the cell was built"):
        layer.cells[0].held = True
    assert layer.cells[0].held is False, "it is as it was"
    outputs_of_all_paths(layer)


def test_the_numbers_of_torch_are_drawn_as_before():
    torch.manual_seed(0)
    seqloom.Recurrent(OfAttribute, 4, 4)
    before = torch.rand(1)
    torch.manual_seed(0)
    seqloom.Recurrent("rnn", 4, 4)
    assert torch.equal(torch.rand(1), before)


def test_a_size_that_no_memory_holds_is_traced_at_once():
    with torch.device("meta"):
        assert seqloom.Recurrent("gru", 4, 10**9).hidden_size == 10**9
