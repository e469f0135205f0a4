"""The ways of running a step agree, or building the cell says why not: the plain loop, single steps, streams, all backends."""

import math
import warnings

import numpy as np
import pytest
import torch

from seqloom.cells import Cell
from seqloom.engine import StepError, operations
from seqloom.engine.codegen import toolchain
from seqloom.engine.runtime import native
from seqloom.layers.check_subject import HIDDEN, INPUT, CellCheckError, Subject
from seqloom.layers.check_ways import UNUSUAL, check_ways, compare_ways
from seqloom.layers.recurrent import Recurrent

from .random_steps import RandomStep

EXTREME = (*UNUSUAL, 1e30, -1e30, 3e38, -3e38, 89.5, -104.0, 1e-20, 2.0, 1.0, -1.0)
KNOWN = {"np": np, "torch": torch, "math": math, "inf": math.inf, "nan": math.nan}
KNOWN |= {name: getattr(operations, name) for name in operations.__all__}


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    """Hundreds of steps would keep a compiler busy long after these tests."""
    monkeypatch.setenv("SEQLOOM_COMPILE", "0")


def cell_of(text):
    """A cell whose new state is an expression of x, h and v, a learned vector."""
    step = eval(f"lambda self, x, h, v: {text}", dict(KNOWN))
    return type("Own", (Cell,), {"step": lambda self, x, h: step(self, x, h, self.vector("v"))})


def built(kind):
    """A layer of a cell as wide as its input, and whether its step was traced without a warning."""
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layer = Recurrent(kind, 4, 4)
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -0.6, 0.6)
    return layer, not caught


def disagreement(layer):
    """Unit by unit, x and h are each number, beside ordinary ones and beside each other."""
    numbers = torch.tensor(EXTREME, dtype=torch.float64)
    rows = len(EXTREME)
    ordinary = torch.linspace(-1.5, 1.5, 4 * rows, dtype=torch.float64).view(rows, 4)
    wide = numbers[:, None].expand(rows, 4)
    beside = torch.stack([wide[:, 0], 0.3 * torch.ones(rows), torch.zeros(rows), -wide[:, 0]], 1)
    for dtype in (torch.float32, torch.float64):
        layer = layer.to(dtype)
        for x, h in ((ordinary, wide), (wide, ordinary), (wide, beside)):
            for steps in (1, 2):
                given = x.to(dtype)[:, None].expand(rows, steps, 4).contiguous()
                found = compare_ways(layer, given, [h.to(dtype)[:, None].contiguous()])
                if found:
                    return f"{found} in {dtype}"
    return None


