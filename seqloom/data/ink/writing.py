"""Strokes written: as JSON, as InkML, and as a drawing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["to_inkml", "to_json", "to_svg"]

Strokes = Sequence[NDArray[Any]]


def to_json(strokes: Strokes, label: str | None = None, group: str = "") -> str:
    """A line that the reader of JSON lines reads; y grows downwards in JSON, and upwards in ``strokes``."""
    record: dict[str, Any] = {} if label is None else {"label": label}
    if group:
        record["writer"] = group
    record["strokes"] = [[[_short(value) for value in point] for point in _turned(stroke)] for stroke in strokes]
    return json.dumps(record, ensure_ascii=False)


def to_inkml(strokes: Strokes, label: str | None = None, group: str = "") -> str:
    """An InkML document of one character; y grows downwards in it, and upwards in ``strokes``."""
    timed = any(stroke.shape[1] == 3 for stroke in strokes if len(stroke))
    channels = "".join(f'<channel name="{name}" type="decimal"/>' for name in ("XYT" if timed else "XY"))
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<ink xmlns="http://www.w3.org/2003/InkML">']
    lines.append(f"  <traceFormat>{channels}</traceFormat>")
    if group:
        lines.append(f'  <annotation type="writer">{escape(group)}</annotation>')
    lines.append("  <traceGroup>")
    if label is not None:
        lines.append(f'    <annotation type="truth">{escape(label)}</annotation>')
    for number, stroke in enumerate(strokes):
        points = ", ".join(" ".join(str(_short(value)) for value in point) for point in _turned(stroke))
        lines.append(f'    <trace xml:id="t{number}">{points}</trace>')
    return "\n".join([*lines, "  </traceGroup>", "</ink>", ""])


def to_svg(strokes: Strokes, size: int = 64, colour: str = "currentColor") -> str:
    """A drawing of a character in a square of ``size`` pixels; y grows upwards in ``strokes``."""
    present = [np.asarray(stroke, np.float64)[:, :2] for stroke in strokes if len(stroke)]
    points = np.concatenate(present) if present else np.zeros((1, 2))
    least, most = points.min(axis=0), points.max(axis=0)
    scale = 0.84 * size / (float((most - least).max()) or 1.0)
    centre = (least + most) / 2
    shapes = []
    for stroke in present:
        place = size / 2 + (stroke - centre) * [scale, -scale]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in place)
        shapes.append(f'<path d="M{path}{"h0" if len(stroke) == 1 else ""}"/>')  # a line of no length draws a dot
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 {size} {size}">'
        f'<g fill="none" stroke="{escape(colour)}" stroke-width="{size / 28:.1f}" stroke-linecap="round" '
        f'stroke-linejoin="round">{"".join(shapes)}</g></svg>'
    )


def _turned(stroke: NDArray[Any]) -> NDArray[np.float64]:
    turned = np.array(stroke, np.float64)
    turned[:, 1] = 0.0 - turned[:, 1]
    return turned


def _short(value: float) -> float | int:
    rounded = float(f"{value:.7g}")
    return int(rounded) if rounded.is_integer() else rounded
