"""The rows of a benchmark on the terminal, as JSON, and as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from seqloom.app.bench.measure import ACCEPTED_SHARE, Row
from seqloom.app.tables import markdown_table
from seqloom.app.terminal import table

__all__ = ["circumstances", "ratio_text", "to_markdown", "to_table", "verdict"]

_LEFT = ("row", "what", "against", "backend")


def to_table(rows: Sequence[Row]) -> RenderableType:
    """The rows for the terminal; what was not measured has its reason in the place of the figures."""
    cells = [_cells(row, brief=True) for row in rows]
    columns = list(cells[0]) if cells else []
    return table(columns, [list(row.values()) for row in cells], right=[name for name in columns if name not in _LEFT])


def to_markdown(report: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The command, what the figures depend on, the rows, and what to know when reading them."""
    shown = [row for row in rows if row.status == "measured"]
    parts = [f"`{report['command']}`", circumstances(report)]
    parts += [markdown_table([_cells(row) for row in shown], left=_LEFT)] if shown else []
    parts += [f"{row.comparison.name} ({row.comparison.rival}): {row.note}." for row in rows if row.note]
    return "\n\n".join([*parts, verdict(rows), *report["notes"]]) + "\n"


def circumstances(report: Mapping[str, Any]) -> str:
    """What the figures depend on, in a sentence."""
    machine = report["machine"]
    memory = "" if machine["memory_gigabytes"] is None else f", {machine['memory_gigabytes']:.0f} GB"
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    settings = "".join(f"; {name}={value}" for name, value in report["environment"].items())
    load = "" if report["load_before"] is None else f", load {report['load_before']:.1f} before the start"
    return (
        f"{report['date']}; {machine['processor']}, {machine['cores']} cores{memory}, {machine['system']}{load}; {versions}; "
        f"{report['threads']} thread{'s' if report['threads'] > 1 else ''}; seed {report['seed']}{settings}."
    )


def verdict(rows: Sequence[Row]) -> str:
    """How many rows reach their targets, in a sentence."""
    measured = [row for row in rows if row.share is not None]
    reached = sum(row.share is not None and row.share >= ACCEPTED_SHARE for row in measured)
    differing = sum(row.status == "differs" for row in rows)
    missing = sum(row.status == "not available" for row in rows)
    sentence = f"{reached} of {len(measured)} measured rows reach {100 * ACCEPTED_SHARE:.0f} % of their target or more"
    sentence += f"; {missing} not available" if missing else ""
    return sentence + (f"; {differing} with other results than the rival's" if differing else "") + "."


def _cells(row: Row, *, brief: bool = False) -> dict[str, str]:
    comparison = row.comparison
    what = {} if brief else {"what": f"{comparison.description}, {comparison.shape}"}
    low, high = (min(row.ratios), max(row.ratios)) if row.ratios else (None, None)
    spread = "" if low is None else f"{low:.2f}-{high:.2f}"
    return {
        "row": comparison.name,
        **what,
        "against": comparison.rival,
        "ours, us": _number(row.ours, 1e6),
        "rival, us": _number(row.rival, 1e6),
        "ratio": ratio_text(row.ratio),
        "spread": spread,
        "study": ratio_text(comparison.study),
        "target": ratio_text(comparison.target),
        "share": "" if row.share is None else f"{100 * row.share:.0f} %",
        "difference": "" if row.difference is None else f"{row.difference:.0e}",
        "backend": row.backend if row.status == "measured" else row.note,
    }


def ratio_text(value: float | None) -> str:
    """Two decimals, or nothing for what was not measured."""
    return "" if value is None else f"{value:.2f}"


def _number(value: float | None, factor: float) -> str:
    if value is None:
        return ""
    return f"{value * factor:,.0f}" if value * factor >= 100 else f"{value * factor:.1f}"
