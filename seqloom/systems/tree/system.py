"""The classifier of trees: a class at the root and at every node, such as the sentiment of phrases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seqloom.data.source import Source
from seqloom.data.trees import Tree, read_trees
from seqloom.data.trees.formats import trees_of_lines
from seqloom.data.vocabulary import TagVocabulary, Vocabulary
from seqloom.errors import ConfigError, DataError
from seqloom.systems.baseline import Baseline, ProgressCallback
from seqloom.systems.contract import Dataset, Sample, Splits, System
from seqloom.systems.evaluation import Evaluation
from seqloom.systems.saved import ModelDirectory
from seqloom.systems.supervised import Corpus
from seqloom.systems.tree.baselines import METHODS, SentenceBaseline
from seqloom.systems.tree.config import PredictOptions, TreeConfig, TreeDataConfig

__all__ = ["TreeSystem"]

_BINARY = {"0": "negative", "1": "negative", "3": "positive", "4": "positive", "2": ""}


class TreeSystem(System[TreeConfig, Tree, Any]):
    """A class for a sentence and for each node of its tree."""

    name, family = "tree_classifier", "TreeModel"
    summary = "a class for a tree and each of its nodes: Tree-LSTM, RNTN, recursive network and autoencoder"
    config, options = TreeConfig, PredictOptions
    examples_name = "trees"
    takes = "a file with a tree in brackets or a text in each line, compressed or not, or - for standard input"
    kind = "trees"

    def read(self, source: Source, data: TreeDataConfig) -> Dataset[Tree]:
        """The trees of a source, with the classes that the configuration wants.

        Raises:
            DataError: the file is wrong, or no root has a label; names the line.
        """
        if source.is_named:
            trees = list(read_trees(source.path(), data.format, data.encoding))
        else:
            trees = [_tree(item, position) for position, item in enumerate(source.place)]
        if data.classes == "binary":
            trees = [_binary(tree) for tree in trees if tree.label != "2"]
        if not any(tree.label for tree in trees):
            raise DataError(
                f"{source.name} has no tree with a label at the root; expected trees such as (3 (2 Not) (4 bad))"
            )
        return Dataset(trees[: data.limit])

    def build(self, config: TreeConfig, splits: Splits[Tree]) -> tuple[Any, Corpus]:
        """A fresh model, and its training trees.

        Raises:
            ConfigError: the vectors have another size.
            DataError: a tree does not fit the method, or a file of vectors is wrong.
        """
        from collections import Counter

        from seqloom.systems.tree.encoding import label_ids
        from seqloom.systems.tree.model import TreeClassifier, prepared

        trees = [prepared(tree, config.data, config.method) for tree in splits.train]
        counts = Counter(word for tree in trees for word in tree.words if word)
        words = Vocabulary.build(counts.elements(), config.model.minimum_count)
        if config.model.embeddings is not None and config.model.extra_vectors:
            words = _with_extra(words, config.model.embeddings, config.model.extra_vectors)
        at_leaves = config.method == "rae" or all(tree.is_constituency for tree in trees)
        model = TreeClassifier(config.method, config.model, config.data, words, _labels(trees), at_leaves)
        if config.model.embeddings is not None:
            model.about = {"embeddings": _load_vectors(model, config.model.embeddings)}
        corpus = model.encode(trees, [label_ids(tree, model.labels) for tree in trees], hide=True)
        return model, corpus

    def encode(self, model: Any, examples: Sequence[Tree]) -> Corpus:
        """Trees with their classes as the network takes them.

        Raises:
            ConfigError: the model has no network.
            DataError: a label is unknown to the model, or a tree does not fit the method.
        """
        from seqloom.systems.tree.encoding import label_ids

        if isinstance(model, SentenceBaseline):
            raise ConfigError(f"a model of the method {model.method!r} has no network")
        trees = model.prepare(examples)
        corpus: Corpus = model.encode(trees, [label_ids(tree, model.labels) for tree in trees])
        return corpus

    def score(self, model: Any, examples: Sequence[Tree]) -> Evaluation:
        """Accuracy at the roots and at all nodes; of five classes of sentiment also negative against positive."""
        from seqloom.systems.tree.scoring import score

        return score(model, examples)

    def validation_scores(self, model: Any, examples: Sequence[Tree]) -> dict[str, float]:
        """The scores without the panels."""
        from seqloom.systems.tree.scoring import score

        return score(model, examples, panels=False).values()

    def predict(self, model: Any, source: Source, options: PredictOptions) -> Iterator[str | bytes]:
        """A class, a tree with classes or a drawing for each line."""
        from seqloom.systems.tree.output import predict

        return predict(model, source, options)

    def restore(self, directory: ModelDirectory) -> Any:
        """A model with a network or without."""
        if directory.text("method") in METHODS:
            return SentenceBaseline.from_directory(directory)
        from seqloom.systems.tree.model import TreeClassifier

        return TreeClassifier.from_directory(directory)

    def baselines(self) -> Mapping[str, Baseline]:
        """The most frequent class, and logistic regression on weighted words and pairs of words."""
        return {name: _baseline(name) for name in METHODS}

    def evaluation_examples(self, model: Any, source: Source) -> Sequence[Tree]:
        """Trees, read as the training data were."""
        from dataclasses import replace

        return self.read(source, replace(model.data, limit=None)).examples

    def errors(self, model: Any, examples: Sequence[Tree]) -> list[dict[str, Any]]:
        """A row for each tree whose root has another class than it should, the most certain mistake first."""
        entries = model.labels.entries
        rows = []
        for tree, analysis in zip(examples, model.analyse(examples), strict=True):
            predicted, root = analysis.best(entries)[-1], analysis.probabilities[-1]
            if tree.label and predicted != tree.label:
                gold = float(root[entries.index(tree.label)]) if tree.label in entries else 0.0
                row = {"where": tree.where, "gold": tree.label, "predicted": predicted}
                rows.append({**row, "probability": float(root.max()), "of_gold": gold, "text": tree.text})
        return sorted(rows, key=lambda row: -float(row["probability"]))

    def sample(self) -> Sample[Tree]:
        """Four phrases that a negation turns."""
        lines = [
            "(3 (2 a) (3 (3 good) (2 film)))",
            "(1 (1 not) (3 (3 good) (2 film)))",
            "(1 (1 bad) (2 film))",
            "(3 (1 not) (1 bad))",
        ]
        trees = [_tree(line, position) for position, line in enumerate(lines)]
        return Sample(
            sections={
                "model": {"embedding_size": 8, "hidden_size": 8, "dropout_output": 0, "word_dropout": 0},
                "training": {"epochs": 60, "batch_size": 2, "learning_rate": 0.1},
            },
            examples=trees,
            lines=[*lines, "a film", "(2 (2 not) (2 (2 a) (2 film)))"],
            inputs=["a good film", trees[0], ["not", "bad"]],
            goal=("root_accuracy", 1.0, 1.0),
        )


def _labels(trees: Sequence[Tree]) -> TagVocabulary:
    """The labels of all nodes, in the order of their names."""
    from collections import Counter

    counted = Counter(label for tree in trees for label in tree.labels if label)
    names = sorted(counted)
    if not names:
        raise DataError("no node of the training trees has a label; expected trees such as (3 (2 Not) (4 bad))")
    return TagVocabulary(names, [counted[name] for name in names])


def _tree(item: Any, position: int) -> Tree:
    if isinstance(item, Tree):
        return item
    if not isinstance(item, str):
        raise DataError(f"input[{position}] is a {type(item).__name__}; expected a tree, or one in brackets")
    return next(trees_of_lines(iter([(1, item)]), f"input[{position}]", "brackets"))


def _binary(tree: Tree) -> Tree:
    try:
        return tree.with_labels([_BINARY[label] if label else "" for label in tree.labels])
    except KeyError as error:
        raise DataError(
            f"{tree.where or '<memory>'}: the label {str(error.args[0])[:40]!r} is none of 0 to 4, of which data.classes: binary "
            "makes two classes; leave data.classes as it is"
        ) from None


def _baseline(name: str) -> Baseline:
    def fit(config: TreeConfig, splits: Splits[Tree], progress: ProgressCallback) -> SentenceBaseline:
        return SentenceBaseline.fit(name, config, splits, _labels(splits.train), progress)

    return Baseline(fit, needs="sklearn" if name == "tfidf" else "")


def _with_extra(words: Vocabulary, file: str, count: int) -> Vocabulary:
    """The vocabulary with the first words of a file of vectors behind those of the training data."""
    from seqloom.data.embeddings import first_words
    from seqloom.data.vocabulary import SPECIALS

    extra = [word for word in first_words(file, count) if word not in words and word not in SPECIALS]
    counts = [*words.counts[len(SPECIALS) :].tolist(), *[0] * len(extra)]
    return Vocabulary([*words.entries, *extra], counts)


def _load_vectors(model: Any, file: str) -> str:
    """Puts the vectors of a file into the table; says how many words were found."""
    import numpy as np
    import torch

    from seqloom.data.embeddings import load_embeddings
    from seqloom.data.vocabulary import SPECIALS

    values = model.words.entries
    found = load_embeddings(file, values)
    size = model.config.embedding_size
    if found.vectors.shape[1] != size:
        raise ConfigError(
            f"model.embeddings: {file} has vectors of size {found.vectors.shape[1]}, but model.embedding_size is {size}; "
            f"set it to {found.vectors.shape[1]}"
        )
    rows = torch.from_numpy(np.flatnonzero(found.present) + len(SPECIALS))
    model.network.load_vectors(rows, torch.from_numpy(found.vectors[found.present]))
    return f"{int(found.present.sum()):,} of {len(values):,} words found in {file}"
