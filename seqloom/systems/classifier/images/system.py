"""The classifier of images that are read as sequences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqloom.data.features import Features
from seqloom.data.images.config import ImageFeatureConfig
from seqloom.data.images.features import ImageFeatures
from seqloom.data.images.read import read_images
from seqloom.data.labelled import LabelledData, Series
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.classifier.images.config import ImageClassifierConfig, ImageDataConfig
from seqloom.systems.classifier.inputs import VectorInputs
from seqloom.systems.classifier.model import VectorClassifier
from seqloom.systems.classifier.vectors import VectorSystem
from seqloom.systems.contract import Sample

__all__ = ["ImageClassifier", "ImageClassifierSystem"]

_LARGEST = 4096


class ImageClassifier(VectorClassifier):
    """A recurrent classifier of images."""

    system = "image_classifier"
    purpose = "A class for an image, read row by row or pixel by pixel."


class ImageInputs(VectorInputs):
    """Images of one size, (H, W) in Python."""

    one_length = True

    def fitting(self, one: Any) -> Series:
        """An example, where it is an image of the model's size.

        Raises:
            DataError: it is something else; names its place.
        """
        series = super().fitting(one)
        height = self.facts["height"]
        if len(series.values) != height:
            raise DataError(
                f"{series.where or 'an input'} has {len(series.values)} rows; expected {self._expected()}; "
                "data.height and data.width scale images to one size"
            )
        return series

    def _expected(self) -> str:
        return f"an image of {self.facts['height']} x {self.facts['width']} pixels"


class ImageClassifierSystem(VectorSystem):
    """Images to classes, a row, a column or a pixel at a time."""

    name = "image_classifier"
    summary = "a class for each image that is read as a sequence of rows, columns or pixels"
    config = ImageClassifierConfig
    examples_name = "images"
    takes = "a folder of PNG, an NPZ archive, or - for JSON lines, an image in each: rows of grey values"
    kind = "images"
    model, data_config, model_config = ImageClassifier, ImageDataConfig, ClassifierModelConfig
    features_config, inputs = ImageFeatureConfig, ImageInputs
    kept = ("height", "width")

    def read_labelled(self, source: Source, data: Any, part: str) -> LabelledData[Series]:
        """Images of folders and archives."""
        return read_images(source, data, part)

    def make_features(self, settings: Any, size: int, facts: Mapping[str, Any]) -> Features:
        """The order in which an image is read."""
        height, width = facts.get("height"), facts.get("width")
        if not isinstance(height, int) or not 1 <= height <= _LARGEST or width != size:
            raise ConfigError(f"the images have {height} x {width} pixels, and rows of {size}")
        return ImageFeatures(settings, height, size)

    def sample(self) -> Sample[Series]:
        """Bars that stand and bars that lie."""
        examples = []
        for place in range(1, 5):
            for label in ("standing", "lying"):
                image = np.zeros((6, 6), np.float32)
                image[:, place] = 255.0
                values = image if label == "standing" else image.T
                examples.append(Series(values=values.copy(), target=label, where=f"sample: {label} {place}"))
        return Sample(
            sections={
                "baselines": [],
                "model": {"hidden_size": 8},
                "training": {"epochs": 30, "batch_size": 4, "learning_rate": 0.02},
            },
            examples=examples,
            lines=[json.dumps(one.values.tolist()) for one in examples[:3]],
            inputs=[one.values for one in examples[:3]],
            goal=("accuracy", 1.0, 1.0),
            stream=examples[0].values,
        )
