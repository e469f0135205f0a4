"""The classifier of actions from skeletons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqloom.data.features import Features
from seqloom.data.labelled import LabelledData, Series
from seqloom.data.skeleton.config import SkeletonConfig
from seqloom.data.skeleton.definition import Skeleton, preset
from seqloom.data.skeleton.features import SkeletonFeatures
from seqloom.data.skeleton.reading import read_skeletons
from seqloom.data.source import Source
from seqloom.errors import ConfigError
from seqloom.layers.fusion import FIVE_PARTS, FusionTree
from seqloom.systems.classifier.answers import Answer
from seqloom.systems.classifier.baselines.compared import Nearest, Rocket
from seqloom.systems.classifier.baselines.method import Method
from seqloom.systems.classifier.baselines.prior import Prior
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.classifier.inputs import VectorInputs
from seqloom.systems.classifier.model import VectorClassifier
from seqloom.systems.classifier.network import ClassifierNetwork, Head, VectorFront
from seqloom.systems.classifier.skeletons.config import (
    SkeletonClassifierConfig,
    SkeletonDataConfig,
    SkeletonModelConfig,
)
from seqloom.systems.classifier.vectors import VectorSystem
from seqloom.systems.contract import Sample

__all__ = ["SkeletonClassifier", "SkeletonClassifierSystem"]


class SkeletonClassifier(VectorClassifier):
    """A recurrent classifier of actions."""

    system = "skeleton_classifier"
    purpose = "A class for the movement of a body."


class SkeletonInputs(VectorInputs):
    """Joints over time, (T, J, C) or (T, J * C) in Python."""

    def network(self, config: ClassifierModelConfig, answer: Answer) -> ClassifierNetwork:
        assert isinstance(config, SkeletonModelConfig)
        if config.architecture == "encoder":
            return super().network(config, answer)
        features = self.features
        assert isinstance(features, SkeletonFeatures)
        parts = features.column_parts()
        missing = [part for part in FIVE_PARTS if part not in parts]
        if missing and config.architecture == "hierarchy":
            raise ConfigError(
                f"model.architecture is 'hierarchy', but the skeleton has no part called {missing[0]!r}; name a skeleton with "
                "--data.skeleton, or set the architecture to encoder"
            )
        columns = [parts.get(part, []) for part in FIVE_PARTS]
        if missing:
            columns = [list(range(features.output_size)), [], [], [], []]
        tree = FusionTree.of_body(
            columns,
            config.level_cells,
            config.level_sizes,
            hierarchical=config.architecture == "hierarchy",
            bidirectional=config.bidirectional,
            dropout=config.dropout,
            dropout_output=config.dropout_output,
            weight_noise=config.weight_noise,
        )
        front = VectorFront(features.output_size, config.noise_input)
        return ClassifierNetwork(front, tree, Head(config, tree.output_size, answer, config.bidirectional))

    def _example(self, item: Any, where: str) -> Series:
        if not isinstance(item, Series):
            try:
                values = np.asarray(item, np.float32)
            except (TypeError, ValueError, OverflowError):
                return super()._example(item, where)
            item = values.reshape(len(values), -1) if values.ndim == 3 else values
        return super()._example(item, where)


class SkeletonClassifierSystem(VectorSystem):
    """Joints over time to actions."""

    name = "skeleton_classifier"
    summary = "a class for each movement of a body: actions from the joints of a skeleton"
    config = SkeletonClassifierConfig
    examples_name = "sequences"
    takes = "NPZ, MSR, NTU or key point files of joints, or - for JSON lines, a sequence in each: frames of joints"
    kind = "skeletons"
    model, data_config, model_config = SkeletonClassifier, SkeletonDataConfig, SkeletonModelConfig
    features_config, inputs = SkeletonConfig, SkeletonInputs
    kept = ("channels", "joints", "dimensions", "skeleton")

    def read_labelled(self, source: Source, data: Any, part: str) -> LabelledData[Series]:
        """Sequences of any of the formats."""
        place = [one for one in source.place] if not source.is_named else None  # noqa: C416  # an iterator is read once
        if place and all(isinstance(one, Series) for one in place):
            skeleton = preset(data.skeleton if data.skeleton != "auto" else "kinect20")
            return LabelledData(place, {"format": "objects", "dimensions": 3, "skeleton": skeleton.to_dict()})
        return read_skeletons(source if place is None else Source(place), data, part)

    def make_features(self, settings: Any, size: int, facts: Mapping[str, Any]) -> Features:
        """The features of joints."""
        if not facts.get("skeleton"):
            raise ConfigError(
                "which joint is which is not known, as no preset has as many; name a definition with --data.skeleton FILE"
            )
        skeleton, dimensions = Skeleton.of(facts["skeleton"]), int(facts.get("dimensions", 3))
        if len(skeleton.names) * dimensions != size:
            raise ConfigError(f"steps have {size} numbers, but {len(skeleton.names)} joints have {dimensions} each")
        return SkeletonFeatures(settings, skeleton=skeleton, dimensions=dimensions)

    def methods(self) -> Mapping[str, type[Method]]:
        """The class prior, and what compares with the training."""
        return {"prior": Prior, "nearest": Nearest, "rocket": Rocket}

    def sample(self) -> Sample[Series]:
        """Arms that go up, and legs that do."""
        random = np.random.default_rng(0)
        skeleton = preset("kinect20")
        body = random.normal(size=(len(skeleton.names), 3))
        moved = {"arms": (*skeleton.parts["left_arm"], *skeleton.parts["right_arm"]), "leg": skeleton.parts["left_leg"]}

        def moving(label: str, frames: int) -> Series:
            joints = np.repeat(body[None], frames, 0)
            joints[:, list(moved[label]), 1] += np.linspace(0, 2, frames)[:, None]
            joints += random.normal(scale=0.02, size=joints.shape)
            return Series(values=joints.reshape(frames, -1).astype(np.float32), target=label, where=f"sample: {label}")

        examples = [moving(label, frames) for label in moved for frames in (6, 8, 9)]
        return Sample(
            sections={
                "baselines": [],
                "features": {"smooth": False},
                "model": {"architecture": "hierarchy", "level_sizes": [3, 4, 5, 6]},
                "training": {"epochs": 30, "batch_size": 2, "learning_rate": 0.02},
            },
            examples=examples,
            lines=[str(one.values.reshape(len(one.values), -1, 3).tolist()) for one in examples[1:4]],
            inputs=[one.values for one in examples[:3]],
            goal=("accuracy", 1.0, 1.0),
            stream=examples[0].values,
        )
