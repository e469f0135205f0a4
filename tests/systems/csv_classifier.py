"""A system in one file: short sequences of numbers are told apart. A row of its CSV is a label and the numbers: up,0.1,0.5,0.9"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqloom import Recurrent
from seqloom.configuration import build
from seqloom.data import TagVocabulary, pad
from seqloom.data.source import Source, listed
from seqloom.errors import DataError
from seqloom.systems.config import FilesConfig, PlainOptions
from seqloom.systems.contract import Dataset, Sample, Splits, System
from seqloom.systems.evaluation import Evaluation, Metric, class_panels
from seqloom.systems.registry import register
from seqloom.systems.saved import Contents, ModelDirectory, SavedModel, load_weights, weights_of
from seqloom.systems.supervised import Corpus, Network, evaluating
from seqloom.training.config import TrainingConfig


@dataclass(frozen=True)
class Model:
    """The network: a GRU and a linear read-out after the last step."""

    hidden_size: Annotated[int, "units"] = 16


@dataclass(frozen=True)
class Config:
    """A classifier of rows."""

    system: Annotated[Literal["csv_classifier"], "always csv_classifier"] = "csv_classifier"
    data: Annotated[FilesConfig, "which files"] = field(default_factory=FilesConfig)
    model: Annotated[Model, "the network"] = field(default_factory=Model)
    training: Annotated[TrainingConfig, "its training"] = field(
        default_factory=lambda: TrainingConfig(monitor="accuracy", mode="max")
    )


class Row(NamedTuple):
    label: str
    values: Sequence[float]


class Batch(NamedTuple):
    values: Tensor
    lengths: Tensor
    targets: Tensor


class Rows(Corpus):
    def __init__(self, rows: Sequence[Sequence[float]], targets: Sequence[int]):
        self._rows, self._targets = [np.array(row, dtype=np.float32) for row in rows], np.array(targets)
        self.lengths = np.array([len(row) for row in rows])

    def batch(self, indices: Any, random: np.random.Generator | None = None) -> Batch:
        values, lengths = pad([self._rows[index] for index in indices])
        return Batch(torch.tensor(values).unsqueeze(-1), torch.tensor(lengths), torch.tensor(self._targets[indices]))


class Classifier(Network):
    def __init__(self, config: Model, classes: int):
        super().__init__()
        self.encoder = Recurrent("gru", 1, config.hidden_size)
        self.read_out = nn.Linear(config.hidden_size, classes)

    def scores(self, batch: Batch) -> Tensor:
        return self.read_out(self.encoder(batch.values, lengths=batch.lengths)[1].h[:, 0])

    def forward(self, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(self.scores(batch), batch.targets)


class CsvClassifier(SavedModel):
    system = "csv_classifier"

    def __init__(self, config: Model, labels: TagVocabulary):
        super().__init__()
        self.config, self.labels, self.network = config, labels, Classifier(config, len(labels))

    def predict(self, rows: Sequence[Sequence[float]]) -> list[str]:
        rows = listed(rows, lambda row: isinstance(row, list | tuple), "a list of numbers")
        with evaluating(self.network):
            return self.labels.names([int(self.network.scores(Rows([row], [0]).batch([0])).argmax()) for row in rows])

    def contents(self) -> Contents:
        save = lambda folder: self.labels.save(folder / "labels.json")  # noqa: E731
        config = {"model": asdict(self.config)}
        return Contents(config, weights_of(self.network), "Classifier of rows", vocabularies=save)


@register
class CsvSystem(System[Config, Row, CsvClassifier]):
    name, family, summary = "csv_classifier", "Classifier", "short sequences of numbers in the rows of a CSV"
    config, examples = Config, "rows"

    def read(self, source: Source, data: FilesConfig) -> Dataset[Row]:
        rows = list(source.place) if not source.is_named else list(_rows(source))
        if not rows:
            raise DataError(f"{source.name} has no rows; expected label,number,number,...")
        return Dataset(rows[: data.limit])

    def build(self, config: Config, splits: Splits[Row]) -> tuple[CsvClassifier, Rows]:
        model = CsvClassifier(config.model, TagVocabulary.build(row.label for row in splits.train))
        return model, self.encode(model, splits.train)

    def encode(self, model: CsvClassifier, examples: Sequence[Row]) -> Rows:
        return Rows([row.values for row in examples], model.labels.lookup([row.label for row in examples]))

    def score(self, model: CsvClassifier, examples: Sequence[Row]) -> Evaluation:
        gold = model.labels.lookup([row.label for row in examples])
        predicted = model.labels.lookup(model.predict([row.values for row in examples]))
        counts = np.zeros((len(model.labels), len(model.labels)), dtype=int)
        np.add.at(counts, (gold, predicted), 1)
        right = np.stack([gold == predicted, np.ones_like(gold)], axis=1)
        metric = Metric("accuracy", float((gold == predicted).mean()), compared="accuracy", ratios=right)
        return Evaluation([metric], class_panels(model.labels.entries, counts))

    def predict(self, model: CsvClassifier, source: Source, options: PlainOptions) -> Iterator[str]:
        return (model.predict([row.values])[0] for row in _rows(source, labelled=False))

    def restore(self, directory: ModelDirectory) -> CsvClassifier:
        config, labels = directory.setting("model"), TagVocabulary.load(directory.vocab / "labels.json")
        model = CsvClassifier(build(Model, config), labels)
        load_weights(model.network, directory)
        return model

    def sample(self) -> Sample[Row]:
        rows = [
            Row("up", (0.0, 0.5, 1.0)),
            Row("down", (1.0, 0.4)),
            Row("up", (0.2, 0.9)),
            Row("down", (0.9, 0.5, 0.1)),
        ]
        training, lines = {"epochs": 40, "batch_size": 2, "learning_rate": 0.02}, ["0.1,0.7", "0.9,0.6,0.3,0.1"]
        return Sample({"training": training}, rows, lines, [[0.1, 0.7], [0.9]], ("accuracy", 1.0, 1.0))


def _rows(source: Source, labelled: bool = True) -> Iterator[Row]:
    for number, fields in enumerate(csv.reader(source.lines()), start=1):
        label, values = (fields[0], fields[1:]) if labelled and fields else ("", fields)
        try:
            yield Row(label, tuple(map(float, values or ["nothing"])))
        except ValueError as error:
            raise DataError(f"{source.name}:{number}: {error}; expected label,number,number,...") from None
