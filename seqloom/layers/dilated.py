"""Dilated stacks: layers whose recurrence skips steps, so that a path through long sequences is short."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.engine.contract import Ragged
from seqloom.engine.runtime.backend import measure_lengths
from seqloom.errors import ConfigError
from seqloom.layers.causal import CausalConvolution
from seqloom.layers.dropout import Dropout
from seqloom.layers.options import check_count, check_probability
from seqloom.layers.recurrent import CellLike, Recurrent
from seqloom.layers.state import State, make_state

__all__ = ["Dilated"]

_MOST_STATES = 2**20


class Dilated(nn.Module):
    """A stack whose layer l computes ``h_t`` from the layer below and its own ``h_{t - s_l}`` (Chang et al. 2017).

    A layer of dilation s is s interleaved sequences of ``ceil(T / s)`` steps: they run side by side as rows of one batch,
    in one call of the engine. Where the first dilation is above 1, a causal convolution of that width over the outputs
    mixes the phases, which would never meet otherwise.

    The state has the cell's names, with the last s states of each layer, oldest first, layer after layer:
    (B, sum of the dilations, H); and ``convolution`` (B, first dilation - 1, H), what it needs, where there is one. A state
    whose size is the input's, unlike in each layer, has the largest, with zeros behind.

    Args:
        cell: a registered name, a :class:`~seqloom.cells.Cell` class, or an instance, the first layer's.
        input_size: features D of the input; not with an instance.
        hidden_size: units H.
        layers: how many are stacked; as many as ``dilations``, by default.
        dilations: of each layer from the first; 1, 2, 4, ... by default.
        fuse: whether a convolution ends a stack whose first dilation is above 1.
        dropout_input: probability of dropping an input feature of a step.
        dropout: the same between layers.
        dropout_output: the same after the last layer.
        backend: a backend for the layers, overruling ``SEQLOOM_BACKEND`` and the automatic choice.
        bias: whether the cells have biases.

    >>> layer = Dilated("gru", 3, 8, layers=3)
    >>> outputs, state = layer(torch.zeros(2, 10, 3), lengths=torch.tensor([10, 6]))
    >>> outputs.shape, state.h.shape
    (torch.Size([2, 10, 8]), torch.Size([2, 7, 8]))

    Raises:
        ConfigError: an unknown cell or backend, or an argument out of range.
    """

    def __init__(
        self,
        cell: CellLike,
        input_size: int | None = None,
        hidden_size: int | None = None,
        *,
        layers: int | None = None,
        dilations: Sequence[int] | None = None,
        fuse: bool = True,
        dropout_input: float = 0.0,
        dropout: float = 0.0,
        dropout_output: float = 0.0,
        backend: str | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.dilations = _dilations(layers, dilations)
        first = Recurrent(cell, input_size, hidden_size, backend=backend, bias=bias)
        cells = [first.first_cell.another(first.output_size) for _ in self.dilations[1:]]
        self.layers = nn.ModuleList([first, *(Recurrent(each, backend=backend) for each in cells)])
        self.input_size, self.hidden_size, self.output_size = first.input_size, first.hidden_size, first.output_size
        width = self.dilations[0] if fuse else 1
        self.fusion = CausalConvolution(self.output_size, width=width) if width > 1 else None
        self.dropout_input = Dropout(check_probability("dropout_input", dropout_input))
        self.dropout = Dropout(check_probability("dropout", dropout))
        self.dropout_output = Dropout(check_probability("dropout_output", dropout_output))
        self._names = first.first_cell.state
        self._sizes = [each.state_sizes for each in (first.first_cell, *cells)]
        self._fields = self._names if self.fusion is None else (*self._names, "convolution")

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences, or chunks of them of any length: the layers' contract.

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
        rings, convolution = self._split(self.initial_state(len(x), like=x) if state is None else state, len(x))
        if x.shape[1] == 0:
            for layer in self.layers:  # no step; but gradients of zero for all parameters
                x, _ = layer(x)
            return x, self._join(rings, convolution)
        values, final = self.dropout_input(x), []
        for position, (layer, dilation, ring) in enumerate(zip(self.layers, self.dilations, rings, strict=True)):
            values = self.dropout(values) if position else values
            values, last = _run_interleaved(layer, dilation, values, ring, ragged)
            final.append(last)
        if self.fusion is not None:
            values, convolution = self.fusion(values, convolution, lengths)
        return self.dropout_output(values), self._join(final, convolution)

    def step(self, x: Tensor, state: Sequence[Tensor] | None = None) -> tuple[Tensor, State]:
        """One time step of a stream: x (B, D) to output (B, H), and the state to pass with the next step."""
        if x.dim() != 2 or x.shape[-1] != self.input_size:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, D) with D = {self.input_size} features")
        outputs, final = self(x.unsqueeze(1), state)
        return outputs.squeeze(1), final

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> State:
        """What ``batch`` rows begin with, of the type and on the device of ``like`` or else of the parameters."""
        rings = [
            [field.view(batch, dilation, field.shape[-1]) for field in layer.initial_state(batch * dilation, like=like)]  # type: ignore[operator]
            for layer, dilation in zip(self.layers, self.dilations, strict=True)
        ]
        return self._join(rings, None if self.fusion is None else self.fusion.initial_state(batch, like=like))

    def _widths(self) -> list[int]:
        """Units of each of the cell's states; the largest, where it is the input's and differs between layers."""
        return [max(sizes) for sizes in zip(*self._sizes, strict=True)]

    def _split(self, state: Sequence[Tensor], batch: int) -> tuple[list[list[Tensor]], Sequence[Tensor] | None]:
        fields = self._fields
        if isinstance(state, Tensor) or len(state) != len(fields):
            raise ValueError(f"state has {len(state)} fields; expected {len(fields)}: {', '.join(fields)}")
        for name, size, field in zip(self._names, self._widths(), state, strict=False):
            expected = (batch, sum(self.dilations), size)
            if field.shape != expected:
                raise ValueError(f"state.{name} has shape {tuple(field.shape)}; expected {expected}")
        by_name = [torch.split(field, list(self.dilations), 1) for field in state[: len(self._names)]]
        rings = [
            [field[..., :size] for field, size in zip(ring, sizes, strict=True)]
            for ring, sizes in zip(zip(*by_name, strict=True), self._sizes, strict=True)
        ]
        return rings, state[len(self._names) :] or None

    def _join(self, rings: Sequence[Sequence[Tensor]], convolution: Sequence[Tensor] | None) -> State:
        fields = [
            torch.cat([F.pad(part, (0, width - part.shape[-1])) for part in field], 1)
            for field, width in zip(zip(*rings, strict=True), self._widths(), strict=True)
        ]
        return make_state(self._fields, [*fields, *(convolution or ())])

    def extra_repr(self) -> str:
        return f"dilations={list(self.dilations)}"


def _dilations(layers: int | None, dilations: Sequence[int] | None) -> tuple[int, ...]:
    if layers is None and dilations is None:
        raise ConfigError("layers and dilations are both missing; give the number of layers, or their dilations")
    if dilations is None:
        dilations = [2 ** min(layer, 64) for layer in range(check_count("layers", layers or 0))]
    if not dilations or layers not in (None, len(dilations)):
        raise ConfigError(f"there are {len(dilations)} dilations for {layers or 'no'} layers; expected one for each")
    checked = tuple(check_count(f"dilations[{position}]", each) for position, each in enumerate(dilations))
    if sum(checked) > _MOST_STATES:
        raise ConfigError(
            f"{len(checked)} layers of dilations up to {max(checked)} keep {sum(checked)} states of each row; expected at most "
            f"{_MOST_STATES}: take fewer layers, or dilations of your own"
        )
    return checked


def _run_interleaved(
    layer: nn.Module, dilation: int, x: Tensor, ring: Sequence[Tensor], ragged: Ragged | None
) -> tuple[Tensor, list[Tensor]]:
    """One layer on x (B, T, D), T > 0, whose last states were ``ring`` (B, s, H), oldest first; and its new ring.

    Step t belongs to phase ``t mod s`` and continues the ring's entry of that number. Afterwards the states of the last s
    steps, counted from a row's length n, are those of the phases n, n + 1, ... (modulo s).
    """
    batch, time = x.shape[:2]
    phases = min(dilation, time)  # in a chunk shorter than the dilation the other phases rest
    lengths = None
    if ragged is not None or time % phases:
        ends = x.new_full((batch,), time, dtype=torch.int64) if ragged is None else ragged.lengths
        ahead = ends.unsqueeze(1) - torch.arange(phases, device=x.device)
        lengths = (ahead + dilation - 1).div(dilation, rounding_mode="floor").clamp(min=0).flatten()
    begun = [field[:, :phases].reshape(batch * phases, 1, field.shape[-1]) for field in ring]
    outputs, final = layer(_interleave(x, phases), begun, lengths)
    states = [
        torch.cat([new.view(batch, phases, new.shape[-1]), old[:, phases:]], 1)
        for new, old in zip(final, ring, strict=True)
    ]
    values = _join_phases(outputs, phases)[:, :time]
    if ragged is None:
        return values, [state.roll(-time, 1) for state in states]
    index = (ragged.lengths.unsqueeze(1) + torch.arange(dilation, device=x.device)) % dilation
    return values, [state.gather(1, index.unsqueeze(-1).expand_as(state)) for state in states]


def _interleave(x: Tensor, phases: int) -> Tensor:
    """(B, T, D) to (B * phases, ceil(T / phases), D): row ``b * phases + p`` has the steps p, p + phases, ... of row b."""
    batch, time, size = x.shape
    steps = -(-time // phases)
    padded = F.pad(x, (0, 0, 0, steps * phases - time))
    return padded.view(batch, steps, phases, size).transpose(1, 2).reshape(batch * phases, steps, size)


def _join_phases(values: Tensor, phases: int) -> Tensor:
    """The inverse of :func:`_interleave`, with its padding."""
    rows, steps, size = values.shape
    batch = rows // phases
    return values.view(batch, phases, steps, size).transpose(1, 2).reshape(batch, steps * phases, size)
