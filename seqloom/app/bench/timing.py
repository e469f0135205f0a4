"""Timing that can be trusted on a shared machine: the sides in turn, in many short blocks, and only ratios compared."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["FULL", "QUICK", "Pace", "Timer", "interleave", "timer"]

Timer: TypeAlias = Callable[[int], float]
"""Seconds of so many runs."""

_MOST_BLOCKS = 200
_WARM = 0.05


@dataclass(frozen=True)
class Pace:
    """How long to measure.

    Args:
        repeats: how often everything is measured anew; their scatter is the spread of a ratio.
        seconds: what a repeat may take, all sides together, if its least number of blocks allows it.
        block: seconds that a block lasts at least; a run that takes longer is a block of its own.
        blocks: the least number of blocks of a side in a repeat.
    """

    repeats: int = 3
    seconds: float = 8.0
    block: float = 0.02
    blocks: int = 5


QUICK = Pace(seconds=0.3, block=0.005, blocks=2)
FULL = Pace()


def timer(run: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> Timer:
    """A timer of a function, by the clock on the wall."""

    def seconds(runs: int) -> float:
        begin = clock()
        for _ in range(runs):
            run()
        return clock() - begin

    return seconds


def interleave(timers: Sequence[Timer], pace: Pace, *, settle: float = 0.0) -> list[tuple[float, ...]]:
    """Seconds of one run of each side: for each repeat, the medians over its blocks.

    The sides take turns block by block, in the opposite order every other time, so that whatever slows the machine down
    for a while slows all of them down.

    Args:
        settle: seconds to rest before a block.
    """
    once = [_warm(seconds) for seconds in timers]
    runs = [max(1, math.ceil(pace.block / max(single, 1e-9))) for single in once]
    turn = sum(count * single + settle for count, single in zip(runs, once, strict=True))
    blocks = min(max(pace.blocks, int(pace.seconds / max(turn, 1e-9))), _MOST_BLOCKS)
    with _no_collection():
        return [_repeat(timers, runs, blocks, settle) for _ in range(pace.repeats)]


def _warm(seconds: Timer) -> float:
    """Seconds of a run once it has run a few times; a long one has warmed up in its first."""
    times = [seconds(1)]
    while len(times) < 4 and sum(times) < _WARM:
        times.append(seconds(1))
    return min(times)


def _repeat(timers: Sequence[Timer], runs: Sequence[int], blocks: int, settle: float) -> tuple[float, ...]:
    times: list[list[float]] = [[] for _ in timers]
    order = list(range(len(timers)))
    for _ in range(blocks):
        for side in order:
            if settle:
                time.sleep(settle)
            if runs[side] > 1:
                timers[side](1)  # has the caches and the threads to itself again before the clock runs
            times[side].append(timers[side](runs[side]) / runs[side])
        order.reverse()
    return tuple(statistics.median(values) for values in times)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A collection of garbage would fall into somebody's block, not into everybody's."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
