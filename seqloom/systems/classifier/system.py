"""What all classifiers have in common as systems; a kind of input adds its reader, its features and its recipes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from seqloom.configuration import build
from seqloom.data.labelled import Labelled, LabelledData, split_part
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.systems.baseline import Baseline, ProgressCallback
from seqloom.systems.classifier.answers import answer_of, restore_answer
from seqloom.systems.classifier.baselines.method import BaselineClassifier, Method
from seqloom.systems.classifier.baselines.prior import Prior
from seqloom.systems.classifier.config import LabelledFilesConfig, PredictOptions
from seqloom.systems.classifier.inputs import Inputs
from seqloom.systems.classifier.model import AnyClassifier, ClassifierModel
from seqloom.systems.classifier.output import Native, decisions, written
from seqloom.systems.classifier.scoring import errors, main_metric, score
from seqloom.systems.classifier.splits import labelled_splits
from seqloom.systems.contract import Dataset, Splits, System
from seqloom.systems.evaluation import Evaluation
from seqloom.systems.saved import ModelDirectory, check_fit, load_weights

if TYPE_CHECKING:
    from seqloom.learning.diagnosis import DiagnosticBatch
    from seqloom.systems.classifier.config import ClassifierModelConfig
    from seqloom.systems.supervised import Corpus
    from seqloom.training.config import TrainingConfig

__all__ = ["ClassifierSystem"]

# Of a data configuration, what says which examples there are rather than how they are read.
_NOT_READING = {one.name for one in fields(LabelledFilesConfig)} - {"labels"}


class ClassifierSystem(System[Any, Any, Any]):
    """A classifier of one kind of input.

    Attributes:
        model: the class of its models.
        data_config, model_config: the dataclasses of the sections ``data`` and ``model``.
    """

    family = "Classifier"
    options = PredictOptions
    model: ClassVar[type[ClassifierModel]]
    data_config: ClassVar[type]
    model_config: ClassVar[type[ClassifierModelConfig]]

    # What a kind says ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def read_labelled(self, source: Source, data: Any, part: str) -> LabelledData[Any]:
        """The examples of a source, and the parts that it names.

        Args:
            data: the section ``data``.
            part: the only part of the file that is wanted; empty for all.
        Raises:
            DataError: the source is wrong; names file and line.
        """

    @abstractmethod
    def fit_inputs(self, config: Any, train: Sequence[Any], facts: Mapping[str, Any]) -> Inputs:
        """What a model reads, fitted on its training examples."""

    @abstractmethod
    def restore_inputs(self, directory: ModelDirectory) -> Inputs:
        """What the model of a directory reads."""

    @abstractmethod
    def parsed(self, lines: Iterable[str], model: AnyClassifier) -> Iterator[Labelled]:
        """Examples of lines, as they come from standard input: each is one.

        Raises:
            DataError: a line is none; names it.
        """

    def native_writer(self) -> Native:
        """What writes an example in its own form with its answer; where there is none, ``answer<TAB>probability<TAB>place``."""

        def write(example: Labelled, answer: str, probability: float | None) -> str:
            shown = [] if probability is None else [f"{probability:.4f}"]
            return "\t".join([answer, *shown, example.where])

        return write

    def is_lines(self, source: Source) -> bool:
        """Whether a source is lines to be parsed one by one rather than a file of its formats."""
        return not source.is_named or source.name == "<stdin>"

    def methods(self) -> Mapping[str, type[Method]]:
        """The methods without a network, by the names that recipes use."""
        return {"prior": Prior}

    # What follows from that ---------------------------------------------------------------------------------------------

    def read(self, source: Source, data: Any) -> Dataset[Any]:
        """The examples of a source; of a file with parts, those of the part that is named, or all."""
        whole = self._read(source, data)
        if not whole.examples:
            raise DataError(f"{source.name} has no {self.examples_name}")
        return Dataset(whole.examples[: data.limit], whole.facts)

    def _read(self, source: Source, data: Any) -> LabelledData[Any]:
        if isinstance(source.place, LabelledData):
            return source.place
        if not source.is_named:
            return self.read_labelled(source, data, "")
        path, part = split_part(str(source.place))
        whole = self.read_labelled(Source(path, source.encoding), data, part)
        if part and whole.parts:
            examples = whole.part(part)
            if not examples:
                raise DataError(f"{path} has no part {part!r}; it has {', '.join(whole.parts)}")
            return LabelledData(examples, whole.facts)
        return whole

    def splits(self, config: Any, objects: Mapping[str, Any]) -> Splits[Any]:
        """The data of a configuration: parts that a file names, groups, folds, or a draw within each class."""
        return labelled_splits(lambda source: self._read(source, config.data), config.data, objects)

    def build(self, config: Any, splits: Splits[Any]) -> tuple[ClassifierModel, Corpus]:
        """A model at the start of its training, and its examples."""
        answer = answer_of(splits.train, splits.facts)
        inputs = self.fit_inputs(config, splits.train, splits.facts)
        model = self.model(config.model, inputs, answer, self.reading(config))
        return model, inputs.corpus(splits.train, answer, augment=True)

    def encode(self, model: Any, examples: Sequence[Any]) -> Corpus:
        """Examples with their answers as the network takes them.

        Raises:
            ConfigError: the model has no network.
        """
        if isinstance(model, BaselineClassifier):
            raise ConfigError(f"a classifier of method {model.method.name!r} has no recurrent layer to diagnose")
        corpus: Corpus = model.inputs.corpus(examples, model.answer)
        return corpus

    def score(self, model: AnyClassifier, examples: Sequence[Any]) -> Evaluation:
        """Accuracy and F1 of classes, average precision of several, R2 of real values."""
        return score(model, examples)

    def validation_scores(self, model: AnyClassifier, examples: Sequence[Any]) -> dict[str, float]:
        """The scores without what only a report shows."""
        return score(model, examples, panels=False).values()

    def baselines(self) -> Mapping[str, Baseline]:
        """The methods without a network, as a training fits them."""
        return {name: self._baseline(method) for name, method in self.methods().items()}

    def _baseline(self, method: type[Method]) -> Baseline:
        def fit(config: Any, splits: Splits[Any], progress: ProgressCallback) -> BaselineClassifier:
            answer = answer_of(splits.train, splits.facts)
            inputs = self.fit_inputs(config, splits.train, splits.facts)
            settings = getattr(config, "statistics", None)
            fitted = method.fit(settings, inputs, splits.train, answer, progress)
            return BaselineClassifier(self.name, fitted, inputs, answer, self.reading(config))

        return Baseline(fit, method.needs, method.install)

    def settings(self, config: Any, splits: Splits[Any]) -> TrainingConfig:
        """What ``auto`` monitors: accuracy, micro F1, or R2."""
        training: TrainingConfig = config.training
        if training.monitor != "auto":
            return training
        return replace(training, monitor=main_metric(answer_of(splits.train, splits.facts)), mode="max")

    def identity(self, config: Any, splits: Splits[Any]) -> dict[str, Any]:
        """What is read and how, too."""
        features = {"features": asdict(config.features)} if hasattr(config, "features") else {}
        return {**super().identity(config, splits), **features}

    def title(self, config: Any) -> str:
        """Cell and read-out of the network, or the method."""
        return f"{config.model.cell} {config.model.read_out}" if config.method == "network" else str(config.method)

    def reading(self, config: Any) -> dict[str, Any]:
        """What a model keeps of how its data were read."""
        return {name: value for name, value in asdict(config.data).items() if name not in _NOT_READING}

    def predict(self, model: AnyClassifier, source: Source, options: PredictOptions) -> Iterator[str | bytes]:
        """The answer to each input."""
        if options.explain != "off":
            from seqloom.systems.classifier.explanation import explained

            return explained(model, self._inputs(model, source), options)
        live = source.live()
        found = decisions(model, self._inputs(model, source, live), options, live.pauses if live is not None else None)
        return written(model.answer, found, options, self.native_writer())

    def _inputs(self, model: AnyClassifier, source: Source, live: Any = None) -> Iterable[Labelled]:
        if self.is_lines(source):
            return self.parsed(source.lines(live), model)
        return self._read(source, self._reading_of(model)).examples

    def evaluation_examples(self, model: AnyClassifier, source: Source) -> Sequence[Any]:
        """Examples to score a model on, read as its training data were; of a file with parts, the test."""
        whole = self._read(source, self._reading_of(model))
        examples = whole.part("test") if whole.parts.get("test") else whole.examples
        if not examples:
            raise DataError(f"{source.name} has no {self.examples_name}")
        return examples

    def errors(self, model: AnyClassifier, examples: Sequence[Any]) -> list[dict[str, Any]]:
        """A row for each example that gets a wrong class, those first of which the model is surest."""
        return errors(model, examples)

    def diagnostic_batch(self, model: Any, source: Source, limit: int) -> DiagnosticBatch:
        """The training loss on the first examples of a source."""
        from seqloom.systems.supervised import diagnostic_batch

        examples = self.evaluation_examples(model, source)[:limit]
        return diagnostic_batch(model.network, self.encode(model, examples), limit)

    def restore(self, directory: ModelDirectory) -> Any:
        """The model of a directory, with a network or without."""
        answer, reading = restore_answer(directory), asdict(directory.built("reading", self.data_config))
        reading = {name: value for name, value in reading.items() if name not in _NOT_READING}
        if "method" in directory.config:
            name, methods = directory.text("method"), self.methods()
            if name not in methods:
                raise ModelError(
                    f"{directory.path / 'config.yaml'}: method {name!r} is not one of {', '.join(methods)}"
                )
            inputs = self.restore_inputs(directory)
            method = methods[name].restore(directory, inputs, answer)
            return BaselineClassifier(self.name, method, inputs, answer, reading)
        config = directory.built("model", self.model_config)
        inputs = self.restore_inputs(directory)
        check_fit(directory, lambda: inputs.network(config, answer))
        model = self.model(config, inputs, answer, reading)
        load_weights(model.network, directory)
        return model

    def _reading_of(self, model: AnyClassifier) -> Any:
        """The section ``data`` as the model's training read, without its files."""
        return build(self.data_config, dict(model.reading))
