"""The cells of a grid: the plain one, and long short-term memory with a forget gate for each dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.layers.grid.layer import Directions, GridLayer, GridMerge, States
from seqloom.layers.options import check_choice

__all__ = ["MDLSTM", "GridRNN"]

_NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda total: total,
}


class GridRNN(GridLayer):
    """A plain recurrence over images: ``h_ij = f(W x_ij + U1 h_(i-1)j + U2 h_i(j-1) + b)``, borders zero.

    Graves, Fernandez & Schmidhuber 2007. m (n + 2 m + 1) parameters in each direction.

    Args:
        input_size: features n of a pixel.
        hidden_size: units m of a cell, in each direction.
        directions: 1 scans from the top left, 2 also from the top right, 4 from every corner; each has its own weights.
        merge: ``sum`` of the directions, or ``concat``.
        nonlinearity: f; ``tanh``, ``relu`` or ``identity``.

    >>> layer = GridRNN(3, 4, merge="concat")
    >>> outputs, state = layer(torch.zeros(2, 5, 7, 3), heights=torch.tensor([5, 2]))
    >>> outputs.shape, state.h.shape
    (torch.Size([2, 5, 7, 16]), torch.Size([2, 4, 7, 4]))

    Raises:
        ConfigError: a size below 1 or an unknown choice.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        directions: Directions = 4,
        merge: GridMerge = "sum",
        nonlinearity: Literal["tanh", "relu", "identity"] = "tanh",
    ) -> None:
        check_choice("nonlinearity", nonlinearity, tuple(_NONLINEARITIES))
        super().__init__(input_size, hidden_size, 1, directions=directions, merge=merge)
        self.nonlinearity = nonlinearity
        self.reset_parameters()

    def combine(self, total: Tensor, up: States, left: States) -> States:
        return (_NONLINEARITIES[self.nonlinearity](total),)


class MDLSTM(GridLayer):
    """Long short-term memory over images, one forget gate per dimension (Graves, Fernandez & Schmidhuber 2007).

    Each of i, f1 (above), f2 (left), o and g has ``W x + U1 h_above + U2 h_left + b``, in this order of rows;
    ``c = f1 * c_above + f2 * c_left + i * tanh(g)``, ``h = o * tanh(c)``. 5 m (n + 2 m + 1) parameters in each direction.

    The number of paths between two cells doubles with every step, so that c grows like (f1 + f2)^k: a forget bias of 1,
    good in one dimension, lets it explode here. At 0 the two gates begin with a sum of 1. ``stable="leaky"`` cannot
    explode (in the sense of Leifert et al. 2016): with gates f, l and o, in the order f, l, o, g,
    ``c = f * (l * c_above + (1 - l) * c_left) + (1 - f) * tanh(g)``; 4 m (n + 2 m + 1) parameters.

    Args:
        input_size: features n of a pixel.
        hidden_size: units m of a cell, in each direction.
        directions: 1 scans from the top left, 2 also from the top right, 4 from every corner; each has its own weights.
        merge: ``sum`` of the directions, or ``concat``.
        peepholes: whether i reads both earlier cells, f1 and f2 their own, and o the new one: 5 m more parameters,
            ``peepholes`` (directions, 5, m) in the order i above, i left, f1, f2, o.
        stable: ``leaky``, or None for the plain cell.
        forget_bias: first value of the biases of the forget gates.

    >>> layer = MDLSTM(3, 4, directions=1)
    >>> sum(parameter.numel() for parameter in layer.parameters()) == 5 * 4 * (3 + 2 * 4 + 1)
    True
    >>> outputs, state = layer(torch.zeros(2, 5, 7, 3))
    >>> outputs.shape, state.c.shape
    (torch.Size([2, 5, 7, 4]), torch.Size([2, 1, 7, 4]))

    Raises:
        ConfigError: a size below 1, an unknown choice, or peepholes of the leaky cell, which has none.
    """

    state: ClassVar[tuple[str, ...]] = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        directions: Directions = 4,
        merge: GridMerge = "sum",
        peepholes: bool = False,
        stable: Literal["leaky"] | None = None,
        forget_bias: float = 0.0,
    ) -> None:
        check_choice("stable", stable, ("leaky", None))
        if stable and peepholes:
            raise ConfigError("the leaky cell has no peepholes; choose stable=None or peepholes=False")
        super().__init__(input_size, hidden_size, 4 if stable else 5, directions=directions, merge=merge)
        self.stable, self.forget_bias = stable, forget_bias
        self.peepholes = nn.Parameter(torch.empty(directions, 5, hidden_size)) if peepholes else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        forgetting = slice(0, 1) if self.stable else slice(1, 3)
        self.bias.view(self.directions, self.blocks, self.hidden_size)[:, forgetting] = self.forget_bias
        if self.peepholes is not None:
            self.peepholes.zero_()

    def combine(self, total: Tensor, up: States, left: States) -> States:
        (_, c_up), (_, c_left) = up, left
        if self.stable:
            return self._leaky(total, c_up, c_left)
        if self.peepholes is not None:
            return self._peeping(total, c_up, c_left, self.peepholes)
        gates, last = torch.split(total, [4 * self.hidden_size, self.hidden_size], -1)
        i, above, beside, o = gates.sigmoid().chunk(4, -1)
        c = torch.addcmul(torch.addcmul(i * last.tanh(), above, c_up), beside, c_left)
        return o * c.tanh(), c

    def _leaky(self, total: Tensor, c_up: Tensor, c_left: Tensor) -> States:
        gates, last = torch.split(total, [3 * self.hidden_size, self.hidden_size], -1)
        f, share, o = gates.sigmoid().chunk(3, -1)
        c = torch.lerp(last.tanh(), torch.lerp(c_left, c_up, share), f)
        return o * c.tanh(), c

    def _peeping(self, total: Tensor, c_up: Tensor, c_left: Tensor, peepholes: Tensor) -> States:
        i, above, beside, o, g = total.chunk(5, -1)
        of_i_up, of_i_left, of_above, of_beside, of_o = peepholes.unsqueeze(2).unbind(1)
        i = torch.addcmul(torch.addcmul(i, of_i_up, c_up), of_i_left, c_left).sigmoid()
        above = torch.addcmul(above, of_above, c_up).sigmoid()
        beside = torch.addcmul(beside, of_beside, c_left).sigmoid()
        c = torch.addcmul(torch.addcmul(i * g.tanh(), above, c_up), beside, c_left)
        return torch.addcmul(o, of_o, c).sigmoid() * c.tanh(), c
