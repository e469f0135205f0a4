"""``seqloom compare``: a list of cells trained on one pathological task, and what became of each."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqloom.app.command import parse
from seqloom.app.compare.plan import Options, make_trials
from seqloom.app.compare.pool import run_trials
from seqloom.app.compare.results import CellResult, finite, summarise
from seqloom.app.machine import describe_machine

if TYPE_CHECKING:
    from rich.console import RenderableType

    from seqloom.synthetic.tasks import SequenceTask
    from seqloom.systems.longterm.trial import Outcome

__all__ = ["SUMMARY", "comparison", "run", "write_comparison"]

SUMMARY = "train several cells on a task that shows what they can remember or compute, and compare them"


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom compare --help``."""
    options = parse(Options, argv, verb="compare", summary=SUMMARY, positional=("task",))
    task, outcomes = comparison(options)
    folder = options.out or Path(f"compare-{options.task}")
    command = shlex.join(["seqloom", "compare", *argv])
    results = summarise(task, outcomes)
    written = write_comparison(folder, task, outcomes, results, command)
    from seqloom.app.terminal import print_json, show

    if options.json:
        print_json([result.to_dict() for result in results])
        return 0
    show(results_table(task, results), explanation(task), *(f"wrote {path}" for path in written))
    return 0


def comparison(options: Options) -> tuple[SequenceTask, list[Outcome]]:
    """Trains what is missing; the task and all outcomes.

    Raises:
        KeyboardInterrupt: after all runs have been saved; the same options continue them.
    """
    from seqloom.app.compare.progress import Progress
    from seqloom.synthetic.tasks import make_task

    trials = make_trials(options)
    folder = options.out or Path(f"compare-{options.task}")
    task = make_task(options.task, options=trials[0].options)
    with Progress(len(trials)) as progress:
        try:
            limits = {} if options.seconds is None else dict.fromkeys([trial.key for trial in trials], options.seconds)
            outcomes = run_trials(
                trials, folder / "runs", jobs=options.jobs, seconds=limits, listener=progress.listener
            )
        except KeyboardInterrupt:
            progress.say(f"everything is saved in {folder}: give the same command again to continue")
            raise
    return task, outcomes


def results_table(task: SequenceTask, results: list[CellResult]) -> RenderableType:
    """A row for each cell, and one for the best predictor that remembers nothing."""
    from seqloom.app.terminal import table
    from seqloom.app.wording import number

    metric = task.criterion.metric
    rows = [
        {
            "cell": result.cell,
            "units": number(result.hidden_size),
            "layers": number(result.layers),
            "parameters": number(result.parameters),
            "solved": f"{result.solved}/{result.seeds}",
            "updates": number(result.updates),
            metric: number(result.metric),
            "loss": number(result.loss),
            "seconds": f"{result.seconds:.0f}",
        }
        for result in results
    ]
    columns = list(rows[0])
    nothing = {"cell": "remembers nothing", metric: number(_chance(task, metric)), "loss": number(task.chance)}
    rows.append({**dict.fromkeys(columns, ""), **nothing})
    return table(columns, [list(row.values()) for row in rows], right=columns[1:])


def _chance(task: SequenceTask, metric: str) -> float:
    return task.chance if metric == "loss" else task.chance_wrong


def explanation(task: SequenceTask) -> str:
    """What the columns mean."""
    held = "mean squared error" if task.kind == "real" else "nats per asked step"
    source = "; the images are scikit-learn's digits" if getattr(task, "source", "") == "digits" else ""
    return (
        f"solved: {task.criterion} on held-out sequences; updates: median of the solved seeds; loss: {held}, the median "
        f"of the seeds, as {task.criterion.metric} is; seconds: of the processor, for a run{source}"
    )


def write_comparison(
    folder: Path, task: SequenceTask, outcomes: list[Outcome], results: list[CellResult], command: str
) -> list[Path]:
    """Writes ``comparison.json`` and, where matplotlib is installed, ``comparison.svg`` and ``comparison.html``."""
    from seqloom.app.compare.page import draw_curves, page
    from seqloom.app.report.curves import matplotlib_is_there
    from seqloom.data.files import write_atomic
    from seqloom.synthetic.tasks import settings

    described: dict[str, Any] = {
        "command": command,
        "machine": describe_machine(),
        "task": {"name": task.name, **settings(task)},
        "chance": {"loss": task.chance, "wrong": task.chance_wrong},
        "criterion": str(task.criterion),
        "results": [result.to_dict() for result in results],
        "runs": [outcome.to_dict() for outcome in outcomes],
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "comparison.json"]
    write_atomic(written[0], json.dumps(finite(described), indent=1, allow_nan=False))
    drawing = ""
    if matplotlib_is_there():
        drawing = draw_curves(task, outcomes)
        written.append(folder / "comparison.svg")
        write_atomic(written[-1], drawing)
    else:
        print('no drawing: install matplotlib with: pip install "seqloom[reports]"', file=sys.stderr)
    written.append(folder / "comparison.html")
    write_atomic(written[-1], page(task, described, drawing))
    return written
