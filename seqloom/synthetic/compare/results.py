"""Outcomes on disk, one JSON file each, and what a comparison says of all of them: a row for each cell."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqloom.synthetic.compare.trial import Outcome, Trial
    from seqloom.synthetic.tasks import SequenceTask

__all__ = ["CellResult", "finite", "read_outcome", "summarise", "write_outcome"]


def read_outcome(folder: Path, trial: Trial) -> Outcome | None:
    """The outcome of a trial, or None where the folder has none that can be read."""
    from seqloom.synthetic.compare.trial import Outcome

    try:
        outcome = Outcome.from_dict(json.loads((folder / f"{trial.key}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return outcome if outcome.trial == trial else None


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Keeps an outcome, whole or not at all."""
    from seqloom.data.files import write_atomic

    write_atomic(folder / f"{outcome.trial.key}.json", json.dumps(outcome.to_dict()))


@dataclass(frozen=True)
class CellResult:
    """All seeds of one cell on one task.

    Attributes:
        updates: median over the solved seeds of the updates they needed; None where none is solved.
        metric: median over the seeds of the criterion's metric on the test sequences; NaN where most diverged.
        best: the lowest development value of that metric among all seeds.
        seconds: mean training time of a seed.
    """

    cell: str
    hidden_size: int
    layers: int
    learning_rate: float
    parameters: int
    seeds: int
    solved: int
    diverged: int
    cut: int
    updates: int | None
    metric: float
    loss: float
    best: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For strict JSON: what is not a number is null."""
        values: dict[str, Any] = finite(vars(self))
        return values


def finite(value: Any) -> Any:
    """A value for strict JSON: what is no finite number becomes null, at any depth."""
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summarise(task: SequenceTask, outcomes: Sequence[Outcome]) -> list[CellResult]:
    """A row for each cell, in the order in which they come."""
    cells = dict.fromkeys(outcome.trial.cell for outcome in outcomes)
    return [_cell(task, [outcome for outcome in outcomes if outcome.trial.cell == cell]) for cell in cells]


def _cell(task: SequenceTask, outcomes: Sequence[Outcome]) -> CellResult:
    trial, metric = outcomes[0].trial, task.criterion.metric
    needed = [outcome.updates for outcome in outcomes if outcome.solved]
    return CellResult(
        cell=trial.cell,
        hidden_size=trial.hidden_size,
        layers=trial.layers,
        learning_rate=trial.learning_rate,
        parameters=outcomes[0].parameters,
        seeds=len(outcomes),
        solved=len(needed),
        diverged=sum(outcome.ending == "diverged" for outcome in outcomes),
        cut=sum(outcome.ending == "seconds" for outcome in outcomes),
        updates=round(statistics.median(needed)) if needed else None,
        metric=_median([outcome.metrics.get(metric, math.nan) for outcome in outcomes]),
        loss=_median([outcome.metrics.get("loss", math.nan) for outcome in outcomes]),
        best=min((outcome.best[metric] for outcome in outcomes if outcome.best), default=math.nan),
        seconds=statistics.mean(outcome.seconds for outcome in outcomes),
    )


def _median(values: Sequence[float]) -> float:
    """The median where NaN counts as the worst."""
    median = statistics.median(math.inf if math.isnan(value) else value for value in values)
    return median if math.isfinite(median) else math.nan
