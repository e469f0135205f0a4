"""What a run directory holds for its report: read once, tolerant of what is missing, plain about what is damaged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqloom.app.wording import number
from seqloom.errors import ModelError
from seqloom.outside import UnreadableError, parse_json, parse_yaml, read_text
from seqloom.scores.names import metric_name

__all__ = ["RunContents", "read_run"]

_SECTIONS = ("data", "versions", "metrics", "shown")

_MOST = 2**53
"""Of a count, which no test set reaches."""

# What evaluations had that do not say how they are shown, as those of earlier releases.
_USUAL_PANELS: tuple[dict[str, Any], ...] = (
    {
        "name": "by_class",
        "kind": "table",
        "title": "By class",
        "columns": [
            {"name": "class", "label": "class", "kind": "text"},
            {"name": "f1", "label": "F1", "kind": "bar"},
            {"name": "precision", "label": "precision", "kind": "number"},
            {"name": "recall", "label": "recall", "kind": "number"},
            {"name": "support", "label": "in the test", "kind": "number"},
        ],
    },
    {"name": "confusion", "kind": "confusion", "title": "Confusions"},
    {
        "name": "by_length",
        "kind": "table",
        "title": "By sentence length",
        "columns": [
            {"name": "length", "label": "length", "kind": "text"},
            {"name": "f1", "label": "F1", "kind": "bar"},
            {"name": "sentences", "label": "sentences", "kind": "number"},
        ],
    },
    {"name": "worst", "kind": "readings", "title": "Worst errors"},
    {"name": "examples", "kind": "readings", "title": "Examples"},
)


@dataclass(frozen=True)
class RunContents:
    """The parts of a run that its report shows.

    Attributes:
        path: the run directory.
        configuration: the text of ``config.yaml``, empty where there is none.
        steps: records of training steps, in their order.
        evaluations: records of evaluations while training; their metrics lie under ``metrics``.
        diagnoses: records of the recurrent layers' diagnoses while training.
        evaluation: ``evaluation.json``, empty where the run was not scored.
        command: the command that trained the model, or None.
    """

    path: Path
    configuration: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    diagnoses: list[dict[str, Any]] = field(default_factory=list)
    evaluation: dict[str, Any] = field(default_factory=dict)
    command: str | None = None

    def rows(self, part: str) -> list[dict[str, Any]]:
        """A part of the evaluation that is a list of entries; empty where it is missing."""
        return self.evaluation.get(part) or []

    def panels(self) -> list[dict[str, Any]]:
        """How the parts of the evaluation are shown, in order: of each its name, kind and title, and what its kind needs."""
        shown = self.section("shown").get("panels")
        return list(_USUAL_PANELS) if shown is None else shown

    def label(self, metric: str) -> str:
        """A metric's name for people."""
        labels = self.section("shown").get("labels") or {}
        return str(labels.get(metric) or metric_name(metric))

    def section(self, part: str) -> dict[str, Any]:
        """A part of the evaluation that has named entries; empty where it is missing."""
        return self.evaluation.get(part) or {}


def read_run(path: Path) -> RunContents:
    """Reads a run directory.

    Raises:
        ModelError: it is no run directory, or one of its files is damaged; names the file, and the line where there is one.
    """
    names = ("config.yaml", "metrics.jsonl", "evaluation.json")
    if not path.is_dir():
        raise ModelError(f"{path} is not a run directory; seqloom train makes one with --out")
    if not any((path / name).is_file() for name in names):
        raise ModelError(f"{path} is not a run directory: it has none of {', '.join(names)}")
    records = _records(path / "metrics.jsonl")
    return RunContents(
        path=path,
        configuration=_text(path / "config.yaml"),
        steps=[record for record in records if _kind(record) not in ("evaluation", "diagnosis")],
        evaluations=[_gathered(record) for record in records if _kind(record) == "evaluation"],
        diagnoses=[record for record in records if _kind(record) == "diagnosis"],
        evaluation=_evaluation(path / "evaluation.json"),
        command=_command(path / "model" / "config.yaml"),
    )


