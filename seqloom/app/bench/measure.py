"""Measuring comparisons: first whether both sides say the same, then how long each takes."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch

from seqloom.app.bench.comparison import Comparison, Contest, NotAvailableError, environment, largest_difference
from seqloom.app.bench.engine import COMPARISONS
from seqloom.app.bench.processes import COMPILE
from seqloom.app.bench.timing import FULL, QUICK, Pace, interleave, timer
from seqloom.errors import ConfigError, did_you_mean

__all__ = ["ACCEPTED_SHARE", "Row", "measure", "on_threads", "run_rows", "select"]

ACCEPTED_SHARE = 0.8
"""Of a target, from which on it counts as reached: ratios are reliable to a tenth and more only."""

Status = Literal["measured", "differs", "not available"]


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Args:
        status: ``measured``; ``differs`` where the results of both sides are not the same, then nothing is timed; or
            ``not available``, as the note says.
        ratios: the rival's time over ours, for each repeat.
        ours: seconds of one run, the median over the repeats.
        rival: the same, of the rival.
        difference: the largest one of their results, of which at most ``tolerance`` is allowed.
        backend: what ran ours.
    """

    comparison: Comparison
    status: Status
    note: str = ""
    ratios: tuple[float, ...] = ()
    ours: float | None = None
    rival: float | None = None
    difference: float | None = None
    tolerance: float | None = None
    backend: str = ""

    @property
    def ratio(self) -> float | None:
        """The median of the ratios."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def share(self) -> float | None:
        """The ratio over the target."""
        return None if self.ratio is None else self.ratio / self.comparison.target

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        comparison = {
            "name": self.comparison.name,
            "description": self.comparison.description,
            "against": self.comparison.rival,
            "shape": asdict(self.comparison.shape),
            "study": self.comparison.study,
            "target": self.comparison.target,
        }
        measured = {
            "status": self.status,
            "note": self.note,
            "ours_microseconds": _microseconds(self.ours),
            "rival_microseconds": _microseconds(self.rival),
            "ratio": self.ratio,
            "ratios": list(self.ratios),
            "share_of_target": self.share,
            "difference": self.difference if math.isfinite(self.difference or 0.0) else None,
            "tolerance": self.tolerance,
            "backend": self.backend,
        }
        return {**comparison, **measured}


def _microseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1e6 * seconds


def select(names: Sequence[str]) -> list[Comparison]:
    """The comparisons of those names or patterns (``stream-*``), in the order of the table; all where there is none.

    Raises:
        ConfigError: a name or pattern that fits nothing.
    """
    known = [comparison.name for comparison in COMPARISONS]
    for name in names:
        if not any(fnmatchcase(one, name) for one in known):
            raise ConfigError(f"'{name}' is not a row of seqloom bench engine{did_you_mean(name, known)}")
    return [one for one in COMPARISONS if not names or any(fnmatchcase(one.name, name) for name in names)]


def run_rows(
    names: Sequence[str] = (),
    quick: bool = True,
    *,
    seed: int = 0,
    threads: int | None = None,
    begun: Callable[[Comparison], object] = lambda comparison: None,
) -> list[Row]:
    """Measures rows of the table.

    Args:
        names: which, by name or pattern; all by default.
        quick: a minute and a half for all; otherwise about a quarter of an hour.
        seed: of weights and data, the same for a row whichever others are measured.
        threads: of both sides; as torch has them by default.
        begun: told each comparison before it is measured.
    Raises:
        ConfigError: an unknown name, or fewer than one thread.
    """
    chosen, rows = select(names), []
    with on_threads(threads):
        for comparison in chosen:
            begun(comparison)
            rows.append(measure(comparison, QUICK if quick else FULL, seed=seed))
    return rows


def measure(comparison: Comparison, pace: Pace, *, seed: int = 0) -> Row:
    """Measures one comparison, once both sides are seen to do the same."""
    # A compiler that works in the background would take a core, and swap in other code midway.
    with torch.random.fork_rng(devices=[]), environment({COMPILE: os.environ.get(COMPILE, "wait")}):
        torch.manual_seed(seed)
        try:
            contest = comparison.build(comparison.shape)
        except NotAvailableError as error:
            return Row(comparison, "not available", str(error))
        try:
            return _held(comparison, contest, pace)
        finally:
            contest.close()


def _held(comparison: Comparison, contest: Contest, pace: Pace) -> Row:
    difference = largest_difference(contest.ours.values(), contest.rival.values())
    row = Row(comparison, "differs", difference=difference, tolerance=contest.tolerance, backend=contest.backend)
    if not difference <= contest.tolerance:
        note = f"the results differ by {difference:.1e}, of which {contest.tolerance:.0e} is allowed"
        return replace(row, note=note)
    timers = [side.seconds or timer(side.run) for side in (contest.ours, contest.rival)]
    repeats = interleave(timers, pace, settle=contest.settle)
    ours, rival = (statistics.median(column) for column in zip(*repeats, strict=True))
    ratios = tuple(theirs / mine for mine, theirs in repeats)
    return replace(row, status="measured", ratios=ratios, ours=ours, rival=rival)


@contextmanager
def on_threads(count: int | None) -> Iterator[None]:
    """With so many threads of torch, or as many as it has; afterwards as before.

    Raises:
        ConfigError: fewer than one.
    """
    if count is not None and count < 1:
        raise ConfigError(f"threads is {count}; expected 1 or more")
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
