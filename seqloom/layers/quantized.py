"""Layers with weights in fewer bits, for inference: smaller files, smaller memory, and more speed at small batches."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from seqloom.engine.contract import Ragged, States
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime import cpu, packed
from seqloom.engine.runtime.backend import run_layer
from seqloom.engine.runtime.entrance import all_plain, is_recorded, is_transformed
from seqloom.engine.runtime.packed import PackedCell, Weights, check_weights
from seqloom.errors import ConfigError
from seqloom.layers.compressed import CompressedCell, compress
from seqloom.layers.recurrent import Recurrent
from seqloom.layers.stream import Stream

__all__ = ["QuantizedRecurrent", "quantize"]

Model = TypeVar("Model", bound=nn.Module)


class QuantizedRecurrent(Recurrent):
    """A recurrent layer whose weights have fewer bits; see :func:`quantize`. Called like the layer it was made from.

    It is for inference: it cannot be set to training, and no gradient flows through it. ``layer.stream()`` steps with
    the same weights.
    """

    def __init__(self, layer: Recurrent, weights: Weights) -> None:
        nn.Module.__init__(self)
        own = self.__dict__.keys() | {"cells"}
        self.__dict__.update({name: value for name, value in layer.__dict__.items() if name not in own})
        self.weights: Weights = weights
        self.error = 0.0
        """Measured: the root mean square of the differences of its outputs from those of the layer it was made from."""
        self.cells, self.gates = compress(layer, weights), copy.deepcopy(layer.gates)
        self.requires_grad_(False)
        self.norms = self.batch_norm = None
        self._packed: dict[int, tuple[Any, list[PackedCell]]] = {}
        nn.Module.train(self, False)

    def train(self, mode: bool = True) -> QuantizedRecurrent:
        """Refuses training.

        Raises:
            ConfigError: ``mode`` is true.
        """
        if mode:
            raise ConfigError("a quantized layer is for inference; train the layer it was made from and quantize that")
        return self

    def stream(
        self,
        batch: int = 1,
        *,
        weights: str | None = None,
        threads: int = 1,
        state: Sequence[Tensor] | None = None,
    ) -> Stream:
        """A stream with these weights; see :meth:`seqloom.Recurrent.stream`."""
        kind = self.weights if weights is None else check_weights(weights)
        if kind != self.weights:
            raise ConfigError(f"weights is {weights!r}, but the layer was quantized to {self.weights!r}")
        return Stream(self, batch, weights=kind, threads=threads, state=state)

    def _run_layer(
        self, layer: int, x: Tensor, ragged: Ragged | None, initial: Sequence[States] | None
    ) -> tuple[Tensor, list[States]]:
        if torch.is_grad_enabled() and x.requires_grad:
            raise ConfigError(
                "no gradient flows through a quantized layer; call it on x.detach() or under torch.no_grad()"
            )
        cells: list[Any] = self.cells_of(layer)
        recorded = is_recorded() or is_transformed() or not all_plain((x,))
        objection = recorded or self.zoneout or x.dtype != torch.float32 or 0 in x.shape[:2] or packed.limitation(cells)
        if self.backend not in (None, "cpu") or objection:
            return run_layer(cells, x, ragged, initial, noise=self.noise, backend=self.backend)
        rows = PackedRows(x.shape[1], len(x)) if ragged is None else ragged.packed
        states = [rows.sort(state.float()) for of_direction in initial or () for state in of_direction]
        values = rows.pack(x)
        program = packed.program_of(cells[0])
        leaves = cpu.gather(cpu.prepare(cells[0]), cells, values, []).rows if program.rows else []
        output, *rest = packed.run(self._pack(layer, cells), values, rows, leaves, states)
        count = len(program.states)
        finals = [tuple(map(rows.unsort, rest[d * count : (d + 1) * count])) for d in range(self.directions)]
        return rows.unpack(output), finals

    def _pack(self, layer: int, cells: Sequence[CompressedCell]) -> list[PackedCell]:
        """The cells in the machine's order, made anew where a state dictionary was loaded or the threads changed."""
        buffers = [buffer for cell in cells for buffer in cell.buffers()]
        threads = torch.get_num_threads()
        if any(buffer.is_inference() for buffer in buffers):  # nobody would see that they change
            return [packed.pack(cell, self.weights, parts=threads) for cell in cells]
        key = (threads, *((buffer.data_ptr(), buffer.stride(), buffer._version) for buffer in buffers))
        if self._packed.get(layer, (None,))[0] != key:
            self._packed[layer] = key, [packed.pack(cell, self.weights, parts=threads) for cell in cells]
        return self._packed[layer][1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": {}}  # copies pack their own

    def extra_repr(self) -> str:
        return f"weights={self.weights!r}, error={self.error:.1e}, {super().extra_repr()}".rstrip(", ")


@overload
def quantize(target: Recurrent, weights: str = "int8", *, sample: Tensor | None = None) -> QuantizedRecurrent: ...
@overload
def quantize(target: Model, weights: str = "int8", *, sample: Tensor | None = None) -> Model: ...


@torch.inference_mode(False)
@torch.no_grad()
def quantize(target: Any, weights: str = "int8", *, sample: Tensor | None = None) -> Any:
    """A layer, or a model with such layers inside, accelerated ones among them, with weights in fewer bits, for inference.

    ``int8`` keeps each row of a matrix as integers from -127 to 127 times a scale, and multiplies exactly with 16-bit
    integers that the other vector is rounded to; ``bfloat16`` (or ``bf16``) rounds the weights and multiplies as floats.

    Args:
        target: a :class:`~seqloom.Recurrent` or a layer of :mod:`seqloom.nn`, which stays as it is; or a model, in which
            each of them is replaced.
        weights: ``int8``, ``bfloat16`` or ``bf16``.
        sample: (B, T, D) a typical input of a layer, on which its ``error`` is measured; random by default. Not with a model.
    Returns:
        the quantized layer, whose ``error`` says what that cost; or the model itself.
    Raises:
        ConfigError: an unknown kind of weights, or a model without a recurrent layer.

    >>> layer = Recurrent("lstm", 8, 16).eval()
    >>> quantize(layer, "int8").error < 1e-2
    True
    """
    kind = check_weights(weights, short=True)
    if isinstance(target, QuantizedRecurrent):
        raise ConfigError(f"the layer is quantized already, to {target.weights!r}")
    if isinstance(target, Recurrent):
        result = QuantizedRecurrent(target, kind)
        result.error = _error(target, result, sample)
        return result
    if hasattr(target, "quantized"):  # a layer of the drop-in, which calls like torch's
        return target.quantized(kind)
    if sample is not None:
        raise ConfigError("sample is for one layer; quantize the layers of a model one by one to give each its own")
    replaceable = [
        (parent, name, child)
        for parent in target.modules()
        for name, child in parent.named_children()
        if hasattr(child, "quantized") or (isinstance(child, Recurrent) and not isinstance(child, QuantizedRecurrent))
    ]
    if not replaceable:
        raise ConfigError(
            f"{type(target).__name__} has no seqloom.Recurrent inside; seqloom.accelerate(model) puts them there"
        )
    replaced = {id(child): quantize(child, kind) for _, _, child in replaceable}
    for parent, name, child in replaceable:
        setattr(parent, name, replaced[id(child)])
    return target.eval()


def _error(layer: Recurrent, result: QuantizedRecurrent, sample: Tensor | None) -> float:
    """The root mean square of the outputs' differences on a sample."""
    if sample is None:
        like = layer.sample
        chance = torch.Generator().manual_seed(0)
        shape = (2, 40, layer.input_size) if layer.batch_first else (40, 2, layer.input_size)
        sample = torch.randn(shape, generator=chance).to(like)
    training = layer.training
    try:
        wanted = layer.eval()(sample)[0]
    finally:
        layer.train(training)
    return float((result(sample)[0] - wanted).square().mean().sqrt())
