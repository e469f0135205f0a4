"""How fast ``seqloom predict`` is as a whole, from the start of its process to its end."""

import statistics
import sys
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from machine import ProcessCost, run_process

from seqloom.errors import DataError

__all__ = ["measure_predictions"]


def measure_predictions(
    models: Mapping[str, Path], lines: Sequence[str], size: int, scratch: Path, *, threads: int, rounds: int
) -> dict[str, Any]:
    """Times ``seqloom predict`` for each model on a text of ``size`` bytes made by repeating lines, round after round.

    Start-up is what the same command takes for the first line alone: the interpreter, the imports, the model, and what a
    model prepares at its first use.
    """
    if not any(lines):
        raise DataError("the test text has no characters to make a text for measuring speed of")
    text, line = scratch / "text.txt", scratch / "line.txt"
    written = _write_repeated(lines, size, text)
    line.write_text(next(filter(None, lines)) + "\n", encoding="utf-8")
    whole: dict[str, list[ProcessCost]] = {name: [] for name in models}
    start: dict[str, list[ProcessCost]] = {name: [] for name in models}
    for number in range(1, rounds + 1):
        for name, model in models.items():
            print(f"seqloom predict, round {number} of {rounds}: {name}", file=sys.stderr)
            command = ["-m", "seqloom", "predict", str(model)]
            start[name].append(run_process([*command, str(line)], threads=threads))
            whole[name].append(run_process([*command, str(text)], threads=threads))
    rows = [_row(name, written, whole[name], start[name]) for name in models]
    return {"bytes": written, "threads": threads, "rounds": rounds, "rows": rows}


def _write_repeated(lines: Sequence[str], size: int, path: Path) -> int:
    written = 0
    with path.open("wb") as file:
        for line in cycle(lines):
            written += file.write(f"{line}\n".encode())
            if written >= size:
                return written
    return written


def _row(name: str, size: int, whole: Sequence[ProcessCost], start: Sequence[ProcessCost]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name}
    for clock in ("wall", "cpu"):
        all_of_it = statistics.median(getattr(cost, clock) for cost in whole)
        pairs = zip(whole, start, strict=True)
        rest = statistics.median(getattr(one, clock) - getattr(other, clock) for one, other in pairs)
        row[clock] = {
            "seconds": all_of_it,
            "start_seconds": statistics.median(getattr(cost, clock) for cost in start),
            "kilobytes_per_second": size / 1000 / all_of_it,
            # On a text too small to tell from the start-up there is no figure.
            "kilobytes_per_second_after_start": size / 1000 / rest if rest > 0 else None,
        }
    row["peak_megabytes"] = max(cost.peak_bytes for cost in whole) / 1e6
    return row
