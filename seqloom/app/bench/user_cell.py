"""A cell as a person would write it, which no part of the library knows; in the library's words and in those of JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seqloom.app.bench.comparison import optional
from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.engine.operations import abs, sigmoid, tanh

__all__ = ["CoupledPeephole", "jax_forward"]


class CoupledPeephole(Cell):
    """A memory with one gate for old and new, which sees the memory; squashed by softsign where an LSTM has a tanh."""

    state = ("h", "c")
    initial = Initialisation(bias={"f": 1.0}, vector={"peephole": 0.1})

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        f, g, o = self.affine(x, h, gates="fgo")
        f = sigmoid(f + self.vector("peephole") * c)
        c = f * c + (1 - f) * tanh(g)
        return sigmoid(o) * c / (1 + abs(c)), c


def jax_forward() -> Callable[[Mapping[str, Any], Any], Any]:
    """The same cell over a whole sequence by ``jax.lax.scan``: parameters by name and x (T, B, D) to outputs (T, B, H).

    The input's product stands before the scan, once for all steps, as whoever knows JAX would write it.

    Raises:
        NotAvailableError: jax is not installed.
    """
    jax = optional("jax")
    jnp, squash = jax.numpy, jax.nn.sigmoid

    def forward(parameters: Mapping[str, Any], x: Any) -> Any:
        recurrent, peephole = parameters["weight_fgo_h"].T, parameters["vector_peephole"]

        def step(state: tuple[Any, Any], projected: Any) -> tuple[tuple[Any, Any], Any]:
            h, c = state
            f, g, o = jnp.split(projected + h @ recurrent, 3, -1)
            f = squash(f + peephole * c)
            c = f * c + (1 - f) * jnp.tanh(g)
            h = squash(o) * c / (1 + jnp.abs(c))
            return (h, c), h

        start = jnp.zeros((x.shape[1], recurrent.shape[0]), x.dtype)
        return jax.lax.scan(step, (start, start), x @ parameters["weight_fgo_x"].T + parameters["bias_fgo"])[1]

    return forward
