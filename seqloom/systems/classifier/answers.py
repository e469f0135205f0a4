"""What a classifier answers: one class, several classes, or real values; as targets, losses and decisions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from seqloom.data.labelled import Labelled
from seqloom.data.vocabulary import TagVocabulary
from seqloom.errors import DataError, ModelError, did_you_mean
from seqloom.systems.saved import ModelDirectory

__all__ = ["Answer", "Classes", "Labels", "Values", "answer_of", "restore_answer"]

_FILE = "labels.json"
_SHOWN = 60


class Answer(ABC):
    """A kind of answer, of which one object belongs to a model.

    Attributes:
        kind: as a model's ``config.yaml`` names it.
        size: K, how many numbers a network gives.
        stepwise: whether it gives them for each step.
        names: (K,) what each number is of.
    """

    kind: ClassVar[str]
    stepwise: bool = False
    names: Sequence[str]

    @property
    def size(self) -> int:
        """K."""
        return len(self.names)

    @abstractmethod
    def targets(self, examples: Sequence[Labelled]) -> NDArray[Any]:
        """The answers of examples as numbers, a row for each; for each step of all of them, where answers are stepwise.

        Raises:
            DataError: an example has no such answer; names its place.
        """

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor, *, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        """The mean over the rows, to be minimised, in nats of classes, and in units of the variance of real values."""

    @abstractmethod
    def decide(self, scores: Tensor) -> Tensor:
        """Probabilities of classes, or values in their own units, from scores (..., K)."""

    def config(self) -> dict[str, Any]:
        """What ``config.yaml`` says of it."""
        return {"kind": self.kind}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Numbers that were learned from the targets."""
        return {}

    def save(self, folder: Path) -> None:
        """Writes its names into the folder of a model's vocabularies."""
        TagVocabulary(self.names).save(folder / _FILE)


