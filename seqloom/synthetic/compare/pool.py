"""Trials in worker processes of one thread each: on a small machine the most work per second."""

from __future__ import annotations

import math
import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqloom.synthetic.compare.results import read_outcome, write_outcome
from seqloom.training.interruption import Interruption

if TYPE_CHECKING:
    from seqloom.synthetic.compare.trial import Outcome, Trial

__all__ = ["Listener", "run_trials"]

_LOOK_SECONDS = 0.25
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Listener:
    """Who hears how it goes: ``point`` of each evaluation of a trial, ``done`` of each outcome."""

    point: Callable[[Trial, dict[str, float]], None]
    done: Callable[[Outcome, bool], None]


def run_trials(
    trials: Sequence[Trial],
    folder: Path,
    *,
    jobs: int,
    seconds: Mapping[str, float],
    listener: Listener,
    deadline: float = math.inf,
    prepare: Callable[[], None] | None = None,
) -> list[Outcome]:
    """The outcomes of all trials, in their order; those that the folder has are read, the others run and are written there.

    Args:
        folder: where outcomes and checkpoints lie.
        jobs: worker processes.
        seconds: limit of a trial's training time by its key, none where it has none; outcomes that an earlier, smaller
            limit cut short are continued.
        deadline: by ``time.monotonic``; what is not done by then is saved and left out of what is returned.
        prepare: a function of a module that each worker calls first, such as one that registers a person's own cells.
    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came, and the workers have saved where they are; a second signal ends them at
            once, with what their last evaluations saved.
    """
    outcomes: dict[str, Outcome] = {}
    for trial in trials:
        known = read_outcome(folder, trial)
        if known is None or (known.ending == "seconds" and seconds.get(trial.key, math.inf) > known.seconds):
            continue
        outcomes[trial.key] = known
        listener.done(known, True)
    missing = [trial for trial in trials if trial.key not in outcomes]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        work = [(trial, seconds.get(trial.key)) for trial in missing]
        outcomes |= _run(work, folder, min(jobs, len(missing)), listener, deadline, prepare)
    return [outcomes[trial.key] for trial in trials if trial.key in outcomes]


def _run(
    work: Sequence[tuple[Trial, float | None]],
    folder: Path,
    jobs: int,
    listener: Listener,
    deadline: float,
    prepare: Callable[[], None] | None,
) -> dict[str, Outcome]:
    # Spawned, not forked: a forked child of a process with torch's threads may hang.
    context = multiprocessing.get_context("spawn")
    stop, points = context.Event(), context.Queue()
    outcomes: dict[str, Outcome] = {}
    by_key = {trial.key: trial for trial, _ in work}
    with (
        Interruption() as interruption,
        _environment(dict.fromkeys(_THREADS, "1")),
        ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_begin, initargs=(stop, points, os.getpid(), prepare)
        ) as pool,
    ):
        futures = {pool.submit(_work, trial, folder, limit) for trial, limit in work}
        try:
            while futures:
                finished, futures = wait(futures, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
                _hear(points, by_key, listener)
                for future in finished:
                    _keep(future, outcomes, listener)
                if (interruption.requested or time.monotonic() >= deadline) and not stop.is_set():
                    stop.set()
                    futures = {future for future in futures if not future.cancel()}
        except BaseException:
            # The pool would wait for workers that may never hear of its end, were the signal to come at a bad moment.
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
    if interruption.requested:
        raise KeyboardInterrupt
    return outcomes


def _keep(future: Future[Outcome | None], outcomes: dict[str, Outcome], listener: Listener) -> None:
    outcome = future.result()
    if outcome is None:  # the time was over, and its place is saved
        return
    outcomes[outcome.trial.key] = outcome
    listener.done(outcome, False)


def _hear(points: Any, trials: Mapping[str, Trial], listener: Listener) -> None:
    while True:
        try:
            key, point = points.get_nowait()
        except queue.Empty:
            return
        listener.point(trials[key], point)


class _environment:  # noqa: N801  # reads as a function
    """Environment variables for the processes that are started inside."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def __enter__(self) -> None:
        self.before = {name: os.environ.get(name) for name in self.values}
        os.environ.update(self.values)

    def __exit__(self, *error: object) -> None:
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# In a worker ---------------------------------------------------------------------------------------------------------

_worker: dict[str, Any] = {}


def _begin(stop: Any, points: Any, parent: int, prepare: Callable[[], None] | None) -> None:
    # Ctrl-C reaches the whole process group; the workers wait for the parent's word, so as to save where they are.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
    if prepare is not None:
        prepare()
    _worker.update(stop=stop, points=points, parent=parent)


def _work(trial: Trial, folder: Path, seconds: float | None) -> Outcome | None:
    from seqloom.synthetic.compare.trial import TrialStopped, run_trial

    def stop() -> bool:
        # A parent that was killed cannot say stop; its orphans belong to another process.
        return bool(_worker["stop"].is_set()) or os.getppid() != _worker["parent"]

    try:
        outcome = run_trial(
            trial,
            folder / trial.key,
            seconds=seconds,
            stop=stop,
            report=lambda point: _worker["points"].put((trial.key, point)),
        )
    except TrialStopped:
        if os.getppid() != _worker["parent"]:
            os._exit(1)  # nobody is left to give work or to say that there is none
        return None
    write_outcome(folder, outcome)
    return outcome
