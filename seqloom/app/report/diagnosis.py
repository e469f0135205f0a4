"""The parts of a page about long-term dependencies: of one diagnosis, and of those that a training run has logged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seqloom.app.report.curves import Curve, Series, draw
from seqloom.app.report.markup import Html, element, join
from seqloom.app.report.tables import score_table
from seqloom.systems.evaluation import Column

if TYPE_CHECKING:
    from seqloom.learning.diagnosis import Diagnosis, Gate, RecurrenceDiagnosis

__all__ = ["diagnosis_sections", "logged_curves"]

_MOST_LINES = 4  # as many as the page has colours and dashes

_LOGGED = {
    "half_life": "half-life of the gradient, in steps",
    "memory_backward": "effective memory, in steps back",
    "operator_norm": "operator norm of a step",
    "spectral_radius": "spectral radius of a step",
    "lyapunov": "leading Lyapunov exponent",
    "saturation": "share of saturated values",
    "dead_units": "share of dead units",
    "forget_mean": "share of the state that is kept",
}


def diagnosis_sections(diagnosis: Diagnosis) -> list[tuple[str, str, Html]]:
    """For each recurrence a section with words, plots and tables, then one about the parameters; see ``document``."""
    from seqloom.learning.diagnosis.words import sentences, title

    sections = []
    for index, each in enumerate(diagnosis.recurrences):
        drawn = [draw(curve, f"curve{index}-{number}") for number, curve in enumerate(_curves(each))]
        parts = [
            element("p", title(each), class_="note"),
            element("ul", *(element("li", sentence) for sentence in sentences(each))),
            element("div", *drawn, class_="curves"),
            _gates(each) or "",
            _carries(each) or "",
        ]
        sections.append((f"recurrence{index}", each.name, join(parts)))
    if diagnosis.parameters:
        sections.append(("parameters", "Gradients of the parameters", _parameters(diagnosis)))
    return sections


def logged_curves(records: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Curves over the training of what ``training.diagnose_every`` has logged, a line per recurrence."""
    axis, curves = "epoch", []
    for number, title in _LOGGED.items():
        lines: dict[str, list[tuple[float, float]]] = {}
        for record in records:
            for key, value in record.items():
                name, slash, kind = key.rpartition("/")
                if slash and kind == number and _is_number(value) and _is_number(record.get(axis)):
                    lines.setdefault(name, []).append((float(record[axis]), float(value)))
        if lines:
            shown = [Series(name, points) for name, points in lines.items()][:_MOST_LINES]
            curves.append(Curve(title, axis, shown))
    return curves


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _curves(each: RecurrenceDiagnosis) -> Iterator[Curve]:
    flow, jacobian = each.gradient, each.jacobian
    back = [_above_zero("by the state", flow.norms), _above_zero("by the input", flow.input_norms)]
    yield from _curve("gradient of the last step, relative to it", "steps before the last", back)
    if flow.loss_norms is not None:
        yield from _curve("gradient of the whole loss", "step", [_above_zero("by the state", flow.loss_norms)])
    steps = [float(step) for step in jacobian.steps]
    norms = [
        Series("operator norm", _finite(steps, jacobian.operator_norm)),
        Series("spectral radius", _finite(steps, jacobian.spectral_radius)),
    ]
    yield from _curve("Jacobian of one step", "step", norms, logarithmic=False)
    effects = [_above_zero("back", each.backward.effect), _above_zero("ahead", each.forward.effect)]
    yield from _curve("effect of an input, as a share of the largest", "steps apart", effects)
    for function in ("sigmoid", "tanh", "relu"):
        gates = [gate for gate in each.gates if gate.function == function]
        for start in range(0, len(gates), _MOST_LINES):
            lines = [_histogram(gate) for gate in gates[start : start + _MOST_LINES]]
            named = ", ".join(gate.name for gate in gates[start : start + _MOST_LINES])
            yield from _curve(
                f"values of {function}: {named}",
                "value (share of all, in bins)",
                lines,
                logarithmic=False,
                counts=False,
            )


def _curve(
    title: str, axis: str, lines: Sequence[Series], *, logarithmic: bool = True, counts: bool = True
) -> Iterator[Curve]:
    shown = [line for line in lines if line.points]
    if shown:
        yield Curve(title, axis, shown, logarithmic=logarithmic, counts=counts)


def _above_zero(name: str, values: Sequence[float]) -> Series:
    """What a logarithmic axis can show."""
    return Series(name, [(float(x), y) for x, y in enumerate(values) if 0.0 < y < float("inf")])


def _finite(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in zip(xs, ys, strict=True) if _is_number(y)]


def _histogram(gate: Gate) -> Series:
    low, high = gate.span
    width = (high - low) / len(gate.histogram)
    return Series(gate.name, [(low + (index + 0.5) * width, share) for index, share in enumerate(gate.histogram)])


def _gates(each: RecurrenceDiagnosis) -> Html | None:
    rows = [
        {
            "name": gate.name,
            "function": gate.function,
            "mean": gate.mean,
            "median": gate.quantiles[2],
            "low": gate.low,
            "high": None if gate.function == "relu" else gate.high,
            "dead": gate.dead,
        }
        for gate in each.gates
    ]
    columns = (
        Column("name", "gate", "text"),
        Column("function", "function", "text"),
        Column("mean", "mean"),
        Column("median", "median"),
        Column("low", "saturated low, or zero", "bar"),
        Column("high", "saturated high", "bar"),
        Column("dead", "dead units", "bar"),
    )
    return score_table(rows, columns, caption="Gates") if rows else None


def _carries(each: RecurrenceDiagnosis) -> Html | None:
    rows = []
    for carry in each.carries:
        fast, _, slow = carry.unit_time_constants
        rows.append(
            {"state": carry.state, "mean": carry.mean, "constant": carry.time_constant, "fast": fast, "slow": slow}
        )
    columns = (
        Column("state", "state", "text"),
        Column("mean", "kept per step", "bar"),
        Column("constant", "time constant, steps"),
        Column("fast", "of fast units (5 %)"),
        Column("slow", "of slow units (95 %)"),
    )
    return score_table(rows, columns, caption="What states keep of themselves") if rows else None


def _parameters(diagnosis: Diagnosis) -> Html:
    rows = [
        {"name": each.name, "gradient": each.gradient_norm, "norm": each.parameter_norm, "ratio": each.ratio}
        for each in diagnosis.parameters
    ]
    columns = (
        Column("name", "parameter", "text"),
        Column("gradient", "gradient norm"),
        Column("norm", "norm"),
        Column("ratio", "ratio"),
    )
    return score_table(rows, columns)
