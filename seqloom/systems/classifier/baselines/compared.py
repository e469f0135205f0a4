"""Series held against those of the training: the nearest under time warping, and ridge regression on random convolutions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.labelled import Series, flattened
from seqloom.errors import ConfigError, ModelError
from seqloom.systems.classifier.answers import Answer, Classes
from seqloom.systems.classifier.baselines.dtw import NearestWarped
from seqloom.systems.classifier.baselines.method import Method, one_hot
from seqloom.systems.classifier.baselines.rocket import MiniRocket
from seqloom.systems.classifier.inputs import Inputs, VectorInputs
from seqloom.systems.saved import ModelDirectory

__all__ = ["Nearest", "Rocket"]


class _Compared(Method):
    """A method on the features that the network would read.

    Args:
        inputs: gives them.
        answer: the classes.
        fitted: the method itself.
    """

    def __init__(self, inputs: VectorInputs, answer: Answer, fitted: Any):
        self.inputs, self.answer, self.fitted = inputs, answer, fitted

    @staticmethod
    @abstractmethod
    def made(settings: Any) -> Any:
        """The method before it is fitted."""

    @staticmethod
    @abstractmethod
    def again(arrays: Mapping[str, NDArray[Any]]) -> Any:
        """The fitted method of what it kept. Raises ValueError where that does not fit together."""

    @classmethod
    def fit(
        cls,
        settings: Any,
        inputs: Inputs,
        examples: Sequence[Any],
        answer: Answer,
        progress: Callable[[int, int], None],
    ) -> Self:
        if not isinstance(answer, Classes):
            raise ConfigError(f"the method {cls.name} answers with one class; leave it out of baselines")
        assert isinstance(inputs, VectorInputs)
        if cls is Nearest and len(examples) > settings.examples:
            places = np.linspace(0, len(examples) - 1, settings.examples).round().astype(int)
            examples = [examples[place] for place in places]
        return cls(inputs, answer, cls.made(settings).fit(_features(inputs, examples), answer.targets(examples)))

    def decide(self, examples: Sequence[Any]) -> list[NDArray[Any]]:
        return one_hot(self.answer, self.fitted.predict(_features(self.inputs, examples)).tolist())

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {f"method.{name}": array for name, array in self.fitted.arrays().items()}

    @classmethod
    def restore(cls, directory: ModelDirectory, inputs: Inputs, answer: Answer) -> Self:
        assert isinstance(inputs, VectorInputs)
        arrays = {
            name.removeprefix("method."): array
            for name, array in directory.tensors.items()
            if name.startswith("method.")
        }
        try:
            fitted = cls.again(arrays)
            labels = fitted.predict([np.zeros((9, inputs.features.output_size))])
        except (ValueError, IndexError) as error:
            raise ModelError(
                f"{directory.path}: the method's arrays are damaged ({error}); restore the model directory"
            ) from None
        known = getattr(fitted, "labels_", labels)
        if known.max(initial=0) >= answer.size:
            raise ModelError(
                f"{directory.path}: the method knows more classes than there are; restore the model directory"
            )
        return cls(inputs, answer, fitted)


class Nearest(_Compared):
    """The class of the training series that is nearest under dynamic time warping."""

    name = "nearest"

    @staticmethod
    def made(settings: Any) -> NearestWarped:
        return NearestWarped(settings.window)

    @staticmethod
    def again(arrays: Mapping[str, NDArray[Any]]) -> NearestWarped:
        return NearestWarped.from_arrays(arrays)


class Rocket(_Compared):
    """Ridge regression on random convolutions (MiniRocket; Dempster, Schmidt & Webb 2021)."""

    name = "rocket"

    @staticmethod
    def made(settings: Any) -> MiniRocket:
        return MiniRocket(settings.kernels)

    @staticmethod
    def again(arrays: Mapping[str, NDArray[Any]]) -> MiniRocket:
        return MiniRocket.from_arrays(arrays)


def _features(inputs: VectorInputs, examples: Sequence[Series]) -> list[NDArray[np.float32]]:
    flat, offsets = inputs.features.apply(*flattened([inputs.fitting(one) for one in examples]))
    return np.split(flat, offsets[1:-1])
