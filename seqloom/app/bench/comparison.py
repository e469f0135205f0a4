"""What a comparison is: a shape, a target, and two sides that do the same work."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

__all__ = [
    "Comparison",
    "Contest",
    "NotAvailableError",
    "Shape",
    "Side",
    "Values",
    "environment",
    "largest_difference",
    "optional",
]

Values: TypeAlias = Mapping[str, np.ndarray[Any, Any] | Tensor]
"""Results by name, the same names on both sides."""


class NotAvailableError(Exception):
    """A comparison cannot be held here; the message says what is missing, and the remedy."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a regime.

    Args:
        batch: rows B.
        time: steps T.
        input: features D.
        hidden: units H of a direction.
        fill: mean length over T of the rows; 1 where all fill it.
    """

    batch: int
    time: int
    input: int
    hidden: int
    fill: float = 1.0

    def __str__(self) -> str:
        fill = f", fill {self.fill:g}" if self.fill < 1 else ""
        return f"B = {self.batch}, T = {self.time}, I = {self.input}, H = {self.hidden}{fill}"


@dataclass(frozen=True)
class Side:
    """One way to do the work.

    Args:
        run: does it once; this is what is timed.
        values: does it once and gives the results, for the check that precedes the timing.
        seconds: how long so many runs take, where a clock around ``run`` would not tell.
    """

    run: Callable[[], object]
    values: Callable[[], Values]
    seconds: Callable[[int], float] | None = None


@dataclass(frozen=True)
class Contest:
    """Two sides on the same weights and data.

    Args:
        backend: what runs ours, as the library itself explains it.
        tolerance: by how much results may differ; see :func:`largest_difference`.
        settle: seconds to wait between the sides, so that the idle threads of one no longer take the other's cores.
        close: ends what the sides have started.
    """

    ours: Side
    rival: Side
    backend: str
    tolerance: float = 1e-4
    settle: float = 0.0
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Comparison:
    """A row of the table, before it is measured.

    Args:
        name: what ``--rows`` calls it.
        description: what is done.
        rival: whom it is set against.
        shape: the sizes of it.
        study: the ratio that the feasibility study reached, if it tried.
        target: the ratio to reach: the rival's time over ours.
        build: makes the two sides; raises :class:`NotAvailableError` where one of them is not here.
    """

    name: str
    description: str
    rival: str
    shape: Shape
    study: float | None
    target: float
    build: Callable[[Shape], Contest]


def optional(module: str) -> Any:
    """A module of the extra ``bench``.

    Raises:
        NotAvailableError: it is not installed; says how to.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise NotAvailableError(f"{package} is not installed: pip install 'seqloom[bench]'") from None


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for a while; afterwards all are what they were."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def largest_difference(ours: Values, theirs: Values) -> float:
    """The largest absolute difference of two results; of an array with entries above 1, in units of its largest.

    >>> largest_difference({"a": np.array([0.5, 0.0])}, {"a": np.array([0.25, 0.0])})
    0.25
    >>> largest_difference({"a": np.array([12.0])}, {"a": np.array([10.0])})
    0.2

    Raises:
        ValueError: the names or the shapes are not the same.
    """
    if set(ours) != set(theirs):
        raise ValueError(f"results have the names {sorted(ours)} and {sorted(theirs)}; expected the same")
    differences = []
    for name, value in ours.items():
        actual, expected = _as_array(value), _as_array(theirs[name])
        if actual.shape != expected.shape:
            raise ValueError(f"{name} has the shapes {actual.shape} and {expected.shape}; expected the same")
        if expected.size:
            differences.append(np.abs(actual - expected).max() / max(1.0, np.abs(expected).max()))
    # Unlike Python's, NumPy's maximum does not lose a NaN.
    return float(np.max(differences, initial=0.0))


def _as_array(value: np.ndarray[Any, Any] | Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(value.detach() if isinstance(value, Tensor) else value, dtype=np.float64)
