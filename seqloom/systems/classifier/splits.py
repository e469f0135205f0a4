"""Which examples train, choose and score: parts that a file names, groups, folds, or a draw within each class."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from seqloom.data.files import check_repeatable
from seqloom.data.labelled import Labelled, LabelledData, split_part
from seqloom.data.source import Source
from seqloom.errors import ConfigError, did_you_mean
from seqloom.systems.classifier.config import LabelledFilesConfig
from seqloom.systems.contract import Splits
from seqloom.systems.reading import SPLIT_NAMES, hold_out

__all__ = ["chosen", "drawn", "labelled_splits", "unwrapped"]

Examples = Sequence[Labelled]
Read = Callable[[Source], LabelledData[Any]]


def labelled_splits(read: Read, data: LabelledFilesConfig, objects: Mapping[str, Any]) -> Splits[Any]:
    """The examples of a configuration.

    Args:
        read: the examples of a source, with the parts that it names.
        objects: data in memory, in the place of files.
    Raises:
        ConfigError: no training data are named, or nothing is left to train on.
        DataError: a file is wrong.
    """
    places = {split: objects.get(split, getattr(data, split)) for split in SPLIT_NAMES}
    encoding = getattr(data, "encoding", "utf-8")
    sources = {split: Source(place, encoding) for split, place in places.items() if place is not None}
    if "train" not in sources:
        raise ConfigError("data.train is not given; name the training data with --data.train FILE")
    for source in sources.values():
        if source.is_named:
            check_repeatable(unwrapped(source).path(), "a training")
    whole = read(sources["train"])
    training = chosen(whole, "train", data)
    described = {split: unwrapped(source).described() for split, source in sources.items()}
    if data.overfit is not None:
        few = _spread(training, data.overfit)
        return Splits(few, few, few, whole.facts, {"train": described["train"]})
    parts: dict[str, Examples | None] = {"dev": None, "test": None}
    for split in parts:
        if split in sources:
            parts[split] = chosen(read(sources[split]), split, data)
        elif whole.parts.get(split) and not split_part(str(sources["train"].place))[1]:
            parts[split] = chosen(whole, split, data)
    train, dev, test = _divided(training, parts["dev"], parts["test"], data)
    return Splits(train, dev, test, whole.facts, described)


def unwrapped(source: Source) -> Source:
    """The file of a source that names a part of it."""
    if not source.is_named:
        return source
    return Source(split_part(str(source.place))[0], source.encoding)


def chosen(whole: LabelledData[Any], part: str, data: LabelledFilesConfig) -> Examples:
    """The examples of a part that a configuration asks for.

    Raises:
        ConfigError: none of them is of the classes that it names.
    """
    examples: Examples = whole.part(part)
    if data.labels:
        known = sorted({one.target for one in examples if isinstance(one.target, str)})
        for label in data.labels:
            if label not in known:
                raise ConfigError(
                    f"data.labels: no {part} example is of the class {label!r}{did_you_mean(label, known)}"
                )
        examples = [one for one in examples if one.target in data.labels]
    return _spread(examples, data.limit)


def drawn(examples: Examples, share: float, way: str, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """Two lists of examples, of which the second has about that share of each class, or of the groups; in their order.

    Args:
        way: ``random``, ``groups``, or ``end``.
    """
    if way == "end":
        first, last = hold_out(examples, share)
        return list(first), list(last)
    if not 0.0 < share < 1.0:
        raise ConfigError(f"a share of {share} cannot be held out; expected one between 0 and 1, such as 0.1")
    folds = _folds(examples, max(2, round(1 / share)), way, seed)
    held = [one for one, fold in zip(examples, folds, strict=True) if fold == 0]
    return [one for one, fold in zip(examples, folds, strict=True) if fold != 0], held


def _divided(
    train: Examples, dev: Examples | None, test: Examples | None, data: LabelledFilesConfig
) -> tuple[Examples, Examples, Examples]:
    way = _way(train, data)
    if data.test_groups and test is None:
        _known_groups(train, data)
        test = [one for one in train if one.group in data.test_groups]
        train = [one for one in train if one.group not in data.test_groups]
    if data.dev_groups and dev is None:
        dev = [one for one in train if one.group in data.dev_groups]
        train = [one for one in train if one.group not in data.dev_groups]
    if data.train_groups:
        train = [one for one in train if one.group in data.train_groups]
    if data.folds and test is None:
        folds = _folds(train, data.folds, way, data.split_seed)
        test = [one for one, fold in zip(train, folds, strict=True) if fold == data.fold]
        train = [one for one, fold in zip(train, folds, strict=True) if fold != data.fold]
    if test is None and data.held_out_test:
        train, test = drawn(train, data.held_out_test, way, data.split_seed)
    if dev is None and data.held_out and len(train) > 1:
        train, dev = drawn(train, data.held_out, _still(way, train), data.split_seed)
    dev = train if dev is None else dev
    if data.train_share < 1.0:
        kept, held = drawn(train, min(data.train_share, 1 - data.train_share), "random", data.split_seed)
        train = held if data.train_share <= 0.5 else kept
    if not train or not dev or (test is not None and not test):
        raise ConfigError(
            "nothing is left to train on, to choose by or to score: there are too few examples, or too few groups"
        )
    return train, dev, dev if test is None else test


def _still(way: str, examples: Examples) -> str:
    return "random" if way == "groups" and len({one.group for one in examples}) < 2 else way


def _way(examples: Examples, data: LabelledFilesConfig) -> str:
    groups = {one.group for one in examples} - {""}
    if data.split == "auto":
        return "groups" if len(groups) > 1 else "random"
    if data.split == "groups" and len(groups) < 2:
        raise ConfigError("data.split is 'groups', but the training data name fewer than two groups; set it to random")
    if data.split in ("random", "end") and len(groups) > 1 and (data.folds or data.held_out_test or data.held_out):
        print(
            f"data.split is {data.split!r} over {len(groups):,} groups: the same {_group_word(data)} is then in training and "
            "test, and the scores are better than they will be on new ones",
            file=sys.stderr,
        )
    return data.split


def _group_word(data: LabelledFilesConfig) -> str:
    return str(getattr(data, "group", "") or "group")


def _known_groups(examples: Examples, data: LabelledFilesConfig) -> None:
    known = sorted({one.group for one in examples})
    for name in ("train_groups", "dev_groups", "test_groups"):
        for group in getattr(data, name):
            if group not in known:
                raise ConfigError(f"data.{name}: there is no group {group!r}{did_you_mean(group, known)}")


def _folds(examples: Examples, folds: int, way: str, seed: int) -> list[int]:
    """(S,) the fold of each example, from 0: of like size, whole groups together or each class spread over all."""
    random = np.random.default_rng(seed)
    if way == "end":
        return [folds - 1 - index * folds // len(examples) for index in range(len(examples))]
    if way == "groups":
        members: dict[str, int] = {}
        for one in examples:
            members[one.group] = members.get(one.group, 0) + 1
        if len(members) < folds:
            folds = len(members)
        sizes, fold_of = [0] * folds, {}
        names = sorted(members)
        # The largest groups first, each to the fold that has fewest examples yet; chance decides between equals.
        for index in sorted(random.permutation(len(names)).tolist(), key=lambda index: -members[names[index]]):
            fold = min(range(folds), key=lambda fold: sizes[fold])
            fold_of[names[index]] = fold
            sizes[fold] += members[names[index]]
        return [fold_of[one.group] for one in examples]
    found, next_fold = [0] * len(examples), 0
    classes: dict[Any, list[int]] = {}
    for index, one in enumerate(examples):
        classes.setdefault(one.target if isinstance(one.target, str | tuple) else "", []).append(index)
    for _, indices in sorted(classes.items(), key=lambda item: str(item[0])):
        for index in random.permutation(indices).tolist():
            found[index] = next_fold % folds
            next_fold += 1
    return found


def _spread(examples: Examples, limit: int | None) -> Examples:
    """So many examples from all over a file, which may be sorted by class."""
    if limit is None or limit >= len(examples):
        return examples
    return [examples[index] for index in np.linspace(0, len(examples) - 1, limit).round().astype(int)]
