"""What each recurrence can remember and compute: thirteen encoders of one size on seven pathological tasks.

    SEQLOOM_DATA=FOLDER python benchmarks/recurrences.py [--budget MINUTES] [--jobs 2] [--out FOLDER]
                        [--json F] [--markdown F] [--tasks NAME ...] [--cells NAME ...]

All encoders have about as many parameters as an LSTM of 50 units. A run ends when development and test sequences meet the
task's criterion, or when its updates or its processor seconds are used up; these limits are scaled so that all of them
together fit the budget, and what has not run when the budget is over is left out of the table and said. The first seed of
every task and cell runs before any second one. Finished runs are kept in the folder: the same command goes on where it was.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from machine import describe_machine, installed_versions, shown_command
from recurrences_tables import Found, to_markdown

from seqloom.app.compare.progress import Progress
from seqloom.data.files import write_atomic
from seqloom.errors import SeqloomError
from seqloom.synthetic.compare.plan import Options, make_trials
from seqloom.synthetic.compare.pool import run_trials
from seqloom.synthetic.compare.results import summarise
from seqloom.synthetic.compare.trial import Outcome, Trial
from seqloom.synthetic.tasks import make_task, settings

CELLS = (
    "lstm",
    "lstm_1997",
    "chrono_lstm",
    "gru",
    "rnn",
    "irnn",
    "indrnn",
    "clockwork",
    "dilated_rnn",
    "dilated_gru",
    "lru",
    "mingru",
    "slstm",
)
HIDDEN_SIZE = 50  # of the LSTM whose number of parameters all encoders have
START_SECONDS = 20.0  # of a pool: processes start and libraries load


@dataclass(frozen=True)
class Experiment:
    """One task of the table.

    Args:
        name: as the table heads it.
        seconds: of the processor, at most, for a run, before the budget scales it.
        seeds: runs of each encoder.
    """

    name: str
    task: str
    length: int | None
    updates: int
    seconds: float
    seeds: int
    batch_size: int = 32
    evaluate_every: int = 200
    options: tuple[str, ...] = field(default=())


EXPERIMENTS = (
    Experiment("adding 100", "adding", 100, updates=6000, seconds=60, seeds=3),
    Experiment("adding 200", "adding", 200, updates=6000, seconds=100, seeds=1),
    Experiment("adding 400", "adding", 400, updates=6000, seconds=160, seeds=1),
    Experiment("temporal order 60", "temporal_order", 60, updates=3000, seconds=20, seeds=3, evaluate_every=100),
    Experiment("copy 100", "copy", 100, updates=5000, seconds=130, seeds=1),
    Experiment("parity 40 to 256", "parity", 40, updates=3000, seconds=25, seeds=3),
    Experiment(
        "permuted MNIST rows",
        "permuted_rows",
        None,
        updates=3440,
        seconds=25,
        seeds=3,
        batch_size=64,
        evaluate_every=430,
    ),
)


def trials_of(experiment: Experiment, cells: Sequence[str]) -> list[Trial]:
    """All runs of a task."""
    return make_trials(
        Options(
            task=experiment.task,
            cells=tuple(cells),
            length=experiment.length,
            options=experiment.options,
            seeds=experiment.seeds,
            hidden_size=HIDDEN_SIZE,
            match="parameters",
            updates=experiment.updates,
            batch_size=experiment.batch_size,
            evaluate_every=experiment.evaluate_every,
        )
    )


def scaled_limits(
    experiments: Sequence[Experiment], planned: Sequence[Sequence[Trial]], minutes: float, jobs: int
) -> tuple[dict[str, float], float]:
    """The limit of each run by its key, and the factor: the worst case of all runs together fits the budget.

    A budget that is larger than needed changes nothing.
    """
    whole = sum(experiment.seconds * len(trials) for experiment, trials in zip(experiments, planned, strict=True))
    factor = min(1.0, (60 * minutes - START_SECONDS) * jobs / whole)
    limits = {
        trial.key: factor * experiment.seconds
        for experiment, trials in zip(experiments, planned, strict=True)
        for trial in trials
    }
    return limits, factor


def measure(arguments: argparse.Namespace, experiments: Sequence[Experiment]) -> tuple[list[Found], float]:
    """Runs what is missing; what was found for each task, and the factor of the limits."""
    planned = [trials_of(experiment, arguments.cells) for experiment in experiments]
    limits, factor = scaled_limits(experiments, planned, arguments.budget, arguments.jobs)
    # By seed: a budget that is over too soon costs third seeds, not whole tasks.
    order = sorted((trial for trials in planned for trial in trials), key=lambda trial: trial.seed)
    deadline = time.monotonic() + 60 * arguments.budget
    with Progress(len(order)) as progress:
        outcomes = run_trials(
            order,
            arguments.out,
            jobs=arguments.jobs,
            seconds=limits,
            listener=progress.listener,
            deadline=deadline,
        )
    by_key = {outcome.trial.key: outcome for outcome in outcomes}
    found = []
    for experiment, trials in zip(experiments, planned, strict=True):
        done: list[Outcome] = [by_key[trial.key] for trial in sorted(trials, key=_as_asked) if trial.key in by_key]
        task = make_task(experiment.task, options=trials[0].options)
        found.append(Found(experiment.name, task, summarise(task, done), len(trials) - len(done), experiment.updates))
    return found, factor


def _as_asked(trial: Trial) -> tuple[int, int]:
    return (CELLS.index(trial.cell) if trial.cell in CELLS else len(CELLS), trial.seed)


def report(found: Sequence[Found], factor: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that the figures depend on, and the figures."""
    return {
        "command": shown_command(),
        "date": date.today().isoformat(),
        "machine": describe_machine(),
        "versions": installed_versions(("seqloom", "torch", "numpy")),
        "budget_minutes": arguments.budget,
        "limits_scaled_by": factor,
        "jobs": arguments.jobs,
        "experiments": [
            {
                "name": one.name,
                "task": {"name": one.task.name, **settings(one.task)},
                "criterion": str(one.task.criterion),
                "chance": {"loss": one.task.chance, "wrong": one.task.chance_wrong},
                "updates": one.updates,
                "missing_runs": one.missing,
                "results": [result.to_dict() for result in one.results],
            }
            for one in found
        ],
    }


