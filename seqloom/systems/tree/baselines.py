"""Classes of sentences without a network: the most frequent one, and logistic regression on weighted words and pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.trees import Tree
from seqloom.data.vocabulary import TagVocabulary, Vocabulary
from seqloom.errors import ConfigError, ModelError
from seqloom.systems.baseline import ProgressCallback
from seqloom.systems.contract import Splits
from seqloom.systems.saved import Contents, ModelDirectory
from seqloom.systems.tree.config import PURPOSE, USAGE, TreeConfig, TreeDataConfig
from seqloom.systems.tree.model import Analysis, TreeModel

__all__ = ["SentenceBaseline"]

METHODS = ("class_prior", "tfidf")


class SentenceBaseline(TreeModel):
    """A class for a sentence, whatever its tree; other nodes get none.

    Args:
        method: ``class_prior`` or ``tfidf``.
        data: how data were read.
        labels: the classes.
        terms: words and pairs of neighbouring words; empty for ``class_prior``.
        arrays: ``intercept`` (K,), and of ``tfidf`` ``idf`` (V,) and ``weights`` (K, V).
    """

    def __init__(
        self,
        method: str,
        data: TreeDataConfig,
        labels: TagVocabulary,
        terms: Vocabulary,
        arrays: dict[str, NDArray[Any]],
    ) -> None:
        super().__init__(data, labels)
        self.method, self.terms, self.arrays = method, terms, arrays

    @classmethod
    def fit(
        cls, method: str, config: TreeConfig, splits: Splits[Tree], labels: TagVocabulary, progress: ProgressCallback
    ) -> Self:
        """A method fitted on labelled sentences.

        Raises:
            ConfigError: no sentence has a label, or all have the same.
        """
        trees = [tree for tree in splits.train if tree.label]
        gold = labels.lookup([tree.label for tree in trees])
        if not len(gold):
            raise ConfigError(f"the method {method!r} needs labels at the roots, and the training trees have none")
        counts = np.bincount(gold, minlength=len(labels))
        prior = np.log((counts + 1e-9) / counts.sum()).astype(np.float32)
        if method == "class_prior":
            return cls(method, config.data, labels, Vocabulary([]), {"intercept": prior})
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        if (counts > 0).sum() < 2:
            raise ConfigError(f"the method {method!r} needs sentences of two classes, and all are of one")
        vectoriser = TfidfVectorizer(analyzer=_terms, sublinear_tf=True, min_df=1)
        features = vectoriser.fit_transform([_sentence(tree, config.data) for tree in trees])
        regression = LogisticRegression(C=4.0, max_iter=1000).fit(features, gold)
        names = sorted(vectoriser.vocabulary_, key=vectoriser.vocabulary_.__getitem__)
        weights = np.zeros((len(labels), len(names)), np.float32)
        intercept = np.full(len(labels), -1e4, np.float32)
        coefficients, offsets = regression.coef_, regression.intercept_
        if len(regression.classes_) == 2:  # one row decides between two
            coefficients, offsets = (
                np.concatenate([-coefficients / 2, coefficients / 2]),
                np.array([-offsets[0], offsets[0]]) / 2,
            )
        weights[regression.classes_], intercept[regression.classes_] = coefficients, offsets
        arrays = {"intercept": intercept, "idf": vectoriser.idf_.astype(np.float32), "weights": weights}
        return cls(method, config.data, labels, Vocabulary(names), arrays)

    def analyse(self, trees: Sequence[Tree]) -> list[Analysis]:
        return [self._one(tree) for tree in trees]

    def _one(self, tree: Tree) -> Analysis:
        scores = self.arrays["intercept"].astype(np.float64)
        if self.method == "tfidf":
            ids, counts = np.unique(self.terms.lookup(_terms(_sentence(tree, self.data))), return_counts=True)
            known = ids >= len(self.terms) - len(self.terms.entries)
            ids, counts = ids[known] - (len(self.terms) - len(self.terms.entries)), counts[known]
            values = (1 + np.log(counts)) * self.arrays["idf"][ids]
            scores = scores + self.arrays["weights"][:, ids] @ (values / max(float(np.linalg.norm(values)), 1e-12))
        values = np.exp(scores - scores.max())
        probabilities = np.full((len(tree), len(self.labels)), np.nan)
        probabilities[-1] = values / values.sum()
        return Analysis(tree, probabilities)

    def contents(self) -> Contents:
        """What its directory holds."""

        def vocabularies(folder: Path) -> None:
            self.terms.save(folder / "terms.json")
            self.labels.save(folder / "labels.json")

        config = {"method": self.method, "data": asdict(self.data)}
        title = f"Classifier of sentences, {len(self.labels)} classes, {self.method}"
        return Contents(config, self.arrays, title, PURPOSE, USAGE, vocabularies)

    @classmethod
    def from_directory(cls, directory: ModelDirectory) -> Self:
        """The model of a directory.

        Raises:
            ModelError: something is missing or does not fit together.
        """
        method, data = directory.text("method"), directory.built("data", TreeDataConfig)
        terms = Vocabulary.load(directory.vocab / "terms.json")
        labels = TagVocabulary.load(directory.vocab / "labels.json")
        shapes: dict[str, tuple[int, ...]] = {"intercept": (len(labels),)}
        if method == "tfidf":
            shapes |= {"idf": (len(terms.entries),), "weights": (len(labels), len(terms.entries))}
        for name, shape in shapes.items():
            found = directory.tensors.get(name)
            if found is None or found.shape != shape or found.dtype.kind != "f" or not np.isfinite(found).all():
                raise ModelError(f"{directory.path}: {name!r} is missing or damaged; expected numbers {shape}")
        return cls(method, data, labels, terms, {name: directory.tensors[name] for name in shapes})


def _sentence(tree: Tree, data: TreeDataConfig) -> list[str]:
    return [word.lower() for word in tree.sentence] if data.lower else list(tree.sentence)


def _terms(words: Sequence[str]) -> list[str]:
    """Words and pairs of neighbours, in lower case."""
    lower = [word.lower() for word in words]
    return [*lower, *(f"{first} {second}" for first, second in pairwise(lower))]
