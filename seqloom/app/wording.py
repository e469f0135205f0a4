"""How figures are put before a reader, the same in a terminal and on a page."""

import math
from typing import Any

__all__ = ["number", "size_in_words"]


def number(value: Any) -> str:
    """A value as a reader wants to see it: four decimals for scores, thousands apart, a dash for what is not known.

    >>> number(0.95432), number(123456.7), number(12), number(None), number(float("nan")), number("x")
    ('0.9543', '123,457', '12', '–', '–', 'x')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if abs(value) >= 1000:
            return f"{value:,.0f}"
        return f"{value:.4f}" if value == 0 or abs(value) >= 0.0005 else f"{value:.2e}"
    return str(value)


def size_in_words(size: float) -> str:
    """Bytes in the unit that a person would use.

    >>> size_in_words(900), size_in_words(4_660_000), size_in_words(21_000_000)
    ('900 B', '4.7 MB', '21 MB')
    """
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
