"""Tables of scores with bars, and counts of confusions as a heat table; plain HTML that prints and scrolls."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqloom.app.report.markup import Html, element, join, text
from seqloom.app.wording import number
from seqloom.systems.evaluation import Column

__all__ = ["bar", "confusion_table", "facts", "frequent_confusions", "score_table"]


def bar(value: Any) -> Html:
    """A share from 0 to 1 as a number with a bar behind it that starts at zero; anything else as a number alone."""
    shown = element("span", number(value), class_="value")
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        return shown
    track = element("span", element("i", style=f"width:{100 * value:.2f}%"), class_="track", aria_hidden="true")
    return element("span", track, shown, class_="bar")


def score_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, marked: int | None = None, caption: str = ""
) -> Html:
    """A table of the columns that any row has a value for.

    Args:
        marked: index of the row that stands out, as the run's own among others.
    """
    used = [column for column in columns if any(row.get(column.name) is not None for row in rows)]
    head = [element("th", column.label, scope="col", class_=column.kind) for column in used]
    body = []
    for index, row in enumerate(rows):
        cells = [_cell(column, row.get(column.name), first=column is used[0]) for column in used]
        body.append(element("tr", *cells, class_="own" if index == marked else None))
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else "",
            element("thead", element("tr", *head)),
            element("tbody", *body),
        ),
        class_="wide",
    )


def _cell(column: Column, value: Any, *, first: bool) -> Html:
    content = bar(value) if column.kind == "bar" else text(number(value))
    if first:
        return element("th", content, scope="row", class_=column.kind)
    return element("td", content, class_=column.kind)


def confusion_table(labels: Sequence[Any], counts: Sequence[Sequence[float]]) -> Html:
    """Counts by gold label (row) and predicted label (column), shaded by the share of the row.

    The shade is the square root of the share: most rows have one large count, and the small ones are the interesting ones.
    """
    names = [str(label) for label in labels]
    head = [element("th", "gold \\ found", scope="col", class_="corner")]
    head += [element("th", name, scope="col") for name in names]
    body = []
    for row_index, (name, row) in enumerate(zip(names, counts, strict=True)):
        total = sum(row)
        cells = [element("th", name, scope="row")]
        for column_index, count in enumerate(row):
            share = count / total if total > 0 else 0.0
            cells.append(
                element(
                    "td",
                    number(count) if count else "·",
                    class_="right" if row_index == column_index else "confused",
                    style=f"--share:{max(share, 0.0) ** 0.5:.3f}",
                    title=f"{name} found as {names[column_index]}: {number(count)}, {share:.2%} of {name}",
                )
            )
        body.append(element("tr", *cells))
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body), class_="heat")
    return element("div", table, class_="wide")


def frequent_confusions(
    labels: Sequence[Any], counts: Sequence[Sequence[float]], most: int = 10
) -> list[dict[str, Any]]:
    """The largest counts off the diagonal, for a confusion table too large to take in.

    >>> frequent_confusions(["A", "B"], [[5, 2], [0, 3]])
    [{'gold': 'A', 'found': 'B', 'count': 2, 'share': 0.2857142857142857}]
    """
    confusions: list[dict[str, Any]] = [
        {"gold": str(labels[row]), "found": str(labels[column]), "count": count, "share": count / sum(counts[row])}
        for row in range(len(labels))
        for column, count in enumerate(counts[row])
        if row != column and count > 0
    ]
    return sorted(confusions, key=lambda entry: -entry["count"])[:most]


def facts(values: Mapping[str, Any]) -> Html:
    """Names and values, nested where a value has names itself."""
    return element("dl", join(join((element("dt", str(name)), _fact(value))) for name, value in values.items()))


def _fact(value: Any) -> Html:
    if isinstance(value, Mapping):
        return element("dd", facts(value))
    shown = ", ".join(number(item) for item in value) if isinstance(value, list) else number(value)
    return element("dd", shown)
