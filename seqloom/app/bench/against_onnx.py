"""Against ONNX Runtime: its LSTM and GRU operators with the same weights, on whole sequences and one step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from seqloom.app.bench.against_torch import chosen_backend, forward_side, torch_layer
from seqloom.app.bench.comparison import Contest, Shape, Side, optional
from seqloom.layers.exchange import from_torch

__all__ = ["SETTLE", "forward", "operator_session"]

SETTLE = 0.03
"""Seconds after which the idle threads of ONNX Runtime no longer spin."""

_OPSET, _FORMAT = 17, 8
_OPERATORS = {"LSTM": "LSTM", "GRU": "GRU"}
# The blocks of rows in the operator's order, as numbers of torch's: i o f c of ifgo, z r h of rzn.
_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


def forward(shape: Shape, *, cell: str) -> Contest:
    """Inference: (T, B, D) to all outputs."""
    peer = torch_layer(cell, shape).eval()
    session = operator_session(peer, shape)
    layer, x = from_torch(peer), torch.randn(shape.time, shape.batch, shape.input)
    feeds = {"x": x.numpy()}

    def run() -> Any:
        return session.run(["outputs"], feeds)[0]

    return Contest(
        forward_side(lambda: layer(x)[0]),
        Side(run, lambda: {"outputs": run()[:, 0]}),
        backend=chosen_backend(layer, x, training=False),
        settle=SETTLE,
    )


def operator_session(peer: nn.RNNBase, shape: Shape, *, states: bool = False) -> Any:
    """A session with one operator: ``x`` (T, B, D) to ``outputs`` (T, 1, B, H).

    Args:
        peer: an ``nn.LSTM`` or ``nn.GRU`` of one layer and one direction, whose weights it gets.
        states: whether the states come in as ``h`` and ``c`` (1, B, H) and go out as ``new_h`` and ``new_c``.
    Raises:
        NotAvailableError: onnx or onnxruntime is not installed.
    """
    onnx, runtime = optional("onnx"), optional("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    model = _operator_model(onnx, peer, shape, ["h", "c"][: 2 if peer.mode == "LSTM" else 1] if states else [])
    return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _operator_model(onnx: Any, peer: nn.RNNBase, shape: Shape, states: list[str]) -> Any:
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    attributes: dict[str, Any] = {"hidden_size": shape.hidden}
    if peer.mode == "GRU":
        attributes["linear_before_reset"] = 1
    # An operator's inputs and outputs go by position; an empty name leaves one out.
    inputs = ["x", "weight", "recurrent", "bias", *(["", *states] if states else [])]
    outputs = ["outputs", *(f"new_{name}" for name in states)]
    node = helper.make_node(_OPERATORS[peer.mode], inputs, outputs, **attributes)
    state = [1, shape.batch, shape.hidden]
    graph = helper.make_graph(
        [node],
        "layer",
        [
            helper.make_tensor_value_info("x", real, [shape.time, shape.batch, shape.input]),
            *(helper.make_tensor_value_info(name, real, state) for name in states),
        ],
        [
            helper.make_tensor_value_info("outputs", real, [shape.time, 1, shape.batch, shape.hidden]),
            *(helper.make_tensor_value_info(f"new_{name}", real, state) for name in states),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in _weights(peer).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_FORMAT)
    onnx.checker.check_model(model)
    return model


def _weights(peer: nn.RNNBase) -> dict[str, np.ndarray[Any, Any]]:
    def ordered(name: str) -> np.ndarray[Any, Any]:
        value: np.ndarray[Any, Any] = getattr(peer, f"{name}_l0").detach().numpy()
        blocks = value.reshape(-1, peer.hidden_size, *value.shape[1:])[list(_ORDER[peer.mode])]
        return blocks.reshape(1, *value.shape)

    bias = np.concatenate([ordered("bias_ih"), ordered("bias_hh")], 1)
    return {"weight": ordered("weight_ih"), "recurrent": ordered("weight_hh"), "bias": bias}
