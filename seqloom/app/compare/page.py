"""A comparison as a drawing of learning curves and as one HTML page that needs nothing else."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seqloom import __version__
from seqloom.app.report.markup import Html, element, literal
from seqloom.app.report.page import document
from seqloom.app.report.tables import facts, score_table
from seqloom.systems.evaluation import Column

if TYPE_CHECKING:
    from seqloom.synthetic.compare.trial import Outcome
    from seqloom.synthetic.tasks import SequenceTask

__all__ = ["draw_curves", "page"]

# Okabe & Ito's colours, which stay apart for colour-blind eyes; dashes tell the next eight from the first.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#8a6d3b")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))

_COLUMNS = (
    Column("cell", "cell", "text"),
    Column("hidden_size", "units"),
    Column("layers", "layers"),
    Column("parameters", "parameters"),
    Column("learning_rate", "learning rate"),
    Column("share", "solved", "bar"),
    Column("updates", "updates to solve, median"),
    Column("metric", "metric"),
    Column("loss", "loss"),
    Column("best", "best on development"),
    Column("diverged", "diverged"),
    Column("seconds", "seconds of a run"),
)


def draw_curves(task: SequenceTask, outcomes: Sequence[Outcome]) -> str:
    """An SVG of the development loss by updates: a line for each run, a colour for each cell, and the chance level."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.8), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for index, cell in enumerate(dict.fromkeys(outcome.trial.cell for outcome in outcomes)):
        style = {"color": _COLOURS[index % len(_COLOURS)], "linestyle": _DASHES[index // len(_COLOURS) % len(_DASHES)]}
        label: str | None = cell
        for outcome in outcomes:
            points = [(point["update"], point["loss"]) for point in outcome.curve if math.isfinite(point["loss"])]
            if outcome.trial.cell != cell or not points:
                continue
            updates, losses = zip(*points, strict=True)
            axes.plot(updates, losses, linewidth=1.1, alpha=0.85, label=label, **style)
            if outcome.solved:
                axes.plot(updates[-1:], losses[-1:], marker="o", markersize=4, color=style["color"])
            label = None
    axes.axhline(task.chance, color="#777777", linewidth=1, linestyle=(0, (2, 2)), label="remembers nothing")
    axes.set_yscale("log")
    axes.set_xlabel("updates")
    axes.set_ylabel("mean squared error" if task.kind == "real" else "nats per asked step")
    axes.set_title(f"{task.name}: loss on development sequences; a dot is a solved run", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    drawing = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "comparison"}):
        figure.savefig(drawing, format="svg", metadata={"Date": None})
    return drawing.getvalue()


def page(task: SequenceTask, described: Mapping[str, Any], drawing: str) -> str:
    """The comparison as an HTML document.

    Args:
        described: what ``comparison.json`` holds.
        drawing: the SVG of the curves; empty leaves the section out.
    """
    rows = [{**row, "share": row["solved"] / row["seeds"]} for row in described["results"]]
    metric = task.criterion.metric
    columns = [
        Column(column.name, metric, column.kind) if column.name == "metric" else column
        for column in _COLUMNS
        if column.name != "loss" or metric != "loss"
    ]
    summary = (type(task).__doc__ or "").split("\n")[0]
    caption = f"Solved means {described['criterion']} on held-out sequences."
    how = {
        "task": described["task"],
        "who remembers nothing": described["chance"],
        "machine": {name: value for name, value in described["machine"].items() if value is not None},
        "seeds of a cell": described["results"][0]["seeds"] if described["results"] else 0,
    }
    results = element("div", element("p", summary, class_="note"), score_table(rows, columns, caption=caption))
    sections = [("results", "Results", results)]
    if drawing:
        sections.append(("curves", "Learning curves", element("figure", _embedded(drawing))))
    sections.append(("how", "How it was made", element("div", element("pre", described["command"]), facts(how))))
    return document(f"Cells on the task {task.name}", f"comparison · seqloom {__version__}", sections)


def _embedded(drawing: str) -> Html:
    """The drawing without what a file of its own needs; our own, so it is vouched for."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", drawing[drawing.index("<svg") :], flags=re.DOTALL)
    # As wide as the page, whatever size it was drawn in.
    return literal(re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg)))
