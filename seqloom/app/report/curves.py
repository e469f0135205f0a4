"""Training curves as SVG that takes its colours from the page, so that one drawing serves light, dark and paper."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqloom.app.report.markup import Html, element, join, literal
from seqloom.scores.names import metric_name

__all__ = ["Curve", "Series", "draw", "find_curves", "is_number", "matplotlib_is_there"]

_MOST_POINTS = 400
_FIRST_METRICS = ("f1", "precision", "recall", "accuracy", "oov_recall", "iv_recall")
_BEST_STYLE = (0, (1.0, 2.0))
_STYLES: tuple[tuple[int, tuple[float, ...]], ...] = ((0, ()), (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))

# Colours that matplotlib is given, and what the page puts in their place.
_INK = "#010203"
_PAINTS = ("#010204", "#010205", "#010206", "#010207")


@dataclass(frozen=True)
class Series:
    """Points of one line; the name is shown by the page, never drawn, since it comes from a file."""

    name: str
    points: list[tuple[float, float]]


_LARGEST = 1e100


@dataclass(frozen=True)
class Curve:
    """One drawing: a title, what the horizontal axis counts, its lines, and where the best model was found."""

    title: str
    axis: str
    series: list[Series]
    best: float | None = None
    logarithmic: bool = False
    """Whether the upright axis is logarithmic in any case, rather than where the values span decades."""
    counts: bool = True
    """Whether the horizontal axis counts whole things."""


def find_curves(steps: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """The curves that the records of a run have points for: loss, held-out scores, learning rate, gradient norm."""
    axis = "epoch" if all(is_number(record.get("epoch")) for record in (*steps, *evaluations)) else "step"
    marked = (record.get(axis) for record in reversed(evaluations) if record.get("best"))
    best = next((float(place) for place in marked if is_number(place)), None)
    curves = []
    losses = _points(steps, axis, "loss") or _points(evaluations, axis, "loss")
    if losses:
        curves.append(Curve("training loss", axis, [Series("loss", losses)], best))
    scores = [{**record, **_metrics_of(record)} for record in evaluations]
    names = _shown_metrics(evaluations)
    lines = [Series(name, points) for name in names if (points := _points(scores, axis, name))]
    if lines:
        curves.append(Curve("scores on the development data", axis, lines, best))
    for key, title in (("learning_rate", "learning rate"), ("gradient_norm", "gradient norm, before clipping")):
        points = _points(steps, axis, key)
        if points:
            curves.append(Curve(title, axis, [Series(title, points)]))
    return curves


def _shown_metrics(evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    # Only shares, which can stand on one axis; a run whose metrics are of another kind shows its first.
    present: dict[str, list[float]] = {}
    for record in evaluations:
        # Metrics lie under their own key in what the loop writes, and beside the loss in older or foreign records.
        other = ("epoch", "step", "loss", "seconds", "rate", "best", "learning_rate", "gradient_norm")
        named = _metrics_of(record) or {key: value for key, value in record.items() if key not in other}
        for name, value in named.items():
            if is_number(value):
                present.setdefault(name, []).append(float(value))
    shares = [name for name, values in present.items() if all(0 <= value <= 1 for value in values)]
    ordered = [name for name in _FIRST_METRICS if name in shares]
    return (ordered or shares or list(present)[:1])[: len(_STYLES)]


def _points(records: Sequence[Mapping[str, Any]], axis: str, key: str) -> list[tuple[float, float]]:
    points = [
        (float(record[axis]), float(record[key]))
        for record in records
        if is_number(record.get(axis)) and is_number(record.get(key))
    ]
    width = math.ceil(len(points) / _MOST_POINTS)
    if width <= 1:
        return points
    # A long run keeps the mean of each stretch of steps: more points would only weigh on the page.
    stretches = [points[start : start + width] for start in range(0, len(points), width)]
    return [(part[-1][0], math.fsum(y for _, y in part) / len(part)) for part in stretches]


def _metrics_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    metrics = record.get("metrics")
    return metrics if isinstance(metrics, Mapping) else {}


def is_number(value: Any) -> bool:
    """A number that an axis can have: a damaged record may hold any."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def matplotlib_is_there() -> bool:
    """Whether curves can be drawn."""
    try:
        import matplotlib.backends.backend_svg  # noqa: F401
    except ImportError:
        return False
    return True


def draw(curve: Curve, identity: str) -> Html:
    """A figure with its drawing and its legend.

    Args:
        identity: unique in the page; keeps the ids inside the drawing apart from those of others.
    """
    legend = [
        element("span", _sample(_STYLES[index][1], f"var(--curve-{index + 1})"), metric_name(series.name))
        for index, series in enumerate(curve.series)
        if len(curve.series) > 1
    ]
    if curve.best is not None:
        legend.append(element("span", _sample(_BEST_STYLE[1], "currentColor"), "kept model (upright)"))
    caption = element("figcaption", element("b", curve.title), *legend)
    return element("figure", caption, _svg(curve, identity), class_="curve")


def _sample(dashes: tuple[float, ...], colour: str) -> Html:
    """A short piece of a line, dashed as in the drawing, whose dashes matplotlib measures in line widths."""
    pattern = " ".join(f"{1.6 * dash:.1f}" for dash in dashes) or None
    line = element("line", x1=0, x2=28, y1=4, y2=4, stroke=colour, stroke_width=2, stroke_dasharray=pattern)
    return element("svg", line, viewBox="0 0 28 8", class_="sample", aria_hidden="true")


def _svg(curve: Curve, identity: str) -> Html:
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 2.8), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for index, series in enumerate(curve.series):
        xs, ys = zip(*series.points, strict=True)
        marker = "o" if len(xs) <= 30 else None
        axes.plot(xs, ys, color=_PAINTS[index], linestyle=_STYLES[index], linewidth=1.6, marker=marker, markersize=3)
    if curve.best is not None:
        axes.axvline(curve.best, color=_INK, linewidth=1, linestyle=_BEST_STYLE, alpha=0.7)
    if curve.logarithmic or _spans_decades(curve):
        axes.set_yscale("log")
    _plain(axes, curve.axis, whole=curve.counts)
    drawing = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": identity}):
        figure.savefig(drawing, format="svg", transparent=True, metadata={"Date": None})
    return _embedded(drawing.getvalue(), identity, curve.title)


def _plain(axes: Any, axis: str, *, whole: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(axis.encode(errors="replace").decode(), color=_INK)  # half of a surrogate pair has no shape
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=whole, min_n_ticks=1))
    axes.grid(axis="y", color=_INK, alpha=0.15, linewidth=0.8)
    axes.tick_params(colors=_INK, which="both")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_INK)


def _spans_decades(curve: Curve) -> bool:
    values = [y for series in curve.series for _, y in series.points]
    return min(values) > 0 and max(values) / min(values) > 100


def _embedded(svg: str, identity: str, title: str) -> Html:
    """The drawing without what a file of its own needs, with the page's colours and with ids of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]*)"', svg)
    svg = svg[svg.index(">") + 1 :].replace("xlink:href", "href")
    for mark in (' id="', 'href="#', "url(#"):
        svg = svg.replace(mark, f"{mark}{identity}-")
    svg = svg.replace(_INK, "currentColor")
    for index, paint in enumerate(_PAINTS):
        svg = svg.replace(paint, f"var(--curve-{index + 1})")
    opening = element("svg", viewBox=box.group(1) if box else None, role="img", aria_label=title)
    return join((literal(opening.removesuffix("</svg>")), literal(svg.strip())))
