"""The classifier of ink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from seqloom.data.features import Features
from seqloom.data.ink.config import InkReading, PenConfig
from seqloom.data.ink.features import PEN_CHANNELS, PenFeatures
from seqloom.data.ink.reading import read_ink
from seqloom.data.labelled import LabelledData, Series
from seqloom.data.source import Source, listed
from seqloom.systems.classifier.baselines.compared import Nearest
from seqloom.systems.classifier.baselines.method import Method
from seqloom.systems.classifier.baselines.prior import Prior
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.classifier.ink.config import InkClassifierConfig, InkDataConfig
from seqloom.systems.classifier.inputs import VectorInputs
from seqloom.systems.classifier.model import VectorClassifier
from seqloom.systems.classifier.vectors import VectorSystem
from seqloom.systems.contract import Sample

__all__ = ["InkClassifier", "InkClassifierSystem"]


class InkClassifier(VectorClassifier):
    """A recurrent classifier of characters from a pen."""

    system = "ink_classifier"
    purpose = "A class for a character from the strokes of a pen."


class InkInputs(VectorInputs):
    """Strokes of a pen, in Python lists of points."""

    def examples(self, given: Any) -> list[Series]:
        """Characters: each a list of strokes, each a list of points (x, y) or (x, y, seconds), y growing downwards.

        Raises:
            DataError: one is something else; names which.
        """
        items = listed(
            given, lambda one: isinstance(one, Series | list | tuple | dict | np.ndarray), "a list of strokes"
        )
        timed = "t" in self.facts.get("channels", ())
        reading = InkReading(time="auto" if timed else "no", y_down="yes")
        found = []
        for position, item in enumerate(items):
            if isinstance(item, Series):
                found.append(item)
                continue
            (one,) = read_ink([item], reading).examples
            found.append(replace(one, where=f"input[{position}]"))
        return found

    def _expected(self) -> str:
        return (
            "a character with at least one point, each (x, y, seconds)"
            if self.size == 4
            else "a character with at least one point"
        )


class InkClassifierSystem(VectorSystem):
    """Strokes of a pen to characters."""

    name = "ink_classifier"
    summary = "a class for each character from a pen: digits, letters, signs"
    config = InkClassifierConfig
    examples_name = "characters"
    takes = "UNIPEN, InkML, JSON or NPZ ink, or - for JSON lines, a character in each: a list of strokes"
    kind = "ink"
    model, data_config, model_config = InkClassifier, InkDataConfig, ClassifierModelConfig
    features_config, inputs = PenConfig, InkInputs
    kept = ("channels", "y_down")

    def read_labelled(self, source: Source, data: Any, part: str) -> LabelledData[Series]:
        """Characters of any of the formats."""
        place = [one for one in source.place] if not source.is_named else None  # noqa: C416  # an iterator is read once
        if place and all(isinstance(one, Series) for one in place):
            channels = list(PEN_CHANNELS) if place[0].values.shape[1:] == (3,) else ["x", "y", "t", "pen_up"]
            return LabelledData(place, {"format": "objects", "channels": channels})
        return read_ink(source if place is None else Source(place), data, part)

    def make_features(self, settings: Any, size: int, facts: Mapping[str, Any]) -> Features:
        """The features of a pen."""
        return PenFeatures(settings, facts.get("channels") or PEN_CHANNELS)

    def methods(self) -> Mapping[str, type[Method]]:
        """The class prior, and what compares with the training."""
        return {"prior": Prior, "nearest": Nearest}

    def sample(self) -> Sample[Series]:
        """A tick and a cross, drawn three times."""
        ticks = [[[[0, 5 + n], [2, 8], [8 + n, 0]]] for n in range(3)]
        crosses = [[[[0, n], [8, 8]], [[8, 0], [0, 8 + n]]] for n in range(3)]
        drawn = read_ink(
            [(one, "tick") for one in ticks] + [(one, "cross") for one in crosses], InkReading(y_down="yes")
        )
        whole = drawn.examples[3].values
        return Sample(
            sections={
                "baselines": [],
                "features": {"delta": 0.2},
                "model": {"hidden_size": 8},
                "training": {"epochs": 30, "batch_size": 2, "learning_rate": 0.02},
            },
            examples=drawn.examples,
            lines=[
                "[[[0, 5], [3, 8], [9, 0]]]",
                "[[[0, 1], [8, 8]], [[8, 0], [1, 8]]]",
                "[[[0, 0], [8, 8], [8, 0], [0, 8]]]",
            ],
            inputs=[ticks[0], crosses[1], [[[3, 3]]]],
            goal=("accuracy", 1.0, 1.0),
            stream=whole,
        )
