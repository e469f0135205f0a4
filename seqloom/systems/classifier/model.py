"""The model of a classifier: what it reads, its network, what it answers; from Python and for the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.data.batching import evaluation_batches
from seqloom.data.labelled import Labelled
from seqloom.errors import ConfigError
from seqloom.systems.classifier.answers import Answer, Labels, Values
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.classifier.inputs import Inputs
from seqloom.systems.classifier.network import ClassifierBatch, ClassifierNetwork
from seqloom.systems.saved import Contents, SavedModel, weights_of
from seqloom.systems.supervised import evaluating

if TYPE_CHECKING:
    from seqloom.data.cutting import EnergyCut, PenCut
    from seqloom.systems.classifier.explanation import Explanation, Method

__all__ = ["AnyClassifier", "ClassifierModel", "VectorClassifier", "decided"]

_STEPS = 16_384
"""Of a batch of prediction, padding included."""


class AnyClassifier(Protocol):
    """A network or a method without one."""

    answer: Answer
    inputs: Inputs
    reading: Mapping[str, Any]

    def decide(self, examples: Sequence[Labelled]) -> list[NDArray[Any]]:
        """(K,) probabilities or values of each example, (T, K) where answers are stepwise."""
        ...


class ClassifierModel(SavedModel):
    """A recurrent classifier.

    Args:
        config: its network.
        inputs: what it reads.
        answer: what it answers.
        reading: how its data were read.
    """

    purpose = "A class for a sequence."

    def __init__(self, config: ClassifierModelConfig, inputs: Inputs, answer: Answer, reading: Mapping[str, Any]):
        super().__init__()
        self.config, self.inputs, self.answer, self.reading = config, inputs, answer, dict(reading)
        self.network: ClassifierNetwork = inputs.network(config, answer)

    def predict(self, inputs: Any) -> list[Any]:
        """The answer to each input: a class, a list of classes, or real values (a list for each step, where they are stepwise).

        Raises:
            DataError: an input is of another kind; names which.
        """
        return [decided(self.answer, found) for found in self.probabilities(inputs)]

    def probabilities(self, inputs: Any) -> list[NDArray[Any]]:
        """(K,) probabilities of the classes ``model.answer.names``, for each input; real values where it answers those.

        Raises:
            DataError: an input is of another kind; names which.
        """
        return self.decide(self.inputs.examples(inputs))

    def early_probabilities(self, inputs: Any) -> list[NDArray[Any]]:
        """(T, K) for each input: the probabilities after each of its steps, as if it ended there.

        An encoder that reads forwards only gives them in one pass; a bidirectional one reads each beginning anew.
        """
        return self.decide_early(self.inputs.examples(inputs))

    def explain(self, inputs: Any, method: Method = "gradients") -> list[Explanation]:
        """What the answers to some inputs rest on: ``gradients``, ``occlusion`` or ``attention``.

        Raises:
            ConfigError: the model answers with real values, or has no attention.
            DataError: an input is of another kind; names which.
        """
        from seqloom.systems.classifier.explanation import explain

        return explain(self, self.inputs.examples(inputs), method)

    def vectors(self, inputs: Any) -> NDArray[Any]:
        """(N, F) what the scores of each input are made of: inputs that the network takes for alike are near each other.

        Raises:
            DataError: an input is of another kind; names which.
        """
        examples = self.inputs.examples(inputs)
        corpus, found = self.inputs.corpus(examples), [np.zeros(0)] * len(examples)
        with evaluating(self.network):
            for indices in evaluation_batches(corpus.lengths, tokens=_STEPS):
                batch = corpus.batch(indices)
                rows = self.network.head.vectors(self.network.encode(batch), batch.lengths).numpy()
                for index, row in zip(indices.tolist(), rows, strict=True):
                    found[index] = row
        return np.array(found)

    def nearest(self, inputs: Any, among: Any, count: int = 3) -> list[list[tuple[int, float]]]:
        """For each input the nearest of others, such as the training examples: their numbers and cosines, the nearest first.

        Raises:
            DataError: an input is of another kind; names which.
        """
        own, others = (_unit(self.vectors(some)) for some in (inputs, among))
        found = []
        for cosines in own @ others.T:
            order = np.argsort(-cosines, kind="stable")[:count].tolist()
            found.append([(place, float(cosines[place])) for place in order])
        return found

    def decide(self, examples: Sequence[Labelled]) -> list[NDArray[Any]]:
        """As `probabilities`, of examples."""
        return self._evaluated(examples, self.network.scores)

    def decide_early(self, examples: Sequence[Labelled]) -> list[NDArray[Any]]:
        """As `early_probabilities`, of examples."""
        if self.answer.stepwise:
            raise ConfigError("this model answers at every step already")
        causal = not self.config.bidirectional
        return self._evaluated(examples, self.network.prefix_scores if causal else self._all_beginnings, steps=True)

    def decide_part(self, examples: Sequence[Labelled], share: float) -> list[NDArray[Any]]:
        """(K,) for each example after the first ``share`` of its steps."""
        return self._evaluated(examples, lambda batch: self.network.scores(batch.cut(share)))

    def contents(self) -> Contents:
        """Network, features, classes."""
        config = {"model": asdict(self.config), "answer": self.answer.config(), "reading": self.reading}

        def vocabularies(folder: Any) -> None:
            self.answer.save(folder)
            self.inputs.save(folder)

        return Contents(
            config={**config, **self.inputs.config()},
            tensors={**weights_of(self.network), **self.answer.tensors(), **self.inputs.tensors()},
            title=f"{self.config.cell} classifier of {len(self.answer.names):,} {self._what()}",
            purpose=self.purpose,
            vocabularies=vocabularies,
        )

    def _what(self) -> str:
        return "values" if isinstance(self.answer, Values) else "classes"

    def _evaluated(self, examples: Sequence[Labelled], scores: Any, steps: bool = False) -> list[NDArray[Any]]:
        """Decisions of examples, in their order, from what ``scores`` gives of a batch."""
        steps = steps or self.answer.stepwise
        found: list[NDArray[Any]] = [np.zeros(0)] * len(examples)
        corpus = self.inputs.corpus(examples)
        with evaluating(self.network):
            for indices in evaluation_batches(corpus.lengths, tokens=_STEPS):
                batch = corpus.batch(indices)
                decisions = self.answer.decide(scores(batch)).numpy()
                for index, row, length in zip(indices.tolist(), decisions, batch.lengths.tolist(), strict=True):
                    found[index] = row[:length] if steps else row
        return found

    def _all_beginnings(self, batch: ClassifierBatch) -> Tensor:
        last = int(batch.lengths.max())
        rows = [
            self.network.scores(replace(batch, lengths=batch.lengths.clamp(max=step))) for step in range(1, last + 1)
        ]
        return torch.stack(rows, 1)


class VectorClassifier(ClassifierModel):
    """A recurrent classifier of series of vectors, which streams."""

    def stream(self, cut: EnergyCut | PenCut | None = None, reject: float = 0.0) -> Any:
        """A stream at its start: over one sequence, or with ``cut`` over a recording without an end, piece by piece."""
        from seqloom.systems.classifier.streaming import open_stream

        return open_stream(self, cut, reject)


def decided(answer: Answer, found: NDArray[Any]) -> Any:
    """The answer that probabilities or values are."""
    if isinstance(answer, Values):
        return found.tolist()
    if isinstance(answer, Labels):
        return [name for name, probability in zip(answer.names, found, strict=True) if probability >= 0.5]
    return answer.names[int(found.argmax())]


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: NDArray[Any] = rows / np.where(lengths > 0, lengths, 1.0)
    return unit
