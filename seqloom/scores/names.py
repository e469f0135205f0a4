"""The usual names of scores, in words and for the heads of narrow tables."""

__all__ = ["metric_name", "short_name", "usual_order"]

# In the order in which a reader wants to see them.
_NAMES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "r2": "R2",
    "mae": "mean absolute error",
    "rmse": "root of the mean squared error",
    "gap20": "GAP@20",
    "oov_recall": "recall of unknown words",
    "iv_recall": "recall of known words",
    "oov_rate": "share of unknown words",
    "characters_per_second": "characters per second",
    "tokens_per_second": "tokens per second",
}
_SHORT = {
    "precision": "P",
    "recall": "R",
    "f1": "F1",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "r2": "R2",
    "mae": "MAE",
    "rmse": "RMSE",
    "gap20": "GAP@20",
    "oov_rate": "OOV rate",
    "oov_recall": "OOV recall",
    "iv_recall": "IV recall",
    "characters_per_second": "characters/s",
    "tokens_per_second": "tokens/s",
}


def metric_name(name: str) -> str:
    """A metric's name in words.

    >>> metric_name("oov_recall"), metric_name("loss_per_token")
    ('recall of unknown words', 'loss per token')
    """
    return _NAMES.get(name, name.replace("_", " "))


def short_name(name: str) -> str:
    """A metric's name for the head of a table in a terminal.

    >>> short_name("oov_recall"), short_name("loss_per_token")
    ('OOV recall', 'loss per token')
    """
    return _SHORT.get(name, name.replace("_", " "))


def usual_order(name: str) -> int:
    """Where a metric stands among others."""
    order = list(_NAMES)
    return order.index(name) if name in order else len(order)
