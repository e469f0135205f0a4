"""Recurrences over trees: seqloom's levels against the same in plain PyTorch, level by level and node by node.

All run interleaved in one process on the same trees and weights, forward and backward together; the table gives medians, and
the median of the ratios of neighbouring runs. The plain Tree-LSTM is written twice, with a buffer that levels are copied into
and with levels that are joined; the faster one is the rival. The trees are those of SST where SEQLOOM_DATA has them, and
random ones of such sizes elsewhere. A third rival has a product for each gate and child, as the code of the paper has it.

    python benchmarks/trees.py [--repeats 15] [--threads 1] [--hidden 100] [--batch 25] [--clock wall|cpu]
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.data.trees import read_trees
from seqloom.layers.embedding import SparseEmbedding
from seqloom.layers.tree import (
    ChildSumTreeLSTM,
    Forest,
    NaryTreeLSTM,
    RecursiveNet,
    RecursiveTensorNet,
    TreeLayer,
)
from seqloom.training.config import TrainingConfig
from seqloom.training.optimiser import build_optimiser

SENTENCES = Path("sst-trees/train.txt.xz")
CLOCK: list[Callable[[], float]] = [time.perf_counter]


class PlainTreeLSTM(nn.Module):
    """A binary Tree-LSTM as one writes it with torch.nn, all nodes of a height at once."""

    def __init__(self, like: NaryTreeLSTM) -> None:
        super().__init__()
        node = like.node
        self.hidden_size = size = like.hidden_size
        self.leaf = nn.Linear(like.input_size, 3 * size)
        self.inner = nn.Linear(2 * size, 5 * size)
        with torch.no_grad():
            self.leaf.weight.copy_(node.get_parameter("weight_word"))
            self.leaf.bias.copy_(node.get_parameter("bias")[: 3 * size])
            self.inner.weight.copy_(node.get_parameter("weight_children"))
            self.inner.bias.copy_(node.parameter("bias_iou12"))

    def leaves(self, words: Tensor) -> tuple[Tensor, Tensor]:
        i, o, u = self.leaf(words).chunk(3, 1)
        c = torch.sigmoid(i) * torch.tanh(u)
        return torch.sigmoid(o) * torch.tanh(c), c

    def join(self, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The nodes over the states (nodes, 2, m) of their children."""
        i, o, u, left, right = self.inner(h.flatten(1)).chunk(5, 1)
        made = torch.sigmoid(i) * torch.tanh(u) + torch.sigmoid(left) * c[:, 0] + torch.sigmoid(right) * c[:, 1]
        return torch.sigmoid(o) * torch.tanh(made), made


class Buffered(PlainTreeLSTM):
    """Levels are copied into a buffer."""

    def forward(self, words: Tensor, forest: Forest, children: Tensor) -> Tensor:
        h_all, c_all = words.new_zeros(forest.total, self.hidden_size), words.new_zeros(forest.total, self.hidden_size)
        for level, (start, stop) in enumerate(forest.levels):
            if level:
                below = children[start - forest.leaves : stop - forest.leaves].flatten()
                pairs = (state.index_select(0, below).view(-1, 2, self.hidden_size) for state in (h_all, c_all))
                h, c = self.join(*pairs)
            else:
                h, c = self.leaves(words)
            h_all[start:stop], c_all[start:stop] = h, c
        return h_all


class Joined(PlainTreeLSTM):
    """Levels are joined with those below."""

    def forward(self, words: Tensor, forest: Forest, children: Tensor) -> Tensor:
        h_all, c_all = self.leaves(words)
        for start, stop in forest.levels[1:]:
            below = children[start - forest.leaves : stop - forest.leaves].flatten()
            pairs = (state.index_select(0, below).view(-1, 2, self.hidden_size) for state in (h_all, c_all))
            h, c = self.join(*pairs)
            h_all, c_all = torch.cat([h_all, h]), torch.cat([c_all, c])
        return h_all


