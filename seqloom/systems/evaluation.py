"""What an evaluation says: metrics, and panels that a report or a program shows without knowing the system."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from seqloom.scores.counts import Counts, class_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Column",
    "Confusion",
    "Evaluation",
    "Figure",
    "Metric",
    "Panel",
    "Readings",
    "Table",
    "Text",
    "class_panels",
    "class_table",
    "length_table",
    "null_for_nan",
]


@dataclass(frozen=True)
class Metric:
    """One score.

    Attributes:
        name: its key in JSON and in logs.
        value: NaN where there is nothing to divide by.
        label: its name for people; by default the usual one of its name.
        better: which way is better; ``neither`` of what only describes, such as a chance level.
        compared: its key in a table of methods beside each other; empty leaves it out of such tables.
        ratios: of a ratio of sums over examples, each example's (S, 2) numerator and denominator: what says whether one
            model is better than another by more than luck.
    """

    name: str
    value: float
    label: str = ""
    better: Literal["higher", "lower", "neither"] = "higher"
    compared: str = ""
    ratios: NDArray[Any] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Column:
    """A column of a table: the key of its entries, its head, and how it is drawn (a bar is for values from 0 to 1)."""

    name: str
    label: str
    kind: Literal["number", "text", "bar"] = "number"


@dataclass(frozen=True)
class Table:
    """Rows of named entries, shown under the heads of their columns; entries without a column are for programs."""

    kind: ClassVar[str] = "table"
    name: str
    title: str
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[Column]
    note: str = ""

    def data(self) -> Any:
        """For JSON."""
        return list(self.rows)

    def layout(self) -> dict[str, Any]:
        """How it is shown."""
        columns = [{"name": one.name, "label": one.label, "kind": one.kind} for one in self.columns]
        return {"columns": columns} | ({"note": self.note} if self.note else {})


@dataclass(frozen=True)
class Confusion:
    """How often each gold label (rows) was taken for each label (columns)."""

    kind: ClassVar[str] = "confusion"
    name: str
    title: str
    labels: Sequence[str]
    counts: Sequence[Sequence[int]]

    def data(self) -> Any:
        """For JSON."""
        return {"labels": list(self.labels), "counts": [list(row) for row in self.counts]}

    def layout(self) -> dict[str, Any]:
        """How it is shown."""
        return {}


@dataclass(frozen=True)
class Readings:
    """Texts with what was found in them.

    Each entry has ``text``, and of these what applies: ``gold`` and ``predicted`` (words that make up the text, or one tag
    for each of ``tokens``), ``n_best`` (``words`` and ``score``, best first), ``line``, ``errors`` (their number).

    Attributes:
        language: of the texts, where that decides how their characters are drawn.
    """

    kind: ClassVar[str] = "readings"
    name: str
    title: str
    entries: Sequence[Mapping[str, Any]]
    language: str = ""

    def data(self) -> Any:
        """For JSON."""
        return list(self.entries)

    def layout(self) -> dict[str, Any]:
        """How it is shown."""
        return {"language": self.language} if self.language else {}


@dataclass(frozen=True)
class Figure:
    """Lines through points (x, y), each line with a name."""

    kind: ClassVar[str] = "figure"
    name: str
    title: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    x_label: str = ""
    y_label: str = ""

    def data(self) -> Any:
        """For JSON."""
        return {name: [list(point) for point in points] for name, points in self.lines.items()}

    def layout(self) -> dict[str, Any]:
        """How it is shown."""
        return {"x_label": self.x_label, "y_label": self.y_label}


@dataclass(frozen=True)
class Text:
    """Some lines of text."""

    kind: ClassVar[str] = "text"
    name: str
    title: str
    text: str

    def data(self) -> Any:
        """For JSON."""
        return self.text

    def layout(self) -> dict[str, Any]:
        """How it is shown."""
        return {}


def class_table(classes: Mapping[str, Counts]) -> Table:
    """Scores of each class: rows of ``class``, ``precision``, ``recall``, ``f1`` and ``support``."""
    rows = [
        {"class": name, "precision": one.precision, "recall": one.recall, "f1": one.f1, "support": one.support}
        for name, one in classes.items()
    ]
    columns = (
        Column("class", "class", "text"),
        Column("f1", "F1", "bar"),
        Column("precision", "precision"),
        Column("recall", "recall"),
        Column("support", "in the test"),
    )
    return Table("by_class", "By class", rows, columns)


def class_panels(labels: Sequence[str], counts: NDArray[Any]) -> tuple[Table, Confusion]:
    """What a confusion says: the scores of each class, and itself.

    Args:
        counts: (K, K) how often each gold label (row) was taken for each label (column).
    """
    return class_table(class_counts(labels, counts)), Confusion(
        "confusion", "Confusions", list(labels), counts.tolist()
    )


def length_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Scores by the length of a sentence: rows of ``from``, ``to`` (none: no upper end), ``f1`` and ``sentences``."""
    banded = [{**row, "length": _band(row["from"], row["to"])} for row in rows]
    columns = (Column("length", "length", "text"), Column("f1", "F1", "bar"), Column("sentences", "sentences"))
    return Table("by_length", "By sentence length", banded, columns)


