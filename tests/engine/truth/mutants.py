"""Backends with one bug each, planted to see whether it is found: the derived one, spoilt on its way in or out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from seqloom.engine.contract import NO_NOISE, Ragged, States
from seqloom.engine.operations import sigmoid, tanh
from seqloom.engine.runtime import derived

__all__ = ["MUTANTS", "Mutant", "backend_of"]

Result: TypeAlias = tuple[Tensor, list[States]]
Run: TypeAlias = Callable[[Sequence[Any], Tensor, "Ragged | None", "Sequence[States] | None"], Result]


@dataclass(frozen=True)
class Mutant:
    """A bug, and the least that a configuration must have to show it."""

    run: Run
    needs: dict[str, Any]


class Altered:
    """A cell whose parameters are read through a function of their name and value."""

    def __init__(self, cell: Any, change: Callable[[str, Tensor], Tensor]) -> None:
        self._cell, self._change = cell, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cell, name)

    def parameter(self, name: str) -> Tensor:
        return self._change(name, self._cell.parameter(name))


def backend_of(mutant: Mutant | None) -> Any:
    """Something that stands in :data:`seqloom.engine.runtime.backend.BACKENDS`; without a mutant, the backend as it was."""

    def run(cells: Any, x: Tensor, ragged: Any, initial: Any, noise: Any) -> Result:
        return sound(cells, x, ragged, initial) if mutant is None else mutant.run(cells, x, ragged, initial)

    return SimpleNamespace(limitation=derived.limitation, drawback=derived.drawback, run=run)


def sound(cells: Sequence[Any], x: Tensor, ragged: Ragged | None, initial: Sequence[States] | None) -> Result:
    return derived.run(cells, x, ragged, initial, NO_NOISE)


def altering(change: Callable[[str, Tensor], Tensor]) -> Run:
    """The bug of reading parameters wrongly."""
    return lambda cells, x, ragged, initial: sound([Altered(cell, change) for cell in cells], x, ragged, initial)


def dropped_mask(cells: Any, x: Tensor, ragged: Ragged | None, initial: Any) -> Result:
    """In the one step after a row's end its state goes on."""
    outputs, final = sound(cells, x, ragged, initial)
    if ragged is None:
        return outputs, final
    longer = Ragged((ragged.lengths + 1).clamp(max=ragged.time), ragged.time)
    return outputs, [sound(cells, x, longer, initial)[1][0], *final[1:]]


def off_by_one(cells: Any, x: Tensor, ragged: Ragged | None, initial: Any) -> Result:
    """The longest of the rows that are shorter than the batch loses its last step."""
    if ragged is None:
        return sound(cells, x, ragged, initial)
    shorter = ragged.lengths.masked_fill(ragged.lengths == ragged.time, -1)
    lengths = ragged.lengths.clone()
    lengths[shorter.argmax()] -= 1
    return sound(cells, x, Ragged(lengths.clamp(min=0), ragged.time), initial)


def _swapped_rows(name: str, value: Tensor) -> Tensor:
    if not name.endswith("_h") or value.shape[0] < 2 * value.shape[-1]:
        return value
    blocks = list(torch.split(value, value.shape[1]))
    return torch.cat([blocks[1], blocks[0], *blocks[2:]])


def _swapped_gradient(name: str, value: Tensor) -> Tensor:
    if not (name.endswith("_h") and value.requires_grad):
        return value
    value = value.view_as(value)
    value.register_hook(lambda gradient: _swapped_rows(name, gradient))  # type: ignore[no-untyped-call]
    return value


def missing_last_step(cells: Any, x: Tensor, ragged: Ragged | None, initial: Any) -> Result:
    """What the last time step adds to the gradients of the parameters is lost."""
    time = x.shape[1] - 1
    if len(cells) > 1 or time < 1:
        return sound(cells, x, ragged, initial)
    first = None if ragged is None else Ragged(ragged.lengths.clamp(max=time), time)
    last = None if ragged is None else Ragged((ragged.lengths - time).clamp(min=0), 1)
    before, state = sound(cells, x[:, :time], first, initial)
    fixed = [Altered(cell, lambda name, value: value.detach()) for cell in cells]
    after, final = sound(fixed, x[:, time:], last, state)
    return torch.cat([before, after], 1), final


def stale_weights() -> Run:
    """The weights are packed when they are first seen, and never again."""
    packed: dict[int, tuple[Tensor, Tensor]] = {}

    def keep(name: str, value: Tensor) -> Tensor:
        if value.dim() < 2:
            return value
        known = packed.setdefault(id(value), (value, value.detach().clone()))
        return value + (known[1] - value).detach()

    return altering(keep)


