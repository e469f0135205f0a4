"""What a system is: how its data are read, what is trained on them, how it is scored and applied; and what only some can do.

A system names itself and its dataclasses, and says five things: `read`, `build`, `encode`, `score`, `predict`. Training,
saving, comparing, reporting and the command line stand once, around it: see ``systems/train.py`` and ``seqloom.app``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from seqloom.data.source import Source
from seqloom.systems.config import PlainOptions
from seqloom.systems.evaluation import Evaluation, Panel
from seqloom.systems.saved import ModelDirectory, SavedModel, read_model

if TYPE_CHECKING:
    from seqloom.learning.diagnosis import DiagnosticBatch
    from seqloom.systems.baseline import Baseline
    from seqloom.systems.supervised import Corpus
    from seqloom.training.config import TrainingConfig

__all__ = ["Dataset", "Diagnosable", "ErrorLister", "Sample", "Splits", "Stream", "Streamable", "System"]

Example = TypeVar("Example")
Config = TypeVar("Config", bound=Any)
Model = TypeVar("Model", bound=SavedModel)


@dataclass(frozen=True)
class Dataset(Generic[Example]):
    """The examples of one source.

    Attributes:
        facts: what reading found out about them that a model has to know, such as a scheme of tags.
    """

    examples: Sequence[Example]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Splits(Generic[Example]):
    """The examples that train, choose and score.

    Attributes:
        facts: those of the training data.
        sources: where the examples are from, by ``train``, ``dev``, ``test``, as a model keeps it.
    """

    train: Sequence[Example]
    dev: Sequence[Example]
    test: Sequence[Example]
    facts: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample(Generic[Example]):
    """A handful of examples that a system learns by heart in seconds: what the battery and the documentation try it on.

    Attributes:
        sections: values of a recipe, with a small ``model`` and a short ``training``.
        examples: for training, development and test alike; none where the system generates its own.
        lines: for ``predict``, of different lengths.
        inputs: for ``model.predict`` in Python.
        stream: one input that can be cut anywhere, where models stream.
        goal: a metric, and the least and the most that it is when the examples are learned.
    """

    sections: Mapping[str, Any]
    examples: Sequence[Example]
    lines: Sequence[str]
    inputs: Sequence[Any]
    goal: tuple[str, float, float]
    stream: Any = ()


class System(ABC, Generic[Config, Example, Model]):
    """A system, of which one object is enough: it holds nothing between calls.

    Attributes:
        name: in recipes and models.
        family: one of the seven of the design.
        summary: a line for lists.
        config: the frozen dataclass of its recipes, with the sections ``data``, ``model`` and ``training``; no torch.
        options: the frozen dataclass of ``predict``'s options, with ``format`` and ``nbest``; no torch.
        examples_name: what its examples are called, in the plural.
        takes: what ``predict`` reads, for the help.
        kind: the kind of its data, as `seqloom.data.kinds` knows it; empty where no such kind is.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    summary: ClassVar[str]
    config: ClassVar[type]
    options: ClassVar[type] = PlainOptions
    examples_name: ClassVar[str] = "examples"
    takes: ClassVar[str] = "a text file, compressed or not, or - for standard input"
    kind: ClassVar[str] = ""

    # What a system must say ------------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, source: Source, data: Any) -> Dataset[Example]:
        """The examples of a source, under the ``data`` section of a configuration.

        Raises:
            DataError: the source is wrong; names file and line.
        """

    @abstractmethod
    def build(self, config: Config, splits: Splits[Example]) -> tuple[Model, Corpus]:
        """A fresh model, its vocabularies fitted on the training examples, and these examples encoded.

        The seed is set before. The weights are drawn from torch's generator.
        """

    @abstractmethod
    def encode(self, model: Model, examples: Sequence[Example]) -> Corpus:
        """Examples with their answers as a model's network takes them.

        Raises:
            ConfigError: the model has no network.
        """

    @abstractmethod
    def score(self, model: Model, examples: Sequence[Example]) -> Evaluation:
        """The scores of a model on examples, with the decoding of prediction."""

    @abstractmethod
    def predict(self, model: Model, source: Source, options: Any) -> Iterator[str | bytes]:
        """The output for a source, in its order, as soon as it is known: lines without their ends, or bytes as they are."""

    @abstractmethod
    def restore(self, directory: ModelDirectory) -> Model:
        """The model of a directory; never runs code from it.

        Raises:
            ModelError: something is missing or does not fit together.
        """

    @abstractmethod
    def sample(self) -> Sample[Example]:
        """A handful of examples that it learns by heart, for :func:`~seqloom.systems.check.check_system`."""

    def load(self, path: str | PathLike[str]) -> Model:
        """The model of a directory, with what it says of its making.

        Raises:
            ModelError: the directory is missing, damaged or foreign.
        """
        directory = read_model(path)
        about = directory.section("about")
        with directory.restoring():
            model = self.restore(directory)
        model.about = about
        return model

    # What it may say differently --------------------------------------------------------------------------------------

    def baselines(self) -> Mapping[str, Baseline]:
        """The methods without a network, by the names that ``method`` and ``baselines`` of a recipe use."""
        return {}

    def splits(self, config: Config, objects: Mapping[str, Any]) -> Splits[Example]:
        """The data of a configuration; ``objects`` stand in the place of the files of ``train``, ``dev`` and ``test``."""
        from seqloom.systems.reading import read_splits

        return read_splits(self, config.data, objects)

    def trainable(self, dataset: Dataset[Example]) -> Sequence[Example]:
        """The training examples as they can be learned; says on the standard error stream what it had to change."""
        return dataset.examples

    def title(self, config: Config) -> str:
        """What a table of methods calls the model of a configuration."""
        return str(getattr(config, "method", self.name))

    def settings(self, config: Config, splits: Splits[Example]) -> TrainingConfig:
        """The settings of the training, where they depend on the data."""
        training: TrainingConfig = config.training
        return training

    def identity(self, config: Config, splits: Splits[Example]) -> dict[str, Any]:
        """What a resumed run must share with the run it continues, beside the training's settings."""
        return {"data": asdict(config.data), "model": asdict(config.model)}

    def validation_scores(self, model: Model, examples: Sequence[Example]) -> dict[str, float]:
        """The scores that choose the best weights; as `score` where nothing cheaper will do."""
        return self.score(model, examples).values()

    def training_panels(self, config: Config, model: Model) -> Sequence[Panel]:
        """More panels for the report of a training."""
        return ()

    def evaluation_examples(self, model: Model, source: Source) -> Sequence[Example]:
        """Examples to score a model on, read as its training data were."""
        return self.read(source, self.config().data).examples


@runtime_checkable
class Stream(Protocol):
    """A model at work on input that comes in chunks; the results do not depend on how it is cut."""

    def push(self, chunk: Any) -> Any:
        """Takes more input; returns what is certain now."""
        ...

    def close(self) -> Any:
        """Ends the input; returns what was still open."""
        ...


@runtime_checkable
class Streamable(Protocol):
    """A model that works on input as it comes."""

    def stream(self) -> Stream:
        """A stream at its start."""
        ...


@runtime_checkable
class ErrorLister(Protocol):
    """A system that lists what a model gets wrong."""

    def errors(self, model: Any, examples: Sequence[Any]) -> list[dict[str, Any]]:
        """A row of named values for each example that is wrong, the worst first."""
        ...


@runtime_checkable
class Diagnosable(Protocol):
    """A system whose models have recurrent layers to look into."""

    def diagnostic_batch(self, model: Any, source: Source, limit: int) -> DiagnosticBatch:
        """The training loss on the first ``limit`` examples of a source.

        Raises:
            ConfigError: this model has no recurrent layer.
        """
        ...
