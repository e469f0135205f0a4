"""``seqloom check``: what is in a data file and what is wrong with it, before any training loses hours to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from seqloom.app.kind_options import parse_for_kind
from seqloom.app.terminal import facts, print_json, printable, show, table
from seqloom.data.kinds import checkable

if TYPE_CHECKING:
    from rich.text import Text

    from seqloom.data.check_report import CheckReport
    from seqloom.data.findings import Severity

__all__ = ["SUMMARY", "run"]

SUMMARY = "look for problems in data before any training"

_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "dim"}
_NAMES_SHOWN = 30
_BAR = 24


@dataclass(frozen=True)
class Options:
    """Options of the verb for every kind of data."""

    json: Annotated[bool, "print JSON"] = False


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom check --help``.

    Returns:
        0 where nothing was found but notes and warnings, 2 where something would stop a training or spoil its figures.
    """
    kind, options = parse_for_kind(
        argv,
        verb="check",
        summary=SUMMARY,
        kinds=checkable(),
        describe=lambda kind: (kind.check_options, SUMMARY),
        own=Options,
    )
    report = kind.check(options)
    if options.json:
        print_json(report.to_dict())
    else:
        _print(report)
    return 0 if report.is_usable else 2


def _print(report: CheckReport) -> None:
    from rich.text import Text

    for section in report.sections:
        if section.title:
            show(Text(printable(section.title), style="bold"))
        show(facts(section.facts))
        for name, counts in section.distributions.items():
            if counts:
                show("")
                show(table((name, "count", "share", ""), _distribution(counts), right=("count", "share")))
        show("")
    if report.findings:
        rows = [(Text(one.severity, style=_STYLES[one.severity]), one.where, one.message) for one in report.findings]
        show(table(("", "where", "what"), rows))
        show("")
    show(_verdict(report))


def _distribution(counts: Mapping[str, int]) -> Iterator[tuple[str, str, str, str]]:
    """Rows of name, count, share and bar, the most frequent first; the rare ones of a long list together."""
    total, most = sum(counts.values()), max(counts.values())
    for name, count in list(counts.items())[:_NAMES_SHOWN]:
        yield name, f"{count:,}", f"{100 * count / total:.2f} %", "█" * round(_BAR * count / most)
    rest = list(counts.values())[_NAMES_SHOWN:]
    if rest:
        yield f"... {len(rest)} more", f"{sum(rest):,}", f"{100 * sum(rest) / total:.2f} %", ""


def _verdict(report: CheckReport) -> Text:
    from rich.text import Text

    numbers = [(severity, report.count(severity)) for severity in _STYLES]
    counted = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in numbers if count)
    if not report.is_usable:
        return Text(f"{counted}: not ready for a training", style="bold red")
    return Text(f"ready for a training ({counted or 'nothing to note'})", style="bold green")
