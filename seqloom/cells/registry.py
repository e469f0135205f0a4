"""Cells by name: the names that configuration files and the command line use."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from seqloom.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from seqloom.cells.cell import Cell, VendorKernel

__all__ = [
    "FAMILIES",
    "CellDescription",
    "CellOption",
    "describe",
    "describe_one",
    "get",
    "name_of",
    "names",
    "register",
]

FAMILIES: dict[str, tuple[str, ...]] = {
    "Simple recurrent networks": ("elman", "jordan", "additive", "scrn", "clockwork"),
    "Several layers in one step": ("deep", "gated_feedback"),
    "Long short-term memory": (
        "lstm",
        "lstm_peephole",
        "lstm_projected",
        "lstm_multiplicative",
        "lstm_normalised",
        "xlstm",
    ),
    "Gated recurrent units": ("gru", "mgu", "mutated"),
    "No matrix between states": ("indrnn", "minimal", "qrnn", "sru", "lru", "rg_lru"),
}
"""Families of cells by the modules of this room that hold them, in the order in which lists show them."""

_OWN = "Other cells"
_cells: dict[str, type[Cell]] = {}
_Class = TypeVar("_Class", bound="type[Cell]")


@dataclass(frozen=True)
class CellOption:
    """An argument of a cell's constructor beside the sizes and the biases."""

    name: str
    default: Any
    text: str
    """What the docstring says of it."""

    def __str__(self) -> str:
        if self.default is None:  # which stands for "it depends"; the text says on what
            return self.name
        value = f"{self.default:g}" if isinstance(self.default, float) else str(self.default)
        return f"{self.name}={value}"


@dataclass(frozen=True)
class CellDescription:
    """A registered cell, in words."""

    name: str
    family: str
    summary: str
    source: str
    state: tuple[str, ...]
    size: str
    """The number of parameters as a formula of the input size n and the hidden size m."""
    phases: int
    """How many products that wait for each other a step has."""
    vendor: VendorKernel | None
    options: tuple[CellOption, ...]


def register(name: str) -> Callable[[_Class], _Class]:
    """Class decorator: give a cell the name by which configurations find it; a name is given once.

    Raises:
        ConfigError: the name belongs to another class.
    """

    def decorate(cell_class: _Class) -> _Class:
        known = _cells.setdefault(name, cell_class)
        if (known.__module__, known.__qualname__) != (cell_class.__module__, cell_class.__qualname__):
            raise ConfigError(
                f"cell: '{name}' is {known.__qualname__} already; register {cell_class.__qualname__} under another name"
            )
        _cells[name] = cell_class
        return cell_class

    return decorate


def get(name: str) -> type[Cell]:
    """The class of a registered cell.

    >>> get("lstmm")
    Traceback (most recent call last):
    seqloom.errors.ConfigError: cell: 'lstmm' is not a known cell; did you mean 'lstm'? (seqloom cells lists all)
    """
    if name not in _cells:
        nearest, own = did_you_mean(name, _cells), ""
        if "did you mean" not in nearest:  # all names would be a page
            nearest, own = "", "; --import FILE.py brings your own"
        raise ConfigError(f"cell: '{name}' is not a known cell{nearest} (seqloom cells lists all{own})")
    return _cells[name]


def names() -> tuple[str, ...]:
    """The registered names, sorted."""
    return tuple(sorted(_cells))


def name_of(cell_class: type[Cell]) -> str | None:
    """The name under which a class is registered, or none."""
    return next((name for name, known in _cells.items() if known is cell_class), None)


def describe() -> list[CellDescription]:
    """All registered cells, family by family, within one in the order of registration."""
    families = [*FAMILIES, _OWN]
    descriptions = [describe_one(name) for name in _cells]
    places = {module: place for place, module in enumerate(sum(FAMILIES.values(), ()))}
    return sorted(
        descriptions,
        key=lambda one: (families.index(one.family), places.get(_module(_cells[one.name]) or "", len(places))),
    )


def describe_one(name: str) -> CellDescription:
    """A registered cell; summary and source are the first line of its docstring, options its constructor's."""
    cell_class = get(name)
    cell = cell_class(4, 4)
    first = (cell_class.__doc__ or "").strip().split("\n")[0]
    parts = re.fullmatch(r"(?P<summary>.+?)(?: \((?P<source>.+)\))?\.?", first)
    module = _module(cell_class)
    return CellDescription(
        name=name,
        family=next((family for family, modules in FAMILIES.items() if module in modules), _OWN),
        summary=parts["summary"] if parts else "",
        source=(parts["source"] or "") if parts else "",
        state=cell.state,
        size=str(cell_class.size or ""),
        phases=cell.graph.phases,
        vendor=cell_class.vendor,
        options=tuple(_options(cell_class)),
    )


def _module(cell_class: type[Cell]) -> str | None:
    """The module of this room that holds a class, without the room's name."""
    room, _, module = cell_class.__module__.rpartition(".")
    return module if room == __package__ else None


def _options(cell_class: type[Cell]) -> Iterator[CellOption]:
    texts: dict[str, str] = {}
    for base in reversed(cell_class.__mro__):  # a base class may say what an argument means
        texts.update(_arguments(base.__doc__ or ""))
    for parameter in inspect.signature(cell_class).parameters.values():
        if parameter.name not in ("input_size", "hidden_size", "bias") and parameter.default is not parameter.empty:
            yield CellOption(parameter.name, parameter.default, texts.get(parameter.name, ""))


def _arguments(docstring: str) -> dict[str, str]:
    """By name, what the section ``Args`` of a docstring says; ``a, b: text`` is said of both.

    >>> _arguments("A cell.\\n\\n    Args:\\n        a, b: two\\n            numbers.\\n\\n    Raises:\\n")
    {'a': 'two numbers', 'b': 'two numbers'}
    """
    section = re.search(r"^Args:\n((?:(?: .*)?\n)+)", inspect.cleandoc(docstring) + "\n", re.MULTILINE)
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n     .*)*)", section.group(1) if section else "", re.MULTILINE)
    return {
        name.strip(): " ".join(text.replace("``", "`").split()).rstrip(".")
        for names, text in entries
        for name in names.split(",")
    }
