"""The answer that needs no look at the input: how frequent each class is, or the mean of real values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.errors import ModelError
from seqloom.systems.classifier.answers import Answer, Classes, Values
from seqloom.systems.classifier.baselines.method import Method
from seqloom.systems.classifier.inputs import Inputs
from seqloom.systems.saved import ModelDirectory

__all__ = ["Prior"]


class Prior(Method):
    """The same for every input.

    Args:
        answer: what is answered.
        shares: (K,) of classes in training, or mean values.
    """

    name = "prior"

    def __init__(self, answer: Answer, shares: NDArray[Any]):
        self.answer, self.shares = answer, shares

    @classmethod
    def fit(
        cls,
        settings: Any,
        inputs: Inputs,
        examples: Sequence[Any],
        answer: Answer,
        progress: Callable[[int, int], None],
    ) -> Self:
        if isinstance(answer, Values):
            return cls(answer, answer.mean)
        targets = answer.targets(examples)
        counts = np.bincount(targets, minlength=answer.size) if isinstance(answer, Classes) else targets.sum(0)
        return cls(answer, (counts / len(examples)).astype(np.float32))

    def decide(self, examples: Sequence[Any]) -> list[NDArray[Any]]:
        if self.answer.stepwise:
            return [np.tile(self.shares, (len(one.values), 1)) for one in examples]
        return [self.shares] * len(examples)

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"prior": self.shares}

    @classmethod
    def restore(cls, directory: ModelDirectory, inputs: Inputs, answer: Answer) -> Self:
        shares = directory.tensors.get("prior", np.zeros(0))
        if shares.shape != (answer.size,) or not np.isfinite(shares).all():
            raise ModelError(
                f"{directory.path}: the frequencies of the classes are damaged; restore the model directory"
            )
        return cls(answer, shares)
