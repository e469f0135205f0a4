"""Torch's recurrent layers on seqloom's engine: their constructors, parameters, state dicts, inputs and results.

Only ``forward`` is new. It takes over the calls that the engine can run and leaves all others to torch's own forward,
which therefore also raises torch's own errors: half precision, autocast, other devices, calls while a model is traced,
compiled or exported, ``torch.func``, forward-mode derivatives, empty batches, and inputs of a wrong shape or type.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from seqloom.engine.contract import Ragged, States
from seqloom.engine.runtime.backend import run_layer
from seqloom.engine.runtime.entrance import PLAIN, is_recorded, is_transformed
from seqloom.errors import ConfigError
from seqloom.nn.view import CELLS, View, fits

if TYPE_CHECKING:
    from seqloom.layers.stream import Stream
    from seqloom.nn.live import QuantizedLayer

__all__ = ["GRU", "LSTM", "RNN", "OnEngine"]

Between: TypeAlias = Callable[[Tensor], Tensor]
"""What happens between two layers, to (B, T, features)."""


class OnEngine(nn.RNNBase):
    """What the three layers share; parameters, checks of arguments and everything but ``forward`` are torch's.

    Beside torch's attributes there is ``backend``: a name of a backend for this layer, else the environment variable
    ``SEQLOOM_BACKEND`` or the automatic choice decides.
    """

    backend: str | None = None

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As torch: (output, h) or (output, (h, c)) of a tensor or a packed sequence, from ``hx`` or from zeros.

        Raises:
            Exception: what torch raises, for the same arguments.
        """
        views = self._views() if _is_computed() else ()
        packed = isinstance(input, PackedSequence)
        values = input.data if packed else input
        if not views or type(values) not in PLAIN or not values.is_cpu or values.dtype is not views[0].dtype:
            if isinstance(values, torch.fx.Proxy):
                return _recorded_leaf(self, values, hx)
            return super().forward(input, hx)
        dimensions = values.dim()
        if dimensions not in ((2,) if packed else (2, 3)) or values.shape[-1] != self.input_size or not values.numel():
            return super().forward(input, hx)
        batch = 1 if hx is None else int(input.batch_sizes[0]) if packed else self._batch(values)
        states = () if hx is None else self._states(hx, batch, values, packed)
        if states is None:
            return super().forward(input, hx)
        views = [view.for_call() for view in views]
        return self._packed(input, states, views) if packed else self._padded(input, states, views)

    def stream(
        self, batch: int = 1, *, weights: str = "float32", threads: int = 1, state: Sequence[Tensor] | None = None
    ) -> Stream:
        """A stream with this layer's weights, for live use; see :meth:`seqloom.Recurrent.stream`.

        Its state has the form of that layer's: fields (B, layers, H).

        >>> stream = GRU(3, 4).stream()
        >>> stream.step(torch.zeros(3)).shape
        torch.Size([4])

        Raises:
            ConfigError: a layer in both directions, or training with dropout.
        """
        from seqloom.nn.live import TorchStream  # streams are for few, and importing them takes a moment

        if self.training and self.dropout and self.num_layers > 1:
            raise ConfigError(
                "the layer is training and has dropout, which a stream does not draw; call layer.eval() first"
            )
        return TorchStream(self, batch, weights=weights, threads=threads, state=state)

    def quantized(self, weights: str = "int8") -> QuantizedLayer:
        """A layer with these weights in fewer bits, for inference, called like this one; see :func:`seqloom.quantize`."""
        from seqloom.nn.live import QuantizedLayer

        return QuantizedLayer(self, weights)

    def _views(self) -> Sequence[View]:
        """The engine's cells, direction by direction of layer by layer; none where a weight is not one for the engine.

        They are built anew where a weight is another object (weight norm, ``functional_call``) or has other memory.
        """
        known: tuple[tuple[Tensor, ...], tuple[Any, ...], list[View]] | None = self.__dict__.get("_engine_views")
        parameters = self._parameters
        if known is not None:
            for name, weight, place in zip(self._flat_weights_names, known[0], known[1], strict=True):
                if parameters.get(name) is not weight or (weight.data_ptr(), weight.stride()) != place:
                    break
            else:
                return known[2]
        self._update_flat_weights()
        weights: tuple[Any, ...] = tuple(self._flat_weights)
        if not all(type(weight) in PLAIN and weight.is_cpu for weight in weights):
            return ()
        name, width, views = "lstmp" if self.proj_size else CELLS[self.mode], len(self._all_weights[0]), list[View]()
        for start in range(0, len(weights), width):
            below = (2 if self.bidirectional else 1) * (self.proj_size or self.hidden_size)
            first = start < width * (2 if self.bidirectional else 1)
            size = (name, self.input_size if first else below, self.hidden_size, self.proj_size, bool(self.bias))
            if not fits(size, weights[start : start + width], weights[0].dtype):
                return ()
            views.append(View.of(size, weights[start : start + width]))
        places = tuple([(weight.data_ptr(), weight.stride()) for weight in weights])
        self.__dict__["_engine_views"] = (weights, places, views)
        return views

    def _batch(self, values: Tensor) -> int:
        return 1 if values.dim() == 2 else values.shape[0 if self.batch_first else 1]

    def _states(self, hx: Any, batch: int, like: Tensor, packed: bool) -> tuple[Tensor, ...] | None:
        """The fields of ``hx``, (layers * directions, B, size) each; none where they are not what torch takes."""
        lstm = self.mode == "LSTM"
        fields = tuple(hx) if lstm and isinstance(hx, (tuple, list)) else (hx,)
        if len(fields) != 1 + lstm:
            return None
        count, single = self.num_layers * (2 if self.bidirectional else 1), not packed and like.dim() == 2
        for field, size in zip(fields, (self.proj_size or self.hidden_size, self.hidden_size), strict=False):
            alike = type(field) in PLAIN and field.dtype == like.dtype and field.device == like.device
            if not alike or field.shape != ((count, size) if single else (count, batch, size)):
                return None
        return tuple(field.unsqueeze(1) for field in fields) if single else fields

    def _padded(self, x: Tensor, states: tuple[Tensor, ...], views: Sequence[View]) -> tuple[Tensor, Any]:
        single = x.dim() == 2
        rows = x.unsqueeze(0) if single else x if self.batch_first else x.transpose(0, 1)
        outputs, final = self._run(rows, None, states, views, self._drop_time_first)
        if single:
            return outputs.squeeze(0), self._result(final, None, single)
        # Torch's time-first output has no gaps, and people call view on it.
        return outputs if self.batch_first else outputs.transpose(0, 1).contiguous(), self._result(final, None)

    def _packed(
        self, input: PackedSequence, states: tuple[Tensor, ...], views: Sequence[View]
    ) -> tuple[PackedSequence, Any]:
        counts = input.batch_sizes
        x, lengths = torch._VF._pad_packed_sequence(input.data, counts, True, 0.0, len(counts))
        full = bool(counts[-1] == counts[0])

        def pack(values: Tensor) -> Tensor:
            packed: Tensor = torch._VF._pack_padded_sequence(values, lengths, True)[0]
            return packed

        def between(values: Tensor) -> Tensor:
            dropped = F.dropout(pack(values), self.dropout, self.training)
            padded: Tensor = torch._VF._pad_packed_sequence(dropped, counts, True, 0.0, len(counts))[0]
            return padded

        order = input.sorted_indices
        begun = states if order is None else tuple(field.index_select(1, order) for field in states)
        ragged = None if full else Ragged(lengths, len(counts))
        outputs, final = self._run(x, ragged, begun, views, between)
        result = PackedSequence(pack(outputs), counts, order, input.unsorted_indices)
        return result, self._result(final, input.unsorted_indices)

    def _run(
        self, x: Tensor, ragged: Ragged | None, states: tuple[Tensor, ...], views: Sequence[View], between: Between
    ) -> tuple[Tensor, list[States]]:
        """All layers over x (B, T, D): the last one's outputs, and the final states direction by direction."""
        directions, final = 2 if self.bidirectional else 1, list[States]()
        dropping = self.training and self.dropout > 0.0
        for first in range(0, len(views), directions):
            here = range(first, first + directions)
            initial = [tuple(field[position] for field in states) for position in here] if states else None
            x, last = run_layer(views[first : first + directions], x, ragged, initial, backend=self.backend)
            final += last
            if dropping and first + directions < len(views):
                x = between(x)
        return x, final

    def _drop_time_first(self, values: Tensor) -> Tensor:
        """Dropout whose mask is drawn in torch's order, so that a seed drops the same units."""
        return F.dropout(values.transpose(0, 1).contiguous(), self.dropout, self.training).transpose(0, 1)

    def _result(self, final: list[States], order: Tensor | None, single: bool = False) -> Any:
        """Torch's ``h`` or ``(h, c)``, (layers * directions, B, size), the rows in the given order."""
        if len(final) == 1 and not torch.is_grad_enabled():
            fields = tuple(field.unsqueeze(0) for field in final[0])
        else:  # a tensor of its own: people write into states, and the way back may need what the engine returned
            fields = tuple(torch.stack(field) for field in zip(*final, strict=True))
        if order is not None:
            fields = tuple(field.index_select(1, order) for field in fields)
        if single:
            fields = tuple(field.squeeze(1) for field in fields)
        return fields if self.mode == "LSTM" else fields[0]

    def __getstate__(self) -> dict[str, Any]:
        """Copies and files hold what torch's layer holds; the engine's views are built where they are needed."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        state.pop("_engine_views", None)
        return state

    def __prepare_scriptable__(self) -> nn.RNNBase:
        """What ``torch.jit.script`` compiles in this layer's place: torch's own layer with the same parameters."""
        warnings.warn(
            f"torch.jit.script compiles torch's own {type(self).__name__} in place of seqloom's, and leaves it in the "
            "model that it was given; call seqloom.accelerate(model) afterwards to run that on the engine again",
            stacklevel=2,
        )
        torchs_own = next(kind for kind in type(self).__mro__ if kind in (nn.RNN, nn.LSTM, nn.GRU))
        twin: nn.RNNBase = object.__new__(torchs_own)
        twin.__dict__.update(self.__dict__)
        for name in ("_engine_views", "backend"):
            twin.__dict__.pop(name, None)
        return twin


class RNN(OnEngine, nn.RNN):
    """``torch.nn.RNN`` on seqloom's engine: same constructor, parameters and results (Elman 1990).

    >>> layer = RNN(10, 20, 2, nonlinearity="relu")
    >>> outputs, h = layer(torch.zeros(5, 3, 10))
    >>> layer, outputs.shape, h.shape
    (RNN(10, 20, num_layers=2), torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """


class LSTM(OnEngine, nn.LSTM):
    """``torch.nn.LSTM`` on seqloom's engine: same constructor, parameters and results (Gers et al. 2000).

    >>> layer = LSTM(10, 20, batch_first=True, bidirectional=True)
    >>> outputs, (h, c) = layer(torch.zeros(3, 5, 10))
    >>> layer, outputs.shape, c.shape
    (LSTM(10, 20, batch_first=True, bidirectional=True), torch.Size([3, 5, 40]), torch.Size([2, 3, 20]))
    """


class GRU(OnEngine, nn.GRU):
    """``torch.nn.GRU`` on seqloom's engine: same constructor, parameters and results (Cho et al. 2014).

    >>> layer = GRU(10, 20)
    >>> outputs, h = layer(torch.zeros(5, 10))  # without a batch
    >>> layer, outputs.shape, h.shape
    (GRU(10, 20), torch.Size([5, 20]), torch.Size([1, 20]))
    """


def _is_computed() -> bool:
    """Whether a call is to be computed now, rather than recorded, transformed or computed in another precision."""
    return not (is_recorded() or torch._C._is_any_autocast_enabled() or is_transformed())


def _recorded_leaf(module: nn.Module, input: torch.fx.Proxy, hx: Any) -> Any:
    """What ``torch.fx`` writes down of a layer of torch: one call of it."""
    tracer: Any = input.tracer
    return tracer.create_proxy("call_module", tracer.path_of_module(module), (input, hx), {})
