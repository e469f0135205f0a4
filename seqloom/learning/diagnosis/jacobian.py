"""The Jacobian of one step by the full state: its largest stretch, and apart from that its largest eigenvalue.

The operator norm ``||J||_2`` bounds what one step can do to a gradient, and a product of steps by the product of the
norms: where it is below 1 throughout, gradients must shrink; where it is above 1, they may grow, or not. The spectral
radius ``max |eig J|`` bounds neither: a step of radius below 1 may stretch by any factor where it is not normal, and
steps that differ have no common eigenvectors. The two are often taken for each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqloom.engine.contract import States
from seqloom.learning.diagnosis.recurrence import Recurrence

__all__ = ["Linearised", "Points", "operator_norm", "points", "spectral_radius"]


@dataclass(frozen=True, eq=False)
class Points:
    """Some steps of some rows: inputs (N, D), states before the step (N, H) each, and the steps (N,), counted from 0."""

    x: Tensor
    states: States
    steps: Tensor


def points(recurrence: Recurrence, *, rows: int = 2, steps: int = 32) -> Points:
    """Steps spread evenly over each of the longest rows: all of them where there are no more than ``steps``."""
    order = torch.argsort(recurrence.lengths, descending=True, stable=True)[:rows]
    row, step = list[int](), list[int]()
    for index in order.tolist():
        length = int(recurrence.lengths[index])
        chosen = torch.linspace(0, length - 1, min(length, steps)).round().long().tolist()
        row += [index] * len(chosen)
        step += chosen
    at = torch.tensor(row, device=recurrence.inputs.device), torch.tensor(step, device=recurrence.inputs.device)
    return Points(recurrence.inputs[at], tuple(field[at] for field in recurrence.states), at[1])


class Linearised:
    """A step at N points as a linear map of the state: products with each point's Jacobian and with its transpose.

    The product with the Jacobian is the derivative of the one with its transpose, which is linear in what it is given: so
    any step that can be differentiated twice will do.

    Args:
        recurrence: whose step.
        x: (N, D).
        states: each (N, H).
    """

    def __init__(self, recurrence: Recurrence, x: Tensor, states: States) -> None:
        self.sizes = list(recurrence.sizes)
        with torch.enable_grad():
            self._before = [field.detach().requires_grad_() for field in states]
            new = recurrence.step(x.detach(), *self._before)
            self._after = [value for value in new if value.requires_grad]
            self._kept = [value.requires_grad for value in new]
            self._weights = [torch.zeros_like(value, requires_grad=True) for value in self._after]
            self._pulled = list(self._transposed(self._weights, create_graph=True)) if self._after else []
        self.rows, self.like = len(x), states[0]

    @property
    def size(self) -> int:
        """Units S of all states together."""
        return sum(self.sizes)

    def push(self, vectors: Tensor) -> Tensor:
        """(N, S) ``J v`` of (N, S) vectors."""
        given = torch.split(vectors, self.sizes, 1)
        pairs = [(value, want) for value, want in zip(self._pulled, given, strict=False) if value.requires_grad]
        if not pairs:
            return torch.zeros_like(vectors)
        values, wants = zip(*pairs, strict=True)
        products = iter(
            torch.autograd.grad(
                values, self._weights, wants, retain_graph=True, allow_unused=True, materialize_grads=True
            )
        )
        parts = [
            next(products) if kept else vectors.new_zeros(len(vectors), size)
            for kept, size in zip(self._kept, self.sizes, strict=True)
        ]
        return torch.cat(parts, 1)

    def pull(self, vectors: Tensor) -> Tensor:
        """(N, S) ``J' v`` of (N, S) vectors."""
        given = [part for part, kept in zip(torch.split(vectors, self.sizes, 1), self._kept, strict=True) if kept]
        return torch.cat(self._transposed(given), 1) if given else torch.zeros_like(vectors)

    def matrices(self) -> Tensor:
        """(N, S, S) the Jacobians themselves, row by row."""
        identity = torch.eye(self.size, dtype=self.like.dtype, device=self.like.device)
        return torch.stack([self.pull(row.expand(self.rows, -1)) for row in identity], 1)

    def _transposed(self, weights: list[Tensor], *, create_graph: bool = False) -> tuple[Tensor, ...]:
        return torch.autograd.grad(
            self._after,
            self._before,
            weights,
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
            materialize_grads=True,
        )


def operator_norm(recurrence: Recurrence, at: Points, *, tolerance: float = 1e-7, most_iterations: int = 300) -> Tensor:
    """(N,) the largest singular value of each point's Jacobian, by power iteration on ``J'J``; a bound on one step.

    It is not the spectral radius, which is never larger and bounds nothing about one step.

    Args:
        tolerance: the relative change between two iterations at which they end.
    """
    step = Linearised(recurrence, at.x, at.states)
    direction = _random_directions(step)
    value = direction.new_zeros(len(direction))
    for _ in range(most_iterations):
        stretched = step.push(direction)
        new = stretched.norm(dim=1)
        direction = step.pull(stretched)
        direction = direction / direction.norm(dim=1, keepdim=True).clamp(min=torch.finfo(direction.dtype).tiny)
        steady = bool((torch.abs(new - value) <= tolerance * new).all())
        value = new
        if steady:
            break
    return value.detach()


def spectral_radius(recurrence: Recurrence, at: Points, *, exact_up_to: int = 256) -> tuple[Tensor, bool]:
    """(N,) the largest absolute eigenvalue of each point's Jacobian, and whether it is exact.

    Up to ``exact_up_to`` units of state all eigenvalues are computed; beyond, the mean growth of a vector over the last of
    many products with the same Jacobian approaches it, also where the largest eigenvalues are a complex pair.
    """
    step = Linearised(recurrence, at.x, at.states)
    if step.size <= exact_up_to:
        return torch.linalg.eigvals(step.matrices().double()).abs().amax(1), True
    direction, growth = _random_directions(step), []
    for _ in range(200):
        direction = step.push(direction)
        norm = direction.norm(dim=1, keepdim=True)
        direction = direction / norm.clamp(min=torch.finfo(direction.dtype).tiny)
        growth.append(norm[:, 0].double().log())
    late: Tensor = torch.stack(growth[len(growth) // 2 :]).mean(0)
    return late.exp(), False


def _random_directions(step: Linearised) -> Tensor:
    """(N, S) unit vectors from a generator of their own, so that no other random number changes."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(step.rows, step.size, generator=generator, dtype=torch.float64)
    unit: Tensor = vectors / vectors.norm(dim=1, keepdim=True)
    return unit.to(step.like)
