"""The regulariser against vanishing gradients: error signals should keep their length from step to step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from seqloom.cells import Cell
from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.learning.blocks import cells
from seqloom.learning.transition import StepLoss, differentiate, measure_loss, run_sequence, valid_steps

__all__ = ["vanishing_penalty"]

_TINY = 1e-20  # squared length of an error signal below which the released code ignores the step


def vanishing_penalty(
    layer: Recurrent,
    x: Tensor,
    loss: StepLoss,
    state: Sequence[Tensor] | None = None,
    lengths: Tensor | None = None,
    *,
    form: Literal["paper", "released"] = "paper",
) -> Tensor:
    """Omega of Pascanu, Mikolov & Bengio (2013, section 3.3), a scalar to be minimised beside the loss.

    ``Omega = sum_k (|e_k J_k| / |e_k| - 1)^2`` over the steps k = 1..T, the mean over the rows, with ``e_k = dL/ds_k`` and
    ``J_k = ds_k/ds_{k-1}`` over the whole state s of a cell; the sum over the cells of a stack, each with its own input.

    Only the recurrent matrices get a gradient, and only for what they are in J directly: e, the states and the
    pre-activations count as constants, as do other parameters in J (peepholes). Steps without an error have no term.

    Weights of 0.5 to 4 are usual, often falling during training, and with clipping: it can make gradients explode. It costs
    a pass forwards and backwards step by step, and one of all steps at once that is differentiated twice.

    Args:
        layer, x, loss, state, lengths: as :func:`~seqloom.learning.bptt` takes them.
        form: ``paper``, or ``released`` for what the authors' code computes: squared lengths in the ratio, steps with
            ``|e|^2 < 1e-20`` left out, and the mean over all steps of all rows that remain.
    Raises:
        ConfigError: an unknown form, a layer with noise on its recurrence, or without recurrent matrices.

    >>> layer, x = Recurrent("rnn", 2, 3), torch.randn(4, 10, 2)
    >>> vanishing_penalty(layer, x, lambda output, t: output.sum()).backward()
    >>> [name for name, parameter in layer.named_parameters() if parameter.grad is not None]
    ['cells.0.weight_h']
    """
    if form not in ("paper", "released"):
        raise ConfigError(f"form is {form!r}; expected 'paper' or 'released'")
    if layer.zoneout or (layer.training and layer.dropout_state):
        raise ConfigError("the penalty is for a recurrence without noise; set dropout_state and zoneout to 0")
    if not any(d.role == "recurrent" for cell in cells(layer) for d in cell.graph.declarations.values()):
        raise ConfigError("the layer has no recurrent matrix, on which alone the penalty acts")
    terms = []
    with torch.enable_grad():
        for record in _record(layer, x, loss, state, lengths):
            errors = torch.cat([error.flatten(1) for error in record.errors], 1)
            terms.append(_omega(errors, _returned(record), len(x), form))
    return torch.stack(terms).sum()


@dataclass
class _Record:
    """All steps of a cell, one after the other: its inputs and states, and what its new states do to the loss."""

    cell: Cell
    inputs: list[Tensor] = field(default_factory=list)
    states: list[tuple[Tensor, ...]] = field(default_factory=list)
    nudges: list[tuple[Tensor, ...]] = field(default_factory=list)
    errors: list[Tensor] = field(default_factory=list)


def _record(
    layer: Recurrent, x: Tensor, loss: StepLoss, state: Sequence[Tensor] | None, lengths: Tensor | None
) -> list[_Record]:
    records, backend = [_Record(cell) for cell in cells(layer)], layer.backend
    begin = layer.initial_state(len(x)) if state is None else state
    valid, total = valid_steps(x, lengths), x.new_zeros(())
    with ExitStack() as stack:
        for record in records:
            stack.enter_context(_recording(record))
        layer.backend = "reference"  # which calls the step of every cell
        stack.callback(setattr, layer, "backend", backend)
        outputs, _ = run_sequence(layer, x.detach(), begin, lengths)
    for t, output in enumerate(outputs):
        here = None if valid is None else valid[t]
        if here is None or bool(here.any()):
            total = total + measure_loss(loss, output, t, here)
    nudges = [nudge for record in records for step in record.nudges for nudge in step]
    errors = iter(differentiate([total], nudges, [torch.ones_like(total)], keep=False))
    for record in records:
        by_step = [[next(errors) for _ in step] for step in record.nudges]
        record.errors = [torch.cat(steps) for steps in zip(*by_step, strict=True)]
    return records


@contextmanager
def _recording(record: _Record) -> Iterator[None]:
    """While it lasts, the cell's steps are noted and their results get nudges of zero, to differentiate with respect to."""
    cell = record.cell
    step = cell.step

    def recorded(x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        returned = step(x, *states)
        new: tuple[Tensor, ...] = returned if isinstance(returned, tuple) else (returned,)
        nudges = tuple(torch.zeros_like(value).requires_grad_() for value in new)
        record.inputs.append(x.detach())
        record.states.append(tuple(value.detach() for value in states))
        record.nudges.append(nudges)
        return tuple(value + nudge for value, nudge in zip(new, nudges, strict=True))

    cell.step = recorded  # type: ignore[method-assign]
    try:
        yield
    finally:
        del cell.step


class _ExplicitWeights(TorchFunctionMode):
    """Products whose value is a constant, while their derivative with respect to the vector is still the matrix.

    So what is differentiated once more sees the matrix where it stands in J, but not what it did to the pre-activations.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is not F.linear:
            return function(*args, **(kwargs or {}))
        vector, weight, *bias = args
        value = F.linear(vector.detach(), weight.detach(), *(b if b is None else b.detach() for b in bias))
        moving: Tensor = F.linear(vector - vector.detach(), weight)
        return value + moving


def _returned(record: _Record) -> Tensor:
    """(T B, S) ``e J`` of all steps, which depends on the recurrent matrices only."""
    cell, errors = record.cell, record.errors
    replaced = {
        name: cell.parameter(name) if declared.role == "recurrent" else cell.parameter(name).detach()
        for name, declared in cell.graph.declarations.items()
    }
    states = [torch.cat(steps).requires_grad_() for steps in zip(*record.states, strict=True)]
    with cell.replaced_parameters(replaced), _ExplicitWeights():
        returned = cell.step(torch.cat(record.inputs), *states)
    new = returned if isinstance(returned, tuple) else (returned,)
    # A field may hold nothing of the old state, such as the input of the step before.
    pairs = [(value, error) for value, error in zip(new, errors, strict=True) if value.requires_grad]
    values, cotangents = zip(*pairs, strict=True)
    products = torch.autograd.grad(
        values, states, cotangents, create_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat([product.flatten(1) for product in products], 1)


def _omega(errors: Tensor, returned: Tensor, batch: int, form: str) -> Tensor:
    squares = errors.square().sum(1)
    # Selected before the ratio is taken: the derivative of what is not there must not be 0 times infinity.
    active = squares >= _TINY if form == "released" else squares > 0
    if form == "released":
        ratio: Tensor = returned[active].square().sum(1) / squares[active]
        return (ratio - 1).square().sum() / max(1, int(active.sum()))
    # Of the norm, not of the root of squares: its derivative at an error that dies is 0, not infinite.
    ratio = torch.linalg.vector_norm(returned[active], dim=1) / squares[active].sqrt()
    return (ratio - 1).square().sum() / batch