def _band(shortest: int, longest: int | None) -> str:
    return f"{shortest:,} and more" if longest is None else f"{shortest:,} to {longest:,}"


Panel: TypeAlias = Table | Confusion | Readings | Figure | Text


@dataclass(frozen=True)
class Evaluation:
    """Scores on a data set, and what a report shows of them.

    Attributes:
        metrics: the scores, the most important first.
        panels: what a report shows beside them, in this order.
        signature: what must be quoted with the scores, since it changes them: how they are counted.
        details: more for programs, which no report shows.
        main: the metric by which methods are ranked; by default the first.
    """

    metrics: Sequence[Metric]
    panels: Sequence[Panel] = ()
    signature: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    main: str = ""

    def __getitem__(self, name: str) -> float:
        return self.values()[name]

    def __contains__(self, name: object) -> bool:
        return any(metric.name == name for metric in self.metrics)

    def values(self) -> dict[str, float]:
        """The scores by name."""
        return {metric.name: metric.value for metric in self.metrics}

    def ratios(self) -> dict[str, NDArray[Any]]:
        """Of the metrics that can be resampled, the parts of each example."""
        return {metric.name: metric.ratios for metric in self.metrics if metric.ratios is not None}

    def compared(self) -> dict[str, float | None]:
        """The row of this evaluation in a table of methods."""
        return null_for_nan({metric.compared: metric.value for metric in self.metrics if metric.compared})

    def panel(self, name: str) -> Any:
        """The data of the panel of that name, as JSON has them; KeyError where there is none."""
        return {panel.name: panel for panel in self.panels}[name].data()

    def to_dict(self) -> dict[str, Any]:
        """For strict JSON: a metric without a base, such as the recall of unknown words where there are none, is null."""
        signed = {"signature": self.signature} if self.signature else {}
        panels = {panel.name: panel.data() for panel in self.panels}
        return {"metrics": null_for_nan(self.values()), **signed, **panels, **self.details, "shown": self._shown()}

    def _shown(self) -> dict[str, Any]:
        """How a report shows all that."""
        labels = {
            key: metric.label for metric in self.metrics if metric.label for key in {metric.name, metric.compared}
        }
        main = next((metric for metric in self.metrics if metric.name == self.main), self.metrics[0])
        panels = [
            {"name": panel.name, "kind": panel.kind, "title": panel.title, **panel.layout()} for panel in self.panels
        ]
        return {"labels": labels, "main": main.compared or main.name, "better": main.better, "panels": panels}


def null_for_nan(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Metrics with None in the place of NaN, which strict JSON cannot hold."""
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}