class GateByGate(Buffered):
    """Levels are copied into a buffer; a product for each gate and child, as the code of the paper and its ports have it."""

    def __init__(self, like: NaryTreeLSTM) -> None:
        super().__init__(like)
        size = self.hidden_size
        self.leaf_gates = nn.ModuleList(nn.Linear(like.input_size, size) for _ in range(3))
        self.left = nn.ModuleList(nn.Linear(size, size) for _ in range(5))
        self.right = nn.ModuleList(nn.Linear(size, size, bias=False) for _ in range(5))
        with torch.no_grad():
            for number, gate in enumerate(self.leaf_gates):
                gate.weight.copy_(self.leaf.weight[number * size : (number + 1) * size])
                gate.bias.copy_(self.leaf.bias[number * size : (number + 1) * size])
            for number, (left, right) in enumerate(zip(self.left, self.right, strict=True)):
                rows = slice(number * size, (number + 1) * size)
                left.weight.copy_(self.inner.weight[rows, :size])
                right.weight.copy_(self.inner.weight[rows, size:])
                left.bias.copy_(self.inner.bias[rows])
        del self.leaf, self.inner

    def leaves(self, words: Tensor) -> tuple[Tensor, Tensor]:
        i, o, u = (gate(words) for gate in self.leaf_gates)
        c = torch.sigmoid(i) * torch.tanh(u)
        return torch.sigmoid(o) * torch.tanh(c), c

    def join(self, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        gates = (left(h[:, 0]) + right(h[:, 1]) for left, right in zip(self.left, self.right, strict=True))
        i, o, u, first, second = gates
        made = torch.sigmoid(i) * torch.tanh(u) + torch.sigmoid(first) * c[:, 0] + torch.sigmoid(second) * c[:, 1]
        return torch.sigmoid(o) * torch.tanh(made), made


class NodeByNode(PlainTreeLSTM):
    """One node after the other."""

    def forward(self, words: Tensor, forest: Forest, children: Tensor) -> Tensor:
        made: list[tuple[Tensor, Tensor]] = []
        for position, word in enumerate(words.split(1)):
            made.append(self.leaves(word) if position < forest.leaves else (word, word))
        for below in children.tolist():
            pairs = [torch.stack([made[child][state] for child in below], 1) for state in (0, 1)]
            made.append(self.join(*pairs))
        return torch.cat([h for h, _ in made])


def random_parents(leaves: int, random: np.random.Generator) -> list[int]:
    """A binary tree: neighbours become one, drawn at random."""
    from seqloom.data.trees import from_merges

    merges = [int(random.integers(0, left)) for left in range(leaves - 1, 0, -1)]
    return from_merges(["w"] * leaves, merges).parents.tolist()


def forests(count: int, batch: int) -> list[Forest]:
    """Batches of trees."""
    place = Path(os.environ.get("SEQLOOM_DATA", "")) / SENTENCES
    if place.is_file():
        parents: list[Sequence[int]] = [tree.parents.tolist() for tree in read_trees(place)][: count * batch]
    else:
        random = np.random.default_rng(1)
        parents = [random_parents(int(size), random) for size in random.integers(3, 36, count * batch)]
    return [Forest.of(parents[first : first + batch]) for first in range(0, count * batch, batch)]


def elapsed(call: Callable[[], object]) -> float:
    """Milliseconds of one call, on the wall or of the thread."""
    begin = CLOCK[0]()
    call()
    return (CLOCK[0]() - begin) * 1e3


def interleaved(calls: Sequence[Callable[[], object]], repeats: int) -> tuple[list[float], list[float]]:
    """Median milliseconds of each call, and the median of how much longer each took than the first beside it."""
    for call in calls:
        call()
    rows = [[elapsed(call) for call in calls] for _ in range(repeats)]
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    return medians, [statistics.median(row[at] / row[0] for row in rows) for at in range(len(calls))]


def check_equal(first: Tensor, second: Tensor) -> float:
    """The largest difference of the outputs.

    Raises:
        AssertionError: it is more than 1e-6, and not for the size of the numbers.
    """
    torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-5)
    return float((first - second).detach().abs().max())


def one_pass(words: Tensor, weights: Tensor, forest: Forest, children: Tensor, model: nn.Module) -> Tensor:
    """The outputs of all nodes; and the gradients, which nobody needs."""
    outputs = model(words, forest)[0] if isinstance(model, TreeLayer) else model(words, forest, children)
    torch.autograd.grad((outputs * weights).sum(), (words, *model.parameters()))
    return outputs


def tree_lstm(options: argparse.Namespace) -> None:
    """The tables of the Tree-LSTM."""
    size = options.hidden
    ours = NaryTreeLSTM(size, size)
    rivals = {
        "level by level, buffer": Buffered(ours),
        "level by level, joined": Joined(ours),
        "gate by gate": GateByGate(ours),
        "node by node": NodeByNode(ours),
    }
    print("\nBinary Tree-LSTM, milliseconds of a batch, forward and backward:\n")
    print(
        "| batch | nodes | levels | seqloom | by level, buffer | by level, joined | ratio | gate by gate | ratio "
        "| node by node | ratio | largest difference |"
    )
    print("|--:" * 12 + "|")
    for batch in (1, options.batch, 4 * options.batch):
        forest = forests(1, batch)[0]
        children = forest.children(2)
        words = torch.randn(forest.leaves, size, requires_grad=True)
        weights = torch.randn(forest.total, size)

        train = partial(one_pass, words, weights, forest, children)
        outputs = train(ours)
        worst = max(check_equal(train(rival), outputs) for rival in rivals.values())
        models = [ours, *rivals.values()]
        medians, ratios = interleaved([partial(train, model) for model in models], options.repeats)
        level = min(ratios[1:3])
        print(
            f"| {batch} | {forest.total} | {len(forest.levels)} | {medians[0]:.2f} | {medians[1]:.2f} | {medians[2]:.2f} | "
            f"{level:.1f} | {medians[3]:.2f} | {ratios[3]:.1f} | {medians[4]:.1f} | {ratios[4]:.0f} | {worst:.1e} |",
            flush=True,
        )


