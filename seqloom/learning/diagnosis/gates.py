"""What the gates of a cell do on real data, read off the graph of its step: values, saturation, dead units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqloom.cells.cell import Cell
from seqloom.engine.contract import States
from seqloom.engine.graph import Symbol
from seqloom.engine.interpreter import apply
from seqloom.learning.diagnosis.recurrence import Recurrence

__all__ = ["Gate", "gate_statistics", "visited"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS = 20
_FUNCTIONS = ("sigmoid", "tanh", "relu")


@dataclass(frozen=True)
class Gate:
    """One sigmoid, tanh or relu of a step, over all units and over the steps that were looked at.

    Attributes:
        name: the letter of its block of rows (``f`` of ``affine(gates="ifgo")``), or the state that it is applied to, or
            the key of its product; numbered where two would be called alike.
        function: ``sigmoid``, ``tanh`` or ``relu``.
        mean: of all values.
        quantiles: at 5, 25, 50, 75 and 95 %.
        low: share of values below 0.05 (sigmoid) or below -0.95 (tanh); share of zeros (relu).
        high: share of values above 0.95; 0 for relu.
        dead: share of units that were never above zero (relu); None for others.
        histogram: shares of the values in 20 equal bins over ``span``.
        span: 0 to 1 (sigmoid), -1 to 1 (tanh), 0 to the largest value (relu).
    """

    name: str
    function: str
    mean: float
    quantiles: tuple[float, ...]
    low: float
    high: float
    dead: float | None
    histogram: tuple[float, ...]
    span: tuple[float, float]

    @property
    def saturation(self) -> float | None:
        """Share of values where the function is nearly flat at either end; None for relu, whose upper side is not."""
        return None if self.function == "relu" else self.low + self.high


@torch.no_grad()
def gate_statistics(recurrence: Recurrence, *, samples: int = 2048) -> tuple[Gate, ...]:
    """Statistics of every sigmoid, tanh and relu of the cell's step, in the order of computation.

    Empty where the step has none, or leaves the vocabulary so that nobody knows (``cell.graph.untraceable`` says why).

    Args:
        samples: at most so many steps are looked at, spread evenly over all rows and steps.
    """
    cell = recurrence.cell
    x, states = visited(recurrence, samples)
    values: dict[int, Tensor | float] = {}
    named, gates = dict(zip(cell.state, states, strict=True)), list[Gate]()
    used: dict[str, int] = {}
    for node in cell.graph.nodes:
        with recurrence.effective_weights():
            values[node.index] = value = apply(node, values, x, named, cell.parameter)
        if node.operation in _FUNCTIONS and isinstance(value, Tensor):
            name = _name(cell, node)
            used[name] = used.get(name, 0) + 1
            name = name if used[name] == 1 else f"{name} {used[name]}"
            # One that depends on nothing (a function of a parameter) is the same in every row.
            gates.append(_gate(name, node.operation, value.expand(len(x), -1).double()))
    return tuple(gates)


def visited(recurrence: Recurrence, samples: int) -> tuple[Tensor, States]:
    """Inputs (N, D) and states before the step (N, H) of at most N = ``samples`` steps, spread evenly over all."""
    real = torch.arange(recurrence.inputs.shape[1], device=recurrence.lengths.device) < recurrence.lengths[:, None]
    row, step = real.nonzero(as_tuple=True)
    if len(row) > samples:
        chosen = torch.linspace(0, len(row) - 1, samples, dtype=torch.float64).round().long().to(row.device)
        row, step = row[chosen], step[chosen]
    return recurrence.inputs[row, step], tuple(field[row, step] for field in recurrence.states)


def _gate(name: str, function: str, values: Tensor) -> Gate:
    flat = values.flatten()
    finite = flat[flat.isfinite()]
    largest = float(finite.max()) if len(finite) else 0.0
    floor, ceiling = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}.get(function, (0.0, largest or 1.0))
    low = values <= 0.0 if function == "relu" else values < (0.05 if function == "sigmoid" else -0.95)
    counts = torch.histc(finite, _BINS, floor, ceiling) / len(flat)
    ordered = flat.sort().values
    places = [round(q * (len(flat) - 1)) for q in _QUANTILES]
    return Gate(
        name=name,
        function=function,
        mean=float(flat.mean()),
        quantiles=tuple(ordered[places].tolist()),
        low=float(low.double().mean()),
        high=0.0 if function == "relu" else float((values > 0.95).double().mean()),
        dead=float((values <= 0.0).all(0).double().mean()) if function == "relu" else None,
        histogram=tuple(counts.tolist()),
        span=(floor, ceiling),
    )


def _name(cell: Cell, node: Symbol) -> str:
    """What a gate is called by: the nearest thing with a name among those that it is computed from."""
    keys = _keys(cell)
    new = {symbol.index: name for name, symbol in zip(cell.state, cell.graph.outputs, strict=True)}
    for part in _before(node):
        if part.index in new:
            return new[part.index]
        if part.operation == "block":
            letters = next(_letters(part, keys), "")
            if part.attributes[0] < len(letters):
                return letters[part.attributes[0]]
        if part.operation == "product":
            key, gates = keys.get(str(part.attributes[0]), ("", ""))
            return gates or key or node.operation
        if part.operation == "state":
            return str(part.attributes[0])
    return node.operation


def _keys(cell: Cell) -> dict[str, tuple[str, str]]:
    """For each weight the key of its product and the letters of its blocks."""
    products: Mapping[str, Any] = cell.graph.products
    return {weight: (key, product.gates) for key, product in products.items() for weight in product.weights}


def _letters(block: Symbol, keys: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """The letters of the products that a block is cut from; a key with one for each block will do."""
    blocks = block.inputs[0].size // block.size
    for part in _before(block):
        if part.operation == "product" and str(part.attributes[0]) in keys:
            key, gates = keys[str(part.attributes[0])]
            if gates or len(key) == blocks:
                yield gates or key


def _before(node: Symbol) -> Iterator[Symbol]:
    """Everything that a node is computed from, nearest first, but nothing from before a product or a block."""
    queue: Sequence[Symbol] = node.inputs
    seen = set[int]()
    while queue:
        following: list[Symbol] = []
        for part in queue:
            if part.index not in seen:
                seen.add(part.index)
                yield part
                if part.operation != "product" and (part.operation != "block" or node.operation == "block"):
                    following += part.inputs
        queue = following
