"""``seqloom bench``: the library beside its rivals, measured on this machine."""

from __future__ import annotations

import json as json_format
import os
import shlex
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from seqloom.app.command import parse
from seqloom.errors import ConfigError

if TYPE_CHECKING:
    from seqloom.app.bench.measure import Row, run_rows

__all__ = ["SUMMARY", "Row", "run", "run_rows"]

SUMMARY = "measure the library beside its rivals, on this machine"

_PACKAGES = ("seqloom", "torch", "numpy", "onnx", "onnxruntime", "jax", "jaxlib")
_SETTINGS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "SEQLOOM_BACKEND", "SEQLOOM_COMPILE", "XLA_FLAGS")

_NOTES = (
    "Ratio: the time of the rival over ours, so above 1 we are faster. Both run in turn in one process, in many short "
    "blocks; a repeat gives the ratio of the medians over its blocks, and the table has the median of three repeats, with "
    "the least and the largest as the spread. Share: of the target. Study: what the first experiments reached.",
    "Training is a forward pass and a backward pass to all parameters and to the input. Difference: the largest one "
    "between the results of both sides, in units of an array's largest entry where that is above 1; it is looked at before "
    "anything is timed.",
    "Threads: torch's number is that of ONNX Runtime within an operator and of JAX's pool too. How many of its pool an "
    "operation of JAX takes is its own choice and cannot be set. ONNX Runtime and JAX are left to rest before the other "
    "side's turn, because their idle threads go on spinning for a while.",
)


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    what: Annotated[
        Literal["engine", "cells"],
        "what to measure: the engine, in every regime that it is for; or every registered cell",
    ]
    quick: Annotated[bool, "a minute and a half, or five for all cells, which is the default"] = False
    full: Annotated[bool, "twenty minutes, or forty for all cells, for figures to keep"] = False
    rows: Annotated[tuple[str, ...], "of the engine: only rows of these names or patterns, such as 'stream-*'"] = ()
    list: Annotated[bool, "of the engine: say which rows there are, and measure nothing"] = False
    cells: Annotated[tuple[str, ...], "of the cells: only these, with commas or spaces between"] = ()
    hidden_size: Annotated[int | None, "of the cells: inputs and units; 128 by default"] = None
    json: Annotated[Path | None, "write all figures here"] = None
    markdown: Annotated[
        Path | None,
        "write the table and what it depends on here; that of the cells into the page of cells, if it is one",
    ] = None
    seed: Annotated[int, "of weights and data"] = 0
    threads: Annotated[int | None, "of both sides; as many as torch takes by default"] = None

    def __post_init__(self) -> None:
        if self.quick and self.full:
            raise ConfigError("--quick and --full are two forms of the same measurement; choose one")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"--threads is {self.threads}; expected 1 or more")
        if self.hidden_size is not None and self.hidden_size < 1:
            raise ConfigError(f"--hidden_size is {self.hidden_size}; expected 1 or more")
        foreign = ("rows", "list") if self.what == "cells" else ("cells", "hidden_size")
        for option in foreign:
            if getattr(self, option):
                other = "engine" if self.what == "cells" else "cells"
                raise ConfigError(f"--{option} is an option of seqloom bench {other}, not of {self.what}")
        for option, path in (("--json", self.json), ("--markdown", self.markdown)):
            if path is not None and not path.parent.is_dir():  # said now, not after twenty minutes
                raise ConfigError(f"{option}: there is no folder '{path.parent}' to write in; make it first")


def __getattr__(name: str) -> Any:
    # Measuring needs torch, and the help of the verb does not.
    if name in ("Row", "run_rows"):
        from seqloom.app.bench import measure

        return getattr(measure, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom bench --help``.

    Returns:
        0, or 1 where a row's results were not the rival's: then a figure would mean nothing, and something is broken.
    """
    options = parse(Options, argv, verb="bench", summary=SUMMARY, positional=("what",))
    if options.list:
        return _list(options.rows)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    report = _report(options, argv, load)
    return _run_cells(options, report) if options.what == "cells" else _run_engine(options, report)


def _run_engine(options: Options, report: dict[str, Any]) -> int:
    from seqloom.app.bench.measure import run_rows
    from seqloom.app.bench.page import to_markdown, to_table, verdict
    from seqloom.app.terminal import show
    from seqloom.data.files import write_atomic

    rows = run_rows(
        options.rows,
        not options.full,
        seed=options.seed,
        threads=options.threads,
        begun=lambda comparison: print(comparison.name, file=sys.stderr, flush=True),
    )
    report = {**report, "notes": list(_NOTES), "rows": [row.to_dict() for row in rows]}
    show(to_table(rows), "", verdict(rows))
    _write_json(options.json, report)
    if options.markdown is not None:
        write_atomic(options.markdown, to_markdown(report, rows))
    return int(any(row.status == "differs" for row in rows))


def _run_cells(options: Options, report: dict[str, Any]) -> int:
    from seqloom.app.bench.cells import NOTES, measure_cells
    from seqloom.app.bench.cells_table import remarks, to_table, write_markdown
    from seqloom.app.terminal import show

    speeds = measure_cells(
        tuple(filter(None, (name.strip() for part in options.cells for name in part.split(",")))),
        not options.full,
        hidden_size=options.hidden_size or 128,
        seed=options.seed,
        threads=options.threads,
        begun=lambda name: print(name, file=sys.stderr, flush=True),
    )
    report = {
        **report,
        "hidden_size": options.hidden_size or 128,
        "notes": list(NOTES),
        "cells": [speed.to_dict() for speed in speeds],
    }
    show(to_table(speeds), *remarks(speeds))
    _write_json(options.json, report)
    if options.markdown is not None:
        write_markdown(options.markdown, report, speeds)
    return int(any(row.status == "differs" for speed in speeds for row in speed.rows))


def _write_json(path: Path | None, report: dict[str, Any]) -> None:
    from seqloom.data.files import write_atomic

    if path is not None:
        write_atomic(path, json_format.dumps(report, ensure_ascii=False, indent=1, allow_nan=False))


def _list(names: tuple[str, ...]) -> int:
    from seqloom.app.bench.measure import select
    from seqloom.app.terminal import show, table

    rows = [(one.name, one.description, str(one.shape), one.rival, f"{one.target:g}") for one in select(names)]
    show(table(("row", "what", "sizes", "against", "target"), rows, right=("target",)))
    return 0


def _report(options: Options, argv: list[str], load: float | None) -> dict[str, Any]:
    """Everything that the figures depend on."""
    import torch

    from seqloom.app.machine import describe_machine, installed_versions

    return {
        "command": f"seqloom bench {shlex.join(argv)}",
        "date": date.today().isoformat(),
        "form": "full" if options.full else "quick",
        "seed": options.seed,
        "threads": options.threads or torch.get_num_threads(),
        "environment": {name: os.environ[name] for name in _SETTINGS if name in os.environ},
        "machine": describe_machine(),
        "load_before": load,
        "versions": installed_versions(_PACKAGES),
    }