def training(options: argparse.Namespace) -> None:
    """Whole training steps: words, tree, a softmax at every node, Adagrad."""
    size, words, classes = options.hidden, 18_000, 5
    batches = forests(20, options.batch)
    random = np.random.default_rng(2)
    ids = [torch.from_numpy(random.integers(4, words, forest.leaves)) for forest in batches]
    labels = [torch.from_numpy(random.integers(0, classes, forest.total)) for forest in batches]
    children = [forest.children(2) for forest in batches]

    class Classifier(nn.Module):
        def __init__(self, layer: nn.Module, table: nn.Module) -> None:
            super().__init__()
            self.table, self.layer, self.scores = table, layer, nn.Linear(size, classes)

        def forward(self, number: int) -> Tensor:
            vectors, forest = self.table(ids[number]), batches[number]
            is_ours = isinstance(self.layer, TreeLayer)
            outputs = self.layer(vectors, forest)[0] if is_ours else self.layer(vectors, forest, children[number])
            scores = self.scores(F.dropout(outputs, 0.5, self.training))
            return F.cross_entropy(scores, labels[number], reduction="sum") / len(forest)

    layer = NaryTreeLSTM(size, size)
    ours = Classifier(layer, SparseEmbedding(words, size))
    optimiser = build_optimiser(ours, TrainingConfig(optimiser="adagrad"))

    def own_epoch() -> None:
        for number in range(len(batches)):
            optimiser.zero_grad()
            ours(number).backward()
            optimiser.step(0.05)

    def plain_epoch(model: nn.Module, adagrad: torch.optim.Optimizer) -> None:
        for number in range(len(batches)):
            adagrad.zero_grad()
            model(number).backward()
            adagrad.step()

    calls: list[Callable[[], object]] = [own_epoch]
    for kind in (Buffered, Joined, GateByGate):
        model = Classifier(kind(layer), nn.Embedding(words, size, sparse=True))
        adagrad = torch.optim.Adagrad(model.parameters(), lr=0.05)
        calls.append(lambda model=model, adagrad=adagrad: plain_epoch(model, adagrad))
    medians, ratios = interleaved(calls, max(3, options.repeats // 3))
    trees = len(batches) * options.batch
    print(
        f"\nTraining steps of {options.batch} trees, with words, a softmax at every node and Adagrad, trees in a second:\n"
    )
    print("| seqloom | plain, buffer | plain, joined | ratio | gate by gate | ratio |\n|--:|--:|--:|--:|--:|--:|")
    speeds = [f"{trees / median * 1e3:,.0f}" for median in medians]
    print(f"| {' | '.join(speeds[:3])} | {min(ratios[1:3]):.1f} | {speeds[3]} | {ratios[3]:.1f} |", flush=True)


def others(options: argparse.Namespace) -> None:
    """The other layers beside themselves in torch's operations, level by level."""
    size = options.hidden
    layers = {
        "child-sum Tree-LSTM, words at the leaves": ChildSumTreeLSTM(size, size, words="leaves"),
        "recursive network of 30": RecursiveNet(30),
        "RNTN of 30": RecursiveTensorNet(30),
    }
    print("\nThe compiled step beside the same step in torch's operations, both level by level, milliseconds:\n")
    print("| layer | seqloom | torch | ratio |\n|:--|--:|--:|--:|")
    forest = forests(1, options.batch)[0]
    for name, layer in layers.items():
        words = torch.randn(forest.leaves, layer.input_size, requires_grad=True)

        def train(
            way: Callable[[Tensor, Forest], Sequence[Tensor]], words: Tensor = words, layer: TreeLayer = layer
        ) -> Tensor:
            outputs = way(words, forest)[0]
            torch.autograd.grad(outputs.sum(), (words, *layer.parameters()))
            return outputs

        check_equal(train(layer.run), train(layer.by_level))
        calls = [
            lambda layer=layer, train=train: train(layer.run),
            lambda layer=layer, train=train: train(layer.by_level),
        ]
        medians, ratios = interleaved(calls, options.repeats)
        print(f"| {name} | {medians[0]:.2f} | {medians[1]:.2f} | {ratios[1]:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", type=int, default=100, help="units of a word and of a node")
    parser.add_argument("--batch", type=int, default=25, help="trees in a batch")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: the thread's own time")
    options = parser.parse_args()
    if options.clock == "cpu" and options.threads != 1:
        parser.error("--clock cpu counts one thread only; use it with --threads 1")
    CLOCK[0] = time.perf_counter if options.clock == "wall" else time.thread_time
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(
        f"`python {' '.join(sys.argv)}`, torch {torch.__version__}, {options.threads} thread(s), {options.hidden} units"
    )
    tree_lstm(options)
    training(options)
    others(options)


if __name__ == "__main__":
    main()
