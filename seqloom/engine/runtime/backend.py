"""The door of the backends: one layer of a cell over whole sequences, on whichever backend runs it best."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from seqloom.engine.contract import NO_NOISE, Noise, Ragged, SequenceCell, States, Work
from seqloom.engine.runtime import cpu, derived, reference, vendor
from seqloom.engine.runtime.entrance import is_recorded, is_transformed
from seqloom.errors import ConfigError, did_you_mean

__all__ = [
    "BACKENDS",
    "ENVIRONMENT",
    "Choice",
    "check_backend",
    "choose",
    "measure_lengths",
    "run_layer",
    "run_sequence",
]

BACKENDS: dict[str, ModuleType] = {"cpu": cpu, "vendor": vendor, "derived": derived, "reference": reference}
"""By name, best first: ``auto`` takes the first that does not refuse."""

PACKING = (cpu, derived)
"""Backends that take the rows which have a step out of a batch, and never read its padding."""

ENVIRONMENT = "SEQLOOM_BACKEND"


@dataclass(frozen=True)
class Choice:
    """The backend that runs a layer, and why it and no other."""

    backend: str
    reason: str


def check_backend(name: str | None, argument: str = "backend") -> str | None:
    """The name of a backend, or none for ``None``, the empty name and ``auto``.

    Raises:
        ConfigError: there is no such backend.
    """
    if name in (None, "", "auto"):
        return None
    if name not in BACKENDS:
        raise ConfigError(f"{argument}: '{name}' is not a known backend{did_you_mean(str(name), [*BACKENDS, 'auto'])}")
    return name


def choose(
    cells: Sequence[SequenceCell], noise: Noise = NO_NOISE, backend: str | None = None, work: Work | None = None
) -> Choice:
    """The backend for one layer: the argument, else the environment's, else the best that can, for the work if known.

    Raises:
        ConfigError: an unknown backend, or one that cannot run the layer; says why.
    """
    argument, environment = check_backend(backend), check_backend(os.environ.get(ENVIRONMENT), ENVIRONMENT)
    source, wanted = ("backend", argument) if argument else (ENVIRONMENT, environment)
    if wanted:
        limitation = BACKENDS[wanted].limitation(cells, noise)
        if limitation:
            raise ConfigError(f"{source}: '{wanted}' cannot run this layer: {limitation}; choose 'auto' or 'reference'")
        return Choice(wanted, f"asked for by {source}")
    against: list[str] = []
    for name, candidate in BACKENDS.items():
        objection = candidate.limitation(cells, noise) or (candidate.drawback(cells, work) if work else None)
        if objection is None:
            return Choice(name, "; ".join(dict.fromkeys(against)) or "the fastest for this cell")
        against.append(objection)
    raise ConfigError(f"no backend runs this layer: {'; '.join(against)}")  # pragma: no cover


def measure_lengths(lengths: Any, x: Tensor) -> Ragged | None:
    """The lengths of a batch x (B, T, D), a tensor, an array or a list, checked; none where every row fills it.

    Raises:
        ValueError: not (B,) integers, or one outside 0..T; names the row.
    """
    if lengths is None:
        return None
    batch, time = x.shape[:2]
    if not isinstance(lengths, Tensor):
        lengths = _as_lengths(lengths, batch)
    if lengths.shape != (batch,) or lengths.dtype not in _INTEGERS:
        raise ValueError(
            f"lengths has shape {tuple(lengths.shape)} and type {lengths.dtype}; expected ({batch},) integers"
        )
    known = lengths.to(torch.int64)
    wrong = ((known < 0) | (known > time)).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(f"lengths[{row}] is {int(lengths[row])} but x has T = {time} time steps")
    return None if bool((known == time).all()) else Ragged(known.to(x.device), time)


_INTEGERS = frozenset((torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8))


def _as_lengths(lengths: Any, batch: int) -> Tensor:
    try:
        return torch.as_tensor(lengths) if len(lengths) else torch.zeros(0, dtype=torch.int64)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(
            f"lengths is {lengths!r}; expected {batch} integers, as a tensor or a list ({error})"
        ) from error


class _Nothing(torch.autograd.Function):
    """What no step has made, with gradients of zero for whatever would have made it."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.count, ctx.sources = count, tensors[count:]
        return tuple(tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Any, ...]:
        return None, *given, *(torch.zeros_like(source) for source in ctx.sources)


def _with_zero_gradients(
    cells: Sequence[SequenceCell], x: Tensor, outputs: Tensor, final: list[States]
) -> tuple[Tensor, list[States]]:
    sources = [x, *(cell.parameter(name) for cell in cells for name in cell.graph.declarations)]
    sources = [source for source in sources if source.requires_grad]
    if not sources or not torch.is_grad_enabled() or is_recorded() or is_transformed():
        return outputs, final
    values = [outputs, *(state for of_direction in final for state in of_direction)]
    outputs, *states = _Nothing.apply(len(values), *values, *sources)  # type: ignore[no-untyped-call]
    count = len(cells[0].state_sizes)
    return outputs, [tuple(states[first : first + count]) for first in range(0, len(states), count)]


def run_layer(
    cells: Sequence[SequenceCell],
    x: Tensor,
    ragged: Ragged | None = None,
    initial: Sequence[States] | None = None,
    *,
    noise: Noise = NO_NOISE,
    backend: str | None = None,
) -> tuple[Tensor, list[States]]:
    """One layer over a batch of sequences.

    Args:
        cells: one cell, or a forward and a backward one of the same kind and sizes.
        x: (B, T, D).
        ragged: the rows' lengths, where they differ; see :func:`measure_lengths`.
        initial: for each direction the states (B, H) to begin with, zeros by default. The backward direction begins at
            each row's own last step.
        noise: on the recurrence.
        backend: a name, overruling the environment and the automatic choice.
    Returns:
        outputs (B, T, directions * H), zero in the padding, and for each direction the states after its last step.
    Raises:
        ConfigError: an unknown backend, or one that cannot run the layer.
    """
    choice = choose(cells, noise, backend, Work.of(x, ragged))
    if 0 in x.shape[:2]:  # the vendors' kernels refuse empty batches and sequences; the loop has nothing to do there
        return _with_zero_gradients(cells, x, *reference.run(cells, x, ragged, initial, noise))
    runner = BACKENDS[choice.backend]
    # Even a step whose result is thrown away must not overflow: the gradient of what is not chosen is 0 times infinity.
    x = x if ragged is None or runner in PACKING else ragged.clear(x)
    result: tuple[Tensor, list[States]] = runner.run(cells, x, ragged, initial, noise)
    return result


def run_sequence(
    cell: SequenceCell,
    x: Tensor,
    lengths: Tensor | None = None,
    state: States | None = None,
    *,
    noise: Noise = NO_NOISE,
    backend: str | None = None,
) -> tuple[Tensor, States]:
    """One cell over a batch of sequences x (B, T, D): outputs (B, T, H) and final states; see :func:`run_layer`."""
    initial = None if state is None else [state]
    outputs, final = run_layer([cell], x, measure_lengths(lengths, x), initial, noise=noise, backend=backend)
    return outputs, final[0]
