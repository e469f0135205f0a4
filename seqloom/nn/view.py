"""Torch's flat parameters, seen as the engine's cells: the same numbers, in the layout that a registered cell declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from seqloom.cells import registry
from seqloom.cells.cell import Cell
from seqloom.engine.graph import Graph
from seqloom.engine.interpreter import evaluate

__all__ = ["CELLS", "Size", "View"]

CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn", "RNN_RELU": "rnn_relu"}
"""The registered cell that each ``mode`` of torch's layers computes; an LSTM with a projection is ``lstmp``."""

Size = tuple[str, int, int, int, bool]
"""Of a cell: its registered name, input size, hidden size, projection size (0: none), whether it has biases."""


class View:
    """One direction of one layer of ``torch.nn`` as a :class:`~seqloom.engine.contract.SequenceCell`.

    Args:
        size: of the cell.
        weights: torch's, in torch's order: weight_ih, weight_hh, bias_ih and bias_hh if any, weight_hr if any.
    """

    def __init__(self, size: Size, weights: Sequence[Tensor]) -> None:
        self.size, self.weights = size, tuple(weights)
        template = _template(size)
        self.graph: Graph = template.graph
        self.state, self.state_sizes = template.state, template.state_sizes
        self.input_size, self.hidden_size = template.input_size, template.hidden_size
        self.vendor = template.vendor
        self._places: tuple[int, ...] = ()
        self._parts: dict[str, tuple[Tensor, ...]] = {}
        self._recorded: dict[str, Tensor] = {}

    def recorded(self) -> View:
        """A view for one call whose gradients are wanted: what it computes belongs to that call's graph alone."""
        fresh = object.__new__(View)
        fresh.__dict__.update(self.__dict__, _recorded={})
        return fresh

    def parameter(self, name: str) -> Tensor:
        """A parameter as the registered cell declares it, differentiable where gradients are recorded."""
        if torch.is_grad_enabled():
            if not self._recorded:
                self._recorded.update({key: _total(parts) for key, parts in _layout(self.size, self.weights).items()})
            return self._recorded[name]
        # Pieces share torch's memory, so whatever changes the numbers in place is seen; sums are taken anew each time.
        places = tuple([weight.data_ptr() for weight in self.weights])
        if places != self._places:
            self._parts = _layout(self.size, [weight.detach() for weight in self.weights])
            self._places = places
        return _total(self._parts[name])

    def vendor_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Torch's own tensors."""
        bias_ih, bias_hh = self.weights[2:4] if self.size[-1] else (None, None)
        return self.weights[0], self.weights[1], bias_ih, bias_hh

    def step(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """One step, as the registered cell's graph says."""
        parameters = {name: self.parameter(name) for name in self.graph.declarations}
        return evaluate(self.graph, x, dict(zip(self.state, states, strict=True)), parameters)

    @contextmanager
    def recurrent_mask(self, mask: Tensor | None) -> Iterator[None]:
        """Torch's layers have no dropout on the recurrence."""
        if mask is not None:
            raise ValueError("torch.nn's layers have no dropout on the state; use seqloom.Recurrent(dropout_state=...)")
        yield


def _total(parts: tuple[Tensor, ...]) -> Tensor:
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


@lru_cache(maxsize=256)
def _template(size: Size) -> Cell:
    """A registered cell without memory for its parameters, for its traced graph: all views of a size share it."""
    name, input_size, hidden_size, projection_size, bias = size
    options: dict[str, Any] = {"projection_size": projection_size} if projection_size else {}
    with torch.device("meta"):  # nor does it draw from the generator, so that seeds mean what they mean in torch
        return registry.get(name)(input_size, hidden_size, bias=bias, **options)


def _layout(size: Size, weights: Sequence[Tensor]) -> dict[str, tuple[Tensor, ...]]:
    """For each declared parameter the tensors to be added; one ``split`` per weight, whose gradient is one copy."""
    name, _, hidden_size, projection_size, bias = size
    first, second = weights[2:4] if bias else (None, None)
    if name == "gru":
        return _gru_layout(2 * hidden_size, hidden_size, weights[0], weights[1], first, second)
    key = "_ifgo" if name in ("lstm", "lstmp") else ""
    layout: dict[str, tuple[Tensor, ...]] = {f"weight{key}_x": (weights[0],), f"weight{key}_h": (weights[1],)}
    if first is not None and second is not None:
        layout[f"bias{key}"] = (first, second)
    if projection_size:
        layout["weight_projection_v1"] = (weights[-1],)
    return layout


def _gru_layout(
    gates: int, units: int, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None
) -> dict[str, tuple[Tensor, ...]]:
    """The candidate's recurrent bias stays apart from the other one: it is inside the reset."""
    rz_x, n_x = torch.split_with_sizes(weight_ih, (gates, units))
    rz_h, n_h = torch.split_with_sizes(weight_hh, (gates, units))
    layout: dict[str, tuple[Tensor, ...]] = {
        "weight_rz_x": (rz_x,), "weight_rz_h": (rz_h,), "weight_n_x": (n_x,), "weight_recurrent_h": (n_h,),
    }  # fmt: skip
    if bias_ih is not None and bias_hh is not None:
        outer, n = torch.split_with_sizes(bias_ih, (gates, units))
        inner, recurrent = torch.split_with_sizes(bias_hh, (gates, units))
        layout |= {"bias_rz": (outer, inner), "bias_n": (n,), "bias_recurrent": (recurrent,)}
    return layout