def parse_arguments() -> argparse.Namespace:
    """The options of this command."""
    names = [experiment.name for experiment in EXPERIMENTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--budget", type=float, default=85.0, help="minutes on the wall, at most; %(default)s by default"
    )
    parser.add_argument("--jobs", type=int, default=2, help="worker processes of one thread each")
    parser.add_argument("--out", type=Path, default=Path("recurrences"), help="folder of the finished runs")
    parser.add_argument("--json", type=Path, help="also write the figures as JSON")
    parser.add_argument("--markdown", type=Path, help="also write the page as Markdown")
    parser.add_argument("--tasks", nargs="+", choices=names, default=names, metavar="NAME", help="; ".join(names))
    parser.add_argument("--cells", nargs="+", default=list(CELLS), metavar="NAME", help="as seqloom compare takes them")
    parser.add_argument(
        "--seeds", type=int, help="runs of each encoder on every task; by default the task's own number"
    )
    return parser.parse_args()


def main() -> int:
    """Measures, prints the page and writes it where asked."""
    arguments = parse_arguments()
    experiments = [experiment for experiment in EXPERIMENTS if experiment.name in arguments.tasks]
    if arguments.seeds:
        experiments = [replace(experiment, seeds=arguments.seeds) for experiment in experiments]
    try:
        found, factor = measure(arguments, experiments)
    except SeqloomError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"everything is saved in {arguments.out}: give the same command again to continue", file=sys.stderr)
        return 130
    described = report(found, factor, arguments)
    page = to_markdown(described, found)
    print(page)
    if arguments.json:
        write_atomic(arguments.json, json.dumps(described, indent=1))
    if arguments.markdown:
        write_atomic(arguments.markdown, page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
