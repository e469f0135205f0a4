"""Arguments of layers, checked: each is handed back, or refused in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from seqloom.cells import registry
from seqloom.cells.cell import Cell
from seqloom.errors import ConfigError

__all__ = [
    "DRAWN",
    "CellLike",
    "Rates",
    "build_cell",
    "check_choice",
    "check_count",
    "check_deviation",
    "check_probability",
    "check_rates",
    "check_residual",
]

CellLike: TypeAlias = str | type[Cell] | Cell
Rates: TypeAlias = float | Mapping[str, float] | Iterable[tuple[str, float]]

DRAWN = ("dropout_input", "dropout", "dropout_output", "dropout_state", "weight_drop", "weight_noise")
"""Options of a layer that draw in training and rest in evaluation; zoneout apart, which takes the mean there."""


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse what is not among the choices.

    Raises:
        ConfigError: it is not.
    """
    if value not in choices:
        *others, last = map(repr, choices)
        raise ConfigError(f"{name} is {value!r}; expected {', '.join(others)} or {last}")


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


def check_deviation(name: str, value: float) -> float:
    """A standard deviation.

    Raises:
        ConfigError: it is below 0, or not finite.
    """
    if not 0.0 <= value < float("inf"):
        raise ConfigError(f"{name} is {value!r}; expected a standard deviation of at least 0")
    return float(value)


def check_residual(value: bool | int) -> bool | int:
    """Whether layers have residual connections, or the number, above 2, of the first that has one.

    Raises:
        ConfigError: a number below 2: below the first layer is the input, which is never added.
    """
    if isinstance(value, bool):
        return value
    return True if check_count("residual", value, 2) == 2 else value


def check_rates(name: str, value: Rates, states: Sequence[str]) -> float | dict[str, float]:
    """A probability for all states of a cell, or one for each by its name: 0 for those that are left out.

    Raises:
        ConfigError: no probability, or a name that is no state's.

    >>> check_rates("zoneout", {"c": 0.5}, ("h", "c"))
    {'h': 0.0, 'c': 0.5}
    """
    if isinstance(value, int | float):
        return check_probability(name, value)
    given = dict(value)
    foreign = [key for key in given if key not in states]
    if foreign:
        raise ConfigError(f"{name} names {', '.join(map(repr, foreign))}; the cell's states are {', '.join(states)}")
    rates = {state: check_probability(f"{name}.{state}", given.get(state, 0.0)) for state in states}
    return rates if len(set(rates.values())) > 1 else rates[states[0]]


def build_cell(cell: CellLike, input_size: int | None, hidden_size: int | None, bias: bool) -> Cell:
    """The first cell of a layer: the instance itself, or a new one of the class or the registered name.

    Raises:
        ConfigError: none of these; a size that is missing, or that contradicts the instance.
    """
    if isinstance(cell, Cell):
        for name, given in (("input_size", input_size), ("hidden_size", hidden_size)):
            if given not in (None, getattr(cell, name)):
                raise ConfigError(f"{name} is {given} but the cell that was passed has {getattr(cell, name)}")
        return cell
    cell_class = registry.get(cell) if isinstance(cell, str) else cell
    if not (isinstance(cell_class, type) and issubclass(cell_class, Cell)):
        raise ConfigError(f"cell is {cell!r}; expected a name, a Cell class or a Cell")
    if input_size is None or hidden_size is None:
        missing = "input_size" if input_size is None else "hidden_size"
        raise ConfigError(
            f"{missing} is missing; Recurrent({cell_class.__name__}, ...) needs input_size and hidden_size"
        )
    return cell_class(input_size, hidden_size, bias=bias)
