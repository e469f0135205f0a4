"""The network of every classifier of trees: vectors of words, a recurrence over the tree, a softmax at every node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from seqloom.data.trees import from_merges
from seqloom.data.vocabulary import IGNORED
from seqloom.layers.dropout import dropout
from seqloom.layers.embedding import SparseEmbedding
from seqloom.layers.tree import (
    ChildSumTreeLSTM,
    Forest,
    NaryTreeLSTM,
    RecursiveAutoencoder,
    RecursiveNet,
    RecursiveTensorNet,
    TreeLayer,
)
from seqloom.systems.supervised import Network
from seqloom.systems.tree.config import TreeModelConfig
from seqloom.systems.tree.encoding import TreeBatch

__all__ = ["AutoencoderNetwork", "NodeNetwork", "TreeNetwork", "build_network"]

_LAYERS: Mapping[str, Callable[[TreeModelConfig, bool], TreeLayer]] = {
    "tree_lstm": lambda config, leaves: NaryTreeLSTM(config.embedding_size, config.hidden_size),
    "child_sum": lambda config, leaves: ChildSumTreeLSTM(
        config.embedding_size, config.hidden_size, words="leaves" if leaves else "all"
    ),
    "rntn": lambda config, leaves: RecursiveTensorNet(config.embedding_size, rate=config.tensor_rate),
    "recursive": lambda config, leaves: RecursiveNet(config.embedding_size),
}


class TreeNetwork(Network):
    """What the networks share: the vectors of words.

    The table holds a word's vector divided by ``embedding_rate``: an optimiser whose steps do not depend on the size of
    gradients then moves the vectors so many times as fast as the rest.
    """

    def __init__(self, config: TreeModelConfig, words: int) -> None:
        super().__init__()
        self.config, self.rate = config, config.embedding_rate
        self.embedding = SparseEmbedding(words, config.embedding_size, scale=config.embedding_scale / self.rate)
        self.embedding.weight.requires_grad_(config.train_embeddings)

    def load_vectors(self, rows: Tensor, vectors: Tensor) -> None:
        """Puts vectors into rows of the table."""
        self.embedding.load_rows(rows, vectors / self.rate)

    def vectors(self, words: Tensor) -> Tensor:
        """(K, n) of words, some of their units dropped in training."""
        return dropout(self.embedding(words) * self.rate, self.config.dropout_input, self.training)


class NodeNetwork(TreeNetwork):
    """A recurrence over the trees that are given, and a softmax at every node (Socher et al. 2013; Tai et al. 2015).

    Args:
        method: its name.
        config: sizes and dropout.
        words: rows of the table of words.
        classes: K.
        at_leaves: whether only leaves have words.
    """

    def __init__(self, method: str, config: TreeModelConfig, words: int, classes: int, at_leaves: bool) -> None:
        super().__init__(config, words)
        self.layer = _LAYERS[method](config, at_leaves)
        self.scores = nn.Linear(self.layer.output_size, classes)

    def outputs(self, batch: TreeBatch) -> Tensor:
        """(N, K) unnormalised scores of the classes of all nodes, in the order of the forest."""
        nodes, _ = self.layer(self.vectors(batch.words), batch.forest)
        scores: Tensor = self.scores(dropout(nodes, self.config.dropout_output, self.training))
        return scores

    def forward(self, batch: TreeBatch) -> Tensor:
        """Nats of the labels of a tree's nodes, to be minimised; the mean over the trees."""
        return node_loss(self.outputs(batch), batch, self.config.node_weight)


def node_loss(scores: Tensor, batch: TreeBatch, node_weight: float) -> Tensor:
    """Nats of all labelled nodes, the root's with weight 1, divided by the number of trees."""
    losses = F.cross_entropy(scores, batch.labels, ignore_index=IGNORED, reduction="none")
    total = losses.sum() * node_weight
    if node_weight != 1.0:
        total = total + losses.index_select(0, batch.forest.roots).sum() * (1.0 - node_weight)
    return total / max(1, len(batch.forest))


