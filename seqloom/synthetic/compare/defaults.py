"""The one place of what a comparison sets where nobody says otherwise: by task how long, by cell how fast.

Learning rates were chosen on seeds that no reported result uses (1001 and up).
"""

from __future__ import annotations

from dataclasses import dataclass

from seqloom.layers.encoder import parse_encoder

__all__ = ["TaskDefaults", "learning_rate", "task_defaults"]


@dataclass(frozen=True)
class TaskDefaults:
    """How a comparison trains on a task.

    Args:
        updates: at most so many.
        batch_size: sequences in a batch.
        evaluate_every: updates between two looks at the development sequences.
    """

    updates: int = 6000
    batch_size: int = 64
    evaluate_every: int = 100


_TASKS = {
    "adding": TaskDefaults(updates=8000),
    "copy": TaskDefaults(updates=6000),
    "parity": TaskDefaults(updates=4000, evaluate_every=200),  # its held-out sequences are long
    "temporal_order": TaskDefaults(updates=6000),
    "temporal_order_3bit": TaskDefaults(updates=8000),
    "mnist_rows": TaskDefaults(updates=4300, batch_size=64, evaluate_every=215),  # 860 batches are a pass: five of them
    "permuted_rows": TaskDefaults(updates=4300, batch_size=64, evaluate_every=215),
    "mnist_pixels": TaskDefaults(updates=8600, batch_size=64, evaluate_every=430),
    "permuted_pixels": TaskDefaults(updates=8600, batch_size=64, evaluate_every=430),
}

_USUAL_RATE = 0.002

# Without gates the usual rate makes spikes of loss, and the papers of these recurrences train them with less, too.
_RATES = {
    "rnn": 0.0005,
    "rnn_relu": 0.0005,
    "irnn": 0.001,
    "indrnn": 0.001,
    "clockwork": 0.001,
    "dilated_rnn": 0.001,
}


def task_defaults(task: str) -> TaskDefaults:
    """The defaults of a task."""
    return _TASKS.get(task, TaskDefaults())


def learning_rate(cell: str) -> float:
    """Adam's learning rate for an encoder."""
    parsed = parse_encoder(cell)
    usual_name = parsed.cell if parsed.arrangement == "plain" else f"{parsed.arrangement}_{parsed.cell}"
    return _RATES.get(usual_name, _USUAL_RATE)