def missing_barrier(cells: Any, x: Tensor, ragged: Ragged | None, initial: Any) -> Result:
    """A GRU with the reset before the product whose upper half of units reads ``r * h`` as the last step left it."""
    (cell,), outputs = cells, []
    h = x.new_zeros(len(x), cell.hidden_size) if initial is None else initial[0][0]
    upper, late = torch.arange(cell.hidden_size) >= cell.hidden_size // 2, None
    for t in range(x.shape[1]):
        r, z = map(sigmoid, cell.affine(x[:, t], h, gates="rz"))
        now = r * h
        candidate = tanh(cell.affine(x[:, t], now if late is None else torch.where(upper, late, now), gates="n"))
        h, late = z * h + (1 - z) * candidate, now
        outputs.append(h)
    return torch.stack(outputs, 1), [(h,)]


def wrong_tail(cells: Any, x: Tensor, ragged: Ragged | None, initial: Any) -> Result:
    """The last unit, which lies in a partial vector, misses a millesimal of its value at the end."""
    outputs, final = sound(cells, x, ragged, initial)
    scale = torch.ones(outputs.shape[-1])
    scale[-1] = 0.999
    return outputs * scale, final


def forgotten_start(cells: Any, x: Tensor, ragged: Ragged | None, initial: Any) -> Result:
    """Rows without a step end with zeros instead of what they began with."""
    outputs, final = sound(cells, x, ragged, initial)
    if ragged is None:
        return outputs, final
    empty = (ragged.lengths == 0).unsqueeze(1)
    return outputs, [tuple(state.masked_fill(empty, 0.0) for state in of_direction) for of_direction in final]


def backward_from_padding(cells: Any, x: Tensor, ragged: Ragged | None, initial: Any) -> Result:
    """The backward direction runs through the padding before it meets a row's last step."""
    outputs, final = sound(cells, x, ragged, initial)
    if ragged is None or len(cells) == 1:
        return outputs, final
    whole, states = sound(cells, x, None, initial)
    half = cells[0].state_sizes[0]
    return torch.cat([outputs[..., :half], ragged.clear(whole[..., half:])], -1), [final[0], states[1]]


def silent_final_gradient(cells: Any, x: Tensor, ragged: Ragged | None, initial: Any) -> Result:
    """No gradient comes back through the final states."""
    outputs, final = sound(cells, x, ragged, initial)
    return outputs, [tuple(state.detach() for state in of_direction) for of_direction in final]


def _detached_bias(name: str, value: Tensor) -> Tensor:
    return value.detach() if name.startswith("bias") else value


def mixed_rows(cells: Any, x: Tensor, ragged: Ragged | None, initial: Any) -> Result:
    """Two rows come back in each other's place."""
    outputs, final = sound(cells, x, ragged, initial)
    order = torch.tensor([1, 0, *range(2, len(x))]) if len(x) > 1 else torch.arange(len(x))
    return outputs, [tuple(state[order] for state in of_direction) for of_direction in final]


RAGGED = {"lengths": "zeros"}
MUTANTS: dict[str, Callable[[], Mutant]] = {
    "a dropped mask": lambda: Mutant(dropped_mask, RAGGED),
    "a length off by one": lambda: Mutant(off_by_one, RAGGED),
    "two gates swapped": lambda: Mutant(altering(_swapped_rows), {}),
    "the gradients of two gates swapped": lambda: Mutant(altering(_swapped_gradient), {}),
    "the last step missing in weight gradients": lambda: Mutant(missing_last_step, {}),
    "weights packed once and for all": lambda: Mutant(stale_weights(), {}),
    "no barrier between phases": lambda: Mutant(missing_barrier, {"cell": "gru_before"}),
    "the last unit slightly wrong": lambda: Mutant(wrong_tail, {}),
    "rows without steps lose their state": lambda: Mutant(forgotten_start, {**RAGGED, "started": True}),
    "a backward direction that meets the padding": lambda: Mutant(
        backward_from_padding, {**RAGGED, "bidirectional": True}
    ),
    "final states without gradient": lambda: Mutant(silent_final_gradient, {}),
    "biases without gradient": lambda: Mutant(altering(_detached_bias), {}),
    "final states of two rows exchanged": lambda: Mutant(mixed_rows, {}),
}
"""By what is wrong; each is built anew, so that none remembers another test."""
