"""A kind of data of one's own: series of whole numbers, one ``time,value`` a line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from seqloom.data.check_report import CheckReport, Section
from seqloom.data.findings import Finding, finding_of, line_findings
from seqloom.data.kinds import register_kind
from seqloom.errors import DataError


@dataclass(frozen=True)
class PulseOptions:
    data: Annotated[Path, "the series to look at"]
    as_: Annotated[Literal["auto", "pulse", "columns"], "format of the series"] = "auto"
    highest: Annotated[int, "largest value that a sensor gives"] = 9


@register_kind
class PulseKind:
    name, formats = "pulses", ("pulse", "columns")
    check_options = convert_options = PulseOptions
    convert_summary = "write a series as JSON"

    def recognises(self, path: Path) -> bool:
        return path.suffix == ".pulse"

    def check(self, options: PulseOptions) -> CheckReport:
        rows, findings = [], list(line_findings(options.data, "utf-8", False))
        try:
            rows = list(_rows(options.data))
        except DataError as problem:
            findings.append(finding_of(problem, options.data))
        for line, _, value in rows:
            if value > options.highest:
                findings.append(Finding("warning", "range", f"{options.data}:{line}", f"{value} is out of range"))
        counts = {str(value): [row[2] for row in rows].count(value) for value in sorted({row[2] for row in rows})}
        return CheckReport(tuple(findings), (Section([("steps", str(len(rows)))], {"value": counts}, "Series"),))

    def convert(self, options: PulseOptions, tell: Callable[[str], None]) -> Iterator[str | bytes]:
        rows = list(_rows(options.data))
        tell(f"{len(rows)} steps")
        yield "["
        yield b",".join(b"%d" % value for _, _, value in rows) + b"]\n"


def _rows(path: Path) -> Iterator[tuple[int, int, int]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        time, _, value = line.partition(",")
        if not (time.isdecimal() and value.isdecimal()):
            raise DataError(f"{path}:{number}: {line!r} is not 'time,value'")
        yield number, int(time), int(value)
