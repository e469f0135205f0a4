"""Recurrences over the parts of a body that are fused level by level until one is left (Du, Wang & Wang 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.layers.state import State

__all__ = ["FIVE_PARTS", "FusionLevel", "FusionTree"]

FIVE_PARTS = ("left_arm", "right_arm", "trunk", "left_leg", "right_leg")
"""The parts of a body in the order that `FusionTree.of_body` takes them."""

# Of the five parts: each limb with the trunk; the two arms and the two legs; upper and lower body.
_BODY = (((0, 2), (1, 2), (3, 2), (4, 2)), ((0, 1), (2, 3)), ((0, 1),))


@dataclass(frozen=True)
class FusionLevel:
    """One level of the tree.

    Attributes:
        cell: of all its branches.
        hidden_size: units of a branch, in each direction.
        fuses: for each branch the branches of the level below that it reads side by side; of the first level, the columns
            of the input.
    """

    cell: str
    hidden_size: int
    fuses: Sequence[Sequence[int]]


class FusionTree(nn.Module):
    """A recurrent layer for each branch of each level; a branch reads those below it, step by step.

    Args:
        levels: from the parts to the whole; the last has one branch.
        bidirectional: whether branches read from both ends.
        dropout: between levels.
        dropout_output: on the output.
        weight_noise: standard deviation of what is added to each weight in an update.

    >>> tree = FusionTree.of_body([[0, 1], [2, 3], [4], [5], [6]], ("rnn", "rnn", "rnn", "lstm"), (3, 4, 5, 6))
    >>> tree(torch.zeros(2, 9, 7))[0].shape
    torch.Size([2, 9, 12])
    """

    def __init__(
        self,
        levels: Sequence[FusionLevel],
        *,
        bidirectional: bool = True,
        dropout: float = 0.0,
        dropout_output: float = 0.0,
        weight_noise: float = 0.0,
    ):
        super().__init__()
        if not levels or len(levels[-1].fuses) != 1:
            raise ConfigError("a fusion tree needs levels, of which the last has one branch")
        self.levels, self.bidirectional = tuple(levels), bidirectional
        self.branches = nn.ModuleList()
        sizes: list[int] = []
        for depth, level in enumerate(levels):
            layers = []
            for branch, below in enumerate(level.fuses):
                if depth and any(not 0 <= index < len(sizes) for index in below):
                    raise ConfigError(
                        f"branch {branch} of level {depth + 1} fuses {list(below)}; there are {len(sizes)} below"
                    )
                width = sum(sizes[index] for index in below) if depth else len(below)
                layers.append(
                    Recurrent(
                        level.cell, width, level.hidden_size, bidirectional=bidirectional, weight_noise=weight_noise
                    )
                )
            sizes = [layer.output_size for layer in layers]
            self.branches.append(nn.ModuleList(layers))
        self.output_size = sizes[0]
        self.between, self.last = nn.Dropout(dropout), nn.Dropout(dropout_output)
        for branch, columns in enumerate(levels[0].fuses):
            self.register_buffer(f"columns{branch}", torch.tensor(list(columns)), persistent=False)

    @classmethod
    def of_body(
        cls,
        parts: Sequence[Sequence[int]],
        cells: Sequence[str],
        sizes: Sequence[int],
        *,
        hierarchical: bool = True,
        bidirectional: bool = True,
        dropout: float = 0.0,
        dropout_output: float = 0.0,
        weight_noise: float = 0.0,
    ) -> FusionTree:
        """The tree of a body: 5 parts, 4 limbs with the trunk, 2 halves, 1 whole.

        Args:
            parts: the columns of the five parts, in the order of :data:`FIVE_PARTS`.
            cells, sizes: of the four levels.
            hierarchical: else every level is one layer over the whole.
        Raises:
            ConfigError: not five parts, or not four levels.
        """
        if len(parts) != len(FIVE_PARTS) or len(cells) != 4 or len(sizes) != 4:
            raise ConfigError(
                f"a body has 5 parts and 4 levels; found {len(parts)} parts, {len(cells)} cells, {len(sizes)} sizes"
            )
        fuses: list[Sequence[Sequence[int]]] = [list(parts), *_BODY]
        if not hierarchical:
            fuses = [[[column for part in parts for column in part]], [[0]], [[0]], [[0]]]
        levels = [FusionLevel(cell, size, rows) for cell, size, rows in zip(cells, sizes, fuses, strict=True)]
        return cls(
            levels,
            bidirectional=bidirectional,
            dropout=dropout,
            dropout_output=dropout_output,
            weight_noise=weight_noise,
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs (B, T, output_size) of inputs (B, T, D), and the state of the last level."""
        below = [x.index_select(-1, self.get_buffer(f"columns{branch}")) for branch in range(len(self.levels[0].fuses))]
        state: State | None = None
        for depth, (level, row) in enumerate(zip(self.levels, self.branches, strict=True)):
            outputs: list[Tensor] = []
            for fused, layer in zip(level.fuses, row, strict=True):  # type: ignore[call-overload]
                joined = (
                    torch.cat([self.between(below[index]) for index in fused], -1) if depth else below[len(outputs)]
                )
                output, state = layer(joined, lengths=lengths)
                outputs.append(output)
            below = outputs
        assert state is not None
        last: Tensor = self.last(below[0])
        return last, state
