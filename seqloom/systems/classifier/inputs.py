"""What a kind of classifier reads: how examples become batches, what network reads them, and what a model keeps of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from seqloom.data.features import Features
from seqloom.data.labelled import Labelled, Series, flattened
from seqloom.errors import DataError
from seqloom.layers.encoder import build_encoder
from seqloom.systems.classifier.answers import Answer
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.classifier.corpus import VectorCorpus
from seqloom.systems.classifier.network import ClassifierNetwork, Head, VectorFront
from seqloom.systems.supervised import Corpus

__all__ = ["Inputs", "VectorInputs"]

_PREFIX = "features."


class Inputs(ABC):
    """What a model reads; a kind of input each."""

    @abstractmethod
    def corpus(self, examples: Sequence[Any], answer: Answer | None = None, *, augment: bool = False) -> Corpus:
        """Examples as batches; with their targets, where there is an ``answer``.

        Args:
            augment: whether batches of training may be changed by chance.
        Raises:
            DataError: an example does not fit, or has no answer; names its place.
        """

    @abstractmethod
    def network(self, config: ClassifierModelConfig, answer: Answer) -> ClassifierNetwork:
        """A fresh network."""

    @abstractmethod
    def examples(self, given: Any) -> list[Any]:
        """Python objects as examples without answers.

        Raises:
            DataError: one is another thing; names which.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Entries of ``config.yaml``."""

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Numbers that were learned from the examples."""
        return {}

    def save(self, folder: Path) -> None:  # noqa: B027  # not all have vocabularies
        """Writes vocabularies."""


class VectorInputs(Inputs):
    """Series of vectors, through features.

    Args:
        settings: the dataclass of the features' configuration.
        features: built by it, and fitted.
        size: D of a recorded step.
        facts: what reading found out that a model keeps, such as channels and rate.

    Attributes:
        one_length: whether all series have as many steps.
    """

    one_length: ClassVar[bool] = False

    def __init__(self, settings: Any, features: Features, size: int, facts: dict[str, Any]):
        self.settings, self.features, self.size, self.facts = settings, features, size, facts

    def corpus(
        self, examples: Sequence[Labelled], answer: Answer | None = None, *, augment: bool = False
    ) -> VectorCorpus:
        series = [self.fitting(one) for one in examples]
        flat, offsets = flattened(series)
        if not len(series):
            flat = np.zeros((0, self.size), np.float32)
        targets = None if answer is None else answer.targets(examples)
        stepwise = answer is not None and answer.stepwise
        return VectorCorpus(flat, offsets, self.features, targets, stepwise=stepwise, augment=augment)

    def network(self, config: ClassifierModelConfig, answer: Answer) -> ClassifierNetwork:
        front = VectorFront(self.features.output_size, config.noise_input)
        encoder = build_encoder(config, front.output_size)
        return ClassifierNetwork(front, encoder, Head(config, encoder.output_size, answer, config.bidirectional))

    def examples(self, given: Any) -> list[Series]:
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            raise DataError(
                f"the inputs are a {type(given).__name__}; expected a list, of which each is {self._expected()}"
            )
        return [self._example(item, f"input[{position}]") for position, item in enumerate(given)]

    def config(self) -> dict[str, Any]:
        return {"features": asdict(self.settings), "input": {"size": self.size, **self.facts}}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {_PREFIX + name: array for name, array in self.features.statistics().items()}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        """Takes the features' statistics from a model's tensors. Raises ValueError where they are not there."""
        own = {name.removeprefix(_PREFIX): array for name, array in tensors.items() if name.startswith(_PREFIX)}
        self.features.restore(own)

    def _example(self, item: Any, where: str) -> Series:
        if isinstance(item, Series):
            return item
        try:
            values = np.asarray(item, np.float32)
        except (TypeError, ValueError, OverflowError):
            raise DataError(f"{where} is a {type(item).__name__}; expected {self._expected()}") from None
        if values.ndim == 1 and self.size == 1:
            values = values[:, None]
        if values.ndim != 2:
            raise DataError(f"{where} has the shape {values.shape}; expected {self._expected()}")
        return Series(values=values, where=where)

    def fitting(self, one: Any) -> Series:
        """An example, where it is a series that the model can read.

        Raises:
            DataError: it is something else; names its place.
        """
        where = getattr(one, "where", "") or "an input"
        if not isinstance(one, Series):
            raise DataError(f"{where} is a {type(one).__name__}; expected {self._expected()}")
        if one.values.ndim != 2 or one.values.shape[1] != self.size:
            raise DataError(f"{where} has the shape {one.values.shape}; expected {self._expected()}")
        if not len(one.values):
            raise DataError(f"{where} has no steps; expected {self._expected()}")
        return one

    def _expected(self) -> str:
        names = self.facts.get("channels") or ()
        shown = f" ({', '.join(map(str, names))})" if 0 < len(names) <= 10 else ""
        return f"steps of {self.size} number{'s' if self.size != 1 else ''} each{shown}"
