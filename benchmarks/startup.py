"""How long seqloom takes until it works: imports, help, loading a model.

    python benchmarks/startup.py [--model RUN/model ...] [--rounds 7] [--json OUT] [--markdown OUT]

Every figure is of a fresh process, all in turn, round after round, after one round that warms the disk; medians. *Beyond* is
the median of the differences from another row in the same round, which is what seqloom adds to what has to be there anyway.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from machine import (
    ProcessCost,
    describe_machine,
    installed_versions,
    markdown_table,
    publish,
    run_process,
    shown_command,
)

from seqloom.systems.saved import read_model

# One loading takes less than an import of torch varies by.
AGAIN = 10


@dataclass(frozen=True)
class Start:
    """A fresh Python with these arguments, the row that it is set against, and how often it does what that row does not."""

    arguments: tuple[str, ...]
    beyond: str | None = None
    times: int = 1


STARTS = {
    "python": Start(("-c", "pass")),
    "import torch": Start(("-c", "import torch"), "python"),
    "import torch, seqloom": Start(("-c", "import torch, seqloom"), "import torch"),
    "import torch; from seqloom import Recurrent, load": Start(
        ("-c", "import torch; from seqloom import Recurrent, load"), "import torch"
    ),
    "seqloom --help": Start(("-m", "seqloom", "--help"), "python"),
    "seqloom check --help": Start(("-m", "seqloom", "check", "--help"), "python"),
    "seqloom train --help": Start(("-m", "seqloom", "train", "--help"), "python"),
    "seqloom train ner --help": Start(("-m", "seqloom", "train", "ner", "--help"), "python"),
}


def loading(models: Sequence[Path]) -> dict[str, Start]:
    """Two rows per model: loading it in a fresh process, and loading it again and again, which is loading without imports.

    Raises:
        ModelError: one of them is no model.
    """
    starts = {}
    for path in models:
        read_model(path)
        name = f"load {path.parent.name if path.name == 'model' else path.name}"
        # Each model is let go before the next is loaded.
        code = f"import seqloom, collections; collections.deque(map(seqloom.load, [{str(path)!r}] * {{}}), 0)"
        starts[name] = Start(("-c", code.format(1)), "python")
        starts[f"{name}, each of {AGAIN} times more"] = Start(("-c", code.format(1 + AGAIN)), name, AGAIN)
    return starts


def measure(starts: Mapping[str, Start], rounds: int, threads: int) -> list[dict[str, Any]]:
    """Medians in seconds, on the wall and on the processor."""
    costs: dict[str, list[ProcessCost]] = {name: [] for name in starts}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr)
        for name, start in starts.items():
            cost = run_process(start.arguments, threads=threads)
            if number > 0:
                costs[name].append(cost)
    rows = []
    for name, start in starts.items():
        row: dict[str, Any] = {"start": name, "beyond": start.beyond}
        for clock in ("wall", "cpu"):
            own = [getattr(cost, clock) for cost in costs[name]]
            row[clock] = statistics.median(own)
            if start.beyond is not None:
                other = [getattr(cost, clock) for cost in costs[start.beyond]]
                differences = [a - b for a, b in zip(own, other, strict=True)]
                row[f"{clock}_beyond"] = statistics.median(differences) / start.times
        row["peak_megabytes"] = max(cost.peak_bytes for cost in costs[name]) / 1e6
        rows.append(row)
    return rows


def to_markdown(report: Mapping[str, Any]) -> str:
    """The command, the machine and the table."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    rows = [
        {
            "start": row["start"],
            "ms": _milliseconds(row["wall"]),
            "processor ms": _milliseconds(row["cpu"]),
            "beyond": row["beyond"] or "",
            "by ms": _milliseconds(row.get("wall_beyond")),
            "by processor ms": _milliseconds(row.get("cpu_beyond")),
            "peak MB": f"{row['peak_megabytes']:,.0f}",
        }
        for row in report["rows"]
    ]
    return (
        f"`{report['command']}`\n\n{report['date']}; {machine['processor']}, {machine['cores']} cores, {machine['system']}; "
        f"{versions}; medians of {report['rounds']} interleaved rounds of fresh processes, {report['threads']} thread"
        f"{'s' if report['threads'] > 1 else ''}.\n\n{markdown_table(rows, left=('start', 'beyond'))}\n"
    )


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:,.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--model", nargs="*", default=[], type=Path, help="model directories to load")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2, help="threads of the numerical libraries")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--markdown", type=Path, help="write what is printed here as well")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads have to be 1 or more")

    def report_of() -> dict[str, Any]:
        return {
            "command": shown_command(),
            "date": date.today().isoformat(),
            "rounds": options.rounds,
            "threads": options.threads,
            "machine": describe_machine(),
            "versions": installed_versions(("seqloom", "torch", "numpy")),
            "rows": measure({**STARTS, **loading(options.model)}, options.rounds, options.threads),
        }

    return publish(options, report_of, to_markdown)


if __name__ == "__main__":
    sys.exit(main())
