"""What a person sees while a comparison runs: bars on a terminal, a line for each run elsewhere; on the standard error stream."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from seqloom.synthetic.compare.pool import Listener

if TYPE_CHECKING:
    from rich.progress import TaskID

    from seqloom.synthetic.compare.trial import Outcome, Trial

__all__ = ["Progress"]

_LINE_SECONDS = 30.0


class Progress:
    """The progress of some trials; a context that takes its bars away at its end.

    Args:
        total: trials that will be run or read.
        console: where to; the standard error stream by default.
    """

    def __init__(self, total: int, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._all = self._bars.add_task("runs", total=total)
        self._running: dict[str, TaskID] = {}
        self._done = 0
        self._total = total
        self._next_line: dict[str, float] = {}
        self.listener = Listener(self._point, self._finished)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text)

    def _point(self, trial: Trial, point: dict[str, float]) -> None:
        text = f"{_name(trial)}  loss {point['loss']:.4f}  wrong {point['wrong']:.4f}"
        if self.console.is_terminal:
            if trial.key not in self._running:
                self._running[trial.key] = self._bars.add_task(text, total=trial.updates)
            self._bars.update(self._running[trial.key], completed=point["update"], description=text)
        elif time.monotonic() >= self._next_line.setdefault(trial.key, time.monotonic() + _LINE_SECONDS):
            self._next_line[trial.key] = time.monotonic() + _LINE_SECONDS
            self.say(f"       {text}  after {point['update']:,} of {trial.updates:,} updates")

    def _finished(self, outcome: Outcome, known: bool) -> None:
        if outcome.trial.key in self._running:
            self._bars.remove_task(self._running.pop(outcome.trial.key))
        self._bars.advance(self._all)
        self._done += 1
        ended = {
            "solved": f"solved after {outcome.updates:,} updates",
            "updates": f"not solved in {outcome.updates:,} updates",
            "seconds": f"not solved when its time was over, after {outcome.updates:,} updates",
            "diverged": f"diverged after {outcome.updates:,} updates: {outcome.note}",
        }[outcome.ending]
        scores = (
            f", loss {outcome.metrics['loss']:.4f}, wrong {outcome.metrics['wrong']:.4f}" if outcome.metrics else ""
        )
        when = "known already" if known else f"{outcome.seconds:.0f} s"
        self.say(f"{self._done:3}/{self._total} {_name(outcome.trial)}: {ended}{scores} ({when})")


def _name(trial: Trial) -> str:
    return f"{trial.task} {trial.options.get('length', '')}".strip() + f" {trial.cell} seed {trial.seed}"
