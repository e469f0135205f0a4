"""Encoders by one name: a cell, alone or with the prefix that says how its layers are put together.

gru            a plain stack: Recurrent("gru", layers=1)
dilated_gru    layers that look 1, 2, 4, ... steps back (Chang et al. 2017)
block_lru      residual blocks: norm, recurrence, gated linear unit (Orvieto et al. 2023)
plain_lru      a plain stack of a cell that would stand in blocks
chrono_lstm    gates whose time constants are spread over the task's length at the start (Tallec & Ollivier 2018)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from seqloom import cells
from seqloom.cells.cell import Cell
from seqloom.errors import ConfigError, did_you_mean
from seqloom.layers.recurrent import Recurrent

__all__ = ["IN_BLOCKS", "EncoderName", "build_encoder", "count_parameters", "parse_encoder", "spread_time_constants"]

IN_BLOCKS = frozenset({"lru", "rg_lru", "mingru", "minlstm", "qrnn", "sru", "mlstm", "slstm"})
"""Cells whose papers put them in residual blocks: those that are linear in their state need what is between layers."""

Arrangement = Literal["plain", "dilated", "block"]
_ARRANGEMENTS: tuple[Arrangement, ...] = ("plain", "dilated", "block")
_LAYERS: dict[Arrangement, int] = {"plain": 1, "dilated": 6, "block": 2}

# Cell -> letter of the gate that keeps the state, and of the one that lets the input in where it is another.
_KEEPING = {
    "lstm": ("f", "i"),
    "lstm_peephole": ("f", "i"),
    "cifg": ("f", ""),
    "gru": ("z", ""),
    "gru_before": ("z", ""),
}


@dataclass(frozen=True)
class EncoderName:
    """A parsed name: the cell, how its layers are put together, whether its gates begin with long time constants."""

    cell: str
    arrangement: Arrangement
    chrono: bool = False

    @property
    def layers(self) -> int:
        """The usual number of layers: the dilations of six reach 32 steps at once."""
        return 2 if self.cell == "indrnn" and self.arrangement == "plain" else _LAYERS[self.arrangement]


def parse_encoder(name: str) -> EncoderName:
    """What an encoder's name says; a registered cell's name is always that cell.

    Raises:
        ConfigError: no such cell, or gates that cannot be initialised so.

    >>> parse_encoder("dilated_gru")
    EncoderName(cell='gru', arrangement='dilated', chrono=False)
    """
    known = cells.names()
    chrono, rest = False, name
    if rest not in known and rest.startswith("chrono_"):
        chrono, rest = True, rest.removeprefix("chrono_")
    arrangement: Arrangement | None = None
    if rest not in known:
        arrangement = next((kind for kind in _ARRANGEMENTS if rest.startswith(f"{kind}_")), None)
        rest = rest.removeprefix(f"{arrangement}_")
    if rest not in known:
        raise ConfigError(
            f"cell: {name!r} is neither a cell nor dilated_, block_, plain_ or chrono_ before one"
            f"{did_you_mean(rest, known)} (seqloom cells lists all)"
        )
    if chrono and rest not in _KEEPING:
        raise ConfigError(f"cell: {name!r}: {rest} has no gates to begin with; chrono_ takes {', '.join(_KEEPING)}")
    return EncoderName(rest, arrangement or ("block" if rest in IN_BLOCKS else "plain"), chrono)


def build_encoder(
    name: str, input_size: int, hidden_size: int, *, layers: int = 0, longest: int = 0, backend: str = "auto"
) -> nn.Module:
    """The encoder of that name, freshly initialised; has ``output_size`` and the layer contract.

    Args:
        layers: 0 takes the usual number.
        longest: steps over which a ``chrono_`` encoder spreads its time constants.
        backend: of a plain stack.
    """
    parsed = parse_encoder(name)
    count = layers or parsed.layers
    encoder: nn.Module
    if parsed.arrangement == "plain":
        encoder = Recurrent(parsed.cell, input_size, hidden_size, layers=count, backend=backend)
    elif parsed.arrangement == "dilated":
        from seqloom.layers.dilated import Dilated

        encoder = Dilated(parsed.cell, input_size, hidden_size, layers=count)
    else:
        from seqloom.layers.block import BlockStack

        encoder = BlockStack(parsed.cell, input_size, hidden_size, layers=count)
    if parsed.chrono:
        spread_time_constants(encoder, parsed.cell, longest)
    return encoder


@torch.no_grad()
def spread_time_constants(module: nn.Module, cell: str, longest: int) -> None:
    """Chrono initialisation: ``b_keep = log U(1, T - 1)`` and ``b_input = -b_keep`` (Tallec & Ollivier 2018, section 3)."""
    keep, enter = _KEEPING[cell]
    for part in module.modules():
        if not isinstance(part, Cell):
            continue
        draws = torch.empty(part.hidden_size).uniform_(1.0, max(2.0, longest - 1.0)).log()
        for name in part.graph.declarations:
            gates = name.removeprefix("bias_")
            bias = cast(Tensor, part.get_parameter(name)) if name.startswith("bias_") and keep in gates else None
            if bias is None or len(bias) != len(gates) * part.hidden_size:
                continue
            for letter, values in ((keep, draws), (enter, -draws)):
                if letter:
                    bias.view(len(gates), -1)[gates.index(letter)] = values


def count_parameters(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(math.prod(parameter.shape) for parameter in module.parameters() if parameter.requires_grad)
