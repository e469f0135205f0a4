"""The system of generated tasks: trains on fresh sequences, scores on held-out ones, answers sequences of one's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError
from seqloom.outside import UnreadableError, parse_json
from seqloom.synthetic.network import score
from seqloom.synthetic.sequences import (
    Example,
    FreshSequences,
    HeldOutSequences,
    Indices,
    batch_of,
    batches_of,
)
from seqloom.synthetic.tasks import SequenceTask, TaskBatch, make_task, parse_task, settings
from seqloom.systems.contract import Dataset, Sample, Splits, System
from seqloom.systems.evaluation import Evaluation, Metric
from seqloom.systems.saved import ModelDirectory
from seqloom.systems.supervised import Corpus
from seqloom.systems.synthetic.config import PredictOptions, SyntheticConfig, SyntheticDataConfig
from seqloom.systems.synthetic.model import SyntheticModel
from seqloom.training.launch import first_process

if TYPE_CHECKING:
    from seqloom.learning.diagnosis import DiagnosticBatch
    from seqloom.training.config import TrainingConfig

__all__ = ["SyntheticSystem"]

_TEST_SEQUENCES = 10_000


class FreshCorpus(Corpus):
    """The generated training sequences of a run."""

    def __init__(self, sequences: FreshSequences):
        self._sequences = sequences
        # Nobody knows the lengths of what has not been generated, and nothing is sorted by them.
        self.lengths = np.broadcast_to(np.int64(sequences.task.longest), len(sequences))

    def plan(self, training: TrainingConfig, epoch: int) -> Sequence[Indices]:
        """Whole batches in the order in which they are generated."""
        return self._sequences.plan(epoch)

    def batch(self, indices: Indices, random: np.random.Generator | None = None) -> TaskBatch:
        """The sequences of these numbers."""
        return self._sequences.batch(indices)


class ListedCorpus(Corpus):
    """Sequences in memory."""

    def __init__(self, examples: Sequence[Example]):
        self._examples = list(examples)
        self.lengths = np.array([len(example.inputs) for example in self._examples], dtype=np.int64)

    def batch(self, indices: Indices, random: np.random.Generator | None = None) -> TaskBatch:
        """Padded to the longest of them."""
        return batch_of([self._examples[index] for index in indices])


class SyntheticSystem(System[SyntheticConfig, Example, SyntheticModel]):
    """Answers about generated sequences, or about images read as sequences."""

    name, family = "synthetic", "Classifier"
    summary = (
        "answers about generated sequences, and images read as sequences: adding, copy, parity, permuted MNIST, ..."
    )
    config, options = SyntheticConfig, PredictOptions
    examples_name = "sequences"
    takes = "a file of JSON lines, a sequence each, compressed or not, or - for standard input"

    def read(self, source: Source, data: SyntheticDataConfig) -> Dataset[Example]:
        """The 10,000 held-out test sequences of a task that is named as ``NAME[:KEY=VALUE,...]``; or examples in memory.

        Raises:
            ConfigError: there is no such task or option.
            DataError: what is in memory are no examples.
        """
        if source.is_named:
            return Dataset(HeldOutSequences(parse_task(source.path()), "test", _TEST_SEQUENCES))
        return Dataset([_example(item, position) for position, item in enumerate(source.place)])

    def splits(self, config: SyntheticConfig, objects: Mapping[str, Any]) -> Splits[Example]:
        """Fresh sequences to train on, and held-out ones that are the same in every run.

        Raises:
            ConfigError: there is no such task or option, or sequences are given in the place of generated ones.
        """
        if objects:
            raise ConfigError(f"data.{next(iter(objects))} was given, but the sequences of a task are generated")
        data, training = config.data, config.training
        task = make_task(data.task, data.length, data.options)
        if getattr(task, "source", "") == "digits" and first_process():
            print(
                f"{task.name}: the images are scikit-learn's digits, 8 x 8; SEQLOOM_DATA names no MNIST",
                file=sys.stderr,
            )
        return Splits(
            FreshSequences(task, training.seed, training.batch_size, data.updates_per_epoch, training.epochs),
            HeldOutSequences(task, "dev", data.dev_sequences),
            HeldOutSequences(task, "test", data.test_sequences),
            facts={"task": task},
            sources={"task": {"name": task.name, **settings(task)}},
        )

    def build(self, config: SyntheticConfig, splits: Splits[Example]) -> tuple[SyntheticModel, Corpus]:
        """A fresh network for the task, and its training sequences."""
        train = splits.train
        corpus = FreshCorpus(train) if isinstance(train, FreshSequences) else ListedCorpus(train)
        return SyntheticModel(config.model, splits.facts["task"]), corpus

    def encode(self, model: SyntheticModel, examples: Sequence[Example]) -> Corpus:
        """Sequences with their answers as they are."""
        return ListedCorpus(examples)

    def score(self, model: SyntheticModel, examples: Sequence[Example]) -> Evaluation:
        """Loss, share of wrong sequences and accuracy, beside those of the best predictor that remembers nothing."""
        task = examples.task if isinstance(examples, HeldOutSequences) else model.task
        scores = score(model.network, batches_of(examples), task)
        metrics = (
            Metric("loss", scores["loss"], better="lower", compared="loss"),
            Metric("wrong", scores["wrong"], better="lower", compared="wrong"),
            Metric("accuracy", scores["accuracy"], compared="accuracy"),
            Metric("chance_loss", task.chance, better="neither"),
            Metric("chance_wrong", task.chance_wrong, better="neither"),
        )
        solved = {"criterion": str(task.criterion), "solved": task.criterion.met(scores)}
        return Evaluation(metrics, details={"details": solved}, main=task.criterion.metric)

    def validation_scores(self, model: SyntheticModel, examples: Sequence[Example]) -> dict[str, float]:
        """The scores without those of chance."""
        return score(model.network, batches_of(examples))

    def predict(self, model: SyntheticModel, source: Source, options: PredictOptions) -> Iterator[str | bytes]:
        """One answer for each line, which holds a sequence as JSON: a list of steps, each a list of D numbers.

        A sequence answered at every step has its answers side by side.
        """
        if options.nbest != 1:
            raise ConfigError(f"--nbest: {options.nbest}; a task has one answer, expected 1")
        for number, line in enumerate(source.lines(), start=1):
            outputs = model.outputs(_parsed(line, number, model.task), f"input:{number}")
            answer = model.decode(outputs)
            if options.format == "json":
                scores = {} if model.task.kind == "real" else {"probabilities": outputs.softmax(-1).tolist()}
                yield json.dumps({"answer": answer, **scores})
            else:
                yield " ".join(map(_plain, answer if isinstance(answer, list) else [answer]))

    def restore(self, directory: ModelDirectory) -> SyntheticModel:
        """The model of a directory."""
        return SyntheticModel.from_directory(directory)

    def sample(self) -> Sample[Example]:
        """One symbol to keep over a few steps."""
        data = {"task": "memorisation", "length": 2, "options": {"positions": 1}, "updates_per_epoch": 25}
        held_out = HeldOutSequences(make_task("memorisation", 2, {"positions": 1}), "dev", 3)
        inputs = [example.inputs.tolist() for example in held_out]
        return Sample(
            sections={
                "data": {**data, "dev_sequences": 50, "test_sequences": 50},
                "model": {"cell": "gru", "hidden_size": 12},
                "training": {"epochs": 6, "batch_size": 16, "learning_rate": 0.02},
            },
            examples=(),
            lines=[json.dumps(steps) for steps in (inputs[0], inputs[1][:2], inputs[2] * 2)],
            inputs=inputs,
            goal=("wrong", 0.0, 0.0),
            stream=inputs[0],
        )

    def title(self, config: SyntheticConfig) -> str:
        """The cell, and on what."""
        return f"{config.model.cell} on {config.data.task}"

    def identity(self, config: SyntheticConfig, splits: Splits[Example]) -> dict[str, Any]:
        """The task as it was resolved, too: images may have another source on another machine."""
        return {**super().identity(config, splits), **splits.sources}

    def evaluation_examples(self, model: SyntheticModel, source: Source) -> Sequence[Example]:
        """Held-out sequences of the model's own task, perhaps of another length: ``adding``, ``adding:length=400``.

        Raises:
            ConfigError: it is another task than the model's.
        """
        if source.is_named:
            return HeldOutSequences(_variant(model, source.path()), "test", _TEST_SEQUENCES)
        return self.read(source, SyntheticDataConfig()).examples

    def diagnostic_batch(self, model: SyntheticModel, source: Source, limit: int) -> DiagnosticBatch:
        """The training loss on the first held-out sequences of the model's task, named as for an evaluation."""
        from seqloom.learning.diagnosis import DiagnosticBatch

        task = _variant(model, source.path())
        batch = next(task.held_out("test", limit))
        network = model.network
        loss = lambda: task.loss(network.outputs(batch.inputs, batch.lengths), batch)  # noqa: E731
        return DiagnosticBatch(network, loss, len(batch.lengths))


