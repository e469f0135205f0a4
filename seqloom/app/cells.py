"""``seqloom cells``: the recurrent cells that a configuration can name."""

from dataclasses import dataclass
from typing import Annotated, Any

from seqloom.app.command import parse
from seqloom.app.terminal import print_json, show, table

__all__ = ["SUMMARY", "run"]

SUMMARY = "list the recurrent cells"


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    json: Annotated[bool, "print JSON"] = False


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom cells --help``."""
    options = parse(Options, argv, verb="cells", summary=SUMMARY)
    cells = _described()
    if options.json:
        print_json(cells)
        return 0
    rows = [
        (
            c["name"],
            ", ".join(c["state"]),
            c["size"],
            str(c["phases"]),
            ", ".join(c["backends"]),
            c["summary"],
            c["source"],
        )
        for c in cells
    ]
    show(
        table(("cell", "state", "parameters", "phases", "backends", "what", "source"), rows, right=("phases",)),
        "\nparameters: n inputs, m units; phases: products of one step that wait for each other; "
        "auto takes the last backend that fits",
    )
    return 0


def _described() -> list[dict[str, Any]]:
    from seqloom import cells

    return [
        {
            "name": cell.name,
            "summary": cell.summary,
            "source": cell.source,
            "state": list(cell.state),
            "size": cell.size,
            "phases": cell.phases,
            "backends": ["reference", "derived", *(["vendor"] if cell.vendor else [])],
        }
        for cell in cells.describe()
    ]
