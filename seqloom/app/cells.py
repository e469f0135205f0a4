"""``seqloom cells``: the recurrent cells that a configuration can name, or what the engine makes of one of them."""

from dataclasses import dataclass
from typing import Annotated, Any

from seqloom.app.command import parse
from seqloom.app.terminal import print_json, show, table
from seqloom.errors import ConfigError

__all__ = ["SUMMARY", "run"]

SUMMARY = "list the recurrent cells, or explain one"


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    name: Annotated[str | None, "a cell to explain: what runs it, and what the engine makes of a step"] = None
    json: Annotated[bool, "print JSON"] = False

    def __post_init__(self) -> None:
        if self.json and self.name is not None:
            raise ConfigError(f"--json lists the cells; leave out '{self.name}', which is explained in words only")


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom cells --help``."""
    options = parse(Options, argv, verb="cells", summary=SUMMARY, positional=("name",))
    if options.name is not None:
        from seqloom.layers.explanation import explain

        show(str(explain(options.name)))
        return 0
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
        "auto takes the last backend that fits; seqloom cells NAME explains one",
    )
    return 0


def _described() -> list[dict[str, Any]]:
    from seqloom import cells
    from seqloom.engine.compiled import native

    compiled = ["cpu"] if native.available() else []
    return [
        {
            "name": cell.name,
            "summary": cell.summary,
            "source": cell.source,
            "state": list(cell.state),
            "size": cell.size,
            "phases": cell.phases,
            "backends": ["reference", "derived", *(["vendor"] if cell.vendor else []), *compiled],
        }
        for cell in cells.describe()
    ]
