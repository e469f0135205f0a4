"""Stacks of residual blocks around a recurrence: what lets simple recurrences, as the linear ones, go deep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.engine.runtime.backend import measure_lengths
from seqloom.errors import ConfigError
from seqloom.layers.causal import CausalConvolution
from seqloom.layers.dropout import Dropout
from seqloom.layers.options import check_count, check_probability
from seqloom.layers.recurrent import CellLike, Recurrent
from seqloom.layers.state import State, make_state

__all__ = ["BlockStack"]


@dataclass(frozen=True)
class _Options:
    """What all blocks of a stack share."""

    size: int
    units: int
    dropout: float
    bidirectional: bool
    convolution: int
    backend: str | None


class BlockStack(nn.Module):
    """A linear encoder and ``layers`` blocks ``x + GLU(W recurrence(LayerNorm(x)))`` (Orvieto et al. 2023, figure 1).

    The recurrence alone mixes steps; the gated linear unit (Dauphin et al. 2017) alone is what a linear recurrence needs
    to be universal. With ``convolution`` the recurrence reads a causal depthwise convolution over so many steps, SiLU
    behind it (as the blocks of Griffin, De et al. 2024, and of xLSTM, Beck et al. 2024).

    The state has the cell's names, (B, layers * directions, units), and ``convolution`` (B, layers, width - 1, H) where
    there is one.

    Args:
        cell: a registered name or a :class:`~seqloom.cells.Cell` class.
        input_size: features D of the input.
        hidden_size: width H of the blocks and of the output.
        layers: blocks.
        expansion: units of a recurrence for each feature of H.
        dropout: probability of dropping what a block adds.
        bidirectional: whether each block reads in both directions; such a stack does not stream.
        convolution: steps that the convolution before a recurrence sees; 0 for none. Not with ``bidirectional``.
        backend: a backend for the recurrences.

    >>> stack = BlockStack("gru", 3, 8, layers=2, convolution=4)
    >>> outputs, state = stack(torch.zeros(2, 10, 3), lengths=torch.tensor([10, 6]))
    >>> outputs.shape, state.h.shape, state.convolution.shape
    (torch.Size([2, 10, 8]), torch.Size([2, 2, 8]), torch.Size([2, 2, 3, 8]))

    Raises:
        ConfigError: an unknown cell or backend, or an argument out of range.
    """

    def __init__(
        self,
        cell: CellLike,
        input_size: int,
        hidden_size: int,
        layers: int = 2,
        *,
        expansion: float = 1.0,
        dropout: float = 0.0,
        bidirectional: bool = False,
        convolution: int = 0,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(cell, str | type):
            raise ConfigError(f"cell is {cell!r}; expected a name or a Cell class, for a block has sizes of its own")
        if bidirectional and convolution:
            raise ConfigError("a bidirectional stack has no causal convolution; set convolution=0")
        self.input_size = check_count("input_size", input_size)
        self.hidden_size = self.output_size = check_count("hidden_size", hidden_size)
        units = check_count("expansion * hidden_size, rounded,", round(expansion * hidden_size))
        probability, width = check_probability("dropout", dropout), check_count("convolution", convolution, 0)
        options = _Options(hidden_size, units, probability, bidirectional, width, backend)
        self.bidirectional = bidirectional
        self.encoder = nn.Linear(input_size, hidden_size)
        blocks = [_Block(cell, options) for _ in range(check_count("layers", layers))]
        self.blocks = nn.ModuleList(blocks)
        names = blocks[0].recurrent.first_cell.state
        self._fields = (*names, "convolution") if convolution else names

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences, or chunks of them: the layers' contract.

        Args:
            x: (B, T, D); T and B may be 0.
            state: what a former call returned; zeros by default.
            lengths: (B,) integers in 0..T; whole rows by default.
        Returns:
            outputs (B, T, H), exactly zero past a row's length, and the state after each row's own last step.
        Raises:
            ValueError: shapes that do not fit the layer or each other, or a length outside 0..T; names the row.
        """
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, T, D) with D = {self.input_size} features")
        ragged = measure_lengths(lengths, x)
        begun = self._split(self.initial_state(len(x), like=x) if state is None else state, len(x))
        values, final = self.encoder(x if ragged is None else ragged.clear(x)), []
        for block, states in zip(self.blocks, begun, strict=True):
            values, last = block(values, states, lengths)
            final.append(last)
        return (values if ragged is None else ragged.clear(values)), self._join(final)

    def step(self, x: Tensor, state: Sequence[Tensor] | None = None) -> tuple[Tensor, State]:
        """One time step of a stream: x (B, D) to output (B, H), and the state to pass with the next step.

        Raises:
            ConfigError: the stack is bidirectional.
        """
        if self.bidirectional:
            raise ConfigError("a bidirectional stack cannot run step by step: it needs the end of the sequence first")
        if x.dim() != 2 or x.shape[-1] != self.input_size:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, D) with D = {self.input_size} features")
        outputs, final = self(x.unsqueeze(1), state)
        return outputs.squeeze(1), final

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> State:
        """What ``batch`` rows begin with, of the type and on the device of ``like`` or else of the parameters."""
        return self._join([block.initial_state(batch, like) for block in self.blocks])  # type: ignore[operator]

    def _split(self, state: Sequence[Tensor], batch: int) -> list[list[Tensor]]:
        wanted = self.initial_state(1)
        if isinstance(state, Tensor) or len(state) != len(wanted):
            raise ValueError(f"state has {len(state)} fields; expected {len(wanted)}: {', '.join(self._fields)}")
        for name, field, zero in zip(self._fields, state, wanted, strict=True):
            if field.shape != (batch, *zero.shape[1:]):
                raise ValueError(f"state.{name} has shape {tuple(field.shape)}; expected {(batch, *zero.shape[1:])}")
        return [list(fields) for fields in zip(*(field.chunk(len(self.blocks), 1) for field in state), strict=True)]

    def _join(self, parts: Sequence[Sequence[Tensor]]) -> State:
        return make_state(self._fields, [torch.cat(field, 1) for field in zip(*parts, strict=True)])


class _Block(nn.Module):
    """``x + dropout(GLU(W recurrence(convolution(LayerNorm(x)))))``."""

    def __init__(self, cell: CellLike, options: _Options) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(options.size)
        width = options.convolution
        self.convolution = CausalConvolution(options.size, width=width, depthwise=True) if width else None
        self.recurrent = Recurrent(
            cell, options.size, options.units, bidirectional=options.bidirectional, backend=options.backend
        )
        self.gate = nn.Linear(self.recurrent.output_size, 2 * options.size)
        self.dropout = Dropout(options.dropout)

    def forward(self, x: Tensor, state: Sequence[Tensor], lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        values, before = self.norm(x), state
        after: list[Tensor] = []
        if self.convolution is not None:
            *before, inputs = state
            values, (last,) = self.convolution(values, [inputs.squeeze(1)], lengths)
            values, after = F.silu(values), [last.unsqueeze(1)]
        values, final = self.recurrent(values, before, lengths)
        return x + self.dropout(F.glu(self.gate(values), -1)), [*final, *after]

    def initial_state(self, batch: int, like: Tensor | None) -> list[Tensor]:
        fields = [*self.recurrent.initial_state(batch, like=like)]
        if self.convolution is not None:
            fields.append(self.convolution.initial_state(batch, like=like).inputs.unsqueeze(1))
        return fields
