"""The two logs of a run: metrics.jsonl, exact and always; TensorBoard event files, where tensorboard is installed."""

import importlib.util
from pathlib import Path
from typing import Any

from seqloom.learning.run_directory import MetricsFile, RunDirectory

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

    def write(self, record: dict[str, Any]) -> None:
        """Append a record; its numbers other than ``epoch`` and ``step`` become curves under its ``event``."""
        if self._file:
            self._file.write(record)
        if self._events:
            for name, value in record.items():
                if isinstance(value, int | float) and name not in ("epoch", "step"):
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
