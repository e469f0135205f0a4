"""The sparse n-step approximation of real-time recurrent learning for n = 1: its influence, where one step reaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from seqloom.learning.gradients import Gradients
from seqloom.learning.influence import Learner, OnlineStep, StepGraph, run_learner
from seqloom.learning.transition import StepLoss, StepModule, remake

__all__ = ["SparseOneStep", "snap1", "structure"]

_DRAWS = 3


@dataclass
class _Bucket:
    """Parameters that reach equally many units, in groups that reach the same ones.

    Args:
        rows: (G, R) the entries of the state that each group reaches.
        columns: (G, C) the parameters of each group.
        values: (B, G, R, C) their influence.
    """

    rows: Tensor
    columns: Tensor
    values: Tensor


class SparseOneStep(Learner):
    """Learning at every step with the part of the influence that has the structure of the immediate Jacobian (SnAp-1).

    Of ``P = J P + I`` it keeps the entries at which I can differ from zero: what a parameter does to the units that it
    reaches within one step (Menick et al. 2020, section 3). What comes back to them through other units is lost, so it is
    biased, but it is not random; where the recurrence is diagonal nothing is lost and the gradient is exact (in a stack too, if
    each parameter reaches the layers above at once). A unit is
    what the fields of the state that have the same shape hold at one place: the c and h of an LSTM, the two parts of a
    complex number.

    Which units these are is found once, by differentiating the step at random weights with its kinks smoothed, so that a
    unit which happens to be off is no hole.

    Cost: memory for the entries that are kept, B N times the fields for a cell whose parameters reach one unit each. A
    step forms J, which is B S^2 numbers, and takes as many products with the parameters as entries share one.
    """

    def __init__(self, layer: StepModule) -> None:
        super().__init__(layer)
        self._pattern: Tensor | None = None  # (S, N)
        self._colours = torch.zeros(0, dtype=torch.long)  # (S,) entries of one colour share no parameter
        self._buckets: list[_Bucket] = []

    def step(
        self,
        x: Tensor,
        state: Sequence[Tensor] | None = None,
        output_gradient: Callable[[Tensor], Tensor] | None = None,
        valid: Tensor | None = None,
    ) -> OnlineStep:
        if self._pattern is None:
            self._pattern = structure(self, x, self.layer.initial_state(len(x)) if state is None else state)
            self._colours = _colour(self._pattern)
        return super().step(x, state, output_gradient, valid)

    def _influence(self) -> Sequence[Tensor]:
        return [bucket.values for bucket in self._buckets]

    def _forget(self) -> None:
        self._buckets = []

    def _credit(self, through: Tensor) -> Tensor:
        if not self._buckets or self._pattern is None:
            return through.new_zeros(())
        total = through.new_zeros(self._pattern.shape[1])
        for bucket in self._buckets:
            total[bucket.columns] = torch.einsum("bgr,bgrc->gc", through[:, bucket.rows], bucket.values)
        return total

    def _advance(self, graph: StepGraph, valid: Tensor | None) -> None:
        if not self._buckets and self._pattern is not None:
            self._buckets = _buckets(self._pattern, graph.new)
        jacobian = graph.jacobian().transpose(0, 1)
        count = int(self._colours.max()) + 1 if len(self._colours) else 0
        masks = F.one_hot(self._colours, count).T.to(graph.new.dtype)
        immediate = graph.back(masks.unsqueeze(1).expand(-1, *graph.new.shape)).transpose(0, 1)  # (B, colours, N)
        for bucket in self._buckets:
            rows = bucket.rows
            kept = jacobian[:, rows.unsqueeze(2), rows.unsqueeze(1)]  # (B, G, R, R)
            new = kept @ bucket.values + immediate[:, self._colours[rows].unsqueeze(2), bucket.columns.unsqueeze(1)]
            bucket.values = new if valid is None else torch.where(valid.view(-1, 1, 1, 1), new, bucket.values)


class _Smoothed(TorchFunctionMode):
    """Functions with kinks or branches, as smooth ones of the same arguments: no derivative is zero by accident."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name in ("relu", "abs", "absolute", "clamp", "clamp_min", "clamp_max", "hardtanh", "threshold"):
            return F.softplus(args[0])
        if name in ("maximum", "minimum") or (name == "where" and len(args) == 3):
            first, second = args[-2:]
            return 0.6 * first + 0.4 * second
        return function(*args, **(kwargs or {}))


