"""Optimisers for sparse tables: a step reads and writes the rows that a batch touched, nothing else.

torch has lazy Adam (``SparseAdam``) but builds three sparse tensors and two sparse masks per step for it; indexing the
rows directly computes the same numbers in about half the time. Momentum that is lazy too does not exist in torch.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from seqloom.learning.clipping import merge_rows
from seqloom.training.config import TrainingConfig

__all__ = ["RowOptimiser"]

_SLOTS = {"adam": ("mean", "square"), "adamw": ("mean", "square"), "adagrad": ("square",), "sgd": ("momentum",)}
_EPSILON = {"adam": 1e-8, "adamw": 1e-8, "adagrad": 1e-10}  # torch's own


class RowOptimiser:
    """Adam, Adagrad or SGD with momentum, lazily: a row that no batch touched keeps its vector and its statistics.

    ``adam`` equals ``torch.optim.SparseAdam``, whose bias correction counts all steps, touched or not. ``adagrad`` and
    ``sgd`` without momentum equal torch's. Weight decay would touch every row and is therefore not applied.

    Args:
        tables: parameters by name; their gradients are sparse with one sparse dimension.
        config: gives ``optimiser``, ``momentum``, ``beta1`` and ``beta2``.
    """

    def __init__(self, tables: Mapping[str, nn.Parameter], config: TrainingConfig) -> None:
        self.tables = dict(tables)
        self.config = config
        self.steps = 0
        slots = _SLOTS[config.optimiser] if config.optimiser != "sgd" or config.momentum else ()
        self.state = {name: {slot: torch.zeros_like(table) for slot in slots} for name, table in self.tables.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the touched rows of every table that has a gradient."""
        self.steps += 1
        for name, table in self.tables.items():
            if table.grad is None:
                continue
            gradient = merge_rows(table.grad)
            rows, values = gradient.indices()[0], gradient.values()
            if len(rows):
                self._update(table, self.state[name], rows, values, rate)

    def _update(self, table: Tensor, state: dict[str, Tensor], rows: Tensor, values: Tensor, rate: float) -> None:
        config = self.config
        vectors = table.index_select(0, rows)
        if config.optimiser in ("adam", "adamw"):
            mean = state["mean"].index_select(0, rows).lerp_(values, 1 - config.beta1)
            square = state["square"].index_select(0, rows).mul_(config.beta2)
            square.addcmul_(values, values, value=1 - config.beta2)
            state["mean"].index_copy_(0, rows, mean)
            state["square"].index_copy_(0, rows, square)
            correction = math.sqrt(1 - config.beta2**self.steps) / (1 - config.beta1**self.steps)
            vectors.addcdiv_(mean, square.sqrt_().add_(_EPSILON["adam"]), value=-rate * correction)
        elif config.optimiser == "adagrad":
            square = state["square"].index_select(0, rows).addcmul_(values, values)
            state["square"].index_copy_(0, rows, square)
            vectors.addcdiv_(values, square.sqrt_().add_(_EPSILON["adagrad"]), value=-rate)
        else:
            if config.momentum:
                values = state["momentum"].index_select(0, rows).mul_(config.momentum).add_(values)
                state["momentum"].index_copy_(0, rows, values)
            vectors.add_(values, alpha=-rate)
        table.index_copy_(0, rows, vectors)

    def tensors(self) -> Iterable[tuple[str, Tensor]]:
        """Every statistic as (table/slot, tensor); the count of steps is ``steps``."""
        for name, slots in self.state.items():
            for slot, tensor in slots.items():
                yield f"{name}/{slot}", tensor
