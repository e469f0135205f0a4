"""The two logs of a run: metrics.jsonl, exact and always; TensorBoard event files, where tensorboard is installed."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqloom.training.run_directory import MetricsFile, RunDirectory
from seqloom.training.run_state import RunState

__all__ = ["Records"]


class Records:
    """Writes each record to both logs; ``None`` for the directory writes nothing (every process but the first).

    Args:
        run: the directory, prepared.
        size: bytes of metrics.jsonl to keep.
        step: the run's step; events of later steps, written by a process that was killed, are marked as void.
        tensorboard: write event files too.
    """

    def __init__(self, run: RunDirectory | None, *, size: int, step: int, tensorboard: bool) -> None:
        self._file = MetricsFile(run.metrics, size) if run else None
        self._events = _event_writer(run.events, step) if run and tensorboard else None

    def step(self, state: RunState, done: float, *, learning_rate: float, rate: float, seconds: float) -> None:
        """The means since the last such record; ``rate`` is items per second, ``done`` the progress in epochs."""
        self._write(
            {
                "event": "step",
                "epoch": done,
                "step": state.step,
                "loss": state.interval.loss,
                "learning_rate": learning_rate,
                "gradient_norm": state.interval.norm,
                "skipped_steps": state.skipped,
                "rate": rate,
                "seconds": seconds,
            }
        )

    def evaluation(
        self, state: RunState, done: float, *, metrics: Mapping[str, float], best: bool, seconds: float
    ) -> None:
        """The metrics, and the mean training loss since the last evaluation."""
        values = {f"metric/{name}": float(value) for name, value in metrics.items()}
        where = {"event": "evaluation", "epoch": done, "step": state.step, "loss": state.period.loss}
        self._write({**where, **values, "best": best, "seconds": seconds})

    def diagnosis(self, state: RunState, done: float, numbers: Mapping[str, float]) -> None:
        """The main numbers of the recurrences, each under ``layer/number``."""
        self._write({"event": "diagnosis", "epoch": done, "step": state.step, **numbers})

    def _write(self, record: dict[str, Any]) -> None:
        if self._file:
            self._file.write(record)
        if self._events:
            for name, value in record.items():
                if name not in ("event", "epoch", "step"):
                    self._events.add_scalar(f"{record['event']}/{name}", value, record["step"])

    def sync(self) -> int:
        """Bring everything to disk; the size of metrics.jsonl."""
        if self._events:
            self._events.flush()
        return self._file.sync() if self._file else 0

    def close(self) -> None:
        """Release the files."""
        if self._file:
            self._file.close()
        if self._events:
            self._events.close()


def _event_writer(directory: Path, step: int) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(directory), purge_step=step + 1 if step else None)
