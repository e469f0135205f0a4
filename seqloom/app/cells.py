"""``seqloom cells``: the recurrent cells that a configuration can name, or what the engine makes of one of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from seqloom.app.command import parse
from seqloom.app.terminal import facts, print_json, show, table
from seqloom.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from seqloom.cells import CellDescription

__all__ = ["SUMMARY", "run"]

SUMMARY = "list the recurrent cells, or explain one"

_KEY = (
    "\nparameters: n inputs, m units; in brackets further arguments of the cell, with their defaults; "
    "seqloom cells NAME says all about one"
)
_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    name: Annotated[str | None, "a cell to explain: what runs it, and what the engine makes of a step"] = None
    json: Annotated[bool, "print JSON"] = False
    markdown: Annotated[Path | None, "write the page of all cells here; a table of speeds in it stays"] = None

    def __post_init__(self) -> None:
        if self.json and self.name is not None:
            raise ConfigError(f"--json lists the cells; leave out '{self.name}', which is explained in words only")
        if self.markdown is not None and (self.json or self.name is not None):
            raise ConfigError("--markdown writes the page of all cells; give neither a name nor --json with it")


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom cells --help``."""
    options = parse(Options, argv, verb="cells", summary=SUMMARY, positional=("name",))
    from seqloom import cells

    if options.name is not None:
        _explain(cells.describe_one(options.name))
    elif options.markdown is not None:
        from seqloom.app.cells_page import write_page

        write_page(options.markdown)
        show(f"wrote {options.markdown}")
    elif options.json:
        print_json([_as_data(cell) for cell in cells.describe()])
    else:
        show(_table(), _KEY)
    return 0


def _table() -> Table:
    from seqloom import cells

    rows = [
        (cell.name, ", ".join(cell.state), cell.size.partition(" (")[0], _in_short(cell)) for cell in cells.describe()
    ]
    listed = table(("cell", "state", "parameters", "what"), rows)
    listed.columns[0].no_wrap = True  # a name is there to be copied
    return listed


def _in_short(cell: CellDescription) -> str:
    source = f" ({cell.source})" if cell.source else ""
    return cell.summary + source + (f" [{', '.join(map(str, cell.options))}]" if cell.options else "")


def _as_data(cell: CellDescription) -> dict[str, Any]:
    options = [
        {**asdict(option), "default": option.default if isinstance(option.default, _PLAIN) else str(option.default)}
        for option in cell.options
    ]
    return {
        **asdict(cell),
        "vendor": cell.vendor is not None,
        "backends": _backends_here(cell.name),
        "options": options,
    }


def _explain(cell: CellDescription) -> None:
    from seqloom.layers.explanation import explain

    rows = [
        (cell.name, cell.summary),
        ("source", cell.source),
        ("state", ", ".join(cell.state)),
        ("parameters", f"{cell.size}, of n inputs and m units" if cell.size else ""),
        ("phases", f"{cell.phases}, products of a step that wait for each other"),
        ("backends", f"{', '.join(_backends_here(cell.name))}; auto takes the last that fits"),
    ]
    show(facts([*rows, *((str(option), option.text) for option in cell.options)]), "", str(explain(cell.name)))


def _backends_here(name: str) -> list[str]:
    """The backends that can run a cell on this machine."""
    from seqloom.app.cells_page import backends
    from seqloom.engine.runtime import native

    return [backend for backend in backends(name) if backend != "cpu" or native.available()]
