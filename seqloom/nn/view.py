"""Torch's flat parameters, seen as the engine's cells: the same numbers, in the layout that a registered cell declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from seqloom.cells import registry
from seqloom.cells.cell import Cell
from seqloom.engine.graph import Graph
from seqloom.engine.interpreter import evaluate
from seqloom.engine.runtime.cpu import added

__all__ = ["CELLS", "Size", "View", "fits"]

CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn", "RNN_RELU": "rnn_relu"}
"""The registered cell that each ``mode`` of torch's layers computes; an LSTM with a projection is ``lstmp``."""

Size = tuple[str, int, int, int, bool]
"""Of a cell: its registered name, input size, hidden size, projection size (0: none), whether it has biases."""


_GATES = {"lstm": 4, "lstmp": 4, "gru": 3, "rnn": 1, "rnn_relu": 1}


def fits(size: Size, weights: Sequence[Tensor], dtype: torch.dtype) -> bool:
    """Whether weights have full precision, the given type, and the shapes that torch's layer gives them."""
    name, input_size, hidden_size, projection_size, bias = size
    rows = _GATES[name] * hidden_size
    shapes: list[tuple[int, ...]] = [(rows, input_size), (rows, projection_size or hidden_size)]
    shapes += [(rows,), (rows,)] if bias else []
    shapes += [(projection_size, hidden_size)] if projection_size else []
    alike = all(weight.dtype is dtype for weight in weights)
    return alike and dtype in (torch.float32, torch.float64) and [tuple(w.shape) for w in weights] == shapes


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
        self.vendor, self.dtype = template.vendor, self.weights[0].dtype
        self._parts = self._layout()

    @staticmethod
    def of(size: Size, weights: Sequence[Tensor]) -> View:
        """The view for a size."""
        return GRUView(size, weights) if size[0] == "gru" else View(size, weights)

    def for_call(self) -> View:
        """The view for one call; itself, unless what it computes must belong to that call's gradients alone."""
        return self

    def parameter(self, name: str) -> Tensor:
        """A parameter as the registered cell declares it, differentiable where gradients are recorded."""
        # Sums are taken anew each time: nothing that changes a weight in place, ``.data`` included, goes unnoticed.
        parts = self._parts[name]
        return parts[0] if len(parts) == 1 else added(parts[0], parts[1])

    def vendor_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Torch's own tensors."""
        bias_ih, bias_hh = self.weights[2:4] if self.size[-1] else (None, None)
        return self.weights[0], self.weights[1], bias_ih, bias_hh

    def step(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """One step, as the registered cell's graph says."""
        parameters = {name: self.parameter(name) for name in self.graph.declarations}
        return evaluate(self.graph, x, dict(zip(self.state, states, strict=True)), parameters)

    def cached_parameters(self) -> AbstractContextManager[None]:
        """Nothing is computed from other parameters."""
        return nullcontext()

    @contextmanager
    def recurrent_mask(self, mask: Tensor | None) -> Iterator[None]:
        """Torch's layers have no dropout on the recurrence."""
        if mask is not None:
            raise ValueError("torch.nn's layers have no dropout on the state; use seqloom.Recurrent(dropout_state=...)")
        yield

    def _layout(self) -> dict[str, tuple[Tensor, ...]]:
        """For each declared parameter the tensors whose sum it is."""
        name, _, _, projection_size, bias = self.size
        key = "" if name.startswith("rnn") else "_ifgo"
        layout = {f"weight{key}_x": self.weights[:1], f"weight{key}_h": self.weights[1:2]}
        if bias:
            layout[f"bias{key}"] = self.weights[2:4]
        if projection_size:
            layout["weight_projection_v1"] = self.weights[-1:]
        return layout


class GRUView(View):
    """The same for a GRU, whose gates and candidate are parameters of their own: pieces of torch's."""

    _kept: GRUView | None = None

    def for_call(self) -> View:
        """Fresh pieces where gradients are recorded; else pieces that are kept, for they share the weights' memory."""
        if torch.is_grad_enabled():
            return GRUView(self.size, self.weights)
        if self._kept is None:
            self._kept = GRUView(self.size, self.weights)
        return self._kept

    def _layout(self) -> dict[str, tuple[Tensor, ...]]:
        sizes = (2 * self.hidden_size, self.hidden_size)
        # One split per weight, for its gradient is one copy; the candidate's recurrent bias is inside the reset, so it
        # stays apart from the other one.
        pieces = [torch.split_with_sizes(weight, sizes) for weight in self.weights]
        (rz_x, n_x), (rz_h, n_h), *biases = pieces
        layout: dict[str, tuple[Tensor, ...]] = {
            "weight_rz_x": (rz_x,), "weight_rz_h": (rz_h,), "weight_n_x": (n_x,), "weight_recurrent_h": (n_h,),
        }  # fmt: skip
        if biases:
            (outer, n), (inner, recurrent) = biases
            layout |= {"bias_rz": (outer, inner), "bias_n": (n,), "bias_recurrent": (recurrent,)}
        return layout


@lru_cache(maxsize=256)
def _template(size: Size) -> Cell:
    """A registered cell without memory for its parameters, for its traced graph: all views of a size share it."""
    name, input_size, hidden_size, projection_size, bias = size
    options: dict[str, Any] = {"projection_size": projection_size} if projection_size else {}
    with torch.device("meta"):  # nor does it draw from the generator, so that seeds mean what they mean in torch
        return registry.get(name)(input_size, hidden_size, bias=bias, **options)
