"""One step of a stream, which carries its state: to ``torch.nn.LSTMCell``, and to ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqloom.app.bench.against_onnx import SETTLE, operator_session
from seqloom.app.bench.against_torch import torch_layer
from seqloom.app.bench.comparison import Contest, NotAvailableError, Shape, Side, Values
from seqloom.layers.exchange import from_torch

__all__ = ["against_cell", "against_onnx"]

_CHECKED_STEPS = 8

Array = np.ndarray[Any, np.dtype[np.float32]]


def against_cell(shape: Shape) -> Contest:
    """To the cell of torch, in inference mode, its state passed on from step to step."""
    peer, xs = torch_layer("lstm", shape).eval(), _inputs(shape)
    cell = nn.LSTMCell(shape.input, shape.hidden).eval()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in peer.state_dict().items()})

    def stream() -> Callable[[Array], Tensor]:
        state: tuple[Tensor, Tensor] | None = None

        def step(x: Array) -> Tensor:
            nonlocal state
            with torch.inference_mode():
                state = cell(torch.from_numpy(x), state)
            return state[0]

        return step

    ours, backend = _ours(peer)
    return Contest(_side(ours, xs), _side(stream, xs), backend)


def against_onnx(shape: Shape) -> Contest:
    """To a session with the LSTM operator for one step, its state passed on from step to step."""
    peer, xs = torch_layer("lstm", shape).eval(), _inputs(shape)
    ours, backend = _ours(peer)
    session = operator_session(peer, shape, states=True)

    def stream() -> Callable[[Array], Array]:
        h = c = np.zeros((1, shape.batch, shape.hidden), np.float32)

        def step(x: Array) -> Array:
            nonlocal h, c
            outputs, h, c = session.run(None, {"x": x[None], "h": h, "c": c})
            return outputs[0, 0]  # type: ignore[no-any-return]

        return step

    return Contest(_side(ours, xs), _side(stream, xs), backend, settle=SETTLE)


def _ours(peer: nn.RNNBase) -> tuple[Callable[[], Callable[[Array], Any]], str]:
    layer = from_torch(peer)
    begin = getattr(layer, "stream", None)
    if begin is None:
        raise NotAvailableError("a layer has no stream() in this version")
    return lambda: begin().step, type(begin()).__name__


def _inputs(shape: Shape) -> list[Array]:
    return [torch.randn(shape.batch, shape.input).numpy() for _ in range(_CHECKED_STEPS)]


def _side(stream: Callable[[], Callable[[Array], Any]], xs: list[Array]) -> Side:
    step, first = stream(), xs[0]

    def values() -> Values:
        fresh = stream()
        # A stream may write every output to the same place.
        return {"outputs": torch.stack([torch.as_tensor(fresh(x)).clone().view(len(x), -1) for x in xs])}

    return Side(lambda: step(first), values)
