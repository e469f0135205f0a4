"""Tables of figures: scores for the terminal, anything for a Markdown page."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqloom.app.terminal import show, table
from seqloom.app.wording import number
from seqloom.scores.names import short_name

__all__ = ["markdown_table", "print_comparison", "print_scores"]


def print_comparison(rows: Sequence[tuple[str, Mapping[str, Any]]], what: str = "method") -> None:
    """Prints rows of metrics under one head; a metric that a row does not have is a dash."""
    names = list(dict.fromkeys(name for _, metrics in rows for name in metrics))
    titles = [short_name(name) for name in names]
    cells = [[label, *(number(metrics.get(name)) for name in names)] for label, metrics in rows]
    show(table([what, *titles], cells, right=titles))


def print_scores(evaluation: Mapping[str, Any]) -> None:
    """Prints the scores of a run's evaluation, with those of its baselines below."""
    rows = [(evaluation.get("method", evaluation.get("system", "model")), evaluation["metrics"])]
    baselines = evaluation.get("baselines") or []
    if len(baselines) > 1:
        rows = [(row["method"], {name: row[name] for name in row if name != "method"}) for row in baselines]
    print_comparison(rows)


def markdown_table(rows: Sequence[Mapping[str, str]], *, left: Sequence[str] = ()) -> str:
    """Rows of equal keys as a table; columns stand to the right, but for those named in ``left``.

    >>> print(markdown_table([{"method": "fmm", "F1": "91.1"}], left=["method"]))
    | method | F1 |
    |:--|--:|
    | fmm | 91.1 |
    """
    if not rows:
        return ""
    header = list(rows[0])
    lines = [header, [":--" if name in left else "--:" for name in header]]
    lines += [[row[name].replace("|", "\\|") for name in header] for row in rows]
    first, rule, *body = lines
    return "\n".join([f"| {' | '.join(first)} |", f"|{'|'.join(rule)}|", *(f"| {' | '.join(row)} |" for row in body)])
