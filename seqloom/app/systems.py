"""``seqloom systems``: the systems that recipes can name."""

from dataclasses import dataclass
from typing import Annotated

from seqloom.app.command import parse
from seqloom.app.terminal import print_json, show, table

SUMMARY = "list the systems that recipes can name"


@dataclass(frozen=True)
class SystemsOptions:
    """What ``systems`` takes."""

    json: Annotated[bool, "as JSON"] = False


def run(argv: list[str]) -> int:
    """Prints the registry of systems."""
    options = parse(SystemsOptions, argv, verb="systems", summary=SUMMARY)
    from seqloom.systems.registry import SYSTEMS

    if options.json:
        print_json([{"name": name, "family": one.family, "summary": one.summary} for name, one in SYSTEMS.items()])
        return 0
    show(
        table(["system", "family", "what it does"], [[name, one.family, one.summary] for name, one in SYSTEMS.items()])
    )
    return 0
