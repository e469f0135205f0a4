"""Torch's recurrent layers live and in fewer bits: streams of their weights, and quantised layers that are called like them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqloom.errors import ConfigError
from seqloom.layers.exchange import from_torch
from seqloom.layers.quantized import QuantizedRecurrent, quantize
from seqloom.layers.stream import Stream

__all__ = ["QuantizedLayer", "TorchStream"]


class TorchStream(Stream):
    """A stream of a layer of :mod:`seqloom.nn`; :meth:`refresh` takes that layer's weights as they are then."""

    def __init__(self, module: nn.RNNBase, batch: int = 1, **options: Any) -> None:
        self._module = weakref.ref(module)
        super().__init__(from_torch(module).eval(), batch, **options)

    def refresh(self) -> None:
        module = self._module()
        if module is None:
            raise ConfigError("the layer that the stream was made from is gone; keep it as long as you want to refresh")
        self._layer = from_torch(module).eval()
        super().refresh()

    def __reduce__(self) -> tuple[Any, ...]:
        """A stream of its own: the layer of torch stays where it is."""
        again, (_, *rest) = super().__reduce__()
        return again, (Stream, *rest)


class QuantizedLayer(nn.Module):
    """An ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU`` with weights in fewer bits, for inference: called like torch's.

    Args:
        module: the layer whose weights are taken; it stays as it is.
        weights: ``int8``, ``bfloat16`` or ``bf16``.

    >>> import torch
    >>> layer = QuantizedLayer(nn.LSTM(4, 6), "int8")
    >>> outputs, (h, c) = layer(torch.zeros(5, 2, 4))
    >>> outputs.shape, h.shape
    (torch.Size([5, 2, 6]), torch.Size([1, 2, 6]))
    """

    def __init__(self, module: nn.RNNBase, weights: str = "int8") -> None:
        super().__init__()
        layer = from_torch(module).eval()
        layer.batch_first = True
        self.layer: QuantizedRecurrent = quantize(layer, weights)
        self.mode, self.batch_first, self.input_size = module.mode, module.batch_first, module.input_size
        self.train(False)

    @property
    def error(self) -> float:
        """The root mean square of what the fewer bits change in the outputs; see :func:`seqloom.quantize`."""
        return self.layer.error

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As torch: (output, h) or (output, (h, c)) of a tensor or a packed sequence, from ``hx`` or from zeros.

        Raises:
            ValueError: shapes or types that do not fit.
        """
        if isinstance(input, PackedSequence):
            x, lengths = pad_packed_sequence(input, batch_first=True)
            outputs, final = self.layer(x, self._begun(hx, False), lengths)
            packed = pack_padded_sequence(outputs, lengths, batch_first=True, enforce_sorted=False)
            same = PackedSequence(packed.data, packed.batch_sizes, input.sorted_indices, input.unsorted_indices)
            return same, self._result(final, False)
        single = input.dim() == 2
        x = input.unsqueeze(0) if single else input if self.batch_first else input.transpose(0, 1)
        outputs, final = self.layer(x, self._begun(hx, single))
        outputs = (
            outputs.squeeze(0) if single else outputs if self.batch_first else outputs.transpose(0, 1).contiguous()
        )
        return outputs, self._result(final, single)

    def stream(self, batch: int = 1, *, threads: int = 1, state: Sequence[Tensor] | None = None) -> Stream:
        """A stream with these weights: x (B, D) step by step; see :meth:`seqloom.Recurrent.stream`."""
        return self.layer.stream(batch, threads=threads, state=state)

    def _begun(self, hx: Any, single: bool) -> tuple[Tensor, ...] | None:
        if hx is None:
            return None
        fields = tuple(hx) if self.mode == "LSTM" else (hx,)
        return tuple(field.unsqueeze(0) if single else field.transpose(0, 1) for field in fields)

    def _result(self, final: Sequence[Tensor], single: bool) -> Any:
        fields = tuple(field.squeeze(0) if single else field.transpose(0, 1).contiguous() for field in final)
        return fields if self.mode == "LSTM" else fields[0]
