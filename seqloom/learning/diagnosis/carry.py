"""How much of a state a cell carries on by itself, and the time constant that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.cells.cell import Cell
from seqloom.engine.contract import States
from seqloom.engine.graph import Symbol
from seqloom.engine.interpreter import apply
from seqloom.learning.diagnosis.gates import visited
from seqloom.learning.diagnosis.recurrence import Recurrence

__all__ = ["Carry", "carried"]

# Through these a unit meets other units, so that what leaves them is no factor of one unit's own state.
_MIXING = ("product", "layer_norm", "block")


@dataclass(frozen=True)
class Carry:
    """The factor by which each unit's own state enters its new state: an LSTM's forget gate, a GRU's update gate.

    Attributes:
        state: the state's name.
        mean: of the factor's absolute value over units and steps, f.
        time_constant: 1 / (1 - f) steps, after which a constant factor leaves about a third; infinite for f of 1 or more.
        unit_time_constants: the same for each unit's own mean: the 5, 50 and 95 % quantiles over the units.
    """

    state: str
    mean: float
    time_constant: float
    unit_time_constants: tuple[float, ...]


def carried(recurrence: Recurrence, *, samples: int = 2048) -> tuple[Carry, ...]:
    """The states that a cell carries on unit by unit, such as c of an LSTM.

    The factor is the derivative of a unit's new state by its old one along the elementwise operations of the step alone,
    sigmoids held fixed: neither the recurrent products nor the gates' own dependence on the state count. A state whose
    units are turned into those of another one (the two parts of a complex number) has no such factor and is left out, as
    is everything where the step leaves the vocabulary.
    """
    cell = recurrence.cell
    if cell.graph.untraceable:
        return ()
    x, states = visited(recurrence, samples)
    with torch.enable_grad(), recurrence.effective_weights():
        leaves = tuple(field.detach().requires_grad_() for field in states)
        slopes = [_slopes(value, leaves) for value in _new_states(cell, x.detach(), leaves)]
    carries = []
    for position, name in enumerate(cell.state):
        own = slopes[position][position]
        others = [place for place in range(len(leaves)) if place != position]
        coupled = any(bool(slopes[position][place].any()) and bool(slopes[place][position].any()) for place in others)
        if bool(own.any()) and not coupled:
            kept = recurrence.noise.rates(len(leaves))[position]
            carries.append(_carry(name, (kept + (1.0 - kept) * own.double()).abs()))
    return tuple(carries)


def _new_states(cell: Cell, x: Tensor, states: States) -> list[Tensor | float]:
    """The new states, in which only the elementwise paths from the old ones are differentiable."""
    values: dict[int, Tensor | float] = {}
    named = dict(zip(cell.state, states, strict=True))
    for node in cell.graph.nodes:
        cut = {part.index: _detached(values[part.index]) if _mixes(node, part) else values[part.index]
               for part in node.inputs}  # fmt: skip
        value = apply(node, cut, x, named, cell.parameter)
        values[node.index] = _detached(value) if node.operation == "sigmoid" else value
    return [values[symbol.index] for symbol in cell.graph.outputs]


def _mixes(node: Symbol, part: Symbol) -> bool:
    return node.operation in _MIXING or part.size not in (1, node.size)


def _detached(value: Tensor | float) -> Tensor | float:
    return value.detach() if isinstance(value, Tensor) else value


def _slopes(value: Tensor | float, states: States) -> tuple[Tensor, ...]:
    """(N, H) by each state the derivative of the new unit of the same number."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        return tuple(torch.zeros_like(field) for field in states)
    return torch.autograd.grad(value.sum(), states, retain_graph=True, allow_unused=True, materialize_grads=True)


def _carry(name: str, factors: Tensor) -> Carry:
    units = factors.mean(0).sort().values
    places = [round(q * (len(units) - 1)) for q in (0.05, 0.5, 0.95)]
    mean = float(factors.mean())
    return Carry(name, mean, _constant(mean), tuple(_constant(value) for value in units[places].tolist()))


def _constant(factor: float) -> float:
    return 1.0 / (1.0 - factor) if factor < 1.0 else math.inf
