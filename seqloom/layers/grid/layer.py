"""A recurrence over images, whatever its cell: directions, anti-diagonals, sizes, and the row that a state is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from seqloom.cells.initial import Initialisation
from seqloom.layers.grid.geometry import FLIPS, Geometry, Sizes
from seqloom.layers.options import check_choice, check_count
from seqloom.layers.state import State, state_type

__all__ = ["Directions", "GridLayer", "GridMerge"]

Directions = Literal[1, 2, 4]
GridMerge = Literal["sum", "concat"]
States: TypeAlias = tuple[Tensor, ...]


class GridLayer(nn.Module, ABC):
    """The frame of :class:`GridRNN` and :class:`MDLSTM`: a subclass says what one cell computes.

    All directions run at once, and all cells of an anti-diagonal: H + W - 1 steps, each two batched products. The input
    is projected in one product for the whole batch.

    Args:
        input_size: features D of a pixel.
        hidden_size: units of a cell, in each direction.
        blocks: rows of a pre-activation, in units of ``hidden_size``.
        directions: 1 scans from the top left, 2 also from the top right, 4 from every corner; each has its own weights.
        merge: ``sum`` of the directions, or ``concat``.
    """

    state: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self, input_size: int, hidden_size: int, blocks: int, *, directions: Directions, merge: GridMerge
    ) -> None:
        super().__init__()
        check_choice("directions", directions, (1, 2, 4))
        check_choice("merge", merge, ("sum", "concat"))
        self.input_size, self.hidden_size = (
            check_count("input_size", input_size),
            check_count("hidden_size", hidden_size),
        )
        self.blocks, self.directions, self.merge = blocks, directions, merge
        self.output_size = hidden_size * (directions if merge == "concat" else 1)
        rows = blocks * hidden_size
        self.weight_x = nn.Parameter(torch.empty(directions, rows, input_size))
        self.weight_up = nn.Parameter(torch.empty(directions, rows, hidden_size))
        self.weight_left = nn.Parameter(torch.empty(directions, rows, hidden_size))
        self.bias = nn.Parameter(torch.empty(directions, rows))

    @abstractmethod
    def combine(self, total: Tensor, up: States, left: States) -> States:
        """New states of the cells of a diagonal.

        Args:
            total: (directions, cells, blocks * H) pre-activations ``W x + U1 h_up + U2 h_left + b``.
            up: the states (directions, cells, H) of the cells above.
            left: the states of the cells to the left.
        """

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all parameters anew; the two recurrent matrices together keep the length of a state."""
        initial = Initialisation(gain=0.5)
        for matrix in (self.weight_x, self.weight_up, self.weight_left):
            scheme = initial.input if matrix is self.weight_x else initial.recurrent
            for direction in matrix:
                for block in direction.chunk(self.blocks):
                    initial.fill(block, scheme)
        self.bias.zero_()

    def forward(
        self,
        x: Tensor,
        state: Sequence[Tensor] | None = None,
        heights: Tensor | None = None,
        widths: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Run over a batch of images.

        Args:
            x: (B, H, W, D), padded at the bottom and at the right; any of them may be 0.
            state: fields (B, directions, W, hidden_size), the row before the first that each direction reads, in the
                image's own columns; zeros by default. With one or two directions, what a call returns for the upper
                rows of an image is what the lower rows begin with.
            heights: (B,) integers in 0..H; whole columns by default.
            widths: (B,) integers in 0..W; whole rows by default.
        Returns:
            outputs (B, H, W, output_size), exactly zero outside an image, and the states of the row that each direction
            read last, zero beyond an image's width. The content of the padding never changes a result.
        Raises:
            ValueError: shapes that do not fit, or a size out of range; names the image.
        """
        if x.dim() != 4 or x.shape[-1] != self.input_size:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, H, W, D) with D = {self.input_size} features")
        sizes = Sizes.of(x, heights, widths)
        before = None if state is None else self._checked(state, x)
        if not x.shape[:3].numel():
            empty = x.new_zeros(*x.shape[:3], self.output_size)
            return empty, self.initial_state(len(x), x.shape[2], like=x) if before is None else before
        geometry = Geometry(sizes, self.directions)
        clean = x.masked_fill(~sizes.mask.unsqueeze(-1), 0.0) if sizes.ragged else x
        cells = clean.flatten(0, 2).index_select(0, geometry.source).view(self.directions, -1, self.input_size)
        projected = torch.baddbmm(self.bias.unsqueeze(1), cells, self.weight_x.mT)
        states = self._scan(projected, geometry, len(x), before)
        outputs = states[0].flatten(0, 1).index_select(0, geometry.target)
        outputs = outputs.view(self.directions, *x.shape[:3], self.hidden_size)
        if sizes.ragged:
            outputs = outputs.masked_fill(~sizes.mask.unsqueeze(-1), 0.0)
        merged = outputs.sum(0) if self.merge == "sum" else outputs.permute(1, 2, 3, 0, 4).flatten(3)
        return merged, self._last(states, geometry, before)

    def initial_state(self, batch: int, width: int, *, like: Tensor | None = None) -> State:
        """Zeros for ``batch`` images of ``width`` columns, of the type and on the device of ``like`` or the parameters."""
        zeros = (self.bias if like is None else like).new_zeros(batch, self.directions, width, self.hidden_size)
        return state_type(self.state)._make(zeros for _ in self.state)

    def _scan(self, projected: Tensor, geometry: Geometry, batch: int, before: State | None) -> States:
        """The states (directions, N * B, H) of all cells, by diagonals."""
        height, width = geometry.sizes.height, geometry.sizes.width
        up, left = self.weight_up.mT, self.weight_left.mT
        zero = projected.new_zeros(self.directions, batch, self.hidden_size)
        borders: list[Sequence[Tensor]] = [(zero,) * width for _ in self.state]
        if before is not None:
            borders = [geometry.border(field).unbind(0) for field in before]
        states: States = tuple(zero[:, :0] for _ in self.state)
        diagonals: list[States] = []
        for d, inputs in enumerate(torch.split(projected, [count * batch for count in geometry.counts], 1)):
            # From the row above the diagonal's first cell to that of its last: of two neighbours in it, the upper is
            # above a cell and the lower to the left of it.
            framed = [
                torch.cat([*([border[d]] if d < width else []), field, *([zero] if d < height else [])], 1)
                for border, field in zip(borders, states, strict=True)
            ]
            above, beside = (
                tuple(field[:, first : first + inputs.shape[1]] for field in framed) for first in (0, batch)
            )
            total = torch.baddbmm(torch.baddbmm(inputs, above[0], up), beside[0], left)
            states = self.combine(total, above, beside)
            if geometry.sizes.ragged:
                states = tuple(field.masked_fill(~geometry.valid[d], 0.0) for field in states)
            diagonals.append(states)
        return tuple(torch.cat(field, 1) for field in zip(*diagonals, strict=True))

    def _last(self, states: States, geometry: Geometry, before: State | None) -> State:
        batch, width = len(geometry.sizes.heights), geometry.sizes.width
        shape = (batch, self.directions, width, self.hidden_size)
        rows = [field.flatten(0, 1).index_select(0, geometry.last).view(shape) for field in states]
        if geometry.sizes.ragged:
            without = (geometry.sizes.heights == 0).view(-1, 1, 1, 1)
            first = before or self.initial_state(batch, width, like=rows[0])
            outside = torch.arange(width, device=rows[0].device) >= geometry.sizes.widths.unsqueeze(1)
            rows = [
                torch.where(without, start, row).masked_fill(outside.view(batch, 1, width, 1), 0.0)
                for row, start in zip(rows, first, strict=True)
            ]
        return state_type(self.state)._make(rows)

    def _checked(self, state: Sequence[Tensor], x: Tensor) -> State:
        if isinstance(state, Tensor) or len(state) != len(self.state):
            raise ValueError(f"state has {len(state)} fields; expected {len(self.state)}: {', '.join(self.state)}")
        expected = (len(x), self.directions, x.shape[2], self.hidden_size)
        for name, field in zip(self.state, state, strict=True):
            if field.shape != expected:
                raise ValueError(f"state.{name} has shape {tuple(field.shape)}; expected {expected}")
        return state_type(self.state)._make(state)

    def extra_repr(self) -> str:
        corners = ", ".join(f"({'-' if up else '+'},{'-' if left else '+'})" for up, left in FLIPS[: self.directions])
        return f"{self.input_size}, {self.hidden_size}, directions {corners}, merge={self.merge!r}"
