"""Streams: a layer that is given its sequence piece by piece and keeps its own state."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqloom.engine.runtime import packed
from seqloom.engine.runtime.packed import Weights, check_weights
from seqloom.errors import ConfigError
from seqloom.layers.compressed import CompressedCell, compress
from seqloom.layers.options import DRAWN
from seqloom.layers.stack import CellStack
from seqloom.layers.state import State, make_state

__all__ = ["Stream"]


class Stream:
    """What :meth:`seqloom.Recurrent.stream` returns: a layer's weights, packed, with a state that moves on at every step.

    The results are those of the layer over the whole sequence, for every division of it into steps and chunks, and the
    same bits for each division; also for a row alone and in a batch, and for any number of threads (layer normalisation
    apart, whose sums over the units the threads share).

    The weights are captured when the stream is made: what is changed in the layer later is not seen until
    :meth:`refresh`. Each thread needs a stream of its own.

    >>> from seqloom import Recurrent
    >>> layer = Recurrent("lstm", 3, 4)
    >>> stream = layer.stream()
    >>> stream.step(np.zeros(3, np.float32)).shape, stream.push(torch.zeros(5, 3)).shape
    ((4,), torch.Size([5, 4]))
    >>> stream.state.c.shape
    torch.Size([1, 1, 4])

    Args:
        layer: the layer; unidirectional, and evaluating where it has dropout.
        batch: rows B that go on together.
        weights: how the weights are kept: ``float32``, or ``bfloat16`` or ``int8`` for smaller memory and more speed.
        threads: at most so many share a step, where that pays.
        state: to begin with, as the layer returns it; zeros by default.

    Raises:
        ConfigError: a bidirectional layer, dropout in training, or an argument out of range.
        ValueError: a state that does not fit.
    """

    def __init__(
        self,
        layer: CellStack,
        batch: int = 1,
        *,
        weights: str = "float32",
        threads: int = 1,
        state: Sequence[Tensor] | None = None,
    ) -> None:
        if layer.bidirectional:
            raise ConfigError("a bidirectional layer cannot stream: its backward direction begins at the end")
        for name, value in (("batch", batch), ("threads", threads)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} is {value!r}; expected an integer of at least 1")
        self.batch, self.threads = batch, min(threads, packed.most_threads())
        self.weights: Weights = check_weights(weights)
        self.path = "native"
        """``native``, or ``python`` where the kernels cannot run the layer; :attr:`reason` then says why."""
        self.reason = ""
        self._layer = layer
        self._native: Any = None
        self._prepare()
        self.reset()
        if state is not None:
            self.state = state

    def step(self, x: Any, out: Any = None) -> Any:
        """One time step: x (B, D), or (D,) where B is 1, to the output (B, H) or (H,).

        Args:
            x: a NumPy array or a tensor of float32, or of the layer's own type; the result is of the same kind.
            out: an array or a tensor for the result, which is returned then; a new one by default.
        Raises:
            ValueError: a shape or a type that does not fit.
        """
        if self._native is None:
            return self._step_in_python(x, out)
        return self._native.step(x, out)

    def push(self, chunk: Any) -> Any:
        """Some time steps at once: (B, T, D) to (B, T, H), or (T, D) to (T, H) where B is 1; T may be 0.

        Where the layer is not ``batch_first``, time comes before the batch. A NumPy array or a tensor of float32; the
        result is of the same kind.

        Raises:
            ValueError: a shape or a type that does not fit.
        """
        values = self._array(chunk, "the chunk")
        rows = values
        if values.ndim == 2 and self.batch == 1:
            rows = values[None]
        elif values.ndim == 3 and not self._layer.batch_first:
            rows = values.transpose(1, 0, 2)
        wanted = (self.batch, self._layer.input_size)
        if rows.ndim != 3 or (rows.shape[0], rows.shape[2]) != wanted:
            order = "(B, T, D)" if self._layer.batch_first else "(T, B, D)"
            alone = " or (T, D)" if self.batch == 1 else ""
            raise ValueError(
                f"the chunk has shape {values.shape}; expected {order}{alone} with B = {wanted[0]} rows and "
                f"D = {wanted[1]} features"
            )
        time = rows.shape[1]
        shape = (*values.shape[:-1], self._layer.output_size)
        out = np.empty(shape, values.dtype)
        results = out[None] if out.ndim == 2 else out if self._layer.batch_first else out.transpose(1, 0, 2)
        if self._native is None:
            for t in range(time):
                results[:, t] = self._advance(torch.from_numpy(np.array(rows[:, t]))).numpy()
        elif time:
            self._push(rows, results, time)
        return _like(chunk, out)

    @property
    def state(self) -> State:
        """The state after the last step: a copy, as the layer takes and returns it. It can be set."""
        if self._native is None:
            return self._state._make(field.clone() for field in self._state)
        fields = self._zeros()
        for index, field in enumerate(fields):
            for layer in range(field.shape[1]):
                self._native.read_state(layer, index, field[:, layer])
        return fields

    @state.setter
    def state(self, state: Sequence[Tensor]) -> None:
        self._layer.split_state(state, self.batch)  # refuses what does not fit
        fields = [
            field.detach().to("cpu", self._zeros()[0].dtype).clone(memory_format=torch.contiguous_format)
            for field in state
        ]
        if self._native is None:
            self._state = make_state(self._layer.first_cell.state, fields)
            return
        for index, field in enumerate(fields):
            for layer in range(field.shape[1]):
                self._native.write_state(layer, index, field[:, layer])

    def reset(self) -> None:
        """Begin again from zeros."""
        self.state = self._zeros()

    def refresh(self) -> None:
        """Take the layer's weights as they are now; the state stays."""
        state = self.state
        self._prepare()
        self.state = state

    def branch(self) -> Stream:
        """A second stream that goes on from here: with the same weights, which it shares, and a state of its own.

        >>> from seqloom import Recurrent
        >>> first = Recurrent("gru", 3, 4).stream()
        >>> second = first.branch()
        >>> bool((first.step(np.ones(3, np.float32)) == second.step(np.ones(3, np.float32))).all())
        True
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        if self._native is not None:
            other._begin()
        other.state = self.state
        return other

    __copy__ = branch

    def __deepcopy__(self, memo: dict[int, Any]) -> Stream:
        other = self.branch()
        other._layer = copy.deepcopy(self._layer, memo)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """The layer as it is now, and the state: a stream that is read again packs its weights anew.

        Raises:
            ConfigError: the layer has changed since the stream took its weights.
        """
        if self._marks != _marks_of(self._layer):
            raise ConfigError(
                "the layer's weights have changed since the stream took them; call refresh() before pickling it"
            )
        return _made_again, (type(self), self._layer, self.batch, self.weights, self.threads, tuple(self.state))

    def __repr__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        return f"Stream(batch={self.batch}, weights={self.weights!r}, threads={self.threads}) {self.path}{reason}"

    @property
    def _type(self) -> Any:
        return np.dtype(np.float64) if self._sample.dtype == torch.float64 else np.dtype(np.float32)

    def _zeros(self) -> State:
        return self._layer.initial_state(self.batch, like=torch.empty(0, dtype=self._sample.dtype))

    def _prepare(self) -> None:
        layer = self._layer
        drawn = [name for name in (*DRAWN, "batch_norm") if getattr(layer, name)]
        if layer.training and drawn:
            what = "dropout" if "dropout" in drawn[0] else drawn[0]
            raise ConfigError(
                f"the layer is training and has {what}, which a stream does not draw; call layer.eval() first"
            )
        cells = [layer.cells_of(position)[0] for position in range(layer.layers)]
        self._sample, self._marks = torch.empty(0, dtype=layer.sample.dtype), _marks_of(layer)
        self.reason = self._objection(cells) or ""
        self.path = "python" if self.reason else "native"
        if self.reason:
            self._python = _captured(layer, self.weights)
            return
        parts = []
        for position, cell in enumerate(cells):
            with layer.effective_weights(position):  # a normalisation ends up inside the weights
                parts.append(packed.pack(cell, self.weights, steps=True, parts=self.threads))
        self._parts = parts
        self._begin()

    def _begin(self) -> None:
        """A native stream of the packed weights, with a state of its own."""
        layer = self._layer
        self._output = np.zeros((self.batch, layer.output_size), np.float32)
        self._native = packed.native_stream(
            self._parts, self.batch, residual=bool(layer.residual), threads=self.threads, output=self._output
        )

    def _objection(self, cells: Sequence[Any]) -> str | None:
        if self._layer.zoneout:
            return "zoneout mixes the old state into the new one"
        if self._layer.gates is not None:
            return "a highway's gates read the input of each layer"
        if self._layer.residual not in (False, True):
            return f"the residuals begin at layer {self._layer.residual}"
        for cell in cells:
            objection = packed.limitation([cell])
            if objection:
                return objection
        return None

    def _push(self, rows: Any, results: Any, time: int) -> None:
        if rows.strides[2] != 4 or rows.strides[0] % 4 or rows.strides[1] % 4:
            rows = np.ascontiguousarray(rows)
        self._native.push(x=rows, out=results, time=time)

    def _step_in_python(self, x: Any, out: Any) -> Any:
        values = self._array(x, "x")
        if values.shape != (self.batch, self._layer.input_size) and not (
            self.batch == 1 and values.shape == (self._layer.input_size,)
        ):
            alone = f" or {(self._layer.input_size,)}" if self.batch == 1 else ""
            raise ValueError(f"x has shape {values.shape}; expected {(self.batch, self._layer.input_size)}{alone}")
        result = self._advance(torch.from_numpy(np.array(values.reshape(self.batch, -1))))
        result = result.reshape(*values.shape[:-1], result.shape[-1])
        if out is None:
            return _like(x, result.numpy())
        if tuple(out.shape) != tuple(result.shape):
            raise ValueError(f"out has shape {tuple(out.shape)}; expected {tuple(result.shape)}")
        out[...] = result if isinstance(out, Tensor) else result.numpy()
        return out

    @torch.no_grad()
    def _advance(self, x: Tensor) -> Tensor:
        device, own = self._python.sample.device, self._sample.dtype
        result, state = self._python.step(x.to(device, own), self._state.to(device))
        self._state = state.to("cpu")
        return result.to("cpu", torch.float64 if own == torch.float64 else torch.float32)

    def _array(self, values: Any, name: str) -> Any:
        """A NumPy array of a tensor or an array, without copying; numbers of 16 bits as float32, which holds them."""
        own, kind = self._sample.dtype, self._type
        array: Any = values
        if isinstance(values, Tensor) and values.device.type == "cpu" and values.layout is torch.strided:
            plain = values.detach().resolve_neg()
            plain = plain.float() if plain.dtype == own and own.itemsize == 2 else plain
            array = values if plain.dtype == torch.bfloat16 else plain.numpy()
        elif isinstance(values, np.ndarray) and values.dtype == np.float16 and own == torch.float16:
            array = values.astype(np.float32)
        if not isinstance(array, np.ndarray) or array.dtype != kind:
            actual = getattr(values, "dtype", type(values).__name__)
            known = f"{kind} or {own}" if own.itemsize == 2 else str(kind)
            raise ValueError(f"{name} is {actual}; expected a NumPy array or a tensor on CPU of {known}")
        return array


def _like(given: Any, result: Any) -> Any:
    """An array as what was given: a tensor or an array, of its type."""
    if isinstance(given, Tensor):
        return torch.from_numpy(result).to(given.dtype)
    return result.astype(given.dtype, copy=False)


def _marks_of(layer: CellStack) -> list[tuple[int, int]]:
    """What changes when a layer's weights do."""
    return [
        (id(value), 0 if value.is_inference() else value._version)
        for value in layer.state_dict(keep_vars=True).values()
    ]


def _made_again(
    kind: type[Stream], layer: CellStack, batch: int, weights: str, threads: int, state: Sequence[Tensor]
) -> Stream:
    return kind(layer, batch, weights=weights, threads=threads, state=state)


def _captured(layer: CellStack, weights: Weights) -> CellStack:
    """A copy of the layer with weights as a stream keeps them."""
    captured = copy.deepcopy(layer).eval()
    if weights != "float32" and not isinstance(layer.first_cell, CompressedCell):
        captured.cells, captured.norms, captured.batch_norm = compress(captured, weights), None, None
    return captured
