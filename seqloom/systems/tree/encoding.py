"""Trees as the network takes them: a forest, the ids of its words, the classes of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.data.trees import Tree
from seqloom.data.vocabulary import IGNORED, PADDING, UNKNOWN, TagVocabulary, Vocabulary
from seqloom.errors import DataError
from seqloom.layers.tree import Forest
from seqloom.systems.supervised import Corpus, Indices

__all__ = ["TreeBatch", "TreeCorpus", "label_ids"]


@dataclass(frozen=True, eq=False)
class TreeBatch:
    """B trees of N nodes in all.

    Attributes:
        lengths: (B,) nodes of each.
        forest: the trees.
        words: (K,) ids: of the leaves, or of all nodes, in the order of the forest.
        labels: (N,) ids in the order of the forest; IGNORED where a node has none.
        sentences: the ids of each tree's words in the order of the text.
    """

    lengths: Tensor
    forest: Forest
    words: Tensor
    labels: Tensor
    sentences: Sequence[Tensor]

    def to(self, device: Any, **options: Any) -> TreeBatch:
        """The same on another device."""
        moved = [part.to(device, **options) for part in (self.lengths, self.words, self.labels)]
        sentences = [one.to(device, **options) for one in self.sentences]
        return TreeBatch(moved[0], self.forest.to(device, **options), moved[1], moved[2], sentences)


class TreeCorpus(Corpus):
    """Encoded trees.

    Args:
        trees: as the network reads them.
        words: the vocabulary.
        labels: for each tree the (N,) ids of its nodes' classes, or none.
        at_leaves: whether only leaves have words.
        word_dropout: probability that a word seen once in training is read as unknown, where chances are wanted.
    """

    def __init__(
        self,
        trees: Sequence[Tree],
        words: Vocabulary,
        labels: Sequence[NDArray[np.int64]] | None,
        *,
        at_leaves: bool = True,
        word_dropout: float = 0.0,
    ) -> None:
        self._parents = [tree.parents for tree in trees]
        self._heights = [tree.heights for tree in trees]
        self._labels = labels
        self._at_leaves, self._word_dropout = at_leaves, word_dropout
        self._rare = words.counts == 1
        self._words = []
        for tree in trees:
            ids = words.lookup(tree.words)
            self._words.append(np.where([word == "" for word in tree.words], PADDING, ids))
        self._tokens = [np.array(tree.tokens, np.int64) for tree in trees]
        self.lengths = np.array([len(tree) for tree in trees], dtype=np.int64)

    def batch(self, indices: Indices, random: np.random.Generator | None = None) -> TreeBatch:
        """The forest of these trees."""
        forest = Forest.joined([self._parents[i] for i in indices], [self._heights[i] for i in indices])
        chosen = [self._words[i] for i in indices]
        if random is not None and self._word_dropout:
            chosen = [self._hidden(ids, random) for ids in chosen]
        order = forest.order.numpy()
        flat = np.concatenate(chosen)[order]
        words = flat[: forest.leaves] if self._at_leaves else flat
        if self._labels is None:
            labels = np.full(len(order), IGNORED)
        else:
            labels = np.concatenate([self._labels[i] for i in indices])[order]
        sentences = [torch.from_numpy(ids[self._tokens[i]]) for i, ids in zip(indices, chosen, strict=True)]
        lengths = torch.from_numpy(self.lengths[indices])
        return TreeBatch(lengths, forest, torch.from_numpy(words), torch.from_numpy(labels), sentences)

    def _hidden(self, ids: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        hide = self._rare[ids] & (random.random(len(ids)) < self._word_dropout)
        return np.where(hide, UNKNOWN, ids)


def label_ids(tree: Tree, labels: TagVocabulary) -> NDArray[np.int64]:
    """(N,) the ids of a tree's labels; IGNORED where a node has none.

    Raises:
        DataError: training has no such label; names the tree.
    """
    known = {name: number for number, name in enumerate(labels.entries)}
    ids = np.full(len(tree), IGNORED)
    for node, label in enumerate(tree.labels):
        if label:
            if label not in known:
                raise DataError(
                    f"{tree.where or '<memory>'}: the label {label[:40]!r} does not occur in training; it has "
                    f"{', '.join(labels.entries[:10])}"
                )
            ids[node] = known[label]
    return ids
