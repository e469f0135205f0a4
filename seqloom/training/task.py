"""What the loop knows of a task: batches to plan, share out and materialise, a loss, an evaluation, a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

__all__ = ["Task"]


class Task(Protocol):
    """One training problem. The loop never looks inside a description or a batch.

    Bit-identical resumption rests on two properties: ``plan`` is a pure function of the seed and the epoch, and every
    other random choice made while training (dropout, word dropout in ``batch``) draws from the global generators of
    torch, numpy or python, whose states the checkpoint keeps. ``evaluate`` may draw too: the loop restores the
    generators behind it.
    """

    module: nn.Module
    """What is trained and kept in checkpoints. The loop moves it to the device and switches train mode on."""

    def plan(self, epoch: int) -> Sequence[Any]:
        """Batch descriptions of an epoch (0, 1, ...) in their order, such as arrays of row numbers; at least one."""
        ...

    def split(self, description: Any, rank: int, world: int) -> Any:
        """The share of process ``rank`` of ``world``: disjoint, together the whole; ``None`` where it is empty.

        Called only when several processes train.
        """
        ...

    def batch(self, description: Any) -> Any:
        """The tensors of a batch, on the CPU: a tensor or a (nested) tuple, list, dict or dataclass of tensors."""
        ...

    def loss(self, batch: Any) -> Tensor:
        """Scalar loss to be minimised, the mean over the terms that ``weight`` counts."""
        ...

    def weight(self, batch: Any) -> float:
        """Terms over which ``loss`` is the mean: sentences, or tokens. Weights the shares of several processes."""
        ...

    def size(self, batch: Any) -> int:
        """Tokens or characters, for the reported rate."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Metrics on the development set with the exact test-time decoding. Only the first process calls it."""
        ...

    def save_model(self, directory: Path) -> None:
        """Write the model's files into an empty directory; the loop swaps it into place when it is complete."""
        ...
