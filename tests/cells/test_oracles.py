"""Every registered cell computes its paper's equations, written down once more in NumPy: see the package beside."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqloom import cells
from seqloom.layers.recurrent import Recurrent
from seqloom.layers.state import State

from .oracles import ORACLES

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "additive": [{"step_size": 0.7}],
    "antisymmetric": [{"step_size": 0.5, "damping": 0.3}],
    "cifg": [{"peepholes": True}],
    "clockwork": [{"periods": (1,)}, {"periods": (2, 3)}, {"periods": (1, 3, 5)}],
    "deep_transition": [{"depth": 1}, {"depth": 3}],
    "deep_transition_shortcut": [{"depth": 1}, {"depth": 4}],
    "gated_feedback_gru": [{"layers": 1}, {"layers": 3}],
    "gated_feedback_lstm": [{"layers": 1}, {"layers": 3}],
    "gated_feedback_rnn": [{"layers": 1}, {"layers": 3}],
    "indrnn": [{"activation": "tanh"}, {"longest": 3}],
    "irnn": [{"scale": 0.3}],
    "jordan": [{"decay": 0.0, "output": "tanh"}, {"output_size": 2, "output": "identity"}],
    "lru": [{"literal": True}],
    "lstmp": [{"projection_size": 3, "peepholes": True}, {"projection_size": 1}],
    "mingru": [{"positive_candidate": True}],
    "minlstm": [{"positive_candidate": True}],
    "mlstm": [{"heads": 1}, {"heads": 2, "forget": "exp"}],
    "mut1": [{"literal": True}],
    "mut2": [{"literal": True}],
    "mut3": [{"literal": True}],
    "qrnn": [
        {"pooling": "f"},
        {"pooling": "ifo", "window": 3},
        {"pooling": "f", "window": 1},
        {"window": 1},
        {"window": 12},
    ],
    "recurrent_highway": [{"depth": 1}, {"depth": 3}],
    "rg_lru": [{"literal": True}, {"heads": 2}],
    "scrn": [{"context_size": 3, "decay": 0.4}],
    "slstm": [{"heads": 1}, {"heads": 2, "forget": "exp"}],
    "sru": [{"highway_bias": -2.0}, {"literal": True}],
}
"""Arguments besides the default ones with which a cell is examined."""
SIZES = [(3, 4), (3, 5), (4, 4), (2, 8), (1, 1)]
TIME = 10


@dataclass(frozen=True)
class Case:
    """A cell to examine."""

    name: str
    sizes: tuple[int, int]
    options: dict[str, Any] = field(default_factory=dict)
    bias: bool = True

    def __str__(self) -> str:
        options = "".join(f"-{key}={value}" for key, value in self.options.items())
        return f"{self.name}-{self.sizes[0]}-{self.sizes[1]}{options}{'' if self.bias else '-no bias'}"

    def layer(self) -> Recurrent:
        cell = cells.get(self.name)(*self.sizes, bias=self.bias, **self.options)
        layer = Recurrent(cell, backend="reference").double()
        for parameter in layer.parameters():
            torch.nn.init.uniform_(parameter, -1.0, 1.0)
        return layer


def cases() -> list[Case]:
    found = []
    for name in cells.names():
        found += [Case(name, sizes) for sizes in SIZES]
        found += [Case(name, (6, 6), options) for options in OPTIONS.get(name, ())]
        found += [Case(name, (3, 8), options) for options in OPTIONS.get(name, ()) if not options.get("literal")]
        found.append(Case(name, (3, 4), bias=False))
    return found


def draw_state(case: Case, layer: Recurrent) -> State:
    """Three rows: zeros, and two that lie in the cell's domain."""
    cell, state = layer.cells[0], layer.initial_state(3)
    drawn = {}
    for name, zeros in zip(state._fields, state, strict=True):
        value = torch.rand_like(zeros) - 0.5
        if name in cell.positive or "positive_candidate" in case.options:
            value = value + 1.0
        if name == "phase":
            value = (torch.tensor([0, 3, 5]).view(3, 1, 1) % cell.periods_of_units()).to(zeros.dtype)
        if name == "started":
            value = torch.ones_like(zeros)
        value[0] = 0.0
        drawn[name] = value
    return state._make(drawn.values())


def wanted_of(case: Case, layer: Recurrent, x: Tensor, state: State, form: int) -> dict[str, Tensor]:
    """Outputs and final states of all rows by an oracle."""
    parameters = {name: value.detach().numpy() for name, value in layer.cells[0].named_parameters()}
    found: dict[str, list[np.ndarray]] = {}
    for row in range(len(x)):
        initial = {name: value[row, 0].numpy() for name, value in zip(state._fields, state, strict=True)}
        outputs, final = ORACLES[case.name][form](parameters, x[row].numpy(), initial, **case.options)
        assert final.keys() == initial.keys()
        for name, value in {"outputs": outputs, **final}.items():
            found.setdefault(name, []).append(value)
    return {name: torch.tensor(np.array(values)) for name, values in found.items()}


def found_of(layer: Recurrent, x: Tensor, state: State) -> dict[str, Tensor]:
    with torch.no_grad():
        outputs, final = layer(x, state)
    return {"outputs": outputs, **{name: value[:, 0] for name, value in zip(final._fields, final, strict=True)}}


def difference(found: Tensor, wanted: Tensor) -> float:
    """The largest, in units of the largest value where that is above 1."""
    assert found.shape == wanted.shape
    return float((found.double() - wanted).abs().max()) / max(1.0, float(wanted.abs().max()))


def examine(case: Case, seed: int = 0) -> None:
    torch.manual_seed(seed)
    layer = case.layer()
    x, state = torch.randn(3, TIME, case.sizes[0], dtype=torch.float64), draw_state(case, layer)
    forms = [wanted_of(case, layer, x, state, form) for form in range(len(ORACLES[case.name]))]
    exact = found_of(layer, x, state)
    for wanted in forms:
        for what, value in wanted.items():
            assert difference(exact[what], value) <= 1e-10, f"{what} in float64"
    layer.backend = None
    for what, value in found_of(layer, x, state).items():
        assert difference(value, forms[0][what]) <= 1e-10, f"{what} in float64 on the automatic backend"
    layer.float()
    x, state = x.float(), state.to(torch.float32)
    fast = found_of(layer, x, state)
    layer.backend = "reference"
    plain = found_of(layer, x, state)
    for what, value in forms[0].items():
        allowed = 8 * difference(plain[what], value) + 3e-6
        assert allowed <= 1e-3, f"the plain loop's {what} in float32"
        assert difference(fast[what], value) <= allowed, f"{what} in float32 on the automatic backend"


def test_every_registered_cell_has_an_oracle_and_every_oracle_a_cell():
    assert set(cells.names()) == ORACLES.keys()
    assert OPTIONS.keys() <= ORACLES.keys()


def test_every_argument_of_a_cell_is_examined_away_from_its_default():
    # What only initialisation reads changes no step.
    first_values = {"smallest", "largest", "phase", "long_memory"}
    for name in cells.names():
        given = {key for options in OPTIONS.get(name, ()) for key in options}
        missing = cells.get(name)(4, 4).options().keys() - given - first_values
        assert not missing, f"{name}: {missing}"


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_cell_computes_its_equations(case):
    examine(case)


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(cells.names()), n=st.integers(1, 5), m=st.integers(1, 9), seed=st.integers(0, 9999))
def test_a_cell_of_any_size_computes_its_equations(name, n, m, seed):
    examine(Case(name, (n, m)), seed)
