"""Where something begins and ends in an endless recording: by its energy, or by the pen that leaves the paper."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqloom.errors import ConfigError

__all__ = ["Cutter", "EnergyCut", "PenCut", "Piece"]


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of a recording.

    Attributes:
        start, end: its first step, and the one behind its last, counted from the start of the recording.
        values: (end - start, D).
    """

    start: int
    end: int
    values: NDArray[np.float32]


class Cutter(Protocol):
    """A recording at work: takes its steps as they come and gives the pieces that have ended."""

    def push(self, steps: NDArray[np.float32]) -> list[Piece]:
        """Takes (n, D) more steps."""
        ...

    def close(self) -> list[Piece]:
        """Ends the recording; gives the piece that was still open."""
        ...


@dataclass(frozen=True)
class EnergyCut:
    """Cuts by energy: the mean square of the change from step to step, over a window.

    Args:
        start: a piece begins where the energy reaches this.
        stop: it ends where the energy stays below this for ``pause`` steps.
        window: steps of the mean.
        pause: steps of rest behind a piece, which do not belong to it.
        before: steps before the start that belong to a piece: energy comes later than what causes it.
        shortest: of a piece, in steps; shorter ones are dropped.
        longest: of a piece; longer ones are ended there, so that memory stays bounded.

    >>> quiet, loud = np.zeros((20, 1), np.float32), np.tile([[1.0], [-1.0]], (10, 1)).astype(np.float32)
    >>> cutter = EnergyCut(start=0.5, stop=0.1, window=4, pause=6, before=2, shortest=3).cutter()
    >>> [(piece.start, piece.end) for piece in cutter.push(np.concatenate([quiet, loud, quiet]))]
    [(19, 44)]
    """

    start: float
    stop: float
    window: int = 5
    pause: int = 10
    before: int = 5
    shortest: int = 5
    longest: int = 10_000

    def __post_init__(self) -> None:
        if not 0.0 <= self.stop <= self.start:
            raise ConfigError(f"stop is {self.stop} and start is {self.start}; expected 0 <= stop <= start")
        for name, least in (("window", 1), ("pause", 1), ("before", 0), ("shortest", 1), ("longest", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least {least}")

    @classmethod
    def of_rest(cls, rest: ArrayLike, factor: float = 8.0, **options: int) -> EnergyCut:
        """Thresholds from a recording (T, D) in which nothing happens: ``factor`` times its energy, and half of that.

        Raises:
            ConfigError: the recording is too short.
        """
        values = np.asarray(rest, np.float64)
        if values.ndim != 2 or len(values) < 3:
            raise ConfigError(f"a recording of rest has the shape {values.shape}; expected at least 3 steps (T, D)")
        energy = float((np.diff(values, axis=0) ** 2).mean())
        return cls(start=factor * energy, stop=factor * energy / 2, **options)

    def cutter(self) -> Cutter:
        """A recording at its start."""
        return _EnergyCutter(self)


class _EnergyCutter:
    def __init__(self, cut: EnergyCut):
        self._cut = cut
        self._step = 0
        self._last: NDArray[np.float32] | None = None
        self._changes: deque[float] = deque(maxlen=cut.window)
        self._recent: deque[NDArray[np.float32]] = deque(maxlen=cut.before + 1)
        self._open: list[NDArray[np.float32]] | None = None
        self._start = self._quiet = 0

    def push(self, steps: NDArray[np.float32]) -> list[Piece]:
        return [piece for step in np.asarray(steps, np.float32) if (piece := self._take(step)) is not None]

    def close(self) -> list[Piece]:
        piece = self._ended(self._quiet) if self._open is not None else None
        return [] if piece is None else [piece]

    def _take(self, step: NDArray[np.float32]) -> Piece | None:
        cut = self._cut
        change = 0.0 if self._last is None else float(np.mean(np.square(step - self._last, dtype=np.float64)))
        self._last = step
        self._changes.append(change)
        energy = sum(self._changes) / len(self._changes)
        self._recent.append(step)
        self._step += 1
        if self._open is None:
            if energy >= cut.start:
                self._open, self._quiet = list(self._recent), 0
                self._start = self._step - len(self._open)
            return None
        self._open.append(step)
        self._quiet = self._quiet + 1 if energy < cut.stop else 0
        if self._quiet >= cut.pause or len(self._open) >= cut.longest:
            return self._ended(self._quiet)
        return None

    def _ended(self, quiet: int) -> Piece | None:
        assert self._open is not None
        kept = self._open[: len(self._open) - quiet]
        self._open = None
        self._recent.clear()
        if len(kept) < self._cut.shortest:
            return None
        return Piece(self._start, self._start + len(kept), np.stack(kept))


@dataclass(frozen=True)
class PenCut:
    """Cuts ink into characters: where the pen has left the paper and comes back late, or not at all.

    Args:
        pen_up: column that is 1 on the last point of a stroke.
        pause: seconds that a pen may be in the air within a character.
        time: column of the time of a point, in seconds.
        longest: points of a character; it is ended there.
    """

    pen_up: int
    time: int
    pause: float = 0.6
    longest: int = 10_000

    def cutter(self) -> Cutter:
        """Ink at its start."""
        return _PenCutter(self)


class _PenCutter:
    def __init__(self, cut: PenCut):
        self._cut = cut
        self._step = 0
        self._open: list[NDArray[np.float32]] = []

    def push(self, steps: NDArray[np.float32]) -> list[Piece]:
        found = []
        for step in np.asarray(steps, np.float32):
            cut = self._cut
            late = bool(self._open) and step[cut.time] - self._open[-1][cut.time] > cut.pause
            if (late and self._open[-1][cut.pen_up] > 0.5) or len(self._open) >= cut.longest:
                found += self.close()
            self._open.append(step)
            self._step += 1
        return found

    def close(self) -> list[Piece]:
        ended, self._open = self._open, []
        return [Piece(self._step - len(ended), self._step, np.stack(ended))] if ended else []
