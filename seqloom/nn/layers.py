"""Torch's recurrent layers on seqloom's engine: their constructors, parameters, state dicts, inputs and results.

Only ``forward`` is new. It takes over the calls that the engine can run and leaves all others to torch's own forward,
which therefore also raises torch's own errors: half precision, autocast, other devices, calls while a model is traced,
compiled or exported, ``torch.func``, forward-mode derivatives, empty batches, and inputs of a wrong shape or type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from seqloom.engine.backend import run_layer
from seqloom.engine.contract import Ragged, States
from seqloom.nn.view import CELLS, View

__all__ = ["GRU", "LSTM", "RNN", "OnEngine"]

_PRECISIONS = (torch.float32, torch.float64)
_PLAIN = (Tensor, nn.Parameter)
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
        weights = self._current_weights()
        packed = isinstance(input, PackedSequence)
        values = input.data if packed else input
        if not _engine_takes(values, weights):
            return super().forward(input, hx)
        if packed:
            batch = int(input.batch_sizes[0])
            fits = values.dim() == 2 and len(values) > 0
        else:
            batch = 1 if values.dim() == 2 else values.shape[0 if self.batch_first else 1]
            fits = values.dim() in (2, 3) and 0 not in values.shape
        states = self._states(hx, batch, 2 if not packed and values.dim() == 2 else 3, values)
        if not fits or values.shape[-1] != self.input_size or states is None:
            return super().forward(input, hx)
        return self._packed(input, states, weights) if packed else self._padded(input, states, weights)

    def _current_weights(self) -> list[Tensor]:
        """Torch's flat weights, looked up anew where an attribute was replaced (weight norm, ``functional_call``)."""
        parameters = self._parameters
        for name, weight in zip(self._flat_weights_names, self._flat_weights, strict=True):
            if weight is None or parameters.get(name) is not weight:
                self._update_flat_weights()
                break
        return self._flat_weights  # type: ignore[return-value]

    def _states(self, hx: Any, batch: int, dimensions: int, like: Tensor) -> tuple[Tensor, ...] | None:
        """The fields of ``hx``, (layers * directions, B, size) each; empty where none was given, none where amiss."""
        if hx is None:
            return ()
        two = self.mode == "LSTM"
        fields = tuple(hx) if two and isinstance(hx, (tuple, list)) else (hx,)
        if len(fields) != 1 + two:
            return None
        count = self.num_layers * (2 if self.bidirectional else 1)
        for field, size in zip(fields, (self.proj_size or self.hidden_size, self.hidden_size), strict=False):
            shape = (count, size) if dimensions == 2 else (count, batch, size)
            alike = type(field) in _PLAIN and field.dtype == like.dtype and field.device == like.device
            if not alike or field.shape != shape:
                return None
        return fields if dimensions == 3 else tuple(field.unsqueeze(1) for field in fields)

    def _padded(self, x: Tensor, states: tuple[Tensor, ...], weights: Sequence[Tensor]) -> tuple[Tensor, Any]:
        single = x.dim() == 2
        rows = x.unsqueeze(0) if single else x if self.batch_first else x.transpose(0, 1)
        outputs, final = self._run(rows, None, states, weights, self._drop_time_first)
        if single:
            return outputs.squeeze(0), self._result(final, None, single)
        # Torch's time-first output has no gaps, and people call view on it.
        return outputs if self.batch_first else outputs.transpose(0, 1).contiguous(), self._result(final, None)

    def _packed(
        self, input: PackedSequence, states: tuple[Tensor, ...], weights: Sequence[Tensor]
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
        outputs, final = self._run(x, ragged, begun, weights, between)
        result = PackedSequence(pack(outputs), counts, order, input.unsorted_indices)
        return result, self._result(final, input.unsorted_indices)

    def _run(
        self, x: Tensor, ragged: Ragged | None, states: tuple[Tensor, ...], weights: Sequence[Tensor], between: Between
    ) -> tuple[Tensor, list[States]]:
        """All layers over x (B, T, D): the last one's outputs, and the final states direction by direction."""
        views = self._views(weights)
        if torch.is_grad_enabled():
            views = [view.recorded() for view in views]
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

    def _views(self, weights: Sequence[Tensor]) -> list[View]:
        """The engine's cells, direction by direction of layer by layer; built anew where a weight was replaced."""
        known: tuple[tuple[Tensor, ...], list[View]] | None = self.__dict__.get("_engine_views")
        if known is not None and all(a is b for a, b in zip(known[0], weights, strict=True)):
            return known[1]
        name = "lstmp" if self.proj_size else CELLS[self.mode]
        width, views, start = len(self._all_weights[0]), list[View](), 0
        for start in range(0, len(weights), width):
            chosen = weights[start : start + width]
            size = (name, chosen[0].shape[1], self.hidden_size, self.proj_size, bool(self.bias))
            views.append(View(size, chosen))
        self.__dict__["_engine_views"] = (tuple(weights), views)
        return views

    def _drop_time_first(self, values: Tensor) -> Tensor:
        """Dropout whose mask is drawn in torch's order, so that a seed drops the same units."""
        return F.dropout(values.transpose(0, 1).contiguous(), self.dropout, self.training).transpose(0, 1)

    def _result(self, final: list[States], order: Tensor | None, single: bool = False) -> Any:
        """Torch's ``h`` or ``(h, c)``, (layers * directions, B, size), the rows in the given order."""
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


def _engine_takes(values: Any, weights: Sequence[Any]) -> bool:
    """Whether a call is one for the engine: plain tensors of full precision on a CPU, run rather than recorded."""
    if type(values) not in _PLAIN or values.device.type != "cpu" or values.dtype not in _PRECISIONS:
        return False
    dtype = values.dtype
    for weight in weights:
        if not isinstance(weight, Tensor) or weight.dtype != dtype or weight.device.type != "cpu":
            return False
    return not (
        torch._C._is_any_autocast_enabled()
        or torch._C._get_tracing_state() is not None
        or torch.compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or forward_ad._current_level >= 0
    )
