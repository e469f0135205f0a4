"""From the ``data`` section of a configuration to the examples that train, choose and score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from seqloom.data.files import check_repeatable
from seqloom.data.source import Source
from seqloom.errors import ConfigError
from seqloom.systems.contract import Dataset, Splits

if TYPE_CHECKING:
    from seqloom.systems.contract import System

__all__ = ["SPLIT_NAMES", "HeldOut", "hold_out", "read_splits", "split_data"]

Example = TypeVar("Example")
SPLIT_NAMES = ("train", "dev", "test")
"""What data are for."""


class HeldOut(Protocol):
    """The part of a data configuration that says what is held out."""

    @property
    def held_out(self) -> float:
        """Share for development, where there is no file of its own."""
        ...

    @property
    def held_out_test(self) -> float:
        """Share for the test, where there is no file of its own; 0 scores the development data again."""
        ...


def read_splits(system: System[Any, Example, Any], data: Any, objects: Mapping[str, Any]) -> Splits[Example]:
    """The examples of a configuration's files, parts held out where it names none for them.

    Args:
        data: a section with ``train``, ``dev``, ``test``, ``held_out``, ``held_out_test``, ``limit`` and ``overfit``.
        objects: data in memory, in the place of files.
    Raises:
        ConfigError: no training data are named, or nothing is left to train on.
        DataError: a file is wrong.
    """
    encoding = getattr(data, "encoding", "utf-8")
    places = {split: objects.get(split, getattr(data, split)) for split in SPLIT_NAMES}
    sources = {split: Source(place, encoding) for split, place in places.items() if place is not None}
    if "train" not in sources:
        raise ConfigError("data.train is not given; name the training data with --data.train FILE")
    for source in sources.values():
        if source.is_named:
            check_repeatable(source.path(), "a training")
    training = system.read(sources["train"], data)
    if data.overfit is not None:
        examples = system.trainable(Dataset(training.examples[: data.overfit], training.facts))
        return Splits(examples, examples, examples, training.facts, {"train": sources["train"].described()})
    dev, test = (system.read(sources[split], data).examples if split in sources else None for split in ("dev", "test"))
    kept, dev, test = split_data(training.examples, dev, test, data)
    train = system.trainable(Dataset(kept, training.facts))
    described = {split: source.described() for split, source in sources.items()}
    return Splits(train, dev, test, training.facts, described)


def hold_out(items: Sequence[Any], share: float) -> tuple[Sequence[Any], Sequence[Any]]:
    """The first part for training and the last share, at least one item, for development or for the test."""
    if not 0.0 < share < 1.0:
        raise ConfigError(f"a share of {share} cannot be held out; expected one between 0 and 1, such as 0.1")
    count = max(1, round(len(items) * share))
    return items[:-count], items[-count:]


def split_data(
    train: Sequence[Any], dev: Sequence[Any] | None, test: Sequence[Any] | None, config: HeldOut
) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    """Training, development and test items; what has no file of its own is held out from the end of the training items.

    Raises:
        ConfigError: a share is out of range, or nothing is left to train on.
    """
    if test is None and config.held_out_test:
        train, test = hold_out(train, config.held_out_test)
    if dev is None:
        train, dev = hold_out(train, config.held_out)
    if not train:
        raise ConfigError("nothing is left to train on: the training file is too short for what is held out of it")
    return train, dev, dev if test is None else test