def structure(learner: Learner, x: Tensor, state: Sequence[Tensor]) -> Tensor:
    """(S, N) which entries of the state some parameter can change within one step; see :class:`SparseOneStep`."""

    def draw(like: Tensor) -> Tensor:
        return torch.rand(_DRAWS, *like.shape[1:], dtype=like.dtype, device=like.device) + 0.1

    # The caller's random numbers are not spent on this, and the pattern is the same in every run.
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        # Positive states, for a normaliser may have a logarithm; weights and inputs that saturate nothing.
        states = remake(
            state, [draw(f) if f.is_floating_point() else f[:1].expand(_DRAWS, *f.shape[1:]) for f in state]
        )
        theta = torch.randn(_DRAWS, learner.size, dtype=x.dtype, device=x.device) * 0.3
        with _Smoothed():
            graph, _ = learner.trace(draw(x), states, theta)
        reached = (graph.back(graph.basis()) != 0).any(1)
    return _whole_units(reached, [tuple(field.shape[1:]) for field in state if field.is_floating_point()])


def _whole_units(reached: Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
    """The same, where whoever reaches an entry of a field reaches the unit: all fields of that shape, at that place."""
    parts = list(torch.split(reached, [math.prod(shape) for shape in shapes]))
    for shape in set(shapes):
        alike = [index for index, other in enumerate(shapes) if other == shape]
        together = torch.stack([parts[index] for index in alike]).any(0)
        for index in alike:
            parts[index] = together
    return torch.cat(parts)


def _colour(pattern: Tensor) -> Tensor:
    """(S,) the first colour that no earlier entry of the state has which some parameter reaches too."""
    reaches = pattern.to(torch.float32)
    conflicts = (reaches @ reaches.T) > 0
    colours = torch.zeros(len(pattern), dtype=torch.long, device=pattern.device)
    for entry in range(1, len(pattern)):
        taken = set(colours[:entry][conflicts[entry, :entry]].tolist())
        colours[entry] = next(colour for colour in range(entry + 1) if colour not in taken)
    return colours


def _buckets(pattern: Tensor, like: Tensor) -> list[_Bucket]:
    """The parameters that reach any state, sorted by what they reach, with no influence yet."""
    unique: Any = torch.unique  # untyped in torch
    sets, group = unique(pattern, dim=1, return_inverse=True)  # (S, groups), (N,)
    groups: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
    for index in range(sets.shape[1]):
        rows, columns = sets[:, index].nonzero().flatten(), (group == index).nonzero().flatten()
        if len(rows):
            groups.setdefault((len(rows), len(columns)), []).append((rows, columns))
    buckets = []
    for (height, width), members in groups.items():
        rows, columns = torch.stack([rows for rows, _ in members]), torch.stack([columns for _, columns in members])
        buckets.append(_Bucket(rows, columns, like.new_zeros(len(like), len(members), height, width)))
    return buckets


def snap1(
    layer: StepModule,
    x: Tensor,
    loss: StepLoss,
    state: Sequence[Tensor] | None = None,
    lengths: Tensor | None = None,
) -> Gradients:
    """The gradient of the loss summed over all steps as :class:`SparseOneStep` sees it; exact for diagonal recurrences.

    Arguments and errors as those of :func:`~seqloom.learning.bptt`, but for layers that go forward in time only.
    """
    return run_learner(SparseOneStep(layer), x, loss, state, lengths)
