"""Arguments of layers, checked: each is handed back, or refused in one sentence."""

from __future__ import annotations

from seqloom.errors import ConfigError

__all__ = ["check_count", "check_probability"]


def check_count(name: str, value: int, least: int = 1) -> int:
    """An integer of at least ``least``.

    Raises:
        ConfigError: something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} is {value!r}; expected an integer of at least {least}")
    return value


def check_probability(name: str, value: float) -> float:
    """A number from 0 to 1.

    Raises:
        ConfigError: something else.
    """
    if not 0.0 <= value <= 1.0:
        raise ConfigError(f"{name} is {value!r}; expected a probability from 0 to 1")
    return float(value)
