"""The one sequence layer: any cell, stacked, in one or both directions, on sequences of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.cells import registry
from seqloom.cells.cell import Cell
from seqloom.engine.backend import check_backend, measure_lengths, run_layer
from seqloom.engine.contract import Noise, Ragged, States
from seqloom.engine.cpu import prepare
from seqloom.engine.reference import advance
from seqloom.errors import ConfigError
from seqloom.layers.dropout import dropout
from seqloom.layers.state import State, state_type

if TYPE_CHECKING:
    from seqloom.layers.stream import Stream

__all__ = ["CellLike", "Recurrent"]

CellLike: TypeAlias = str | type[Cell] | Cell
Merge = Literal["concat", "sum", "mean"]
_PROBABILITIES = ("dropout_input", "dropout", "dropout_output", "dropout_state", "zoneout")


class Recurrent(nn.Module):
    """A recurrent layer, or a stack of them.

    Args:
        cell: a registered name (``seqloom cells`` lists them), a :class:`~seqloom.cells.Cell` class, or an instance,
            which becomes the first cell of the layer; further ones are built like it.
        input_size: features D of the input; not with an instance, which knows its sizes.
        hidden_size: units H of each direction.
        layers: how many are stacked; each reads the merged output of the one below.
        bidirectional: a second cell per layer reads each row from its own last step to its first.
        merge: how the directions become one output: side by side, their sum, or their mean.
        residual: from the second layer on, add a layer's input to its output where their widths agree.
        dropout_input: probability of dropping an input feature of a step.
        dropout: the same between layers.
        dropout_output: the same after the last layer.
        dropout_state: probability of dropping a unit from the recurrent products, one mask per sequence and call.
        zoneout: probability that a unit of the state keeps its old value in a step; the mean of both when evaluating.
        batch_first: whether x and the outputs are (B, T, features), else (T, B, features). States always are.
        backend: a backend for this layer, overruling ``SEQLOOM_BACKEND`` and the automatic choice.
        bias: whether the cells have biases.

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
        residual: bool = False,
        dropout_input: float = 0.0,
        dropout: float = 0.0,
        dropout_output: float = 0.0,
        dropout_state: float = 0.0,
        zoneout: float = 0.0,
        batch_first: bool = True,
        backend: str | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if merge not in ("concat", "sum", "mean"):
            raise ConfigError(f"merge is {merge!r}; expected 'concat', 'sum' or 'mean'")
        if isinstance(layers, bool) or not isinstance(layers, int) or layers < 1:
            raise ConfigError(f"layers is {layers!r}; expected an integer of at least 1")
        self.layers, self.bidirectional, self.merge, self.residual = layers, bidirectional, merge, residual
        self.dropout_input = _probability("dropout_input", dropout_input)
        self.dropout = _probability("dropout", dropout)
        self.dropout_output = _probability("dropout_output", dropout_output)
        self.dropout_state = _probability("dropout_state", dropout_state)
        self.zoneout = _probability("zoneout", zoneout)
        self.batch_first, self.backend = batch_first, check_backend(backend)
        first = _first_cell(cell, input_size, hidden_size, bias)
        state_type(first.state)
        self.directions = 2 if bidirectional else 1
        self.input_size, self.hidden_size = first.input_size, first.hidden_size
        self.output_size = first.state_sizes[0] * (self.directions if merge == "concat" else 1)
        below = [first.input_size] * self.directions + [self.output_size] * self.directions * (layers - 1)
        self.cells = nn.ModuleList([first, *(first.another(size) for size in below[1:])])
        # What torch.compile could not make while it traces: the type of the state, above, and the cells' programs.
        for layer in range(layers):
            prepare(self._cells(layer)[0])

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences.

        Args:
            x: (B, T, D), or (T, B, D) where ``batch_first`` is false; T and B may be 0.
            state: what a former call returned, fields (B, layers * directions, H); zeros by default.
            lengths: (B,) integers in 0..T on any device and in any order; whole rows by default.
        Returns:
            outputs (B, T, output_size), exactly zero past a row's length, and the state after each row's own last step
            (what it began with where the length is 0). The content of the padding never changes a result.
        Raises:
            ValueError: shapes that do not fit the layer or each other, or a length outside 0..T; names the row.
        """
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            form = "(B, T, D)" if self.batch_first else "(T, B, D)"
            raise ValueError(f"x has shape {tuple(x.shape)}; expected {form} with D = {self.input_size} features")
        values = x if self.batch_first else x.transpose(0, 1)
        time = values.shape[1]
        ragged = measure_lengths(lengths, values)
        if ragged is not None:
            longest = int(ragged.lengths.max()) if len(ragged.lengths) else 0
            values = values[:, :longest]
            ragged = measure_lengths(ragged.lengths, values)
        initial = None if state is None else self._split(state, values.shape[0])
        outputs, final = self._run(values, ragged, initial)
        outputs = F.pad(outputs, (0, 0, 0, time - outputs.shape[1])) if outputs.shape[1] < time else outputs
        return outputs if self.batch_first else outputs.transpose(0, 1), self._join(final)

    def step(self, x: Tensor, state: Sequence[Tensor] | None = None) -> tuple[Tensor, State]:
        """One time step of a stream: x (B, D) to output (B, output_size), and the state to pass with the next step.

        Raises:
            ConfigError: the layer is bidirectional; its backward direction begins at the end.
            ValueError: shapes that do not fit.
        """
        if self.bidirectional:
            raise ConfigError("a bidirectional layer cannot run step by step: it needs the end of the sequence first")
        if x.dim() != 2 or x.shape[-1] != self.input_size:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, D) with D = {self.input_size} features")
        initial = self._split(self.initial_state(x.shape[0], like=x) if state is None else state, x.shape[0])
        final: list[States] = []
        noise = self._noise()
        if noise.training and noise.active:
            outputs, final = self._run(x.unsqueeze(1), None, initial)
            return outputs.squeeze(1), self._join(final)
        values = self._drop(x, self.dropout_input)
        for layer, states in enumerate(initial):
            final.append(advance(self._cells(layer)[0], values, states, noise))
            values = self._finish(layer, values, final[-1][0])
        return values, self._join(final)

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

        >>> stream = Recurrent("gru", 3, 4).stream()
        >>> stream.step(torch.zeros(3)).shape, stream.push(torch.zeros(5, 3)).shape
        (torch.Size([4]), torch.Size([5, 4]))

        Raises:
            ConfigError: the layer is bidirectional, or training with dropout.
        """
        from seqloom.layers.stream import Stream

        return Stream(self, batch, weights=weights, threads=threads, state=state)

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> State:
        """Zeros for ``batch`` rows, of the type and on the device of ``like`` or else of the parameters."""
        source = next(self.parameters()) if like is None else like
        count = len(self.cells)
        names, sizes = self._first.state, self._first.state_sizes
        return state_type(names)._make(source.new_zeros(batch, count, size) for size in sizes)

    def _run(self, x: Tensor, ragged: Ragged | None, initial: list[States] | None) -> tuple[Tensor, list[States]]:
        values, final = self._drop(x, self.dropout_input), []
        for layer in range(self.layers):
            first = layer * self.directions
            states = None if initial is None else initial[first : first + self.directions]
            outputs, last = self._run_layer(layer, values, ragged, states)
            final += last
            values = self._finish(layer, values, self._merged(outputs))
        return values, final

    def _run_layer(
        self, layer: int, x: Tensor, ragged: Ragged | None, initial: Sequence[States] | None
    ) -> tuple[Tensor, list[States]]:
        return run_layer(self._cells(layer), x, ragged, initial, noise=self._noise(), backend=self.backend)

    def _finish(self, layer: int, below: Tensor, outputs: Tensor) -> Tensor:
        if self.residual and layer > 0 and below.shape[-1] == outputs.shape[-1]:
            outputs = outputs + below
        return self._drop(outputs, self.dropout if layer < self.layers - 1 else self.dropout_output)

    def _merged(self, outputs: Tensor) -> Tensor:
        if not self.bidirectional or self.merge == "concat":
            return outputs
        forward, backward = outputs.chunk(2, -1)
        return forward + backward if self.merge == "sum" else (forward + backward) / 2

    def _drop(self, values: Tensor, probability: float) -> Tensor:
        return dropout(values, probability, self.training) if probability else values

    def _noise(self) -> Noise:
        return Noise(self.dropout_state, self.zoneout, self.training)

    @property
    def _first(self) -> Cell:
        return self.cells[0]  # type: ignore[return-value]

    def _cells(self, layer: int) -> list[Cell]:
        first = layer * self.directions
        cells: list[Cell] = list(self.cells._modules.values())  # type: ignore[arg-type]  # a slice would build a module
        return cells[first : first + self.directions]

    def _split(self, state: Sequence[Tensor], batch: int) -> list[States]:
        names, sizes, count = self._first.state, self._first.state_sizes, len(self.cells)
        if isinstance(state, Tensor) or len(state) != len(names):
            raise ValueError(f"state has {len(state)} fields; expected {len(names)}: {', '.join(names)}")
        for name, size, field in zip(names, sizes, state, strict=True):
            if field.shape != (batch, count, size):
                raise ValueError(f"state.{name} has shape {tuple(field.shape)}; expected {(batch, count, size)}")
        return [tuple(field[:, position] for field in state) for position in range(count)]

    def _join(self, final: list[States]) -> State:
        return state_type(self._first.state)(*[torch.stack(field, 1) for field in zip(*final, strict=True)])

    def extra_repr(self) -> str:
        usual = {"layers": 1, "merge": "concat", "batch_first": True, "backend": None}
        names = ("layers", "bidirectional", "merge", "residual", *_PROBABILITIES, "batch_first", "backend")
        return ", ".join(
            f"{name}={getattr(self, name)!r}" for name in names if getattr(self, name) != usual.get(name, 0)
        )


def _probability(name: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ConfigError(f"{name} is {value!r}; expected a probability from 0 to 1")
    return float(value)


def _first_cell(cell: CellLike, input_size: int | None, hidden_size: int | None, bias: bool) -> Cell:
    if isinstance(cell, Cell):
        for name, given in (("input_size", input_size), ("hidden_size", hidden_size)):
            if given not in (None, getattr(cell, name)):
                raise ConfigError(f"{name} is {given} but the cell that was passed has {getattr(cell, name)}")
        return cell
    cell_class = registry.get(cell) if isinstance(cell, str) else cell
    if not (isinstance(cell_class, type) and issubclass(cell_class, Cell)):
        raise ConfigError(f"cell is {cell!r}; expected a name, a Cell class or a Cell")
    if input_size is None or hidden_size is None:
        missing = "input_size" if input_size is None else "hidden_size"
        raise ConfigError(
            f"{missing} is missing; Recurrent({cell_class.__name__}, ...) needs input_size and hidden_size"
        )
    return cell_class(input_size, hidden_size, bias=bias)