ARITHMETIC = """
h + 0.0; h - 0.0; h + -0.0; h - -0.0; 0.0 + h; 0.0 - h; -0.0 - h; -0.0 + h; h * 1.0; h * -1.0; -(-h); h * 0.0; 0 * h
h / 1.0; h / 2.0; h / -4; h / 3; h / 0.0; h / -0.0; 0.0 / h; 1.0 / h; -1.0 / h; 3 / h; h / 2.0**130; h / 2.0**-130
1 / (h * 0.0); 1 / (h * -0.0); 1 / (0.0 - h * 0.0); 1 / (-0.0 - h * 0.0); 1 / (h + 0.0); 1 / (h + -0.0); 1 / (h - 0.0)
1 / -(-h); 1 / (-h + x); 1 / (x - -h); 1 / (-h * x); 1 / -(h * x); h - h; h + -h; h / h; h + h; 2 * h - h; h * h - x * x
h * 16777217; h + 16777217; h * 2**60; h * 1e39; h + 1e39; h * 1e-46; h * 1e-39; h / 1e39; h / 1e-46; h / 1e-39
h * 1e20 * 1e20; h * 1e20 * 1e20 * 1e-30; h * 1e-30 * 1e-30; 1e38 * 10 * h; (h * 3) / 3; h + 0.1 - 0.1; h * (0.1 + 0.2)
h * inf; h + nan; h - inf; h * nan; 0.0 * inf + h; h * 2.0**-149; h * 2.0**-150; h * v + x; h * h * v; v * 2 + h
h * np.float32(0.1); np.float32(0.1) * h; np.float64(0.1) * h; h * np.int64(3); h * np.float16(0.1)
"""
FUNCTIONS = """
sigmoid(h); tanh(h); relu(h); exp(h); log(h); sqrt(h); softplus(h); abs(h); sigmoid(-h); log(sigmoid(h)); 1 / sqrt(h)
1 / relu(h); 1 / abs(h); exp(h) - exp(x); exp(h) / (exp(h) + 1); log(1 + exp(h)); tanh(h) * tanh(h); softplus(h) - h
minimum(h, x); maximum(h, x); minimum(h, h); maximum(h, 0.0); maximum(0.0, h); minimum(h, -0.0); minimum(h, 1e39)
maximum(h, -1e39); minimum(h, inf); maximum(h, nan); minimum(nan, h); minimum(h, np.float32(0.1)); maximum(1, 2) * h
minimum(0.1, 0.2) + h; where(True, 1.0, 2.0) * h
"""
CONDITIONS = """
where(1.0, h, x); where(0.0, h, x); where(-0.0, h, x); where(nan, h, x); where(h, x, 0.5); where(h * 0.0, x, 0.5)
where(-h, x, 0.5); where(h > 0, h, x); where(h > 0, 1.0, h); where(h > 0, 1, h); where(h >= x, h, x); where(h < 0.1, h, x)
where(h < 16777217, h, x); where(h < 1e-46, h, x); where(h < 1e39, h, x); where((h > 0) * (x > 0), h, x); where(v, h, x)
where((h > 0) + (x > 0), h, x); where((h > 0) < 1, h, x); where((h > 0) < (x > 0), h, x); where(v > 0, h, x)
where(minimum(h > 0, x > 0), h, x); where(h > 0, h > 0, x > 0) * h; where((h > 0) / 2, h, x); where(x > 0, 1.0, v)
where(h > 0, h, inf); where(h > 0, nan, h); where(h > 0, log(h), 0.0); where(h <= 0, h, 1 / h); where(x > 0, 1, 2) * h
where(h > 0, where(x > 0, 1.0, 2.0), 3.0) * h; where(h > 0, 2.0, where(x > 0, 1, 0)) * h; where(h > 0, 1, 0) * h
where(h > 0, np.float32(0.1), h); where(np.float32(0.1), h, x); where(h > 0, 1.0, 0.0)
"""
TRUTHS = """
(h > 0) * h; (h > 0) + h; ((h > 0) + (x > 0)) * h; ((h > 0) + (x > 0)) * 1.0; ((h > 0) + 1) * h; (h > 0) * 2 * h
((h > 0) * 2 - 1) * h; (h > 0) * 0.5; (h > 0) / 2; 2 / (h > 0); ((h > 0) / (x > 5)) * h; sqrt(h > 0) * h; tanh(h > 0) + h
exp(h > 0) + h; minimum(h > 0, h); minimum(h > 0, 0.5) * h; maximum(h > 0, 0) * h; maximum(h > 0, x > 0) * h; h * (x > 0)
(x > 0) * v + h; (v > 0) * h; ((x > 0) + (x > 1) + (x < 5)) * h; ((h > 0) * (h > 1) + (h < 5)) * h; ((h > 0) * h > 0.5) * h
(where(h > 0, h > 1, x > 0) + (h < 5)) * h; (h > 0) * np.int64(3) * h; where(h > 0, 1, 0) * 3 / 4 + h
"""
STATES = "x; h; v; v + 0.0; x + 0.0; self.matvec(v, name='m') + h; self.affine(v, h); self.affine(1.0 * (h > 0))"


def expressions(*texts):
    return [part.strip() for text in texts for line in text.strip().splitlines() for part in line.split(";")]


