"""The systems by name, and the verbs that every one of them has."""

import importlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from seqloom.errors import ConfigError, ModelError, did_you_mean
from seqloom.systems.directory import ModelDirectory, read_model

if TYPE_CHECKING:  # the command line asks for systems when it prints a help
    from numpy.typing import NDArray

__all__ = [
    "SYSTEMS",
    "Evaluation",
    "Model",
    "System",
    "Verbs",
    "held_out",
    "known_numbers",
    "load",
    "split_data",
    "system",
]


@dataclass(frozen=True)
class Evaluation:
    """Scores on a data set, and what a report shows of them; every part but the metrics may be empty.

    Attributes:
        metrics: the scores by name.
        details: what a report shows beside them.
        ratios: of metrics that are a ratio of sums over sentences, each sentence's (S, 2) numerator and denominator:
            what says whether one model is better than another by more than luck.
        signature: what must be quoted with the scores, since it changes them: how they are counted.
    """

    metrics: Mapping[str, float]
    details: Mapping[str, Any]
    ratios: Mapping[str, "NDArray[Any]"] = field(default_factory=dict)
    signature: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For strict JSON: a metric without a base, such as the recall of unknown words where there are none, is null."""
        signed = {"signature": self.signature} if self.signature else {}
        return {"metrics": known_numbers(self.metrics), **signed, **self.details}


def known_numbers(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Metrics with None in the place of NaN, which strict JSON cannot hold."""
    return {name: None if value != value else value for name, value in metrics.items()}


class Model(Protocol):
    """A trained model, whatever its family."""

    system: str
    about: dict[str, Any]

    @classmethod
    def from_directory(cls, directory: ModelDirectory) -> Self:
        """The model of a directory that has been read."""
        ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model directory."""
        ...


class Verbs(Protocol):
    """What the command line does with a system; each system has a module of these names.

    A system with recurrent layers may add ``diagnostic_batch(model, path, limit)`` for ``seqloom diagnose``: the training
    loss on some data, as :class:`seqloom.learning.diagnosis.DiagnosticBatch` says; and ``errors(model, path)`` for
    ``seqloom evaluate --errors``: a row of named values for each sentence that it gets wrong, the worst first.
    """

    PredictOptions: type
    """Frozen dataclass of the options of ``predict``; has at least ``format`` and ``nbest``."""

    def train(self, config: Any, run: Path, *, resume: bool, command: str) -> Any:
        """Trains by the configuration; leaves the model in ``run/model`` and its scores in ``run/evaluation.json``."""
        ...

    def evaluate(self, model: Any, path: str) -> Evaluation:
        """Scores a model on a file of the family's formats."""
        ...

    def predict(self, model: Any, lines: Iterable[str], options: Any) -> Iterator[str]:
        """Output lines for input lines, in the input's order, as soon as a batch of them is done."""
        ...


@dataclass(frozen=True)
class System:
    """A named system: where its configuration, its model and its verbs are, by the names of this package.

    ``baseline`` is the class of its models without a network, whose configuration names a ``method``, where those are
    a class of their own.
    """

    family: str
    summary: str
    config: str
    model: str
    verbs: str
    baseline: str = ""

    def config_class(self) -> type:
        """The dataclass of its recipes."""
        found: type = _resolve(self.config)
        return found

    def model_class(self, method: str | None = None) -> type[Model]:
        """The class of its models; ``method`` is what the configuration of one names, where it does."""
        found: type[Model] = _resolve(self.baseline if self.baseline and method is not None else self.model)
        return found

    def verbs_module(self) -> Verbs:
        """The module of its verbs."""
        return cast(Verbs, importlib.import_module(self.verbs))


SYSTEMS: dict[str, System] = {
    "segmenter": System(
        "Tagger",
        "words of Chinese text: dictionary, lattice, HMM, feature CRF, BLSTM and BLSTM-CRF methods",
        "seqloom.systems.tagger.segmentation.config:SegmenterConfig",
        "seqloom.systems.tagger.segmentation.segmenter:Segmenter",
        "seqloom.systems.tagger.segmentation.verbs",
    ),
    "tagger": System(
        "Tagger",
        "one tag for each token of CoNLL columns, CoNLL-U, JSON lines or segmented text",
        "seqloom.systems.tagger.config:TaggerConfig",
        "seqloom.systems.tagger.tagger:Tagger",
        "seqloom.systems.tagger.verbs",
        "seqloom.systems.tagger.baselines.model:BaselineTagger",
    ),
    "longterm": System(
        "Classifier",
        "answers about generated sequences, and images read as sequences: adding, copy, parity, permuted MNIST, ...",
        "seqloom.systems.longterm.config:LongtermConfig",
        "seqloom.systems.longterm.model:LongtermModel",
        "seqloom.systems.longterm.verbs",
    ),
}


def _resolve(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


def system(name: str, where: str = "system") -> System:
    """The system of that name.

    Raises:
        ConfigError: there is none; the sentence offers the nearest.
    """
    if name not in SYSTEMS:
        raise ConfigError(f"{where}: {name!r} is not a known system{did_you_mean(str(name), SYSTEMS)}")
    return SYSTEMS[name]


def load(path: str | os.PathLike[str]) -> Any:
    """Loads a model directory; never runs code from it.

    Raises:
        ModelError: the directory is missing, damaged or foreign.
    """
    directory = read_model(path)
    name = directory.setting("system")
    if name not in SYSTEMS:
        raise ModelError(f"{directory.path / 'config.yaml'}: system {name!r} is not one of {', '.join(SYSTEMS)}")
    return SYSTEMS[name].model_class(directory.config.get("method")).from_directory(directory)


def held_out(items: Sequence[Any], share: float) -> tuple[Sequence[Any], Sequence[Any]]:
    """The first part for training and the last share, at least one item, for development or for the test."""
    if not 0.0 < share < 1.0:
        raise ConfigError(f"a share of {share} cannot be held out; expected one between 0 and 1, such as 0.1")
    count = max(1, round(len(items) * share))
    return items[:-count], items[-count:]


class HeldOut(Protocol):
    """The part of a data configuration that says what is held out."""

    @property
    def held_out(self) -> float:
        """Share for development, where there is no file of its own."""
        ...

    @property
    def held_out_test(self) -> float:
        """Share for the test, where there is no file of its own; 0 scores the development data again."""
        ...


def split_data(
    train: Sequence[Any], dev: Sequence[Any] | None, test: Sequence[Any] | None, config: HeldOut
) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    """Training, development and test items; what has no file of its own is held out from the end of the training items.

    Raises:
        ConfigError: a share is out of range, or nothing is left to train on.
    """
    if test is None and config.held_out_test:
        train, test = held_out(train, config.held_out_test)
    if dev is None:
        train, dev = held_out(train, config.held_out)
    if not train:
        raise ConfigError("nothing is left to train on: the training file is too short for what is held out of it")
    return train, dev, dev if test is None else test
