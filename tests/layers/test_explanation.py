"""``explain`` says what runs, why, and what was made of a step."""

import pytest
import torch

import seqloom
from seqloom.cells import Cell
from seqloom.engine.operations import softplus, tanh
from seqloom.engine.runtime import native
from seqloom.errors import ConfigError

needs_kernels = pytest.mark.skipif(not native.available(), reason="the compiled kernels were not built")


class Own(Cell):
    """No registered cell: its elementwise code is not built in."""

    def step(self, x, h):
        return tanh(self.affine(x, h)) * self.vector("gain") + softplus(h)


class Foreign(Cell):
    """Its step calls torch."""

    def step(self, x, h):
        return torch.tanh(self.affine(x, h))


@needs_kernels
@pytest.mark.parametrize("target", ["gru", seqloom.cells.get("gru"), seqloom.cells.get("gru")(16, 16)])
def test_a_name_a_class_and_a_cell_are_explained_in_detail(target):
    explanation = seqloom.explain(target)
    assert [choice.backend for choice in explanation.choices] == ["cpu"]
    words = str(explanation)
    for part in (
        "GRU(16, 16): cpu (the fastest for this cell)",
        "in 1 phase",
        "kept for the way back:",
        f"instruction set: {native.instruction_set()}",
        "forward, training: 1. built in",
        "backward: 1. built in",
        "gradients of gradients run in torch's operations, torch.func transforms on the plain loop",
    ):
        assert part in words


@needs_kernels
def test_code_that_is_not_built_in_is_interpreted_and_that_says_why(monkeypatch):
    monkeypatch.setenv("SEQLOOM_COMPILE", "0")
    words = str(seqloom.explain(Own(5, 7)))
    assert "forward, inference: 1. interpreted" in words
    assert "interpreted: SEQLOOM_COMPILE is 0" in words


@needs_kernels
def test_a_layer_is_explained_in_short_and_on_request_in_detail():
    layer = seqloom.Recurrent("gru_before", 3, 4, layers=2)
    short, detailed = seqloom.explain(layer), seqloom.explain(layer, detail=True)
    assert len(short.lines) == 2 * 2 + 1
    assert short.lines[-1] == f"compiled engine: {native.instruction_set()}, 12 of 12 stages built in"
    assert str(detailed).count("backward: 2 stages") == 2
    assert len(seqloom.explain("gru_before", detail=False).lines) == 2 + 1


def test_an_untraceable_cell_is_explained_by_its_line():
    with pytest.warns(RuntimeWarning, match="plain loop"):
        first = str(seqloom.explain(Foreign))
    line = Foreign.step.__code__.co_firstlineno + 1
    assert first.startswith(f"Foreign(16, 16): reference ({__file__}:{line}: Foreign.step: torch's tanh is not")
    assert "in torch's operations, one by one; 528 parameters" in str(
        seqloom.explain(seqloom.Recurrent(Foreign, 16, 16))
    )


def test_what_runs_elsewhere_claims_nothing_of_the_compiled_engine():
    layer = seqloom.Recurrent("lstm", 3, 4, backend="reference")
    assert "compiled engine" not in str(seqloom.explain(layer))
    assert "gradients of gradients" not in str(seqloom.explain(layer, detail=True))


class Particular(Cell):
    """Cannot be built from sizes alone."""

    def __init__(self, input_size, hidden_size, rate, *, bias=True):
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x, h):
        return tanh(self.affine(x, h))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (3, "explain takes a Recurrent layer, a Cell, its class or its name; this is 3"),
        (torch.nn.Linear, "explain takes a Recurrent layer"),
        ("lstmm", "did you mean 'lstm'"),
        (Particular, r"Particular\(16, 16\) cannot be built: .*'rate'; pass a cell instead"),
    ],
)
def test_what_cannot_be_explained_is_refused(target, says):
    with pytest.raises(ConfigError, match=says):
        seqloom.explain(target)
