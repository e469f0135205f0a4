"""What the verbs print: tables for people, JSON for programs, both to standard output and with every text taken literally."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the help of a verb prints without it
    from rich.console import Console, RenderableType
    from rich.table import Table

__all__ = ["facts", "print_json", "printable", "show", "table", "write_pieces"]

_UNBOUNDED = 100_000

_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}


def show(*parts: RenderableType) -> None:
    """Prints texts and tables to the present standard output; ``[brackets]`` and ``:colons:`` are only text."""
    if sys.stdout.isatty():
        _console(None).print(*parts, sep="\n")
        return
    # Into a pipe or a file nothing is wrapped or padded: the next program reads lines, not a picture of 80 columns.
    plain = _console(_UNBOUNDED)
    with plain.capture() as captured:
        plain.print(*parts, sep="\n")
    print("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def _console(width: int | None) -> Console:
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, width=width)


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], *, right: Sequence[str] = ()) -> Table:
    """A table with a head; the columns named in ``right`` hold numbers and are aligned to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    result = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        result.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        result.add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in row))
    return result


def printable(text: str) -> str:
    """A text that cannot steer a terminal: control characters, which data may hold, become their pictures.

    >>> printable("a\\x1b[31mb")
    'a␛[31mb'
    """
    return text.translate(_PICTURES)


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values in two columns without a head; a row with an empty value is left out."""
    from rich.table import Table

    result = Table.grid(padding=(0, 2))
    result.add_column(style="bold", no_wrap=True)
    result.add_column(overflow="fold")
    for name, value in rows:
        if value:
            result.add_row(name, printable(value))
    return result


def print_json(value: Any) -> None:
    """One JSON document on standard output, characters as themselves; what is not a finite number becomes null."""
    print(json.dumps(_finite(value), ensure_ascii=False, indent=2, allow_nan=False))


def write_pieces(pieces: Iterable[str | bytes]) -> None:
    """Writes output as it comes: lines without their ends, and bytes as they are."""
    for piece in pieces:
        if isinstance(piece, bytes):
            sys.stdout.flush()  # what was written as text comes first
            sys.stdout.buffer.write(piece)
        else:
            sys.stdout.write(f"{piece}\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
