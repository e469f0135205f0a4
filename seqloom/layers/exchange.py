"""Weights to and from ``torch.nn``: the layers that people have, and the layers that they can go back to."""

from __future__ import annotations

import torch
from torch import nn

from seqloom.cells import registry
from seqloom.cells.cell import Cell
from seqloom.cells.lstm_projected import LSTMP
from seqloom.errors import ConfigError
from seqloom.layers.options import DRAWN
from seqloom.layers.recurrent import Recurrent

__all__ = ["from_torch", "to_torch"]

_CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn", "RNN_RELU": "rnn_relu"}
_MODES = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN_TANH", "rnn_relu": "RNN_RELU"}


def from_torch(module: nn.RNNBase) -> Recurrent:
    """A layer with the sizes, options and weights of a torch layer: the same outputs to rounding.

    Torch's two biases per gate are added, except for the candidate of a GRU, whose recurrent bias is inside the reset.

    >>> from_torch(nn.GRU(3, 4, num_layers=2))
    Recurrent(
      layers=2, batch_first=False
      (cells): ModuleList(
        (0): GRU(3, 4)
        (1): GRU(4, 4)
      )
    )

    Raises:
        ConfigError: not an ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU``.
    """
    if not isinstance(module, nn.RNNBase) or module.mode not in _CELLS:
        raise ConfigError(f"from_torch takes an nn.RNN, nn.LSTM or nn.GRU; this is a {type(module).__name__}")
    sample = next(module.parameters())
    layer = Recurrent(
        _first_cell(module),
        layers=module.num_layers,
        bidirectional=module.bidirectional,
        dropout=float(module.dropout),
        batch_first=module.batch_first,
    ).to(dtype=sample.dtype, device=sample.device)
    for cell, weights in zip(_cells(layer), module.all_weights, strict=True):
        weight_ih, weight_hh, *rest = weights
        bias_ih, bias_hh = rest[:2] if module.bias else (None, None)
        if isinstance(cell, LSTMP):
            cell.load_vendor_weights(weight_ih, weight_hh, bias_ih, bias_hh, rest[-1])
        else:
            cell.load_vendor_weights(weight_ih, weight_hh, bias_ih, bias_hh)
    return layer.train(module.training)


@torch.no_grad()
def to_torch(layer: Recurrent) -> nn.RNNBase:
    """The ``torch.nn`` layer with the same outputs.

    Raises:
        ConfigError: torch has no such layer; names the cell or the option.
    """
    cells = _cells(layer)
    projected = isinstance(cells[0], LSTMP) and not cells[0].peepholes
    mode = "LSTM" if projected else _MODES.get(cells[0].vendor or "")
    if mode is None:
        raise ConfigError(f"torch.nn has no {type(cells[0]).__name__}; it has {', '.join(sorted(_MODES))}")
    foreign = {
        "merge": layer.bidirectional and layer.merge != "concat",
        "residual": layer.residual and layer.layers > 1,
        "highway": layer.gates is not None,
        "variational": layer.variational and layer.dropout > 0,
        "zoneout": layer.zoneout != 0,
        "batch_norm": layer.norms is not None,
        **{name: getattr(layer, name) > 0 for name in DRAWN if name != "dropout"},
    }
    unsupported = [f"{name}={getattr(layer, name)!r}" for name, used in foreign.items() if used]
    if unsupported:
        raise ConfigError(f"torch.nn's layers have no {', '.join(unsupported)}")
    module = _empty_module(layer, cells[0], mode)
    for cell, weights in zip(cells, module.all_weights, strict=True):
        projection = [cell.parameter("weight_projection_v1")] if projected else []
        values = [*(value for value in cell.vendor_weights() if value is not None), *projection]
        for target, source in zip(weights, values, strict=True):
            target.copy_(source)
    return module.train(layer.training)


def _first_cell(module: nn.RNNBase) -> Cell:
    """A cell for the first layer of a torch layer, with parameters of its own."""
    if module.proj_size:
        return LSTMP(module.input_size, module.hidden_size, projection_size=module.proj_size, bias=module.bias)
    return registry.get(_CELLS[module.mode])(module.input_size, module.hidden_size, bias=module.bias)


def _empty_module(layer: Recurrent, cell: Cell, mode: str) -> nn.RNNBase:
    """A torch layer of the sizes and options of a layer of ``cell``."""
    options = {"nonlinearity": mode.removeprefix("RNN_").lower()} if "_" in mode else {}
    sizes = {"proj_size": cell.projection_size} if isinstance(cell, LSTMP) else {}
    sample = next(layer.parameters())
    module: nn.RNNBase = getattr(nn, mode.partition("_")[0])(
        layer.input_size,
        layer.hidden_size,
        layer.layers,
        bias=cell.use_bias,
        batch_first=layer.batch_first,
        dropout=layer.dropout if layer.layers > 1 else 0.0,
        bidirectional=layer.bidirectional,
        device=sample.device,
        dtype=sample.dtype,
        **options,
        **sizes,
    )
    return module


def _cells(layer: Recurrent) -> list[Cell]:
    return [cell for cell in layer.cells if isinstance(cell, Cell)]
