"""The registry of oracles, and the few functions that they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Values = dict[str, Array]
Oracle = Callable[..., tuple[Array, Values]]
"""``oracle(p, x, state, **options)``: stored parameters, one sequence (T, n), its initial state by name, to outputs
(T, size) and the final state."""

ORACLES: dict[str, list[Oracle]] = {}


def oracle(name: str) -> Callable[[Oracle], Oracle]:
    """Add a function to what a registered cell is compared with."""

    def decorate(function: Oracle) -> Oracle:
        ORACLES.setdefault(name, []).append(function)
        return function

    return decorate


def sigmoid(a: Any) -> Any:
    """1 / (1 + e^-a)."""
    return 1.0 / (1.0 + np.exp(-a))


def softplus(a: Any) -> Any:
    """log(1 + e^a)."""
    return np.logaddexp(0.0, a)


def gates(p: Values, name: str, letters: str) -> Values:
    """The blocks of rows of a stacked parameter by letter; zeros where there is none, as of a cell without biases."""
    if name not in p:
        return dict.fromkeys(letters, np.zeros(()))
    return dict(zip(letters, np.split(p[name], len(letters)), strict=True))


def bias(p: Values, name: str) -> Array:
    """A bias, or nothing where the cell has none."""
    return p.get(name, np.zeros(()))