@pytest.mark.parametrize("text", expressions(ARITHMETIC, FUNCTIONS, CONDITIONS, TRUTHS))
def test_every_way_gives_the_plain_loops_numbers(text):
    layer, traced = built(cell_of(text))
    assert traced
    assert disagreement(layer) is None


COMPILED = """
h + 0.0; h - 0.0; h + -0.0; 0.0 - h; -0.0 - h; -(-h); h * 0.0; h / -0.0; 0.0 / h; 3 / h; 1 / (h * -0.0); 1 / -(-h); h * 1e39
h / 1e-46; h + nan; relu(h); 1 / relu(h); minimum(h, x); maximum(h, 0.0); maximum(h, nan); where(nan, h, x)
where(h, x, 0.5); where(h * 0.0, x, 0.5); ((h > 0) + (x > 0)) * h; minimum(h > 0, 0.5) * h; where(h > 0, 1, 0) * 3 / 4 + h
"""


@pytest.mark.skipif(toolchain.find() is None, reason="there is no C++ compiler on this machine")
def test_compiled_code_gives_the_same_numbers(monkeypatch, tmp_path):
    monkeypatch.setenv("SEQLOOM_COMPILE", "wait")
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path))
    texts = expressions(COMPILED)
    steps = [eval(f"lambda x, h: {text}", dict(KNOWN)) for text in texts]

    class Many(Cell):
        state = tuple(f"h{number}" for number in range(len(texts)))

        def step(self, x, *states):
            self.vector("v")
            return tuple(step(x, h) for step, h in zip(steps, states, strict=True))

    layer, traced = built(Many)
    assert traced
    numbers, rows = torch.tensor(EXTREME), len(EXTREME)
    ordinary = torch.linspace(-1.5, 1.5, 4 * rows).view(rows, 1, 4)
    wide = numbers[:, None, None].expand(rows, 1, 4).contiguous()
    for x, h in ((ordinary, wide), (wide, ordinary), (wide, wide.flip(0))):
        assert compare_ways(layer, x, [h] * len(texts)) is None
        assert compare_ways(layer, x.expand(rows, 2, 4).contiguous(), [h] * len(texts)) is None
    kernel = layer.cells[0].graph.lowered["cpu"].loaded
    assert {path for stages in native.paths(kernel.program, kernel.machine) for path in stages} == {"compiled here"}


@pytest.mark.parametrize("text", expressions(STATES))
def test_a_state_may_be_the_input_or_what_it_was_or_the_same_for_all_rows(text):
    layer, traced = built(cell_of(text))
    assert traced
    for dtype in (torch.float32, torch.float64):
        x, h = torch.randn(3, 2, 4, dtype=dtype), torch.randn(3, 1, 4, dtype=dtype)
        assert compare_ways(layer.to(dtype), x, [h]) is None
        assert compare_ways(layer, x[:, :1], [h]) is None


def test_a_state_that_is_a_parameter_is_no_view_of_its_memory():
    layer, _ = built(cell_of("v"))
    before = layer.cells[0].vector_v.detach().clone()
    with torch.no_grad():
        for outputs, state in (layer.step(torch.zeros(2, 4)), layer(torch.zeros(2, 1, 4))):
            outputs += 1.0
            state.h.zero_()
    assert torch.equal(layer.cells[0].vector_v, before)


ELSEWHERE = """
h + True; h * False; where(True, h, x); h ** 2; 2 ** h; h % 2; +h; h.clamp(0, 1); h * torch.tensor(2.0); torch.tensor(2.0) * h
h + torch.tensor(0.1, dtype=torch.float64); h * (2**53 + 1); (h == 0) * h; (h != 0) * h; (h > 0) * 2**20 * 2**10 * h
where(h > 0, torch.tensor(1.0), h); minimum(h, torch.tensor(0.1)); h * np.bool_(True); pow(h, 2); len(h) * h
"""


