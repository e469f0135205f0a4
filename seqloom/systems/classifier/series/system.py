"""The classifier of series of vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqloom.data.features import Features
from seqloom.data.labelled import LabelledData, Series
from seqloom.data.series.config import SensorFeaturesConfig
from seqloom.data.series.features import SensorFeatures
from seqloom.data.series.read import read_series
from seqloom.data.source import Source
from seqloom.systems.classifier.baselines.compared import Nearest, Rocket
from seqloom.systems.classifier.baselines.method import Method
from seqloom.systems.classifier.baselines.prior import Prior
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.classifier.model import VectorClassifier
from seqloom.systems.classifier.series.config import SeriesClassifierConfig, SeriesDataConfig
from seqloom.systems.classifier.vectors import VectorSystem
from seqloom.systems.contract import Sample

__all__ = ["SeriesClassifier", "SeriesClassifierSystem"]


class SeriesClassifier(VectorClassifier):
    """A recurrent classifier of series, or a regression on them."""

    system = "series_classifier"
    purpose = "A class, or real values, for a series of vectors."


class SeriesClassifierSystem(VectorSystem):
    """Series of vectors to classes or to real values."""

    name = "series_classifier"
    summary = "a class, several, or real values for each series of vectors: sensors, gestures, recordings"
    config = SeriesClassifierConfig
    examples_name = "series"
    takes = ".ts, .arff, NPZ, CSV or a folder of CSV, or - for JSON lines, a series in each: steps of numbers"
    kind = "series"
    model, data_config, model_config = SeriesClassifier, SeriesDataConfig, ClassifierModelConfig
    features_config = SensorFeaturesConfig
    kept = ("channels", "rate", "targets")

    def read_labelled(self, source: Source, data: Any, part: str) -> LabelledData[Series]:
        """Series of any of the formats."""
        return read_series(source, data, part)

    def make_features(self, settings: Any, size: int, facts: Mapping[str, Any]) -> Features:
        """The features of sensors."""
        channels = facts.get("channels") or [str(index) for index in range(size)]
        return SensorFeatures(settings, channels, facts.get("rate"))

    def methods(self) -> Mapping[str, type[Method]]:
        """The class prior, and what compares with the training."""
        return {"prior": Prior, "nearest": Nearest, "rocket": Rocket}

    def sample(self) -> Sample[Series]:
        """Numbers that rise, and numbers that fall."""
        rising = ([0.0, 0.5, 1.0], [0.2, 0.9], [0.1, 0.4, 0.6, 0.9])
        rows = [(values, "up") for values in rising] + [(values[::-1], "down") for values in rising]
        examples = [
            Series(values=np.array(values, np.float32)[:, None], target=label, where=f"sample:{number}")
            for number, (values, label) in enumerate(rows)
        ]
        inputs = [[[0.1], [0.7]], [[0.9], [0.6], [0.3], [0.1]], [[0.4]]]
        return Sample(
            sections={
                "baselines": [],
                "model": {"hidden_size": 8, "bidirectional": False, "read_out": "last"},
                "training": {"epochs": 40, "batch_size": 2, "learning_rate": 0.02},
            },
            examples=examples,
            lines=[json.dumps(one) for one in inputs],
            inputs=inputs,
            goal=("accuracy", 1.0, 1.0),
            stream=[[0.1], [0.3], [0.7], [0.5], [0.2], [0.9]],
        )
