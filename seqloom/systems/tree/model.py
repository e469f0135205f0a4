"""A classifier of trees as a model: from texts or trees to classes, with everything that is needed in one directory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from seqloom.data.source import listed
from seqloom.data.trees import Tree, balanced, binarised, from_merges, right_branching
from seqloom.data.trees.formats import trees_of_lines
from seqloom.data.trees.tree import MOST_LEVELS
from seqloom.data.vocabulary import TagVocabulary, Vocabulary
from seqloom.errors import DataError, ModelError
from seqloom.layers.tree import Forest
from seqloom.systems.saved import Contents, ModelDirectory, SavedModel, check_fit, load_weights, weights_of
from seqloom.systems.supervised import evaluating
from seqloom.systems.tree.config import PURPOSE, USAGE, Network, TreeDataConfig, TreeModelConfig
from seqloom.systems.tree.encoding import TreeCorpus
from seqloom.systems.tree.network import AutoencoderNetwork, NodeNetwork, build_network

__all__ = ["Analysis", "TreeClassifier", "TreeModel", "prepared", "words_of"]

NODES = 4000
"""Of a batch at prediction."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a model says of a tree.

    Attributes:
        tree: as the model reads it; of texts and of the method ``rae`` the one that was made.
        probabilities: (N, K) of each node; NaN where the method has none.
    """

    tree: Tree
    probabilities: NDArray[np.float64]

    def best(self, labels: Sequence[str]) -> list[str]:
        """The most probable label of each node; empty where there is none."""
        known = ~np.isnan(self.probabilities[:, 0])
        chosen = np.nan_to_num(self.probabilities, nan=-1.0).argmax(1)
        return [labels[label] if good else "" for label, good in zip(chosen, known, strict=True)]


def words_of(text: str) -> list[str]:
    """The words of a text: what stands between spaces."""
    return text.replace("\t", " ").strip(" \r\n").split(" ") if text.strip(" \t\r\n") else []


class TreeModel(SavedModel):
    """What classifiers of trees share, with a network or without.

    Args:
        data: how data were read.
        labels: the classes, and thereby their ids.
    """

    system = "tree_classifier"
    method: str

    def __init__(self, data: TreeDataConfig, labels: TagVocabulary) -> None:
        super().__init__()
        self.data, self.labels = data, labels

    @abstractmethod
    def analyse(self, trees: Sequence[Tree]) -> list[Analysis]:
        """The probabilities of the classes of every node."""

    @property
    def makes_trees(self) -> bool:
        """Whether the method finds the trees itself, or needs none."""
        return True

    def tree_of(self, given: Any, where: str = "<memory>") -> Tree:
        """A tree; the tree in brackets, or the words, of a string; the words of a list.

        Raises:
            DataError: it is none of these, or empty.
        """
        if isinstance(given, Tree):
            return given
        if isinstance(given, str) and given.lstrip().startswith("("):
            return next(trees_of_lines(iter([(1, given)]), where, "brackets"))
        words = words_of(given) if isinstance(given, str) else [str(word) for word in given]
        if not words or not all(words):
            raise DataError(f"{where}: there are no words; expected at least one")
        if len(words) > MOST_LEVELS:
            raise DataError(f"{where}: a text of {len(words):,} words; expected a sentence of at most {MOST_LEVELS:,}")
        return balanced(words, where) if self.data.shape == "balanced" else right_branching(words, where)

    def analyses(self, inputs: Any) -> list[Analysis]:
        """What `analyse` says of trees, strings or lists of words.

        Raises:
            DataError: an input is none of these; names which.
        """
        given = listed(inputs, _is_input, "a tree, a text, or a list of words")
        return self.analyse([self.tree_of(one, f"input[{position}]") for position, one in enumerate(given)])

    def predict(self, inputs: Any) -> list[str]:
        """The class of each tree, text or list of words."""
        return [analysis.best(self.labels.entries)[-1] for analysis in self.analyses(inputs)]


def _is_input(value: Any) -> bool:
    return isinstance(value, Tree | str) or (
        isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    )


def prepared(tree: Tree, data: TreeDataConfig, method: str) -> Tree:
    """A tree as a network reads it: in lower case, with two children at most.

    Raises:
        DataError: inner nodes have words, which the method does not read; names the tree.
    """
    if data.lower:
        tree = Tree(tree.parents, tuple(w.lower() for w in tree.words), tree.labels, tree.where, tree.order, tree.unary)
    if method == "child_sum":
        return tree
    if method != "rae" and not tree.is_constituency:
        raise DataError(
            f"{tree.where or '<memory>'}: inner nodes of the tree have words, as in dependency trees; expected words at the "
            f"leaves for the method {method}, or choose the method child_sum"
        )
    return binarised(tree) if tree.is_constituency else tree


class TreeClassifier(TreeModel):
    """A class for a sentence and for each node of its tree, by a network.

    Args:
        method: its name.
        config: sizes and dropout.
        data: how data were read.
        words: the vocabulary.
        labels: the classes.
        at_leaves: whether only leaves have words.
    """

    def __init__(
        self,
        method: str,
        config: TreeModelConfig,
        data: TreeDataConfig,
        words: Vocabulary,
        labels: TagVocabulary,
        at_leaves: bool = True,
    ) -> None:
        super().__init__(data, labels)
        self.method, self.config, self.words, self.at_leaves = method, config, words, at_leaves
        self.network = build_network(method, config, len(words), len(labels), at_leaves)

    @property
    def makes_trees(self) -> bool:
        return self.method == "rae"

    def encode(
        self, trees: Sequence[Tree], labels: Sequence[NDArray[np.int64]] | None = None, hide: bool = False
    ) -> TreeCorpus:
        """Prepared trees as the network takes them."""
        rate = self.config.word_dropout if hide else 0.0
        return TreeCorpus(trees, self.words, labels, at_leaves=self.at_leaves, word_dropout=rate)

    def prepare(self, trees: Sequence[Tree]) -> list[Tree]:
        """Trees as the network reads them.

        Raises:
            DataError: a tree is of another kind than those of the training.
        """
        ready = [prepared(tree, self.data, self.method) for tree in trees]
        for tree in ready:
            if self.method == "child_sum" and self.at_leaves and not tree.is_constituency:
                raise DataError(
                    f"{tree.where or '<memory>'}: inner nodes of the tree have words; expected "
                    "words at the leaves, as in training"
                )
        return ready

    def analyse(self, trees: Sequence[Tree]) -> list[Analysis]:
        ready = self.prepare(trees)
        found: list[Analysis | None] = [None] * len(ready)
        order = sorted(range(len(ready)), key=lambda index: len(ready[index]))
        corpus = self.encode(ready)
        first = 0
        with evaluating(self.network):
            while first < len(order):
                last, nodes = first, 0
                while last < len(order) and (last == first or nodes + len(ready[order[last]]) <= NODES):
                    nodes += len(ready[order[last]])
                    last += 1
                some = np.array(order[first:last])
                for index, analysis in zip(some, self._batch(corpus, some, ready), strict=True):
                    found[index] = analysis
                first = last
        return [analysis for analysis in found if analysis is not None]

    def _batch(self, corpus: TreeCorpus, indices: NDArray[np.int64], trees: Sequence[Tree]) -> list[Analysis]:
        batch = corpus.batch(indices)
        network = self.network
        if isinstance(network, AutoencoderNetwork):
            merges = network.parsed(batch.sentences)
            found = [
                from_merges(trees[i].sentence, some, trees[i].where) for i, some in zip(indices, merges, strict=True)
            ]
            forest = Forest.joined([tree.parents for tree in found], [tree.heights for tree in found])
            scores, sentences, _ = network.outputs(batch.sentences, forest)
            scores[forest.roots] = sentences
        else:
            assert isinstance(network, NodeNetwork)
            found, forest, scores = [trees[i] for i in indices], batch.forest, network.outputs(batch)
        flat = np.empty((forest.total, len(self.labels)))
        flat[forest.order.numpy()] = torch.softmax(scores.double(), 1).cpu().numpy()
        ends = np.cumsum([len(tree) for tree in found])
        return [Analysis(tree, flat[end - len(tree) : end]) for tree, end in zip(found, ends, strict=True)]

    def contents(self) -> Contents:
        """What its directory holds."""

        def vocabularies(folder: Path) -> None:
            self.words.save(folder / "words.json")
            self.labels.save(folder / "labels.json")

        config = {
            "method": self.method,
            "model": asdict(self.config),
            "data": asdict(self.data),
            "words_at_leaves": self.at_leaves,
        }
        title = f"Classifier of trees, {len(self.labels)} classes, {self.method}"
        return Contents(config, weights_of(self.network), title, PURPOSE, USAGE, vocabularies)

    @classmethod
    def from_directory(cls, directory: ModelDirectory) -> Self:
        """The model of a directory.

        Raises:
            ModelError: something is missing or does not fit together.
        """
        config, data = directory.built("model", TreeModelConfig), directory.built("data", TreeDataConfig)
        words = Vocabulary.load(directory.vocab / "words.json")
        labels = TagVocabulary.load(directory.vocab / "labels.json")
        method, at_leaves = directory.text("method"), directory.setting("words_at_leaves")
        if not isinstance(at_leaves, bool) or not (at_leaves or method == "child_sum"):
            raise ModelError(
                f"{directory.path / 'config.yaml'}: 'words_at_leaves' is {at_leaves!r}; the directory is damaged"
            )
        if method not in get_args(Network):
            raise ModelError(
                f"{directory.path / 'config.yaml'}: {method[:40]!r} is no method; the directory is damaged"
            )
        check_fit(directory, lambda: build_network(method, config, len(words), len(labels), at_leaves))
        model = cls(method, config, data, words, labels, at_leaves)
        load_weights(model.network, directory)
        return model
