"""``seqloom diagnose``: how the recurrent layers of a model carry gradients and memory over time, on data."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from seqloom.app.command import parse
from seqloom.errors import ConfigError

if TYPE_CHECKING:
    from seqloom.learning.diagnosis import Diagnosis, DiagnosticBatch

SUMMARY = (
    "say how a model carries gradients and memory over time, on data: gradient norms and half-lives, operator norms and "
    "spectral radii of a step, Lyapunov exponents, memory lengths, gates"
)

_COLUMNS = {
    "half_life": "half-life",
    "doubling": "doubling",
    "operator_norm": "operator norm",
    "spectral_radius": "spectral radius",
    "lyapunov": "Lyapunov",
    "memory_backward": "memory back",
    "memory_forward": "memory ahead",
    "saturation": "saturated",
    "dead_units": "dead",
    "forget_mean": "kept",
    "time_constant": "time constant",
    "largest_state": "max |h|",
}


@dataclass(frozen=True)
class DiagnoseOptions:
    """What ``diagnose`` takes."""

    model: Annotated[str, "a model directory"]
    data: Annotated[str, "data of the model's kind, as seqloom evaluate takes them"]
    json: Annotated[Path | None, "also write everything that was measured to this file"] = None
    out: Annotated[Path | None, "also write a self-contained HTML page with plots"] = None
    limit: Annotated[int, "look at no more than so many sequences, the longest of those that come first"] = 32
    exponents: Annotated[int, "how many leading Lyapunov exponents are computed"] = 1

    def __post_init__(self) -> None:
        for name in ("limit", "exponents"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name}: {getattr(self, name)}, expected at least 1")


def run(argv: list[str]) -> int:
    """Prints the words and a table."""
    options = parse(DiagnoseOptions, argv, verb="diagnose", summary=SUMMARY, positional=("model", "data"))
    from seqloom.app.report.curves import matplotlib_is_there

    if options.out is not None and not matplotlib_is_there():
        raise ConfigError(
            '--out: plots are drawn by matplotlib, which is not installed; pip install "seqloom[reports]"'
        )
    from seqloom.app.tables import print_comparison
    from seqloom.app.terminal import show
    from seqloom.data.files import checksum, write_atomic
    from seqloom.learning.diagnosis import DiagnosisConfig, diagnose_run
    from seqloom.systems.registry import load

    batch = _batch(load(options.model), options)
    diagnosis = diagnose_run(batch.module, batch.loss, DiagnosisConfig(rows=options.limit, exponents=options.exponents))
    show(str(diagnosis), "")
    print_comparison([(each.name, _shown(each.main_numbers())) for each in diagnosis.recurrences], "recurrence")
    if options.json is not None:
        source = {"model": options.model, "data": options.data, "sequences": batch.sequences}
        if Path(options.data).is_file():
            source["sha256"] = checksum(options.data)
        write_atomic(options.json, json.dumps({**source, **diagnosis.to_dict()}, ensure_ascii=False, indent=1))
    if options.out is not None:
        write_atomic(options.out, _page(diagnosis, options).encode("utf-8", errors="replace"))
        print(f"wrote {options.out}")
    return 0


def _batch(model: Any, options: DiagnoseOptions) -> "DiagnosticBatch":
    from seqloom.data.source import Source
    from seqloom.systems.contract import Diagnosable
    from seqloom.systems.registry import system

    own = system(model.system).create()
    if not isinstance(own, Diagnosable):
        raise ConfigError(f"{options.model}: a model of the system {model.system!r} gives no batch to diagnose")
    return own.diagnostic_batch(model, Source(options.data), options.limit)


def _shown(numbers: dict[str, float]) -> dict[str, float]:
    """A row of the table; a gradient that grows on its way back has no half-life but doubles in so many steps."""
    if numbers.get("gradient_slope", 0.0) > 0.0:
        numbers = {**numbers, "doubling": numbers["half_life"]}
        del numbers["half_life"]
    return {title: numbers[key] for key, title in _COLUMNS.items() if key in numbers}


def _page(diagnosis: "Diagnosis", options: DiagnoseOptions) -> str:
    from seqloom import __version__
    from seqloom.app.report.diagnosis import diagnosis_sections
    from seqloom.app.report.page import document

    eyebrow = f"{options.model} on {options.data} · diagnosis · seqloom {__version__}"
    return document("Long-term dependencies", eyebrow, diagnosis_sections(diagnosis))
