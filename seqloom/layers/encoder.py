"""Encoders from their configuration: a cell, and how its layers are put together.

The cell's name may say it too:

gru            a plain stack: Recurrent("gru", layers=1)
dilated_gru    layers that look 1, 2, 4, ... steps back (Chang et al. 2017)
block_lru      residual blocks: norm, recurrence, gated linear unit (Orvieto et al. 2023)
plain_lru      a plain stack of a cell that would stand in blocks
chrono_lstm    gates whose time constants are spread over the task's length at the start (Tallec & Ollivier 2018)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from seqloom import cells
from seqloom.cells.cell import Cell
from seqloom.errors import ConfigError, did_you_mean
from seqloom.layers.block import BlockStack
from seqloom.layers.dilated import Dilated
from seqloom.layers.encoder_config import Arrangement, EncoderConfig
from seqloom.layers.recurrent import Recurrent

__all__ = [
    "IN_BLOCKS",
    "Encoder",
    "EncoderConfig",
    "EncoderName",
    "build_encoder",
    "count_parameters",
    "parse_encoder",
    "resolve_encoder",
    "spread_time_constants",
]

Encoder = Recurrent | Dilated | BlockStack
"""What all of these have in common: ``output_size``, and the contract of a layer."""

IN_BLOCKS = frozenset({"lru", "rg_lru", "mingru", "minlstm", "qrnn", "sru", "mlstm", "slstm"})
"""Cells whose papers put them in residual blocks: those that are linear in their state need what is between layers."""

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
    """A parsed name: the cell, how its layers are put together, whether its gates begin with long time constants.

    Attributes:
        bare: whether the name alone does not say the arrangement.
    """

    cell: str
    arrangement: Arrangement
    chrono: bool = False
    bare: bool = False

    @property
    def layers(self) -> int:
        """The usual number of layers: the dilations of six reach 32 steps at once."""
        return 2 if self.cell == "indrnn" and self.arrangement == "plain" else _LAYERS[self.arrangement]


def parse_encoder(name: str) -> EncoderName:
    """What an encoder's name says; a registered cell's name is always that cell.

    Raises:
        ConfigError: no such cell, or gates that cannot be initialised so.

    >>> parse_encoder("dilated_gru")
    EncoderName(cell='gru', arrangement='dilated', chrono=False, bare=False)
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
    if chrono:
        _check_chrono(rest, f"cell: {name!r}")
    return EncoderName(rest, arrangement or ("block" if rest in IN_BLOCKS else "plain"), chrono, arrangement is None)


def _check_chrono(cell: str, where: str) -> None:
    if cell not in _KEEPING:
        raise ConfigError(f"{where}: {cell} has no gates to begin with; chrono_ takes {', '.join(_KEEPING)}")


def resolve_encoder(config: EncoderConfig) -> EncoderName:
    """What a configuration says, its name and its keys together.

    Raises:
        ConfigError: no such cell; the name says one thing and a key another; the arrangement cannot do what is asked.
    """
    parsed = parse_encoder(config.cell)
    if config.arrangement not in ("auto", parsed.arrangement):
        if not parsed.bare:
            raise ConfigError(
                f"model.cell {config.cell!r} is a {parsed.arrangement} encoder, but model.arrangement is "
                f"{config.arrangement!r}; write one of the two"
            )
        parsed = replace(parsed, arrangement=cast(Arrangement, config.arrangement))
    if config.chrono and not parsed.chrono:
        _check_chrono(parsed.cell, f"chrono: {config.cell!r}")
        parsed = replace(parsed, chrono=True)
    config.check_arrangement(parsed.arrangement)
    return parsed


def build_encoder(config: EncoderConfig, input_size: int, *, longest: int = 0) -> Encoder:
    """The encoder of a configuration, freshly initialised.

    Args:
        config: what it is.
        input_size: features D of a step.
        longest: steps over which a ``chrono`` encoder spreads its time constants, unless the configuration says it.
    Raises:
        ConfigError: no such cell, a combination that there is not, or a ``chrono`` encoder of unknown length.

    >>> encoder = build_encoder(EncoderConfig(cell="block_gru", hidden_size=8), 3)
    >>> encoder.output_size, encoder(torch.zeros(2, 5, 3))[0].shape
    (8, torch.Size([2, 5, 8]))
    """
    parsed = resolve_encoder(config)
    span = longest if isinstance(config.chrono, bool) else config.chrono
    if parsed.chrono and not span:
        raise ConfigError(
            f"model.cell {config.cell!r}: the length of the sequences is not known; set model.chrono to it"
        )
    encoder: Encoder
    if parsed.arrangement == "plain":
        encoder = _build_plain(config, parsed, input_size)
    elif parsed.arrangement == "dilated":
        encoder = Dilated(
            parsed.cell,
            input_size,
            config.hidden_size,
            layers=config.layers or parsed.layers,
            dropout_input=config.dropout_input,
            dropout=config.dropout,
            dropout_output=config.dropout_output,
            backend=config.backend,
        )
    else:
        encoder = BlockStack(
            parsed.cell,
            input_size,
            config.hidden_size,
            layers=config.layers or parsed.layers,
            bidirectional=config.bidirectional,
            dropout_input=config.dropout_input,
            dropout=config.dropout,
            dropout_output=config.dropout_output,
            backend=config.backend,
        )
    if parsed.chrono:
        spread_time_constants(encoder, parsed.cell, span)
    return encoder


def _build_plain(config: EncoderConfig, parsed: EncoderName, input_size: int) -> Recurrent:
    return Recurrent(
        parsed.cell,
        input_size,
        config.hidden_size,
        layers=config.layers or parsed.layers,
        bidirectional=config.bidirectional,
        merge=config.merge,
        residual=config.residual,
        highway=config.highway,
        dropout_input=config.dropout_input,
        dropout=config.dropout,
        dropout_output=config.dropout_output,
        variational=config.variational,
        dropout_state=config.dropout_state,
        zoneout=config.zoneout,
        weight_drop=config.weight_drop,
        weight_noise=config.weight_noise,
        batch_norm="sequence" if config.batch_norm else None,
        backend=config.backend,
    )


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
