"""The files of a run and two promises about them: nothing is half-written, nothing of a run is lost by mistake."""

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from seqloom.training.checkpoint import PARTIAL, sync_directory

__all__ = ["CheckpointFile", "MetricsFile", "RunDirectory"]


class RunDirectory:
    """``RUN/checkpoints/{last,best}.safetensors``, ``RUN/metrics.jsonl``, ``RUN/model/`` and ``RUN/events/``.

    Attributes:
        keeps_records: whether there is more than a checkpoint.
    """

    keeps_records = True

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.last = self.path / "checkpoints" / "last.safetensors"
        self.best: Path | None = self.path / "checkpoints" / "best.safetensors"
        self.metrics = self.path / "metrics.jsonl"
        self.model = self.path / "model"
        self.events = self.path / "events"
        self._new_model = self.path / ".model.new"
        self._old_model = self.path / ".model.old"

    def problem(self, *, resume: bool) -> str:
        """Why a run cannot start here, as a sentence: it would overwrite one, or there is none to resume; else empty."""
        if resume:
            if not self.path.is_dir():
                return f"{self.path}: there is no run to resume; leave out --resume to start one"
            if self.model.exists() and not self.last.exists():
                return f"{self.path}: holds a model but no checkpoint to resume from; train into a new directory"
            return ""
        for trace in (self.last, self.metrics, self.model):
            if trace.exists():
                remedy = "continue it with --resume, or choose another directory"
                return f"{self.path}: holds a run already ({trace.name}); {remedy}"
        return ""

    def prepare(self) -> None:
        """Create the directories and clear what a killed process left half-written."""
        self.last.parent.mkdir(parents=True, exist_ok=True)
        for leftover in self.last.parent.glob(f"*{PARTIAL}"):
            leftover.unlink()
        if self._old_model.exists() and not self.model.exists():
            self._old_model.rename(self.model)  # killed between the two renames of replace_model
        for directory in (self._new_model, self._old_model):
            shutil.rmtree(directory, ignore_errors=True)

    def replace_model(self, save: Callable[[Path], None]) -> None:
        """Let ``save`` fill a fresh directory, then put it in the place of ``RUN/model``."""
        shutil.rmtree(self._new_model, ignore_errors=True)
        self._new_model.mkdir()
        save(self._new_model)
        for entry in sorted(self._new_model.rglob("*")):
            if entry.is_file():
                descriptor = os.open(entry, os.O_RDWR)
                os.fsync(descriptor)
                os.close(descriptor)
        if self.model.exists():
            self.model.rename(self._old_model)
        self._new_model.rename(self.model)
        sync_directory(self.path)
        shutil.rmtree(self._old_model, ignore_errors=True)


class CheckpointFile(RunDirectory):
    """A run that keeps its last checkpoint in a file of that path, and nothing else; it is resumed where the file is there."""

    keeps_records = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.last, self.best = self.path, None

    def problem(self, *, resume: bool) -> str:
        return ""

    def prepare(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def replace_model(self, save: Callable[[Path], None]) -> None:
        pass


class MetricsFile:
    """``metrics.jsonl``: one JSON object per line, cut back on resumption to where the checkpoint was taken.

    Args:
        path: the file.
        size: bytes that the checkpoint had seen; whatever follows was written by a process that was killed later.
    """

    def __init__(self, path: Path, size: int = 0) -> None:
        path.touch()
        self._file: BinaryIO = path.open("r+b")
        kept = self._file.read(size)
        self._file.truncate(kept.rfind(b"\n") + 1)
        self._file.seek(0, os.SEEK_END)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a line. JSON has no NaN and no infinity: they become null."""
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
        self._file.write(json.dumps(finite).encode() + b"\n")
        self._file.flush()

    def sync(self) -> int:
        """Bring all lines to disk; the size of the file."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Release the file."""
        self._file.close()
