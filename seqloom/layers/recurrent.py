"""The one sequence layer: any cell, stacked, in one or both directions, on sequences of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.engine.runtime.backend import check_backend, measure_lengths
from seqloom.engine.runtime.cpu import prepare
from seqloom.errors import ConfigError
from seqloom.layers.highway import build_gates
from seqloom.layers.normalisation import SequenceNormalisation
from seqloom.layers.options import (
    DRAWN,
    CellLike,
    Rates,
    build_cell,
    check_choice,
    check_count,
    check_deviation,
    check_probability,
    check_rates,
    check_residual,
)
from seqloom.layers.stack import CellStack
from seqloom.layers.state import State, state_type

if TYPE_CHECKING:
    from seqloom.layers.stream import Stream

__all__ = ["CellLike", "Recurrent"]

Merge = Literal["concat", "sum", "mean"]


class Recurrent(CellStack):
    """A recurrent layer, or a stack of them.

    Args:
        cell: a registered name (``seqloom cells`` lists them), a :class:`~seqloom.cells.Cell` class, or an instance,
            which becomes the first cell of the layer; further ones are built like it.
        input_size: features D of the input; not with an instance, which knows its sizes.
        hidden_size: units H of each direction.
        layers: how many are stacked; each reads the merged output of the one below.
        bidirectional: a second cell per layer reads each row from its own last step to its first.
        merge: how the directions become one output: side by side, their sum, or their mean.
        residual: from the second layer on, add a layer's input to its output where their widths agree; or the number
            of the first layer that does, at least 2 (GNMT has 3; Wu et al. 2016).
        highway: a gate mixes a layer's output with its input, on each layer where their widths agree (Zhang et al. 2016);
            its bias begins with -2, or with this number. Not with ``residual``.
        dropout_input: probability of dropping an input feature of a step.
        dropout: the same between layers.
        dropout_output: the same after the last layer.
        variational: whether these three draw one mask per sequence and call instead (Gal & Ghahramani 2016).
        dropout_state: probability of dropping a unit from the recurrent products, one mask per sequence and call.
        zoneout: probability that a unit of the state keeps its old value in a step; the mean of both when evaluating.
            One for all states, or by name, as {"h": 0.05, "c": 0.5}.
        weight_drop: probability of dropping an entry of a recurrent matrix, drawn once per call (Merity et al. 2018).
        weight_noise: standard deviation of what is added to each parameter in training, once per call (Graves 2011).
        batch_norm: ``sequence`` normalises the products of the input over all frames of a batch, padding left out
            (Amodei et al. 2016); see :mod:`seqloom.layers.normalisation`.
        batch_first: whether x and the outputs are (B, T, features), else (T, B, features). States always are.
        backend: a backend for this layer, overruling ``SEQLOOM_BACKEND`` and the automatic choice.
        bias: whether the cells have biases.

    >>> import torch
    >>> layer = Recurrent("gru", 5, 8, layers=2, bidirectional=True)
    >>> outputs, state = layer(torch.zeros(3, 7, 5), lengths=torch.tensor([7, 0, 4]))
    >>> outputs.shape, state.h.shape
    (torch.Size([3, 7, 16]), torch.Size([3, 4, 8]))

    Raises:
        ConfigError: an unknown cell or backend, or an argument out of range.
    """

    def __init__(
        self,
        cell: CellLike,
        input_size: int | None = None,
        hidden_size: int | None = None,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        merge: Merge = "concat",
        residual: bool | int = False,
        highway: bool | float = False,
        dropout_input: float = 0.0,
        dropout: float = 0.0,
        dropout_output: float = 0.0,
        variational: bool = False,
        dropout_state: float = 0.0,
        zoneout: Rates = 0.0,
        weight_drop: float = 0.0,
        weight_noise: float = 0.0,
        batch_norm: Literal["sequence"] | None = None,
        batch_first: bool = True,
        backend: str | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_choice("merge", merge, ("concat", "sum", "mean"))
        check_choice("batch_norm", batch_norm, (None, "sequence"))
        self.layers, self.bidirectional, self.merge = check_count("layers", layers), bidirectional, merge
        if highway is not False and residual:
            raise ConfigError("a layer's input comes to its output through a highway's gate or as a residual, not both")
        self.residual, self.highway = check_residual(residual), highway
        self.dropout_input = check_probability("dropout_input", dropout_input)
        self.dropout = check_probability("dropout", dropout)
        self.dropout_output = check_probability("dropout_output", dropout_output)
        self.dropout_state, self.variational = check_probability("dropout_state", dropout_state), variational
        self.weight_drop = check_probability("weight_drop", weight_drop)
        self.weight_noise, self.batch_norm = check_deviation("weight_noise", weight_noise), batch_norm
        self.batch_first, self.backend = batch_first, check_backend(backend)
        first = build_cell(cell, input_size, hidden_size, bias)
        self.zoneout = check_rates("zoneout", zoneout, first.state)
        state_type(first.state)
        self.directions = 2 if bidirectional else 1
        self.input_size, self.hidden_size = first.input_size, first.hidden_size
        self.output_size = first.state_sizes[0] * (self.directions if merge == "concat" else 1)
        below = [first.input_size, *[self.output_size] * (layers - 1)]
        sizes = [size for size in below for _ in range(self.directions)]
        cells = [first, *(first.another(size) for size in sizes[1:])]
        self.cells = nn.ModuleList(cells)
        self.gates = build_gates(highway, below, self.output_size)
        self.norms = nn.ModuleList(map(SequenceNormalisation, cells)) if batch_norm else None
        # What torch.compile could not make while it traces: the type of the state, above, and the cells' programs.
        for layer in range(layers):
            prepare(self.cells_of(layer)[0])

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences.

        Args:
            x: (B, T, D), or (T, B, D) where ``batch_first`` is false; T and B may be 0. Of the layer's type or a shorter
                one.
            state: what a former call returned, fields (B, layers * directions, H); zeros by default.
            lengths: (B,) integers in 0..T on any device and in any order, or a list of them; whole rows by default.
        Returns:
            outputs (B, T, output_size), exactly zero past a row's length, and the state after each row's own last step
            (what it began with where the length is 0). The content of the padding never changes a result.
        Raises:
            ValueError: shapes or types that do not fit the layer or each other, or a length outside 0..T; names the row.
        """
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            form = "(B, T, D)" if self.batch_first else "(T, B, D)"
            raise ValueError(f"x has shape {tuple(x.shape)}; expected {form} with D = {self.input_size} features")
        if x.dtype is not torch.float32 or x.layout is not torch.strided:
            x = self.as_computed(x, "x")
        values = x if self.batch_first else x.transpose(0, 1)
        time = values.shape[1]
        ragged = measure_lengths(lengths, values)
        if ragged is not None:
            longest = int(ragged.lengths.max()) if len(ragged.lengths) else 0
            values = values[:, :longest]
            ragged = measure_lengths(ragged.lengths, values)
        initial = None if state is None else self.split_state(state, values.shape[0])
        outputs, final = self.run(values, ragged, initial)
        outputs = F.pad(outputs, (0, 0, 0, time - outputs.shape[1])) if outputs.shape[1] < time else outputs
        return outputs if self.batch_first else outputs.transpose(0, 1), self.join_states(final)

    def stream(
        self,
        batch: int = 1,
        *,
        weights: str = "float32",
        threads: int = 1,
        state: Sequence[Tensor] | None = None,
    ) -> Stream:
        """A stream with this layer's weights, for live use: a step takes microseconds.

        Args:
            batch: rows that go on together.
            weights: ``float32``, or ``bfloat16`` or ``int8`` for smaller memory and more speed.
            threads: at most so many share a step, where that pays.
            state: to begin with; zeros by default.

        >>> import torch
        >>> stream = Recurrent("gru", 3, 4).stream()
        >>> stream.step(torch.zeros(3)).shape, stream.push(torch.zeros(5, 3)).shape
        (torch.Size([4]), torch.Size([5, 4]))

        Raises:
            ConfigError: the layer is bidirectional, or training with dropout.
        """
        from seqloom.layers.stream import Stream  # streams are for few, and importing them takes a moment

        return Stream(self, batch, weights=weights, threads=threads, state=state)

    def extra_repr(self) -> str:
        usual = {"layers": 1, "merge": "concat", "batch_norm": None, "batch_first": True, "backend": None}
        kinds = ("layers", "bidirectional", "merge", "residual", "highway", "variational", "zoneout", "batch_norm")
        names = (*kinds, *DRAWN, "batch_first", "backend")
        return ", ".join(
            f"{name}={getattr(self, name)!r}" for name in names if getattr(self, name) != usual.get(name, 0)
        )
