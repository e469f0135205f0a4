"""Against ``torch.nn``: the same weights, forward and in training, on whole batches, on lengths, and in 8 bits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import seqloom
from seqloom.app.bench.comparison import Contest, NotAvailableError, Shape, Side, Values
from seqloom.layers.exchange import from_torch
from seqloom.layers.explanation import explain
from seqloom.layers.recurrent import Recurrent

__all__ = [
    "chosen_backend",
    "forward",
    "forward_in_8_bits",
    "forward_side",
    "torch_layer",
    "training",
    "training_on_lengths",
    "training_side",
    "training_tagger",
]

_PEERS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
# With 8-bit weights and 16-bit activations the error is a few thousandths at most; 8-bit activations stay within this too.
_TOLERANCE_OF_8_BITS = 3e-2


def torch_layer(cell: str, shape: Shape, **options: Any) -> nn.RNNBase:
    """The layer of ``torch.nn`` of that name, with torch's own initial weights and order of axes."""
    return _PEERS[cell](shape.input, shape.hidden, **options)


def forward(shape: Shape, *, cell: str) -> Contest:
    """Inference: (T, B, D) to all outputs, torch's own order of axes on both sides."""
    peer = torch_layer(cell, shape).eval()
    layer, x = from_torch(peer), torch.randn(shape.time, shape.batch, shape.input)
    return Contest(
        forward_side(lambda: layer(x)[0]),
        forward_side(lambda: peer(x)[0]),
        backend=chosen_backend(layer, x, training=False),
    )


def forward_in_8_bits(shape: Shape, *, cell: str) -> Contest:
    """Inference with 8-bit weights, to torch with 32."""
    quantize = getattr(seqloom, "quantize", None)
    if quantize is None:
        raise NotAvailableError("seqloom.quantize is not in this version")
    peer = torch_layer(cell, shape).eval()
    layer, x = quantize(from_torch(peer), "int8"), torch.randn(shape.time, shape.batch, shape.input)
    return Contest(
        forward_side(lambda: layer(x)[0]),
        forward_side(lambda: peer(x)[0]),
        backend=chosen_backend(layer, x, training=False),
        tolerance=_TOLERANCE_OF_8_BITS,
    )


def training(shape: Shape, *, cell: str) -> Contest:
    """A forward and a backward pass to all parameters and to x, given the gradient of the outputs."""
    peer = torch_layer(cell, shape)
    layer, x = from_torch(peer), torch.randn(shape.time, shape.batch, shape.input, requires_grad=True)
    return _training_contest(layer, peer, x, lambda: layer(x)[0], lambda: peer(x)[0])


def training_on_lengths(shape: Shape, *, cell: str) -> Contest:
    """Training on rows of different lengths, to torch's packed sequences; packing and unpacking are part of the work."""
    peer = torch_layer(cell, shape, batch_first=True)
    layer, x, lengths = from_torch(peer), _batch_first(shape), _lengths(shape)
    return _training_contest(
        layer, peer, x, lambda: layer(x, lengths=lengths)[0], partial(_packed, peer, x, lengths), lengths
    )


def training_tagger(shape: Shape, *, cell: str = "lstm", layers: int = 2) -> Contest:
    """Training of a bidirectional stack, to torch on the padded batch.

    Where the rows differ, torch computes the padding too and gets other results; what is checked is torch on the packed
    sequences, what is timed is torch on the padded ones, which is its faster way.
    """
    peer = torch_layer(cell, shape, num_layers=layers, bidirectional=True, batch_first=True)
    layer, x = from_torch(peer), _batch_first(shape)
    if shape.fill == 1:
        return _training_contest(layer, peer, x, lambda: layer(x)[0], lambda: peer(x)[0])
    lengths = _lengths(shape)
    checked = _training_contest(
        layer, peer, x, lambda: layer(x, lengths=lengths)[0], partial(_packed, peer, x, lengths), lengths
    )
    gradient = torch.randn(shape.batch, shape.time, 2 * shape.hidden)
    timed = training_side(lambda: peer(x)[0], [x, *peer.parameters()], gradient, lambda gradients: {})
    return Contest(checked.ours, Side(timed.run, checked.rival.values), checked.backend)


def forward_side(run: Callable[[], Tensor]) -> Side:
    """A side that computes outputs and keeps nothing for a backward pass."""

    def infer() -> Tensor:
        with torch.inference_mode():
            return run()

    return Side(infer, lambda: {"outputs": infer()})


def training_side(
    run: Callable[[], Tensor],
    sources: Sequence[Tensor],
    gradient: Tensor,
    named: Callable[[Sequence[Tensor]], Values],
) -> Side:
    """A side that computes outputs and the gradients of the sum of ``gradient`` times the outputs.

    Args:
        sources: what gradients are for.
        named: names them, in an arrangement that both sides share.
    """

    def train() -> tuple[Tensor, ...]:
        return torch.autograd.grad(run(), sources, gradient)

    return Side(train, lambda: {"outputs": run(), **named(train())})


def chosen_backend(layer: Recurrent, x: Tensor, lengths: Tensor | None = None, *, training: bool) -> str:
    """The backends that run the layer on this batch, as :func:`seqloom.explain` says."""
    with torch.set_grad_enabled(training):
        choices = explain(layer, x, lengths).choices
    return ", ".join(dict.fromkeys(choice.backend for choice in choices))


def _training_contest(
    layer: Recurrent,
    peer: nn.RNNBase,
    x: Tensor,
    ours: Callable[[], Tensor],
    theirs: Callable[[], Tensor],
    lengths: Tensor | None = None,
) -> Contest:
    gradient = torch.randn_like(theirs())
    names = ["x", *(name for name, _ in layer.named_parameters())]
    return Contest(
        training_side(
            ours, [x, *layer.parameters()], gradient, lambda gradients: dict(zip(names, gradients, strict=True))
        ),
        training_side(theirs, [x, *peer.parameters()], gradient, partial(_as_ours, peer)),
        backend=chosen_backend(layer, x, lengths, training=True),
    )


@torch.no_grad()
def _as_ours(peer: nn.RNNBase, gradients: Sequence[Tensor]) -> Values:
    """The gradients of x and of torch's parameters, by the names of ours: they move like the weights themselves."""
    twin = copy.deepcopy(peer)
    hidden = int(peer.hidden_size)
    for (name, parameter), gradient in zip(twin.named_parameters(), gradients[1:], strict=True):
        parameter.copy_(gradient)
        if name.startswith("bias_hh"):
            # Torch has two biases with the same gradient where we have one, the sum of them. Only a GRU's candidate has
            # two here as well.
            parameter[: 2 * hidden if peer.mode == "GRU" else None] = 0.0
    return {"x": gradients[0], **dict(from_torch(twin).named_parameters())}


def _packed(peer: nn.RNNBase, x: Tensor, lengths: Tensor) -> Tensor:
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    outputs: Tensor = pad_packed_sequence(peer(packed)[0], batch_first=True, total_length=x.shape[1])[0]
    return outputs


def _batch_first(shape: Shape) -> Tensor:
    return torch.randn(shape.batch, shape.time, shape.input, requires_grad=True)


def _lengths(shape: Shape) -> Tensor:
    """Lengths (B,) of every size from T down to as far below the mean as T is above it, in no order; one is T."""
    shortest = max(1, round((2 * shape.fill - 1) * shape.time))
    lengths = torch.linspace(shortest, shape.time, shape.batch).round().long()
    return lengths[torch.randperm(shape.batch)]