class AutoencoderNetwork(TreeNetwork):
    """A recursive autoencoder that finds the trees itself (Socher et al. 2011).

    Every inner node of a found tree learns the class of the sentence; what decides is a softmax on the root beside the mean of
    the nodes, learned with them.
    """

    def __init__(self, config: TreeModelConfig, words: int, classes: int) -> None:
        super().__init__(config, words)
        size = config.embedding_size
        self.layer = RecursiveAutoencoder(size, normalise=config.normalise)
        self.scores = nn.Linear(size, classes)
        self.sentence_scores = nn.Linear(2 * size, classes)

    def parsed(self, sentences: Sequence[Tensor]) -> list[list[int]]:
        """The merges of each sentence's tree."""
        lengths = [len(sentence) for sentence in sentences]
        with torch.no_grad():
            vectors = self.embedding(pad_sequence(list(sentences), batch_first=True)) * self.rate
        return self.layer.parse(vectors, lengths)

    def outputs(self, sentences: Sequence[Tensor], forest: Forest) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (N, K) of all nodes and (B, K) of the sentences, and the error (N - leaves,) of each inner node."""
        # The leaves of a forest come in the order of the trees and of their words.
        nodes, _ = self.layer(self.vectors(torch.cat(list(sentences))), forest)
        tree = forest_rows(forest, [len(sentence) for sentence in sentences])
        inner = nodes[forest.leaves :]
        counts = torch.bincount(tree[forest.leaves :], minlength=len(forest)).clamp(min=1).unsqueeze(1)
        mean = nodes.new_zeros(len(forest), nodes.shape[1]).index_add(0, tree[forest.leaves :], inner) / counts
        both = torch.cat([nodes.index_select(0, forest.roots), mean], 1)
        drop = self.config.dropout_output
        node_scores = self.scores(dropout(nodes, drop, self.training))
        sentence_scores = self.sentence_scores(dropout(both, drop, self.training))
        return node_scores, sentence_scores, self.layer.reconstruction(nodes, forest)

    def forward(self, batch: TreeBatch) -> Tensor:
        """Reconstruction and nats of the classes, weighted, of a tree's nodes, to be minimised; the mean over the trees."""
        merges = self.parsed(batch.sentences)
        trees = [from_merges([""] * len(ids), some).parents for ids, some in zip(batch.sentences, merges, strict=True)]
        forest = Forest.of(trees).to(batch.words.device)
        nodes, sentences, errors = self.outputs(batch.sentences, forest)
        gold = batch.labels.index_select(0, batch.forest.roots)
        tree = forest_rows(forest, [len(sentence) for sentence in batch.sentences])
        of_nodes = F.cross_entropy(
            nodes[forest.leaves :], gold[tree[forest.leaves :]], ignore_index=IGNORED, reduction="sum"
        )
        of_roots = F.cross_entropy(sentences, gold, ignore_index=IGNORED, reduction="sum")
        alpha = self.config.alpha
        return (alpha * errors.sum() + (1 - alpha) * (of_nodes * self.config.node_weight + of_roots)) / max(
            1, len(forest)
        )


def forest_rows(forest: Forest, lengths: Sequence[int]) -> Tensor:
    """(N,) the tree of each node of a forest of binary trees of so many words."""
    device = forest.order.device
    sizes = torch.tensor([2 * length - 1 for length in lengths], device=device)
    return torch.arange(len(sizes), device=device).repeat_interleave(sizes).index_select(0, forest.order)


def build_network(method: str, config: TreeModelConfig, words: int, classes: int, at_leaves: bool) -> TreeNetwork:
    """The network of a method."""
    if method == "rae":
        return AutoencoderNetwork(config, words, classes)
    return NodeNetwork(method, config, words, classes, at_leaves)
