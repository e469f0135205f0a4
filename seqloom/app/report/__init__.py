"""``seqloom report``: one self-contained HTML page that says how good a run is, what it gets wrong, and how it was made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from seqloom.app.command import parse

__all__ = ["SUMMARY", "run", "write_report"]

SUMMARY = "write the self-contained HTML report of a run"


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    run: Annotated[Path, "a run directory, as seqloom train --out made it"]
    out: Annotated[Path | None, "file to write, - for standard output; RUN/report.html by default"] = None


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom report --help``."""
    options = parse(Options, argv, verb="report", summary=SUMMARY, positional=("run",))
    target = write_report(options.run, options.out)
    if str(target) != "-":
        print(f"wrote {target}")
    return 0


def write_report(run: Path, out: Path | None = None) -> Path:
    """Writes the report of a run and returns its path; an older report is replaced whole or not at all.

    Args:
        run: the run directory; nothing outside it is read.
        out: where to write; ``RUN/report.html`` by default.
    Raises:
        ModelError: the directory is no run, or one of its files is damaged.
    """
    from seqloom.app.report.contents import read_run
    from seqloom.app.report.page import page
    from seqloom.data.files import write_atomic

    target = out or run / "report.html"
    # A text of a run may hold half a surrogate pair, which no file can.
    write_atomic(target, page(read_run(run)).encode("utf-8", errors="replace"))
    return target
