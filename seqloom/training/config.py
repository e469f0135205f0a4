"""How a run is trained: one frozen dataclass, validated before anything else happens. It does not import torch."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from seqloom.errors import ConfigError, did_you_mean

__all__ = ["TrainingConfig"]

CHOICES: dict[str, tuple[str, ...]] = {
    "optimiser": ("adam", "adamw", "sgd", "adagrad"),
    "schedule": ("constant", "linear", "cosine", "halve_on_plateau", "inverse"),
    "mode": ("max", "min"),
    "device": ("auto", "cpu", "cuda"),
    "precision": ("32-true", "bf16-mixed"),
}

_MAY_CHANGE = {"may_change_on_resume": True}


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of the loop and of its optimiser.

    Two runs with the same settings, data, seed and thread count have bit-identical weights, interrupted or not. A
    resumed run must keep every setting but ``checkpoint_seconds``, ``diagnose_every`` and ``threads``.

    Raises:
        ConfigError: a value outside its range; the sentence names the key, the value and the range.

    >>> TrainingConfig(epochs=0)
    Traceback (most recent call last):
    ...
    seqloom.errors.ConfigError: training.epochs is 0, expected at least 1
    """

    epochs: int = 10
    """Passes over the training set."""
    batch_size: int = 32
    """Sentences in a batch; read by the task's plan."""
    batch_tokens: int = 0
    """Cap on sentences x longest sentence in a batch; 0 means that ``batch_size`` rules. Read by the task's plan."""
    seed: int = 1
    """Seeds torch, numpy and python (plus the process's rank), and, in the task, the order of the batches."""

    optimiser: Literal["adam", "adamw", "sgd", "adagrad"] = "adam"
    """What turns gradients into steps; the rows of sparse tables have the same optimiser's form for rows."""
    learning_rate: float = 0.001
    """Size of the steps, before the schedule."""
    momentum: float = 0.0
    """Of ``sgd``; rows of a sparse table keep their own, which decays only when the row is touched."""
    beta1: float = 0.9
    """Of ``adam`` and ``adamw``: how much of the mean gradient a step keeps."""
    beta2: float = 0.999
    """The same of the mean squared gradient."""
    weight_decay: float = 0.0
    """Decoupled for ``adamw``, an L2 penalty in the gradient otherwise, behind the clipping; under Adam the two differ. Like
    ``l1``, for matrices only, never for biases and gains; nor for sparse tables: it would touch every row."""
    l1: float = 0.0
    """Strength of an L1 penalty: each update moves the numbers of matrices by rate * l1 towards zero, which they reach."""
    orthogonality: float = 0.0
    """Strength of ||U'U - I||^2 over the square recurrent matrices, gate by gate: holds memory where decay shortens it."""
    schedule: Literal["constant", "linear", "cosine", "halve_on_plateau", "inverse"] = "constant"
    """``linear`` and ``cosine`` fall to zero at the end; ``halve_on_plateau`` halves after ``plateau_patience`` epochs
    without a better metric; ``inverse`` divides by 1 + ``decay`` * epochs done (Ma & Hovy 2016, section 3.2)."""
    decay: float = 0.05
    """Of the schedule ``inverse``."""
    warmup_steps: int = 0
    """Steps over which the learning rate first rises linearly."""
    plateau_patience: float = 1.0
    """Epochs without a better metric after which ``halve_on_plateau`` halves the learning rate."""
    clip_norm: float = 0.0
    """Largest norm of all gradients taken jointly; 0 clips nothing. The norm before clipping is what the log shows."""
    clip_value: float = 0.0
    """Largest size of any number of the gradients, cut before ``clip_norm`` looks at them; 0 clips nothing."""
    max_skipped_steps: int = 10
    """A step whose gradient norm is not finite is skipped; so many in a row end the run."""

    evaluate_every: float = 1.0
    """Epochs between evaluations; a fraction evaluates within the epoch. The end of the run always evaluates."""
    monitor: str = "loss"
    """The metric of ``Task.evaluate`` that decides which model is the best."""
    mode: Literal["max", "min"] = "min"
    """Whether the best value of the metric is the largest or the smallest."""
    patience: float = 0.0
    """Epochs without a better metric after which training stops; 0 never stops early."""
    diagnose_every: int = field(default=0, metadata=_MAY_CHANGE)
    """Evaluations between two diagnoses of the recurrent layers, as ``seqloom diagnose`` makes them, on the first training
    batch; their main numbers go into the logs and change nothing else. 0 diagnoses nothing."""

    log_every: int = 50
    """Steps between two lines of metrics.jsonl."""
    tensorboard: bool = True
    """Also write event files, where tensorboard is installed."""
    checkpoint_seconds: float = field(default=60.0, metadata=_MAY_CHANGE)
    """Seconds between two checkpoints within an epoch; every evaluation also writes one."""
    threads: int = field(default=0, metadata=_MAY_CHANGE)
    """Threads of torch; 0 leaves torch's own choice. Another number may change the last bits of a result."""
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """Where to train. The number of processes is torchrun's: ``torchrun --nproc_per_node 2 -m seqloom train ...``."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Of the arithmetic: float32, or bfloat16 where that is safe."""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                hint = did_you_mean(str(getattr(self, name)), choices)
                raise ConfigError(f"training.{name} is {getattr(self, name)!r}, which is not a choice{hint}")
        for name in ("epochs", "batch_size", "max_skipped_steps", "log_every"):
            self._require(name, at_least=1)
        for name in ("batch_tokens", "warmup_steps", "threads", "clip_norm", "clip_value", "patience"):
            self._require(name, at_least=0)
        for name in ("momentum", "weight_decay", "l1", "orthogonality", "decay"):
            self._require(name, at_least=0)
        self._require("checkpoint_seconds", at_least=0)
        self._require("diagnose_every", at_least=0)
        self._require("seed", at_least=0)
        for name in ("learning_rate", "evaluate_every", "plateau_patience"):
            self._require(name, above=0)
        for name in ("momentum", "beta1", "beta2"):
            self._require(name, at_least=0, below=1)
        if not self.monitor:
            raise ConfigError("training.monitor is empty, expected the name of a metric that the evaluation reports")

    def _require(
        self, name: str, *, at_least: float = -math.inf, above: float = -math.inf, below: float = math.inf
    ) -> None:
        value = getattr(self, name)
        if at_least <= value < below and above < value < math.inf:
            return
        bounds = {"at least": at_least, "more than": above, "less than": below}
        words = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound))
        raise ConfigError(f"training.{name} is {value}, expected {words}")

    def fixed_on_resume(self) -> dict[str, Any]:
        """The settings that a resumed run must share with the run it continues."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.metadata.get("may_change_on_resume")}