def _variant(model: SyntheticModel, path: str) -> SequenceTask:
    """The model's task, perhaps of another length, as ``NAME[:KEY=VALUE]`` says."""
    name, _, options = path.partition(":")
    if name != model.task.name:
        raise ConfigError(
            f"{path!r}: the model answers {model.task.name!r}; evaluate it on {model.task.name}[:KEY=VALUE]"
        )
    own = settings(model.task)
    given = settings(parse_task(path)) if options else {}
    changed = {key.partition("=")[0].strip() for key in options.split(",")} & set(own)
    task = make_task(name, options={**own, **{key: given[key] for key in changed}})
    if _sizes(task) != _sizes(model.task):
        raise ConfigError(f"{path!r} has other inputs or answers than the task that the model was trained on")
    return task


def _sizes(task: SequenceTask) -> tuple[int, int, str]:
    return task.input_size, task.output_size, task.answer


def _example(item: Any, position: int) -> Example:
    if isinstance(item, Example):
        return item
    try:
        inputs, target = item
        return Example(torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(target))
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise DataError(f"sequence[{position}]: expected its steps and its answer ({error})") from None


def _parsed(line: str, number: int, task: SequenceTask) -> Iterable[Any]:
    try:
        steps: Iterable[Any] = parse_json(line)
    except UnreadableError as error:
        expected = f"expected a JSON list of steps, each a list of {task.input_size} numbers"
        raise DataError(f"input:{number}: not a sequence ({error}); {expected}") from None
    return steps


def _plain(value: float | int) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
