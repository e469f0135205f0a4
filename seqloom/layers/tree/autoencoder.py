"""A recursive autoencoder, and the trees that it finds in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.layers.tree.forest import Forest
from seqloom.layers.tree.layer import RecursiveNet

__all__ = ["RecursiveAutoencoder"]

Merges = list[int]
"""Places in a sentence, one after the other: what stands there and what follows become one."""


class RecursiveAutoencoder(RecursiveNet):
    """A recursive network whose nodes can be taken apart again (Socher et al. 2011).

    ``p = tanh(W1 [c1; c2] + b1)``, of length 1, and ``[c1'; c2'] = W2 p + b2``. The error of a node is
    ``n1 / (n1 + n2) |c1 - c1'|^2 + n2 / (n1 + n2) |c2 - c2'|^2`` for n1 and n2 words below its children.

    Args:
        hidden_size: units m of a word and of a node.
        normalise: whether nodes have length 1; without it the error vanishes as the vectors shrink.
    """

    def __init__(self, hidden_size: int, *, normalise: bool = True) -> None:
        super().__init__(hidden_size)
        self.normalise = normalise
        self.decoder = nn.Linear(hidden_size, 2 * hidden_size)

    def _compiled(self, words: Tensor) -> bool:
        return not self.normalise and super()._compiled(words)  # the length is no part of a step's vocabulary

    def join(self, pairs: Tensor) -> Tensor:
        """(..., m) the nodes over pairs (..., 2 m) of children."""
        made: Tensor = self.node.step(pairs, pairs[..., : self.hidden_size])
        return self._scaled(made)

    def _scaled(self, nodes: Tensor) -> Tensor:
        scaled: Tensor = F.normalize(nodes, dim=-1, eps=1e-8) if self.normalise else nodes
        return scaled

    def level(self, words: Tensor, before: Sequence[Tensor], forest: Forest, level: int) -> Sequence[Tensor]:
        made = super().level(words, before, forest, level)[0]
        return [self._scaled(made)]

    def errors(self, pairs: Tensor, nodes: Tensor, sizes: Tensor) -> Tensor:
        """(...,) of nodes (..., m) over pairs (..., 2 m) with ``sizes`` (..., 2) words below each child."""
        squares: Tensor = (self.decoder(nodes) - pairs).square().unflatten(-1, (2, self.hidden_size)).sum(-1)
        weighted: Tensor = squares * sizes / sizes.sum(-1, keepdim=True)
        return weighted.sum(-1)

    def reconstruction(self, outputs: Tensor, forest: Forest) -> Tensor:
        """(N - leaves,) the error of each inner node, from the outputs (N, m) of all nodes."""
        children = forest.children(2)
        words = outputs.new_zeros(forest.total)
        words[: forest.leaves] = 1.0
        for level, (start, stop) in enumerate(forest.levels):
            if level:
                words[start:stop] = words[children[start - forest.leaves : stop - forest.leaves]].sum(1)
        pairs = outputs.index_select(0, children.flatten()).view(len(children), -1)
        return self.errors(pairs, outputs[forest.leaves :], words[children])

    @torch.no_grad()
    def parse(self, words: Tensor, lengths: Sequence[int]) -> list[Merges]:
        """For each sentence the merges of its tree: always the neighbours with the least error, until one node is left.

        Args:
            words: (B, T, m), padded.
            lengths: words of each sentence, 1..T.
        Cost: T - 1 steps for the whole batch; a step computes two new pairs of each sentence.
        """
        device = words.device
        left = torch.tensor(lengths, device=device)
        merges: list[Merges] = [[] for _ in lengths]
        if words.shape[1] < 2:
            return merges
        rows = torch.arange(len(words), device=device)
        nodes, counts = words, words.new_ones(words.shape[:2])
        made, errors = self._pairs(nodes[:, :-1], nodes[:, 1:], counts[:, :-1], counts[:, 1:])
        for _ in range(words.shape[1] - 1):
            width = nodes.shape[1]
            outside = torch.arange(width - 1, device=device) >= (left - 1).unsqueeze(1)
            best = errors.masked_fill(outside, torch.inf).argmin(1)
            going = left > 1
            for row, place in zip(going.nonzero()[:, 0].tolist(), best[going].tolist(), strict=True):
                merges[row].append(place)
            left = torch.where(going, left - 1, left)
            if width == 2:
                break
            kept = torch.arange(width - 1, device=device)
            kept = kept + (kept > best.unsqueeze(1))  # without the second of the two
            joined, joined_count = made[rows, best], counts[rows, best] + counts[rows, (best + 1).clamp(max=width - 1)]
            nodes = nodes.gather(1, kept.unsqueeze(2).expand(-1, -1, nodes.shape[2]))
            counts = counts.gather(1, kept)
            nodes[rows, best], counts[rows, best] = joined, joined_count
            kept = kept[:, : width - 2].clamp(max=width - 2)
            made = made.gather(1, kept.unsqueeze(2).expand(-1, -1, made.shape[2]))
            errors = errors.gather(1, kept)
            for place in ((best - 1).clamp(min=0), best.clamp(max=width - 3)):
                pair = self._pairs(
                    nodes[rows, place], nodes[rows, place + 1], counts[rows, place], counts[rows, place + 1]
                )
                made[rows, place], errors[rows, place] = pair
        return merges

    def _pairs(self, first: Tensor, second: Tensor, words_1: Tensor, words_2: Tensor) -> tuple[Tensor, Tensor]:
        pairs = torch.cat([first, second], -1)
        nodes = self.join(pairs)
        return nodes, self.errors(pairs, nodes, torch.stack([words_1, words_2], -1))
