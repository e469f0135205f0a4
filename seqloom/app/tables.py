"""Scores as tables on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["print_comparison", "print_scores"]

_SHARES = ("precision", "recall", "f1", "accuracy", "oov_rate", "oov_recall", "iv_recall", "span_f1")
_TITLES = {
    "precision": "P",
    "recall": "R",
    "f1": "F1",
    "oov_rate": "OOV rate",
    "oov_recall": "OOV recall",
    "iv_recall": "IV recall",
    "characters_per_second": "chars/s",
    "tokens_per_second": "tokens/s",
}


def format_value(name: str, value: float | None) -> str:
    """A metric as people write it: shares in percent, rates as whole numbers.

    >>> format_value("f1", 0.95512), format_value("characters_per_second", 123456.7)
    ('95.51', '123,457')
    """
    if value is None or value != value:
        return "-"
    if name in _SHARES:
        return f"{100 * value:.2f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def print_comparison(rows: Sequence[tuple[str, Mapping[str, float]]], title: str = "") -> None:
    """One row per method or model, one column per metric that any of them has."""
    from rich.console import Console
    from rich.table import Table

    names = list(dict.fromkeys(name for _, metrics in rows for name in metrics))
    table = Table(title=title or None, title_justify="left")
    table.add_column("method")
    for name in names:
        table.add_column(_TITLES.get(name, name.replace("_", " ")), justify="right")
    for label, metrics in rows:
        table.add_row(label, *(format_value(name, metrics.get(name)) for name in names))
    Console().print(table)


def print_scores(evaluation: Mapping[str, Any]) -> None:
    """The scores of one evaluation, with those of its baselines below."""
    rows = [(evaluation.get("method", evaluation.get("system", "model")), evaluation["metrics"])]
    baselines = evaluation.get("baselines") or []
    if len(baselines) > 1:
        rows = [(row["method"], {name: row[name] for name in row if name != "method"}) for row in baselines]
    print_comparison(rows)
