"""What can be configured about a network on a pathological task. No torch here: the command line reads these for its help."""

from dataclasses import dataclass, field
from typing import Literal

from seqloom.errors import ConfigError
from seqloom.training.config import TrainingConfig

__all__ = ["LongtermConfig", "LongtermDataConfig", "LongtermModelConfig"]


@dataclass(frozen=True)
class LongtermDataConfig:
    """Which task, and how much of it.

    Args:
        task: name of the task.
        length: its length T; none takes the task's own default.
        options: further options of the task, such as ``test_length`` of parity or ``permuted`` of images.
        updates_per_epoch: batches of fresh sequences that count as one epoch.
        dev_sequences: held-out sequences that choose the best weights.
        test_sequences: held-out sequences that are scored once, at the end.
    """

    task: str = "adding"
    length: int | None = None
    options: dict[str, bool | int | float | str] = field(default_factory=dict)
    updates_per_epoch: int = 500
    dev_sequences: int = 1000
    test_sequences: int = 10_000

    def __post_init__(self) -> None:
        for name in ("updates_per_epoch", "dev_sequences", "test_sequences"):
            if getattr(self, name) < 1:
                raise ConfigError(f"data.{name} is {getattr(self, name)}, expected at least 1")


@dataclass(frozen=True)
class LongtermModelConfig:
    """The network: a recurrent encoder and one linear read-out, after the last step or after each.

    Args:
        cell: a cell's name, which alone means a plain stack, or a residual block for recurrences whose papers put them in
            one; ``dilated_NAME``, ``block_NAME`` and ``plain_NAME`` say it, and ``chrono_`` before a gated cell's name
            spreads the time constants of its gates over the task's length.
        hidden_size: units of a layer.
        layers: recurrent layers; 0 takes the usual number of the encoder's kind.
        backend: what runs the recurrence; ``auto`` takes the fastest that is right.
    """

    cell: str = "lstm"
    hidden_size: int = 64
    layers: int = 0
    backend: str = "auto"

    def __post_init__(self) -> None:
        if self.hidden_size < 1:
            raise ConfigError(f"model.hidden_size is {self.hidden_size}, expected at least 1")
        if self.layers < 0:
            raise ConfigError(f"model.layers is {self.layers}, expected at least 0")


def _default_training() -> TrainingConfig:
    return TrainingConfig(epochs=10, batch_size=64, learning_rate=0.002, clip_norm=1.0, monitor="loss", mode="min")


@dataclass(frozen=True)
class LongtermConfig:
    """A network on a task: task, network, training.

    Args:
        system: always ``longterm``.
        data: which task, and how much of it.
        model: the network.
        training: its training.
    """

    system: Literal["longterm"] = "longterm"
    data: LongtermDataConfig = field(default_factory=LongtermDataConfig)
    model: LongtermModelConfig = field(default_factory=LongtermModelConfig)
    training: TrainingConfig = field(default_factory=_default_training)