@pytest.mark.parametrize("text", expressions(ELSEWHERE))
def test_what_only_tensors_understand_runs_on_the_plain_loop(text):
    layer, traced = built(cell_of(text))
    assert not traced
    x, h = torch.randn(3, 3, 4), torch.randn(3, 1, 4)
    assert compare_ways(layer, x, [h]) is None


REFUSED = {
    "h + 2**200": "the integer 1606938044258990275541962092341162602522202993782792835301376 is no float; write one",
    "h + 10**400": "the integer of 1329 bits is no float",
    "where(h < 10**5000, h, x)": "the integer of 16610 bits is no float",
    "0 < h < 1": "cannot branch on a value",
    "h if h > 0 else x": "cannot branch on a value",
    "h and x": "cannot branch on a value",
    "not h": "cannot branch on a value",
    "min(h, x)": "cannot branch on a value",
    "x in [h]": "== is not in a step's vocabulary",
    "float(h) * h": "differs from row to row",
    "math.exp(h)": "differs from row to row",
    "list(h)[0]": "cannot be unpacked",
    "sum(h)": "cannot be unpacked",
    "round(h > 0)": "__round__",
    "1 - (h > 0)": r"- of a comparison, which is true or false and no number; write where\(condition, 1.0, 0.0\)",
    "-(h > 0) * h": "- of a comparison",
    "abs(h > 0) * h": "abs of a comparison",
    "relu(h > 0) * h": "relu of a comparison",
    "softplus((h > 0) * 2) + h": "softplus of whole numbers",
    "layer_norm(h > 0) + h": "layer_norm of a comparison",
    "self.affine(h > 0)": "product of a comparison",
    "h > 0": "the new h is no real number but a comparison, a whole or a complex one",
    "h == x": "the new h is no real number but a comparison, a whole or a complex one",
    "(h > 0) + (x > 0)": "the new h is no real number but a comparison, a whole or a complex one",
    "where(h > 0, 1, 0)": "the new h is no real number but a comparison, a whole or a complex one",
    "np.array(2.0) * h": "a ndarray meets a value of the step",
    "h * 1j": "the new h is no real number but a comparison, a whole or a complex one",
    "h * None": "a NoneType meets a value of the step",
    "h + 'a'": "a str meets a value of the step",
    "1.0": r"returned 1 values of sizes \(None,\)",
    "h[0]": r"returned 1 values of sizes \(None,\)",
    "[h]": r"returned 1 values of sizes \(None,\)",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_no_way_can_run_is_refused_when_the_cell_is_built(text):
    with pytest.raises(StepError, match=REFUSED[text]):
        built(cell_of(text))


def adds_to_the_state(self, x, h):
    h += x
    return h


def multiplies_the_input(self, x, h):
    x *= 2.0
    return x + h


def overwrites_half_of_the_state(self, x, h):
    first, _ = operations.split(h, 2)
    first -= 1.0
    return x + h


def overwrites_a_parameter(self, x, h):
    gain = self.vector("gain")
    gain /= 2.0
    return gain * h


def writes_into_the_state(self, x, h):
    h[:, 0] = 0.0
    return x + h


def clamps_the_state(self, x, h):
    return h.clamp_(0, 1) + x


@pytest.mark.parametrize(
    "step",
    [
        adds_to_the_state,
        multiplies_the_input,
        overwrites_half_of_the_state,
        overwrites_a_parameter,
        writes_into_the_state,
        clamps_the_state,
    ],
    ids=lambda step: step.__name__,
)
def test_what_belongs_to_the_caller_is_not_overwritten(step):
    with pytest.raises(StepError, match="overwrites"):
        built(type("Own", (Cell,), {"step": step}))


def adds_to_a_sum(self, x, h):
    total = self.affine(x, h)
    total += x
    total *= 0.5
    return total


def keeps_the_old_value(self, x, h):
    total = h * 2.0
    old = total
    total += x
    return total + old


def overwrites_what_a_gradient_needs(self, x, h):
    y = operations.exp(x)
    z = y * h
    z += 1.0
    return z


def shares_what_is_overwritten(self, x, h):
    first, second = h * 2.0, h * 2.0
    first += x
    return first * second


def uses_it_before(self, x, h):
    y = x + h
    z = y * 0.5
    y -= z
    return y + z


def adds_it_to_itself(self, x, h):
    y = x * h
    y += y
    return y


@pytest.mark.parametrize(
    "step",
    [
        adds_to_a_sum,
        keeps_the_old_value,
        overwrites_what_a_gradient_needs,
        shares_what_is_overwritten,
        uses_it_before,
        adds_it_to_itself,
    ],
    ids=lambda step: step.__name__,
)
def test_what_is_overwritten_in_place_is_the_same_everywhere(step):
    layer, _ = built(type("Own", (Cell,), {"step": step}))
    for dtype in (torch.float32, torch.float64):
        x, h = torch.randn(3, 3, 4, dtype=dtype), torch.randn(3, 1, 4, dtype=dtype)
        assert compare_ways(layer.to(dtype), x, [h]) is None
        assert compare_ways(layer, x[:, :1], [h]) is None


class TwiceTheSame(Cell):
    state = ("h", "c")

    def step(self, x, h, c):
        h = operations.tanh(self.affine(x, h) + c)
        return h, h


class Exchanged(Cell):
    state = ("h", "c")

    def step(self, x, h, c):
        return c, h


class Delayed(Cell):
    state = ("h", "c", "d")

    def step(self, x, h, c, d):
        return d, operations.tanh(self.affine(x)), c


class AsBefore(Cell):
    state = ("h", "c")

    def step(self, x, h, c):
        return operations.tanh(self.affine(x, h) + c), c


class ZeroOnce(Cell):
    state = ("h", "c")

    def step(self, x, h, c):
        return h + 1.0 / (c * 0.0), 0.0 - c


@pytest.mark.parametrize("kind", [TwiceTheSame, Exchanged, Delayed, AsBefore, ZeroOnce])
def test_states_may_be_each_other(kind):
    check_ways(Subject(kind, {}))


def hold(seed):
    torch.manual_seed(seed)
    subject = Subject(RandomStep, {"seed": seed, "odd": True})
    assert subject.cell().graph.untraceable is None
    check_ways(subject)


@pytest.mark.parametrize("seed", range(25))
def test_random_steps_of_odd_words_run_the_same_everywhere(seed):
    hold(seed)


@pytest.mark.slow
def test_thousands_of_random_steps_of_odd_words_run_the_same_everywhere():
    for seed in range(25, 2025):
        hold(seed)


class Turns(Cell):
    """Another step when it is traced than on tensors, where a zero has a sign."""

    def step(self, x, h):
        y = self.affine(x, h)
        return y - 0.0 if isinstance(y, torch.Tensor) else y


class TakesTheOther(Turns):
    def step(self, x, h):
        if isinstance(h, torch.Tensor):
            return torch.where(h <= 1e3, h, 0.0)
        return operations.where(h > 1e3, 0.0, h)


def test_the_battery_finds_a_step_that_parts_from_its_trace_on_unusual_numbers():
    check_ways(Subject(Turns, {}))
    with pytest.raises(
        CellCheckError, match=r"TakesTheOther: final h of .* nan at .*, expected 0 in float32|of the plain"
    ):
        check_ways(Subject(TakesTheOther, {}))


def test_the_battery_takes_a_cell_without_parameters():
    class Decays(Cell):
        def step(self, x, h):
            return operations.tanh(0.5 * h + 0.1)

    layer = Recurrent(Decays, INPUT, HIDDEN)
    assert layer.double()(torch.zeros(1, 2, INPUT, dtype=torch.float64))[0].dtype == torch.float64
    assert layer.initial_state(1).h.dtype == torch.float64
    assert layer.stream().path == "python"
    assert layer.float().stream().path == "native"
    from seqloom.cells import check_cell

    check_cell(Decays)
