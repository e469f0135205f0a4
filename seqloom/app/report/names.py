"""What metrics are called in front of a reader."""

__all__ = ["METRIC_NAMES", "metric_name"]

# In the order in which a reader wants to see them.
METRIC_NAMES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "oov_recall": "recall of unknown words",
    "iv_recall": "recall of known words",
    "oov_rate": "share of unknown words",
    "characters_per_second": "characters per second",
    "tokens_per_second": "tokens per second",
}


def metric_name(name: str) -> str:
    """A metric's name in words.

    >>> metric_name("oov_recall"), metric_name("loss_per_token")
    ('recall of unknown words', 'loss per token')
    """
    return METRIC_NAMES.get(name, name.replace("_", " "))
