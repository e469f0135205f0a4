"""The systems by name. Each is found when it is used: listing them, or printing the help of a recipe, imports none of them."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqloom.errors import ConfigError, ModelError, did_you_mean

__all__ = ["SYSTEMS", "Registered", "current_name", "load", "register", "system"]


@dataclass(frozen=True)
class Registered:
    """A named system and where its parts are: as ``module:name``, or the classes themselves.

    Attributes:
        config, options: its dataclasses, which import no torch.
        system: its :class:`~seqloom.systems.contract.System`.
        takes: what ``predict`` reads, for the help.
    """

    name: str
    family: str
    summary: str
    config: str | type
    options: str | type
    system: str | type
    takes: str = "a text file, compressed or not, or - for standard input"

    def config_class(self) -> type:
        """The dataclass of its recipes."""
        return _resolve(self.config)

    def options_class(self) -> type:
        """The dataclass of the options of ``predict``."""
        return _resolve(self.options)

    def create(self) -> Any:
        """The system itself."""
        return _resolve(self.system)()


def _resolve(place: str | type) -> type:
    if not isinstance(place, str):
        return place
    module, name = place.split(":")
    resolved: type = getattr(importlib.import_module(module), name)
    return resolved


SYSTEMS: dict[str, Registered] = {
    one.name: one
    for one in (
        Registered(
            "segmenter",
            "Tagger",
            "words of Chinese text: dictionary, lattice, HMM, feature CRF, BLSTM and BLSTM-CRF methods",
            "seqloom.systems.tagger.segmentation.config:SegmenterConfig",
            "seqloom.systems.tagger.segmentation.config:PredictOptions",
            "seqloom.systems.tagger.segmentation.system:SegmenterSystem",
        ),
        Registered(
            "tagger",
            "Tagger",
            "one tag for each token of CoNLL columns, CoNLL-U, JSON lines or segmented text",
            "seqloom.systems.tagger.config:TaggerConfig",
            "seqloom.systems.tagger.config:PredictOptions",
            "seqloom.systems.tagger.system:TaggerSystem",
        ),
        Registered(
            "document_classifier",
            "Classifier",
            "a class, or several, for each text: topics, sentiment, intents",
            "seqloom.systems.classifier.documents.config:DocumentClassifierConfig",
            "seqloom.systems.classifier.config:PredictOptions",
            "seqloom.systems.classifier.documents.system:DocumentClassifierSystem",
            "a table, JSON lines, lines of text or a folder, compressed or not, or - for a text in each line",
        ),
        Registered(
            "ink_classifier",
            "Classifier",
            "a class for each character from a pen: digits, letters, signs",
            "seqloom.systems.classifier.ink.config:InkClassifierConfig",
            "seqloom.systems.classifier.config:PredictOptions",
            "seqloom.systems.classifier.ink.system:InkClassifierSystem",
            "UNIPEN, InkML, JSON or NPZ ink, or - for JSON lines, a character in each: a list of strokes",
        ),
        Registered(
            "skeleton_classifier",
            "Classifier",
            "a class for each movement of a body: actions from the joints of a skeleton",
            "seqloom.systems.classifier.skeletons.config:SkeletonClassifierConfig",
            "seqloom.systems.classifier.config:PredictOptions",
            "seqloom.systems.classifier.skeletons.system:SkeletonClassifierSystem",
            "NPZ, MSR, NTU or key point files of joints, or - for JSON lines, a sequence in each: frames of joints",
        ),
        Registered(
            "series_classifier",
            "Classifier",
            "a class, several, or real values for each series of vectors: sensors, gestures, recordings",
            "seqloom.systems.classifier.series.config:SeriesClassifierConfig",
            "seqloom.systems.classifier.config:PredictOptions",
            "seqloom.systems.classifier.series.system:SeriesClassifierSystem",
            ".ts, .arff, NPZ, CSV or a folder of CSV, or - for JSON lines, a series in each: steps of numbers",
        ),
        Registered(
            "image_classifier",
            "Classifier",
            "a class for each image that is read as a sequence of rows, columns or pixels",
            "seqloom.systems.classifier.images.config:ImageClassifierConfig",
            "seqloom.systems.classifier.config:PredictOptions",
            "seqloom.systems.classifier.images.system:ImageClassifierSystem",
            "a folder of PNG, an NPZ archive, or - for JSON lines, an image in each: rows of grey values",
        ),
        Registered(
            "synthetic",
            "Classifier",
            "answers about generated sequences, and images read as sequences: adding, copy, parity, permuted MNIST, ...",
            "seqloom.systems.synthetic.config:SyntheticConfig",
            "seqloom.systems.synthetic.config:PredictOptions",
            "seqloom.systems.synthetic.system:SyntheticSystem",
            "a file of JSON lines, a sequence each, compressed or not, or - for standard input",
        ),
        Registered(
            "tree_classifier",
            "TreeModel",
            "a class for a tree and each of its nodes: Tree-LSTM, RNTN, recursive network and autoencoder",
            "seqloom.systems.tree.config:TreeConfig",
            "seqloom.systems.tree.config:PredictOptions",
            "seqloom.systems.tree.system:TreeSystem",
            "a file with a tree in brackets or a text in each line, compressed or not, or - for standard input",
        ),
    )
}


# Names of earlier releases, which models and recipes still have.
_FORMER = {"longterm": "synthetic"}


def register(cls: type) -> type:
    """Registers a system of one's own, a subclass of `System`; a decorator. The command line runs it with ``--import FILE``.

    Raises:
        ConfigError: the name is taken.
    """
    described: Any = cls
    if described.name in SYSTEMS and SYSTEMS[described.name].system is not cls:
        raise ConfigError(f"a system called {described.name!r} is registered already; choose another name")
    SYSTEMS[described.name] = Registered(
        described.name, described.family, described.summary, described.config, described.options, cls, described.takes
    )
    return cls


def current_name(name: str) -> str:
    """The name of a system that models and recipes may call by a former one."""
    return _FORMER.get(name, name)


def system(name: str, where: str = "system") -> Registered:
    """The system of that name, or of that former name.

    Raises:
        ConfigError: there is none; the sentence offers the nearest.
    """
    name = current_name(name)
    if name not in SYSTEMS:
        raise ConfigError(f"{where}: {name!r} is not a known system{did_you_mean(str(name), SYSTEMS)}")
    return SYSTEMS[name]


def load(path: str | os.PathLike[str]) -> Any:
    """Loads a model directory; never runs code from it.

    Raises:
        ModelError: the directory is missing, damaged or foreign.
    """
    from seqloom.systems.saved import read_config

    name = current_name(str(read_config(Path(path))["system"]))
    if name not in SYSTEMS:
        raise ModelError(f"{Path(path) / 'config.yaml'}: system {name!r} is not one of {', '.join(SYSTEMS)}")
    return SYSTEMS[name].create().load(path)
