"""Where the cells of a batch of images lie when they are taken by anti-diagonals, from one to four corners."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["FLIPS", "Geometry", "Sizes"]

FLIPS = ((False, False), (False, True), (True, False), (True, True))
"""Whether a direction turns the rows and the columns: (+,+), (+,-), (-,+), (-,-)."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of the images of a batch that is padded at the bottom and at the right to (height, width).

    Args:
        height: rows H of the padded batch.
        width: columns W of the padded batch.
        heights: (B,) int64, each in 0..height.
        widths: (B,) int64, each in 0..width.
        ragged: whether any image does not fill the batch.
    """

    height: int
    width: int
    heights: Tensor
    widths: Tensor
    ragged: bool

    @classmethod
    def of(cls, x: Tensor, heights: Tensor | None, widths: Tensor | None) -> Sizes:
        """The sizes in a batch x (B, H, W, D), checked.

        Raises:
            ValueError: not (B,) integers, or one out of range; names the image.
        """
        height, width = x.shape[1:3]
        rows = _checked("heights", heights, len(x), height, "H", "rows").to(x.device)
        columns = _checked("widths", widths, len(x), width, "W", "columns").to(x.device)
        given = heights is not None or widths is not None
        return cls(height, width, rows, columns, given and not bool(((rows == height) & (columns == width)).all()))

    @cached_property
    def mask(self) -> Tensor:
        """(B, H, W) true where an image has a pixel."""
        down, across = torch.arange(self.height), torch.arange(self.width)
        rows = down.to(self.heights.device) < self.heights.unsqueeze(1)
        columns = across.to(self.widths.device) < self.widths.unsqueeze(1)
        return rows.unsqueeze(2) & columns.unsqueeze(1)


def _checked(name: str, sizes: Tensor | None, batch: int, limit: int, letter: str, what: str) -> Tensor:
    if sizes is None:
        return torch.full((batch,), limit)
    if sizes.shape != (batch,) or sizes.dtype == torch.bool or sizes.is_floating_point():
        raise ValueError(f"{name} has shape {tuple(sizes.shape)} and type {sizes.dtype}; expected ({batch},) integers")
    wrong = ((sizes < 0) | (sizes > limit)).nonzero()
    if len(wrong):
        image = int(wrong[0])
        raise ValueError(f"{name}[{image}] is {int(sizes[image])} but x has {letter} = {limit} {what}")
    return sizes.to(torch.int64)


class Geometry:
    """The order of the cells: N = H * W of them by anti-diagonals, in the coordinates of each direction.

    A direction that begins at another corner sees the image turned within its own size, so that it too goes from the
    top left; its padding stays at the bottom and at the right, where nothing of the image reads it.

    Args:
        sizes: of the images.
        directions: 1 to 4, the first of :data:`FLIPS`.
    """

    def __init__(self, sizes: Sizes, directions: int) -> None:
        self.sizes, self.directions = sizes, directions
        height, width, device = sizes.height, sizes.width, sizes.heights.device
        down = torch.arange(height, device=device)
        across = torch.arange(width, device=device)
        diagonal = (down.unsqueeze(1) + across).flatten()
        self.order = (diagonal * height + down.repeat_interleave(width)).argsort()
        self.place = torch.empty_like(self.order)
        self.place[self.order] = torch.arange(height * width, device=device)
        # On diagonal d lie the cells (i, d - i) with max(0, d - W + 1) <= i <= min(d, H - 1).
        self.counts = [min(d, height - 1) - max(0, d - width + 1) + 1 for d in range(height + width - 1)]
        rows, columns = _turned(down, sizes.heights), _turned(across, sizes.widths)
        turned = [(rows[int(up)].unsqueeze(2), columns[int(left)].unsqueeze(1)) for up, left in FLIPS[:directions]]
        self._cells = torch.stack([(i * width + j).flatten(1) for i, j in turned])
        self._columns = torch.stack([columns[int(left)] for _, left in FLIPS[:directions]])

    @cached_property
    def source(self) -> Tensor:
        """(directions * N * B,) the row of ``x.flatten(0, 2)`` that each cell reads, by direction and diagonal."""
        batch, cells = self._cells.shape[1:]
        image = torch.arange(batch, device=self._cells.device).unsqueeze(1) * cells
        return (self._cells + image)[:, :, self.order].transpose(1, 2).flatten()

    @cached_property
    def target(self) -> Tensor:
        """(directions * B * N,) where each pixel's cell is among those of :attr:`source`; turning is its own inverse."""
        return self._among(self._cells).flatten()

    @cached_property
    def last(self) -> Tensor:
        """(B * directions * W,) where the cells of each image's last row are, by the image's own columns."""
        bottom = (self.sizes.heights - 1).clamp(min=0).unsqueeze(1) * self.sizes.width
        return self._among(bottom + self._columns).transpose(0, 1).flatten()

    @cached_property
    def valid(self) -> tuple[Tensor, ...]:
        """(count * B, 1) for each diagonal: whether the image of a cell has it."""
        mask = self.sizes.mask.flatten(1)[:, self.order].transpose(0, 1)
        return tuple(part.reshape(-1, 1) for part in torch.split(mask, self.counts))

    def border(self, state: Tensor) -> Tensor:
        """(B, directions, W, H), the row above each image, to (W, directions, B, H) in the directions' coordinates."""
        index = self._columns.transpose(0, 1).unsqueeze(-1).expand_as(state)
        return state.gather(2, index).permute(2, 1, 0, 3)

    def _among(self, cells: Tensor) -> Tensor:
        directions, batch, _ = cells.shape
        image = torch.arange(batch, device=cells.device).unsqueeze(1)
        first = torch.arange(directions, device=cells.device).view(-1, 1, 1) * (len(self.order) * batch)
        return self.place[cells] * batch + image + first


def _turned(positions: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """(B, L) the positions as they are, and turned within each size."""
    same = positions.expand(len(sizes), -1)
    ends = sizes.unsqueeze(1)
    return same, torch.where(same < ends, ends - 1 - same, same)