class Classes(Answer):
    """One of K classes, which are sorted by their names.

    Args:
        labels: the classes, with how often each was seen in training.
    """

    kind = "class"

    def __init__(self, labels: TagVocabulary):
        self.labels, self.names = labels, labels.entries

    @classmethod
    def fit(cls, examples: Sequence[Labelled]) -> Classes:
        """The classes of training examples."""
        counted: dict[str, int] = {}
        for example in examples:
            name = _class_of(example)
            counted[name] = counted.get(name, 0) + 1
        names = sorted(counted, key=_natural)
        return cls(TagVocabulary(names, [counted[name] for name in names]))

    def targets(self, examples: Sequence[Labelled]) -> NDArray[Any]:
        number = {name: index for index, name in enumerate(self.names)}
        found = np.zeros(len(examples), np.int64)
        for index, example in enumerate(examples):
            name = _class_of(example)
            if name not in number:
                raise DataError(_unseen(example, name, self.names))
            found[index] = number[name]
        return found

    def loss(self, scores: Tensor, targets: Tensor, *, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        if weights is None:
            return F.cross_entropy(scores, targets, label_smoothing=smoothing)
        # The mean over rows, not over weights: how many rows a batch has must not change what one of them counts.
        losses = F.cross_entropy(scores, targets, label_smoothing=smoothing, reduction="none")
        return (losses * weights[targets]).mean()

    def decide(self, scores: Tensor) -> Tensor:
        return scores.softmax(-1)

    def balanced(self) -> Tensor:
        """(K,) weights under which all classes count alike, and an average example counts 1."""
        counts = torch.as_tensor(self.labels.counts, dtype=torch.float32).clamp(min=1)
        return counts.sum() / (len(counts) * counts)

    def save(self, folder: Path) -> None:
        self.labels.save(folder / _FILE)


class Labels(Answer):
    """Any of K classes at once."""

    kind = "labels"

    def __init__(self, labels: TagVocabulary):
        self.labels, self.names = labels, labels.entries

    @classmethod
    def fit(cls, examples: Sequence[Labelled]) -> Labels:
        """The classes of training examples."""
        counted: dict[str, int] = {}
        for example in examples:
            for name in _labels_of(example):
                counted[name] = counted.get(name, 0) + 1
        if not counted:
            raise DataError("no training example has a label")
        names = sorted(counted, key=_natural)
        return cls(TagVocabulary(names, [counted[name] for name in names]))

    def targets(self, examples: Sequence[Labelled]) -> NDArray[Any]:
        number = {name: index for index, name in enumerate(self.names)}
        found = np.zeros((len(examples), self.size), np.float32)
        for index, example in enumerate(examples):
            for name in _labels_of(example):
                if name not in number:
                    raise DataError(_unseen(example, name, self.names))
                found[index, number[name]] = 1.0
        return found

    def loss(self, scores: Tensor, targets: Tensor, *, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        softened = targets * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(scores, softened, reduction="none")
        return (losses if weights is None else losses * weights).sum(-1).mean()

    def decide(self, scores: Tensor) -> Tensor:
        return scores.sigmoid()

    def save(self, folder: Path) -> None:
        self.labels.save(folder / _FILE)


class Values(Answer):
    """K real values of a sequence, or of each of its steps; networks give them in units of their deviation in training.

    Args:
        names: of the values.
        mean, deviation: (K,) of the training targets.
        stepwise: whether each step has its own.
    """

    kind = "values"

    def __init__(self, names: Sequence[str], mean: NDArray[Any], deviation: NDArray[Any], stepwise: bool = False):
        self.names, self.stepwise = list(names), stepwise
        self.mean, self.deviation = np.asarray(mean, np.float32), np.asarray(deviation, np.float32)

    @classmethod
    def fit(cls, examples: Sequence[Labelled], names: Sequence[str] = ()) -> Values:
        """The scale of training targets, all of one shape."""
        first = _values_of(examples[0])
        stepwise = first.ndim == 2
        rows = np.concatenate([_values_of(one).reshape(-1, first.shape[-1]) for one in examples]).astype(np.float64)
        deviation = rows.std(0)
        chosen = list(names) or [
            f"value{index}" if first.shape[-1] > 1 else "value" for index in range(first.shape[-1])
        ]
        return cls(chosen, rows.mean(0), np.where(deviation > 0, deviation, 1.0), stepwise)

    def targets(self, examples: Sequence[Labelled]) -> NDArray[Any]:
        rows = []
        for example in examples:
            values = _values_of(example)
            steps = len(getattr(example, "values", ())) if self.stepwise else None
            expected = (steps, self.size) if self.stepwise else (self.size,)
            if values.shape != expected:
                raise DataError(
                    f"{example.where or 'an example'}: targets of the shape {values.shape}, expected {expected}"
                )
            if not np.isfinite(values).all():
                raise DataError(f"{example.where or 'an example'}: a target is not a finite number")
            rows.append(values.reshape(-1, self.size))
        found = np.concatenate(rows) if rows else np.zeros((0, self.size), np.float32)
        scaled: NDArray[Any] = ((found - self.mean) / self.deviation).astype(np.float32)
        return scaled

    def loss(self, scores: Tensor, targets: Tensor, *, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        return F.mse_loss(scores, targets)

    def decide(self, scores: Tensor) -> Tensor:
        return scores * torch.from_numpy(self.deviation) + torch.from_numpy(self.mean)

    def config(self) -> dict[str, Any]:
        return {"kind": self.kind, "stepwise": self.stepwise}

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"answer.mean": self.mean, "answer.deviation": self.deviation}


def answer_of(examples: Sequence[Labelled], facts: Mapping[str, Any]) -> Answer:
    """The kind of answer that training examples have, fitted on them.

    Raises:
        DataError: they have none, or not all the same kind; names the place of the first that differs.
    """
    kinds: dict[type, Callable[[], Answer]] = {
        str: lambda: Classes.fit(examples),
        tuple: lambda: Labels.fit(examples),
        np.ndarray: lambda: Values.fit(examples, facts.get("targets", ())),
    }
    if not examples:
        raise DataError("there are no training examples")
    kind = type(examples[0].target)
    for example in examples:
        if example.target is None:
            raise DataError(
                f"{example.where or 'a training example'}: it has no answer; expected a class or real values"
            )
        if type(example.target) is not kind:
            raise DataError(f"{example.where}: its answer is of another kind than that of {examples[0].where}")
    answer = kinds[kind]()
    if isinstance(answer, Classes) and answer.size < 2:
        raise DataError(f"all training examples are of the class {answer.names[0]!r}; expected at least two classes")
    return answer


def restore_answer(directory: ModelDirectory) -> Answer:
    """The answer of a model's directory.

    Raises:
        ModelError: something is missing or damaged.
    """
    described, where = directory.section("answer"), directory.path / "config.yaml"
    labels = TagVocabulary.load(directory.vocab / _FILE)
    kind = described.get("kind")
    if kind == Classes.kind:
        return Classes(labels)
    if kind == Labels.kind:
        return Labels(labels)
    if kind == Values.kind:
        nothing = np.zeros(0, np.float32)
        mean, deviation = (directory.tensors.get(name, nothing) for name in ("answer.mean", "answer.deviation"))
        if any(one.shape != (len(labels),) or not np.isfinite(one).all() for one in (mean, deviation)):
            raise ModelError(f"{directory.path}: the scale of the answers is damaged; restore the model directory")
        return Values(labels.entries, mean, deviation, bool(described.get("stepwise", False)))
    raise ModelError(f"{where}: 'answer' is {kind!r}, expected class, labels or values; the model directory is damaged")


def _class_of(example: Labelled) -> str:
    if not isinstance(example.target, str):
        raise DataError(f"{example.where or 'an example'}: it has no class")
    return example.target


def _labels_of(example: Labelled) -> tuple[str, ...]:
    if isinstance(example.target, str):
        return (example.target,)
    if not isinstance(example.target, tuple):
        raise DataError(f"{example.where or 'an example'}: it has no labels")
    return example.target


def _values_of(example: Labelled) -> NDArray[np.float32]:
    if not isinstance(example.target, np.ndarray) or example.target.ndim not in (1, 2):
        raise DataError(f"{example.where or 'an example'}: it has no real values as its answer")
    return example.target


def _unseen(example: Labelled, name: str, known: Sequence[str]) -> str:
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
    where = example.where or "an example"
    return f"{where}: class {shown!r} does not occur in the training data{did_you_mean(name, known)}"


def _natural(name: str) -> tuple[int, float, str]:
    """Numbers by their size, before names."""
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)
