"""``seqloom systems``: the systems that recipes can name."""

import json
from dataclasses import dataclass
from typing import Annotated

from seqloom.app.command import parse

SUMMARY = "List the systems: what each does, and its family."


@dataclass(frozen=True)
class SystemsOptions:
    """What ``systems`` takes."""

    json: Annotated[bool, "as JSON"] = False


def run(argv: list[str]) -> int:
    """Prints the registry of systems."""
    options = parse(SystemsOptions, argv, verb="systems", summary=SUMMARY)
    from seqloom.systems.family import SYSTEMS

    if options.json:
        rows = [{"name": name, "family": system.family, "summary": system.summary} for name, system in SYSTEMS.items()]
        print(json.dumps(rows, indent=1))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("system", "family", "what it does")
    for name, system in SYSTEMS.items():
        table.add_row(name, system.family, system.summary)
    Console().print(table)
    return 0
