"""Where a run is: everything that a checkpoint must hold beside tensors, as plain numbers."""

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from seqloom.errors import ModelError
from seqloom.training.config import TrainingConfig

__all__ = ["Mean", "RunState"]


@dataclass
class Mean:
    """A weighted mean under way, and the steps and items that went into it."""

    total: float = 0.0
    weight: float = 0.0
    norms: float = 0.0
    steps: int = 0
    items: float = 0.0

    def add(self, *, total: float, weight: float, norm: float, items: float) -> None:
        """Add a step whose loss, times its weight, is ``total``; a norm that is not finite is left out."""
        self.total += total
        self.weight += weight
        self.items += items
        if math.isfinite(norm):
            self.norms += norm
            self.steps += 1

    @property
    def loss(self) -> float:
        """Mean loss over the weights; NaN when nothing was added."""
        return self.total / self.weight if self.weight else float("nan")

    @property
    def norm(self) -> float:
        """Mean gradient norm over the steps; NaN when nothing was added."""
        return self.norms / self.steps if self.steps else float("nan")


@dataclass
class RunState:
    """The position in the plan and what the run remembers; progress is counted in epochs, with fractions."""

    epoch: int = 0
    batch: int = 0  # the next batch of the epoch
    step: int = 0
    evaluations: int = 0  # points of the evaluation grid that have been passed
    evaluated_step: int = -1
    best: float | None = None
    best_step: int = -1
    best_progress: float = 0.0
    plateau_progress: float = 0.0
    halvings: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    only_zeros: bool = True  # every loss so far was exactly 0
    finished: bool = False
    stopped_early: bool = False
    metrics_size: int = 0
    seconds: float = 0.0
    interval: Mean = field(default_factory=Mean)  # since the last line of metrics.jsonl
    period: Mean = field(default_factory=Mean)  # since the last evaluation

    def judge(self, value: float, done: float, config: TrainingConfig) -> bool:
        """Whether this value of the metric is the best so far; keeps what patience and plateaus need.

        Args:
            value: of the monitored metric; NaN is never better.
            done: progress in epochs.
            config: gives ``mode`` and ``plateau_patience``.
        """
        better = self.best is None or (value > self.best if config.mode == "max" else value < self.best)
        if better and not math.isnan(value):
            self.best, self.best_step = value, self.step
            self.best_progress = self.plateau_progress = done
            return True
        if done - self.plateau_progress >= config.plateau_patience:
            self.halvings += 1
            self.plateau_progress = done
        return False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; floats survive to the last bit."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RunState":
        """The state of :meth:`to_dict`.

        Raises:
            ModelError: keys are missing or unknown.
        """
        names = {f.name for f in fields(cls)}
        if set(values) != names:
            different = ", ".join(sorted(names.symmetric_difference(values)))
            raise ModelError(f"the checkpoint is of another version of seqloom: its state differs in {different}")
        return cls(**{**values, "interval": Mean(**values["interval"]), "period": Mean(**values["period"])})
