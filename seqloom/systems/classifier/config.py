"""What can be configured about every classifier. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass
from typing import Annotated, Literal

from seqloom.errors import ConfigError
from seqloom.layers.encoder_config import EncoderConfig
from seqloom.systems.config import FilesConfig
from seqloom.training.config import TrainingConfig

__all__ = ["ClassifierModelConfig", "LabelledFilesConfig", "PredictOptions", "ReadOutName", "default_training"]

ReadOutName = Literal["last", "mean", "max", "attention", "votes", "sum", "vlad", "rvlad", "fisher", "bag"]


@dataclass(frozen=True)
class LabelledFilesConfig(FilesConfig):
    """Which data train, choose and score, and how they are divided; the files are those of `FilesConfig`.

    A file may hold the parts of a data set itself; it is then enough to name it as ``train``. ``FILE:test`` is one part of it.

    Args:
        split: how ``held_out`` and ``held_out_test`` are drawn: ``random`` within each class; ``groups`` whole groups, such as
            writers; ``end`` from the end of the file. ``auto`` takes groups where they are known, else chance.
        split_seed: of that draw.
        folds: divide the training data into so many parts, of which ``fold`` is the test; 0 does not.
        fold: which part that is, from 0.
        labels: use only examples of these classes; none given uses all.
        train_share: share of the training examples that is used, of each class alike: how much data a method needs is seen by
            training with 0.1, 0.25, 0.5 and 1.
        train_groups: use only these groups for training, where test groups are named too.
        dev_groups: groups of the training data that choose.
        test_groups: groups of the training data that are scored.
    """

    split: Literal["auto", "random", "groups", "end"] = "auto"
    split_seed: int = 1
    folds: int = 0
    fold: int = 0
    labels: tuple[str, ...] = ()
    train_share: float = 1.0
    train_groups: tuple[str, ...] = ()
    dev_groups: tuple[str, ...] = ()
    test_groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.folds and not 0 <= self.fold < self.folds:
            raise ConfigError(
                f"data.fold is {self.fold}; expected 0 to {self.folds - 1}, as data.folds is {self.folds}"
            )
        if not 0.0 < self.train_share <= 1.0:
            raise ConfigError(f"data.train_share is {self.train_share}; expected a share above 0, up to 1")
        if self.folds == 1 or self.folds < 0:
            raise ConfigError(f"data.folds is {self.folds}; expected at least 2, or 0 for none")


@dataclass(frozen=True)
class ClassifierModelConfig(EncoderConfig):
    """The network: a recurrent encoder, one vector for what it gives, scores. The encoder's keys are those of `EncoderConfig`.

    Args:
        read_out: how the encoded steps become one vector: the ``last`` state, the ``mean``, the ``max``, their ``attention``
            (Yang et al. 2016), or learnable pooling, ``vlad``, ``rvlad``, ``fisher`` or ``bag`` (Miech et al. 2017). ``votes``
            scores every step and adds the logarithms of their probabilities (Lefebvre et al. 2013), ``sum`` adds the scores
            before they become probabilities (Du et al. 2015).
        attention_size: units of the attention; 0 takes the encoder's size.
        clusters: of learnable pooling.
        pooled_size: of its vector; 0 takes the encoder's size.
        context_gating: gate the vector, and the scores of experts, by themselves (Miech et al. 2017).
        experts: score each class by a mixture of so many experts; 0 scores it by one linear map.
        dropout_scores: dropout on the vector before the scores.
        label_smoothing: share of a target that is spread over all classes.
        class_weights: ``balanced`` gives each class the same weight in the loss, however rare it is.
        noise_input: standard deviation of what is added to each number of the input in training.
    """

    read_out: ReadOutName = "mean"
    attention_size: int = 0
    clusters: int = 16
    pooled_size: int = 0
    context_gating: bool = False
    experts: int = 0
    dropout_scores: float = 0.2
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    noise_input: float = 0.0
    hidden_size: int = 64
    bidirectional: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("dropout_scores", "label_smoothing"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"model.{name} is {getattr(self, name)}; expected 0 to below 1")
        for name in ("attention_size", "pooled_size", "experts", "noise_input"):
            if getattr(self, name) < 0:
                raise ConfigError(f"model.{name} is {getattr(self, name)}; expected 0 or more")
        if self.clusters < 1:
            raise ConfigError(f"model.clusters is {self.clusters}; expected at least 1")
        if self.read_out == "last" and self.bidirectional and self.merge != "concat":
            raise ConfigError(
                f"model.read_out is 'last', which needs both directions apart, but model.merge is {self.merge!r}; "
                "set it to concat, or model.read_out to mean"
            )
        if self.read_out in ("votes", "sum") and (self.experts or self.context_gating):
            raise ConfigError(
                f"model.read_out is {self.read_out!r}, which scores every step by a linear map; set model.experts to 0 and "
                "model.context_gating to false"
            )


def default_training() -> TrainingConfig:
    """What most classifiers begin with; ``auto`` is the accuracy of classes, the F1 of several, the R2 of real values."""
    return TrainingConfig(
        epochs=30,
        batch_size=64,
        learning_rate=0.003,
        schedule="cosine",
        clip_norm=5.0,
        monitor="auto",
        mode="max",
    )


@dataclass(frozen=True)
class PredictOptions:
    """How answers are written."""

    format: Annotated[
        Literal["plain", "json", "native"],
        "a line with the answer for each input; JSON lines with probabilities; or the input's own form with the answer and "
        "its probability added",
    ] = "plain"
    nbest: Annotated[int, "how many classes for each input, the likeliest first (plain and json)"] = 1
    reject: Annotated[float, "answer ? where no class is at least that probable; 0 always answers"] = 0.0
    explain: Annotated[
        Literal["off", "text", "json", "html"], "show which steps or words the answer rests on, in one of these forms"
    ] = "off"
    early: Annotated[float, "decide as soon as a class is that probable, and say after which step; 0 reads all"] = 0.0

    def __post_init__(self) -> None:
        if self.nbest < 1:
            raise ConfigError(f"--nbest: {self.nbest}; expected at least 1")
        for name in ("reject", "early"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"--{name}: {getattr(self, name)}; expected a probability, 0 to below 1")
