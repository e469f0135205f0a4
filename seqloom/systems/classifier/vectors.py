"""What the classifiers of all series of vectors have in common: sensors, ink, skeletons, images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from seqloom.data.features import Features
from seqloom.data.labelled import Series, flattened
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.outside import UnreadableError, parse_json
from seqloom.systems.classifier.inputs import VectorInputs
from seqloom.systems.classifier.model import AnyClassifier
from seqloom.systems.classifier.system import ClassifierSystem
from seqloom.systems.saved import ModelDirectory

__all__ = ["VectorSystem"]

_MOST_COLUMNS = 1_000_000


class VectorSystem(ClassifierSystem):
    """A classifier of one kind of series of vectors.

    Attributes:
        features_config: the dataclass of the section ``features``.
        inputs: what its models read.
        kept: facts of the reading that a model keeps.
    """

    features_config: ClassVar[type]
    inputs: ClassVar[type[VectorInputs]] = VectorInputs
    kept: ClassVar[Sequence[str]] = ("channels",)

    @abstractmethod
    def make_features(self, settings: Any, size: int, facts: Mapping[str, Any]) -> Features:
        """The features of a configuration.

        Args:
            size: D of a recorded step.
            facts: those of the reading.
        Raises:
            ConfigError: the configuration does not fit the data.
        """

    def fit_inputs(self, config: Any, train: Sequence[Series], facts: Mapping[str, Any]) -> VectorInputs:
        """The features, fitted on the training series."""
        widths = {one.values.shape[1:]: one for one in train}
        if len(widths) > 1:
            (first, _), (other, odd) = list(widths.items())[:2]
            raise DataError(
                f"{odd.where}: steps of {other[0]} numbers, but others have {first[0]}; expected the same in all"
            )
        empty = next((one for one in train if not len(one.values)), None)
        if empty is not None:
            raise DataError(f"{empty.where}: it has no steps; leave it out")
        size = train[0].values.shape[1]
        kept = {name: facts[name] for name in self.kept if facts.get(name) is not None}
        inputs = self.inputs(config.features, self.make_features(config.features, size, facts), size, kept)
        inputs.features.fit(*flattened(train))
        return inputs

    def restore_inputs(self, directory: ModelDirectory) -> VectorInputs:
        """The features of a model."""
        facts = dict(directory.section("input"))
        settings: Any = directory.built("features", self.features_config)
        size = facts.pop("size", None)
        if not isinstance(size, int) or not 1 <= size <= _MOST_COLUMNS:
            raise ModelError(
                f"{directory.path / 'config.yaml'}: the size of the input is {size!r}; the model directory is damaged"
            )
        try:
            inputs = self.inputs(settings, self.make_features(settings, size, facts), size, facts)
            inputs.restore(directory.tensors)
        except (ConfigError, ValueError) as error:
            raise ModelError(
                f"{directory.path}: the features are damaged ({error}); restore the model directory"
            ) from None
        return inputs

    def parsed(self, lines: Iterable[str], model: AnyClassifier) -> Iterator[Series]:
        """A series in each line, as JSON: what `predict` takes in Python."""
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"input:{number}"
            try:
                value = parse_json(line)
            except UnreadableError as error:
                raise DataError(f"{where}: not JSON ({error}); expected one series in each line") from None
            if isinstance(value, dict) and "values" in value:
                value = value["values"]
            (example,) = model.inputs.examples([value])
            yield Series(values=example.values, where=where, record=example.record)
