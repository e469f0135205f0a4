"""What can be configured about a network on a generated task. No torch here: the command line reads these for its help."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from seqloom.errors import ConfigError
from seqloom.layers.encoder_config import EncoderConfig
from seqloom.training.config import TrainingConfig

__all__ = ["PredictOptions", "SyntheticConfig", "SyntheticDataConfig", "SyntheticModelConfig"]


@dataclass(frozen=True)
class SyntheticDataConfig:
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
class SyntheticModelConfig(EncoderConfig):
    """The network: a recurrent encoder and one linear read-out, after the last step or after each.

    Its keys are those of :class:`~seqloom.layers.encoder_config.EncoderConfig`.
    """

    hidden_size: int = 64


def _default_training() -> TrainingConfig:
    return TrainingConfig(epochs=10, batch_size=64, learning_rate=0.002, clip_norm=1.0, monitor="loss", mode="min")


@dataclass(frozen=True)
class SyntheticConfig:
    """A network on a task: task, network, training.

    Args:
        system: always ``synthetic``.
        data: which task, and how much of it.
        model: the network.
        training: its training.
    """

    system: Literal["synthetic"] = "synthetic"
    data: SyntheticDataConfig = field(default_factory=SyntheticDataConfig)
    model: SyntheticModelConfig = field(default_factory=SyntheticModelConfig)
    training: TrainingConfig = field(default_factory=_default_training)


@dataclass(frozen=True)
class PredictOptions:
    """How answers are written."""

    format: Annotated[Literal["plain", "json"], "the answer alone, or JSON lines with the scores of all classes"] = (
        "plain"
    )
    nbest: Annotated[int, "always 1: a task has one answer"] = 1
