"""The speeds of all cells on the terminal and as a piece of a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from seqloom.app.bench.cells import REGIMES, CellSpeed
from seqloom.app.bench.page import circumstances, ratio_text
from seqloom.app.cells_page import with_speed
from seqloom.app.tables import markdown_table
from seqloom.app.terminal import table
from seqloom.data.files import write_atomic

__all__ = ["remarks", "to_markdown", "to_table", "write_markdown"]

_LEFT = ("cell", "backend")


def to_table(speeds: Sequence[CellSpeed]) -> RenderableType:
    """A line per cell, for the terminal."""
    lines = [_line(speed) for speed in speeds]
    columns = list(lines[0]) if lines else []
    return table(
        columns, [list(line.values()) for line in lines], right=[name for name in columns if name not in _LEFT]
    )


def to_markdown(report: Mapping[str, Any], speeds: Sequence[CellSpeed]) -> str:
    """The command, what the figures depend on, a line per cell, and what to know when reading them."""
    lines = markdown_table([_line(speed) for speed in speeds], left=_LEFT)
    parts = [f"`{report['command']}`", circumstances(report), lines, *remarks(speeds), *report["notes"]]
    return "\n\n".join(parts) + "\n"


def write_markdown(path: Path, report: Mapping[str, Any], speeds: Sequence[CellSpeed]) -> None:
    """Writes the table: into the page of all cells at its place, else as a file of its own.

    Raises:
        DataError: the folder does not exist or cannot be written to.
    """
    text = to_markdown(report, speeds)
    page = with_speed(path.read_text(encoding="utf-8"), text) if path.is_file() else None
    write_atomic(path, text if page is None else page)


def remarks(speeds: Sequence[CellSpeed]) -> list[str]:
    """A sentence on each measurement that has no figure."""
    return [f"{row.comparison.name}: {row.note}." for speed in speeds for row in speed.rows if row.note]


def _line(speed: CellSpeed) -> dict[str, str]:
    ratios = {str(regime): ratio_text(row.ratio) for regime, row in zip(REGIMES, speed.rows, strict=True)}
    return {
        "cell": speed.name,
        "parameters": ratio_text(speed.parameters),
        "phases": str(speed.phases),
        **ratios,
        "backend": speed.backend,
    }
