"""A stack of cells, and what surrounds them: their states, the weights that they run with, and what goes from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.cells.cell import Cell
from seqloom.engine.contract import Noise, Ragged, States, zero_states
from seqloom.engine.runtime.backend import run_layer
from seqloom.engine.runtime.reference import advance
from seqloom.errors import ConfigError
from seqloom.layers.dropout import dropout
from seqloom.layers.noise import draw_weights, sequence_dropout
from seqloom.layers.normalisation import measure_moments
from seqloom.layers.state import State, make_state

__all__ = ["CellStack"]


class CellStack(nn.Module):
    """What a :class:`~seqloom.Recurrent` layer is to those who look inside it: streams, quantisation, diagnosis, ``explain``.

    Attributes:
        cells: layer by layer from the input up, the forward direction before the backward one.
        gates, norms: of the highway and of the batch normalisation, where the layer has them.
        directions: 1 or 2.
    """

    input_size: int
    output_size: int
    layers: int
    directions: int
    bidirectional: bool
    merge: str
    residual: bool | int
    dropout_input: float
    dropout: float
    dropout_output: float
    dropout_state: float
    variational: bool
    zoneout: float | dict[str, float]
    weight_drop: float
    weight_noise: float
    batch_first: bool
    batch_norm: str | None
    backend: str | None
    cells: nn.ModuleList
    gates: nn.ModuleDict | None
    norms: nn.ModuleList | None

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> State:
        """Zeros for ``batch`` rows, of the type and on the device of ``like`` or else of the parameters."""
        source = self.sample if like is None else like
        count = len(self.cells)
        return make_state(self.first_cell.state, [source.new_zeros(batch, count, size) for size in self._state_sizes()])

    @property
    def sample(self) -> Tensor:
        """A tensor of the type and on the device that the layer computes with."""
        for cell in self._all_cells():
            for name in cell.graph.declarations:
                return cell.parameter(name)
        sample: Tensor = getattr(self._all_cells()[0], "sample", torch.empty(0))
        return sample

    def as_computed(self, values: Tensor, name: str) -> Tensor:
        """Numbers in the type that the layer computes with, where that holds all of them.

        Raises:
            ValueError: it does not, or they are no numbers of the floating-point types; says what it is.
        """
        own = self.sample.dtype
        if values.layout is not torch.strided:
            raise ValueError(
                f"{name} is a tensor of layout {values.layout}; expected a dense one, as {name}.to_dense()"
            )
        if torch.is_autocast_enabled(values.device.type):
            return values
        if not values.is_floating_point():
            raise ValueError(f"{name} is {values.dtype}; expected floating-point numbers, as {name}.to({own})")
        if torch.promote_types(values.dtype, own) is not own:
            raise ValueError(
                f"{name} is {values.dtype}, but the layer computes in {own}; pass {name}.to({own}), or call "
                f"layer.to({values.dtype})"
            )
        return values if values.dtype is own else values.to(own)

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
        if x.dtype is not torch.float32 or x.layout is not torch.strided:
            x = self.as_computed(x, "x")
        initial = None if state is None else self.split_state(state, x.shape[0])
        initial = [zero_states(cell, x) for cell in self._all_cells()] if initial is None else initial
        final: list[States] = []
        noise = self.noise
        if self.training and (noise.active or self._reweighted):
            outputs, final = self.run(x.unsqueeze(1), None, initial)
            return outputs.squeeze(1), self.join_states(final)
        values = self._drop(x, self.dropout_input)
        for layer, states in enumerate(initial):
            with self.effective_weights(layer):
                final.append(advance(self.cells_of(layer)[0], values, states, noise))
            values = self.output_of(layer, values, final[-1][0])
        return values, self.join_states(final)

    def run(self, x: Tensor, ragged: Ragged | None, initial: list[States] | None) -> tuple[Tensor, list[States]]:
        """All layers over sequences x (B, T, D), checked: outputs (B, T, output_size), and the last states of each cell."""
        # What a gate carries past the first layer must be nothing in the padding.
        x = x if self.gates is None or ragged is None else ragged.clear(x)
        values, final = self._drop(x, self.dropout_input), []
        for layer in range(self.layers):
            first = layer * self.directions
            states = None if initial is None else initial[first : first + self.directions]
            outputs, last = self._run_layer(layer, values, ragged, states)
            final += last
            values = self.output_of(layer, values, outputs)
        return values, final

    def _run_layer(
        self, layer: int, x: Tensor, ragged: Ragged | None, initial: Sequence[States] | None
    ) -> tuple[Tensor, list[States]]:
        if not self._reweighted:
            cells = self.cells_of(layer)
            _call_hooks(cells, x)
            return run_layer(cells, x, ragged, initial, noise=self.noise, backend=self.backend)
        with self.effective_weights(layer, x, ragged):
            return run_layer(self.cells_of(layer), x, ragged, initial, noise=self.noise, backend=self.backend)

    @property
    def _reweighted(self) -> bool:
        """Whether the cells run, or may run, with other weights than their own."""
        return self.norms is not None or bool(self.weight_drop or self.weight_noise)

    @contextmanager
    def effective_weights(self, layer: int, x: Tensor | None = None, ragged: Ragged | None = None) -> Iterator[None]:
        """While it lasts, the cells of a layer have the weights that they run x with; without x, those of evaluation."""
        training = self.training and x is not None
        cells, first = self.cells_of(layer), layer * self.directions
        _call_hooks(cells, x)
        with ExitStack() as stack:
            if training and (self.weight_drop or self.weight_noise):
                for cell in cells:
                    stack.enter_context(
                        cell.replaced_parameters(draw_weights(cell, self.weight_drop, self.weight_noise))
                    )
            if self.norms is not None:
                moments = measure_moments(x, ragged) if training and x is not None else None
                for cell, norm in zip(cells, self.norms[first : first + self.directions], strict=True):
                    stack.enter_context(cell.replaced_parameters(norm(cell, moments)))
            yield

    def output_of(self, layer: int, below: Tensor, outputs: Tensor) -> Tensor:
        """What a layer hands up: its directions merged, beside its input (highway, residual), dropped out.

        Args:
            layer: its number, from 0.
            below: (B, T, features) or (B, features), the layer's input.
            outputs: (..., directions * H) of its cells.
        """
        outputs = self._merged(outputs)
        if self.gates is not None and str(layer) in self.gates:
            outputs = self.gates[str(layer)](below, outputs)
        elif self.residual and below.shape[-1] == outputs.shape[-1]:
            outputs = outputs + below if layer >= (1 if self.residual is True else self.residual - 1) else outputs
        return self._drop(outputs, self.dropout if layer < self.layers - 1 else self.dropout_output)

    def _merged(self, outputs: Tensor) -> Tensor:
        if not self.bidirectional or self.merge == "concat":
            return outputs
        forward, backward = outputs.chunk(2, -1)
        return forward + backward if self.merge == "sum" else (forward + backward) / 2

    def _drop(self, values: Tensor, probability: float) -> Tensor:
        draw = sequence_dropout if self.variational else dropout
        return draw(values, probability, self.training) if probability else values

    @property
    def noise(self) -> Noise:
        """What disturbs the recurrence in the present mode."""
        zoneout = tuple(self.zoneout.values()) if isinstance(self.zoneout, dict) else self.zoneout
        return Noise(self.dropout_state, zoneout, self.training)

    @property
    def first_cell(self) -> Cell:
        """The lowest layer's, forward; the others are of its kind."""
        return self._all_cells()[0]

    def cells_of(self, layer: int) -> list[Cell]:
        """The cells of a layer, numbered from 0: forward, then backward where there is one."""
        first = layer * self.directions
        return self._all_cells()[first : first + self.directions]

    def _all_cells(self) -> list[Cell]:
        return list(self.cells._modules.values())  # type: ignore[arg-type]  # a slice would build a module

    def _state_sizes(self) -> tuple[int, ...]:
        """Of each field; a state whose size is the input's, unlike in each layer, has the largest, with zeros behind."""
        first, *others = [cell.state_sizes for cell in self._all_cells()]
        if all(sizes == first for sizes in others):
            return first
        return tuple(map(max, first, *others))

    def split_state(self, state: Sequence[Tensor], batch: int) -> list[States]:
        """A layer's state, as it is passed and returned, to the states (B, size) of each of the ``cells``.

        Raises:
            ValueError: it does not fit; names the field.
        """
        names, sizes, cells = self.first_cell.state, self._state_sizes(), self._all_cells()
        if isinstance(state, Tensor) or len(state) != len(names):
            raise ValueError(f"state has {len(state)} fields; expected {len(names)}: {', '.join(names)}")
        for name, size, field in zip(names, sizes, state, strict=True):
            if not isinstance(field, Tensor):
                raise ValueError(
                    f"state.{name} is a {type(field).__name__}; expected a tensor {(batch, len(cells), size)}"
                )
            if field.shape != (batch, len(cells), size):
                raise ValueError(f"state.{name} has shape {tuple(field.shape)}; expected {(batch, len(cells), size)}")
        if any(field.dtype is not torch.float32 for field in state):
            state = [self.as_computed(field, f"state.{name}") for name, field in zip(names, state, strict=True)]
        return [
            tuple(field[:, position, :size] for field, size in zip(state, cell.state_sizes, strict=True))
            for position, cell in enumerate(cells)
        ]

    def join_states(self, final: list[States]) -> State:
        """The inverse of :meth:`split_state`."""
        fields = [
            torch.stack([_widened(state, size) for state in field], 1)
            for field, size in zip(zip(*final, strict=True), self._state_sizes(), strict=True)
        ]
        return make_state(self.first_cell.state, fields)


def _widened(state: Tensor, size: int) -> Tensor:
    return state if state.shape[-1] == size else F.pad(state, (0, size - state.shape[-1]))


def _call_hooks(cells: Sequence[Cell], x: Tensor | None) -> None:
    """Run the hooks on cells, which few have."""
    for cell in cells:
        if cell._forward_pre_hooks:
            cell.call_hooks(x)
