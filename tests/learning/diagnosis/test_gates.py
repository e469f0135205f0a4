"""Statistics of gates where the gates are known, because the cell's weights are set so."""

import json
import math
import warnings

import pytest
import torch

from seqloom import Recurrent
from seqloom.cells import Cell, registry
from seqloom.engine.operations import relu, sigmoid, tanh
from seqloom.learning.diagnosis import carried, diagnose, gate_statistics, recurrences

torch.manual_seed(0)


def forced(name, size=5, **biases):
    """A layer whose gates depend on their biases alone."""
    layer = Recurrent(name, 3, size).double()
    cell = layer.cells[0]
    with torch.no_grad():
        for weight in cell.parameters():
            weight.zero_()
        for key, values in biases.items():
            cell.parameter(key).copy_(torch.cat([torch.full((size,), float(value)) for value in values]))
    return layer


def examined(layer, time=8):
    return recurrences(layer, torch.randn(4, time, layer.input_size).double(), torch.tensor([time, 2, 5, 1]))[0]


def sigma(value):
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("bias", [-2.0, 0.0, 1.0, 4.0])
def test_an_lstms_time_constant_is_that_of_its_forget_bias(bias):
    found = examined(forced("lstm", bias_ifgo=(0.0, bias, 0.0, 0.0)))
    (carry,) = carried(found)
    assert carry.state == "c"
    assert carry.mean == pytest.approx(sigma(bias), rel=1e-12)
    assert carry.time_constant == pytest.approx(1 + math.exp(bias), rel=1e-12)
    assert carry.unit_time_constants == pytest.approx((carry.time_constant,) * 3)


def test_gates_have_the_letters_of_their_blocks_and_their_values():
    found = {gate.name: gate for gate in gate_statistics(examined(forced("lstm", bias_ifgo=(-4.0, 4.0, 9.0, 0.5))))}
    assert {name: gate.function for name, gate in found.items()} == {
        "i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid", "c": "tanh",
    }  # fmt: skip
    for name, bias in (("i", -4.0), ("f", 4.0), ("o", 0.5)):
        assert found[name].mean == pytest.approx(sigma(bias), rel=1e-12)
        assert found[name].quantiles == pytest.approx((sigma(bias),) * 5, rel=1e-12)
    shares = {name: (gate.low, gate.high) for name, gate in found.items()}
    assert shares == {"i": (1.0, 0.0), "f": (0.0, 1.0), "g": (0.0, 1.0), "o": (0.0, 0.0), "c": (0.0, 0.0)}
    assert found["f"].histogram == (*[0.0] * 19, 1.0)
    assert found["g"].span == (-1.0, 1.0)


def test_a_grus_update_gate_carries_its_state():
    found = examined(forced("gru", bias_rz=(0.0, 2.0)))
    assert [gate.name for gate in gate_statistics(found)] == ["r", "z", "n"]
    (carry,) = carried(found)
    assert (carry.state, carry.mean) == ("h", pytest.approx(sigma(2.0)))


def test_zoneout_carries_as_well():
    layer = forced("lstm", bias_ifgo=(0.0, 0.0, 0.0, 0.0))
    layer.zoneout = 0.5
    found = {carry.state: carry.mean for carry in carried(examined(layer))}
    assert found["c"] == pytest.approx(0.75)


def test_units_that_are_never_active_are_dead():
    layer = forced("rnn_relu", size=4)
    with torch.no_grad():
        layer.cells[0].parameter("bias").copy_(torch.tensor([-1.0, -2.0, 1.0, -0.5]))
        layer.cells[0].parameter("weight_x")[3, 0] = 1.0
    x = torch.zeros(1, 6, 3).double()
    (found,) = recurrences(layer, x)
    (gate,) = gate_statistics(found)
    assert (gate.dead, gate.low, gate.saturation) == (0.75, 0.75, None)
    x[0, 3, 0] = 2.0  # the last unit lives once
    (found,) = recurrences(layer, x)
    (gate,) = gate_statistics(found)
    assert gate.dead == 0.5
    assert gate.low == pytest.approx((6 + 6 + 5) / 24)


class Mixed(Cell):
    """Gates that are reached through peepholes, and a relu of a sum."""

    state = ("h", "c")

    def step(self, x, h, c):
        a, b = self.affine(x, h, gates="ab")
        keep = sigmoid(a + self.vector("peephole") * c)
        c = keep * c + (1 - keep) * relu(b)
        return tanh(c), c


def test_a_peephole_hides_no_name_and_is_no_part_of_what_is_carried():
    layer = Recurrent(Mixed(3, 4)).double()
    with torch.no_grad():
        layer.cells[0].parameter("vector_peephole").fill_(0.7)
    found = examined(layer)
    gates = gate_statistics(found)
    assert sorted((gate.name, gate.function) for gate in gates) == [("a", "sigmoid"), ("b", "relu"), ("c", "tanh")]
    (carry,) = carried(found)
    assert carry.mean == pytest.approx(next(gate.mean for gate in gates if gate.name == "a"))


class Rotation(Cell):
    """Two states that turn into each other."""

    state = ("h", "k")

    def step(self, x, h, k):
        return 0.6 * h - 0.8 * k + self.matvec(x, name="in"), 0.8 * h + 0.6 * k


def test_states_that_turn_into_each_other_have_no_factor_of_their_own():
    assert carried(examined(Recurrent(Rotation(3, 4)).double())) == ()


class Branching(Cell):
    """A step that asks for a value."""

    def step(self, x, h):
        value = self.affine(x, h)
        return torch.tanh(value) if float(value.detach().sum()) > 1e9 else torch.sigmoid(value)


def test_a_step_outside_the_vocabulary_gets_what_is_possible_and_is_said_so():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = Recurrent(Branching(3, 4)).double()
    (found,) = diagnose(layer, torch.randn(2, 6, 3).double()).recurrences
    assert (found.gates, found.carries) == ((), ())
    assert "test_gates.py" in found.unknown
    assert math.isfinite(found.jacobian.mean_norm)
    assert math.isfinite(found.gradient.half_life)


@pytest.mark.parametrize("name", registry.names())
def test_every_registered_cell_can_be_diagnosed(name):
    layer = Recurrent(name, 3, 4).double()
    found = diagnose(layer, torch.randn(2, 6, 3).double(), lengths=torch.tensor([6, 3]))
    json.dumps(found.to_dict(), allow_nan=False)
    (one,) = found.recurrences
    assert one.steps == 6
    assert all(0.0 <= share <= 1.0 for gate in one.gates for share in (gate.low, gate.high, *gate.histogram))
    assert all(sum(gate.histogram) == pytest.approx(1.0) for gate in one.gates)
    assert len({gate.name for gate in one.gates}) == len(one.gates)
    # An eigenvalue is never larger than the largest stretch.
    pairs = zip(one.jacobian.spectral_radius, one.jacobian.operator_norm, strict=True)
    assert all(radius <= norm * (1 + 1e-4) + 1e-6 for radius, norm in pairs)
    assert str(found)