def _text(file: Path) -> str:
    if not file.is_file():
        return ""
    try:
        return read_text(file, "JSON")
    except UnreadableError as error:
        raise ModelError(f"{file} cannot be read ({error}); the run directory is damaged") from None


def _records(file: Path) -> list[dict[str, Any]]:
    lines = _text(file).split("\n")
    records = []
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except UnreadableError:
            if index == len(lines) - 1:
                break  # a run that is being written, or was killed, ends in half a line
            raise ModelError(f"{file}:{index + 1}: the line is not JSON; the run directory is damaged") from None
        if not isinstance(record, dict):
            raise ModelError(f"{file}:{index + 1}: expected a JSON object; the run directory is damaged")
        records.append(record)
    return records


def _kind(record: Mapping[str, Any]) -> Any:
    return record.get("event", record.get("kind"))


def _gathered(record: dict[str, Any]) -> dict[str, Any]:
    prefix = "metric/"
    metrics = {name.removeprefix(prefix): value for name, value in record.items() if name.startswith(prefix)}
    rest = {name: value for name, value in record.items() if not name.startswith(prefix)}
    return {**rest, "metrics": metrics}


def _evaluation(file: Path) -> dict[str, Any]:
    content = _text(file)
    if not content:
        return {}
    try:
        evaluation = parse_json(content)
    except UnreadableError as error:
        raise ModelError(f"{file} is not JSON ({error}); the run directory is damaged") from None
    if not isinstance(evaluation, dict):
        raise ModelError(f"{file} does not hold a JSON object; the run directory is damaged")
    for part in _SECTIONS:
        if not isinstance(evaluation.get(part) or {}, dict):
            raise ModelError(f"{file}: '{part}' is not an object; the run directory is damaged")
    if not _are_objects(evaluation.get("baselines")):
        raise ModelError(f"{file}: 'baselines' is not a list of objects; the run directory is damaged")
    shown = evaluation.get("shown") or {}
    if not isinstance(shown.get("labels") or {}, dict) or not _are_objects(shown.get("panels")):
        raise ModelError(f"{file}: 'shown' does not say how panels are shown; the run directory is damaged")
    for panel in shown.get("panels") or _USUAL_PANELS:
        _check_panel(file, panel, evaluation.get(str(panel.get("name"))))
    return evaluation if shown else {**evaluation, "by_length": list(map(_band, evaluation.get("by_length") or []))}


def _band(row: dict[str, Any]) -> dict[str, Any]:
    """A row of scores by length as an earlier release wrote it, with the words for its length."""
    shortest, longest = row.get("from", row.get("shortest")), row.get("to", row.get("longest"))
    length = f"{number(shortest)} and more" if longest is None else f"{number(shortest)} to {number(longest)}"
    return {"length": length, "sentences": row.get("lines"), **row}


def _check_panel(file: Path, panel: Mapping[str, Any], value: Any) -> None:
    """Raises ModelError where a panel's data are not those of its kind; nothing at all is fine."""
    name, kind = panel.get("name"), panel.get("kind")
    if kind in ("table", "readings") and not _are_objects(value):
        raise ModelError(f"{file}: {name!r} is not a list of objects; the run directory is damaged")
    if kind == "table" and not _are_objects(panel.get("columns")):
        raise ModelError(f"{file}: the columns of {name!r} are not a list of objects; the run directory is damaged")
    if kind == "confusion" and value and not _is_confusion(value):
        raise ModelError(f"{file}: {name!r} needs as many rows and columns of counts as labels")


def _are_objects(value: Any) -> bool:
    return not value or (isinstance(value, list) and all(isinstance(entry, dict) for entry in value))


def _is_confusion(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("labels"), list):
        return False
    size, counts = len(value["labels"]), value.get("counts")
    return (
        isinstance(counts, list)
        and len(counts) == size
        and all(isinstance(row, list) and len(row) == size for row in counts)
        and all(isinstance(count, int | float) and 0 <= count < _MOST for row in counts for count in row)
    )


def _command(file: Path) -> str | None:
    # The model's own description is a courtesy here: seqloom info is what complains when it is damaged.
    try:
        about = parse_yaml(_text(file))["about"]
        return str(about["command"]) or None
    except (UnreadableError, KeyError, TypeError, ModelError):
        return None
