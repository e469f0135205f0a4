"""What a method without a network is, and the model that has one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.labelled import Labelled
from seqloom.systems.classifier.answers import Answer, Classes
from seqloom.systems.classifier.inputs import Inputs
from seqloom.systems.classifier.model import decided
from seqloom.systems.saved import Contents, ModelDirectory, SavedModel

__all__ = ["BaselineClassifier", "Method", "one_hot"]


class Method(ABC):
    """A method without a network, fitted.

    Attributes:
        name: in recipes and models.
        needs, install: the optional library that fitting needs, and what installs it.
    """

    name: ClassVar[str]
    needs: ClassVar[str] = ""
    install: ClassVar[str] = 'pip install "seqloom[baselines]"'

    @classmethod
    @abstractmethod
    def fit(
        cls,
        settings: Any,
        inputs: Inputs,
        examples: Sequence[Any],
        answer: Answer,
        progress: Callable[[int, int], None],
    ) -> Self:
        """Fits it on training examples.

        Args:
            settings: the section ``statistics`` of the configuration, where there is one.
        """

    @abstractmethod
    def decide(self, examples: Sequence[Any]) -> list[NDArray[Any]]:
        """(K,) probabilities or values of each example."""

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """What it has learned, as numbers."""

    def save(self, folder: Path) -> None:  # noqa: B027  # not all have names to keep
        """Writes names."""

    @classmethod
    @abstractmethod
    def restore(cls, directory: ModelDirectory, inputs: Inputs, answer: Answer) -> Self:
        """The method of a directory.

        Raises:
            ModelError: something is missing or damaged.
        """


class BaselineClassifier(SavedModel):
    """A model of a method without a network.

    Args:
        system: the name of its system.
        method: fitted.
        inputs: what it reads.
        answer: what it answers.
        reading: how its data were read.
    """

    def __init__(self, system: str, method: Method, inputs: Inputs, answer: Answer, reading: Mapping[str, Any]):
        super().__init__()
        self.system = system  # type: ignore[misc]  # one class for the methods of all kinds of input
        self.method, self.inputs, self.answer, self.reading = method, inputs, answer, dict(reading)

    def predict(self, inputs: Any) -> list[Any]:
        """The answer to each input.

        Raises:
            DataError: an input is of another kind; names which.
        """
        return [decided(self.answer, found) for found in self.probabilities(inputs)]

    def probabilities(self, inputs: Any) -> list[NDArray[Any]]:
        """(K,) probabilities or values for each input."""
        return self.decide(self.inputs.examples(inputs))

    def decide(self, examples: Sequence[Labelled]) -> list[NDArray[Any]]:
        """As `probabilities`, of examples."""
        return self.method.decide(examples) if len(examples) else []

    def contents(self) -> Contents:
        """The method, and what it reads."""

        def vocabularies(folder: Path) -> None:
            self.answer.save(folder)
            self.inputs.save(folder)
            self.method.save(folder)

        about = {"method": self.method.name, "answer": self.answer.config(), "reading": self.reading}
        return Contents(
            config={**about, **self.inputs.config()},
            tensors={**self.method.tensors(), **self.answer.tensors(), **self.inputs.tensors()},
            title=f"{self.method.name} classifier of {len(self.answer.names):,} classes",
            vocabularies=vocabularies,
        )


def one_hot(answer: Answer, labels: Sequence[int]) -> list[NDArray[Any]]:
    """The probabilities of a method that only has an answer."""
    assert isinstance(answer, Classes)
    rows = np.zeros((len(labels), answer.size), np.float32)
    rows[np.arange(len(labels)), list(labels)] = 1.0
    return list(rows)
