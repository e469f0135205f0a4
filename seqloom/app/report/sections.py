"""The sections of a report: each makes its content from one part of a run, or None where the run does not have it."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seqloom.app.report.chips import as_words, compared, tagged, words_chips
from seqloom.app.report.contents import RunContents
from seqloom.app.report.curves import Curve, Series, draw, find_curves, is_number, matplotlib_is_there
from seqloom.app.report.diagnosis import logged_curves
from seqloom.app.report.markup import Html, element, join
from seqloom.app.report.tables import confusion_table, facts, frequent_confusions, score_table
from seqloom.app.wording import number
from seqloom.scores.names import usual_order
from seqloom.systems.evaluation import Column

__all__ = ["LAST_SECTIONS", "SECTIONS", "Section", "panel_sections"]


@dataclass(frozen=True)
class Section:
    """A section: the end of its address, its title, and what makes its content."""

    anchor: str
    title: str
    make: Callable[[RunContents], Html | None]


def _headline(run: RunContents) -> Html:
    metrics = run.section("metrics")
    if not metrics:
        return _note("This run has no scores: it is not finished, or it had no data to be scored on.")
    order = sorted(metrics, key=usual_order)
    cards = [element("div", element("dt", run.label(name)), element("dd", number(metrics[name]))) for name in order]
    return element("dl", *cards, class_="cards")


def _baselines(run: RunContents) -> Html | None:
    rows = list(run.rows("baselines"))
    own = run.evaluation.get("method")
    if all(row.get("method") == own for row in rows):
        return None
    if own is not None and run.section("metrics") and all(row.get("method") != own for row in rows):
        rows.append({"method": own, **run.section("metrics")})
    keys = sorted(dict.fromkeys(key for row in rows for key in row if key != "method"), key=usual_order)
    shown = run.section("shown")
    main = str(shown.get("main") or next((key for key in ("f1", "accuracy") if key in keys), ""))
    sign = 1 if shown.get("better") == "lower" else -1
    rows.sort(key=lambda row: sign * _or_zero(row.get(main)))
    marked = next((index for index, row in enumerate(rows) if own is not None and row.get("method") == own), None)
    if marked is not None:
        rows[marked] = {**rows[marked], "method": f"{own} (this run)"}
    columns = [Column("method", "method", "text"), *(_compared(run, key, rows) for key in keys)]
    note = f"Trained on the same data and scored on the same test; best {run.label(main)} first. Bars begin at zero."
    return join((_note(note), score_table(rows, columns, marked=marked)))


def _compared(run: RunContents, key: str, rows: Sequence[Mapping[str, Any]]) -> Column:
    values = [row[key] for row in rows if row.get(key) is not None]
    shares = all(isinstance(value, int | float) and 0 <= value <= 1 for value in values)
    return Column(key, run.label(key), "bar" if shares and key not in ("precision", "recall") else "number")


def _training(run: RunContents) -> Html | None:
    if not run.steps and not run.evaluations:
        return None
    curves = find_curves(run.steps, run.evaluations)
    if matplotlib_is_there():
        drawn = [draw(curve, f"curve{index}") for index, curve in enumerate(curves)]
        shown = (
            element("div", *drawn, class_="curves") if drawn else _note("Too early for curves: no step is logged yet.")
        )
    else:
        remedy = element("code", 'pip install "seqloom[reports]"')
        shown = element(
            "p", "Curves are drawn by matplotlib, which is not installed here: ", remedy, ", then ",
            element("code", _command("seqloom", "report", str(run.path))), ".", class_="note",
        )  # fmt: skip
    return join((shown, _evaluations(run) or ""))


def _memory(run: RunContents) -> Html | None:
    curves = logged_curves(run.diagnoses)
    if not curves or not matplotlib_is_there():
        return None
    drawn = [draw(curve, f"memory{index}") for index, curve in enumerate(curves)]
    return element("div", *drawn, class_="curves")


def _evaluations(run: RunContents) -> Html | None:
    if not run.evaluations:
        return None
    rows = [{**record, **record["metrics"], "kept": "★" if record.get("best") else None} for record in run.evaluations]
    names = dict.fromkeys(name for record in run.evaluations for name in record["metrics"])
    columns = [Column("epoch", "epoch"), Column("step", "step"), Column("loss", "training loss")]
    columns += [Column(name, run.label(name)) for name in names]
    columns += [Column("seconds", "seconds"), Column("kept", "best so far", "text")]
    title = element(
        "summary", f"The {len(rows)} evaluations in figures" if len(rows) > 1 else "The evaluation in figures"
    )
    return element("details", title, score_table(rows, columns))


def panel_sections(run: RunContents) -> Iterator[tuple[str, str, Html]]:
    """Anchor, title and content of each panel of the evaluation that has something to show."""
    for panel in run.panels():
        draw_panel = _PANELS.get(str(panel.get("kind")))
        value = run.evaluation.get(str(panel.get("name")))
        content = draw_panel(panel, value) if draw_panel is not None and value else None
        if content is not None:
            yield str(panel["name"]), str(panel.get("title", panel["name"])), content


def _table(panel: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Html:
    columns = [
        Column(str(one.get("name")), str(one.get("label", one.get("name"))), _kind(one.get("kind")))
        for one in panel.get("columns") or ()
    ]
    drawn = score_table(rows, columns)
    return join((_note(str(panel["note"])), drawn)) if panel.get("note") else drawn


def _kind(value: Any) -> Literal["number", "text", "bar"]:
    return value if value in ("text", "bar") else "number"


def _confusion(panel: Mapping[str, Any], confusion: Mapping[str, Any]) -> Html | None:
    if not confusion["labels"]:
        return None
    labels, counts = confusion["labels"], confusion["counts"]
    parts = [
        _note(
            "Rows are gold labels, columns what was found; a stronger shade is a larger share of the row. Framed cells are right."
        ),
        confusion_table(labels, counts),
    ]
    frequent = frequent_confusions(labels, counts)
    if frequent:
        columns = (
            Column("gold", "gold", "text"),
            Column("found", "found", "text"),
            Column("count", "times"),
            Column("share", "share of the gold label", "bar"),
        )
        parts.append(score_table(frequent, columns, caption="Most frequent confusions"))
    return join(parts)


def _readings(panel: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Html:
    """Texts with what was found in them: errors in the order of the list, examples with their ranked readings."""
    language = str(panel["language"]) if panel.get("language") else None
    if any("errors" in row for row in rows):
        items = [
            element(
                "li",
                element("p", f"line {number(row.get('line'))} · {_errors(row.get('errors'))}", class_="where"),
                _reading(row),
            )
            for row in rows
        ]
        return join((_legend(), element("ol", *items, class_="readings", lang=language)))
    return element("ul", *map(_example, rows), class_="readings", lang=language)


def _example(row: Mapping[str, Any]) -> Html:
    readings = row.get("n_best")
    ranked = [entry for entry in readings if isinstance(entry, dict)] if isinstance(readings, list) else []
    parts = [element("p", str(row.get("text", "")), class_="where source")]
    # The best of the ranked readings is the prediction, so without a gold reading it need not stand there twice.
    if len(ranked) < 2 or row.get("gold") is not None:
        parts.append(_reading(row))
    if len(ranked) > 1:
        parts.append(element("ol", *map(_ranked, ranked), class_="ranked"))
    return element("li", *parts)


def _figure(panel: Mapping[str, Any], lines: Any) -> Html | None:
    if not isinstance(lines, Mapping) or not matplotlib_is_there():
        return None
    series = [Series(str(name), points) for name, values in lines.items() if (points := _points(values))]
    if not series:
        return None
    curve = Curve(str(panel.get("y_label", "")), str(panel.get("x_label", "")), series, counts=False)
    return element("div", draw(curve, f"panel-{panel['name']}"), class_="curves")


def _points(values: Any) -> list[tuple[float, float]]:
    pairs = [pair for pair in values if isinstance(pair, list) and len(pair) == 2] if isinstance(values, list) else []
    return [(float(x), float(y)) for x, y in pairs if is_number(x) and is_number(y)]


def _text(panel: Mapping[str, Any], value: Any) -> Html:
    return element("pre", str(value))


_PANELS: dict[str, Callable[[Mapping[str, Any], Any], Html | None]] = {
    "table": _table,
    "confusion": _confusion,
    "readings": _readings,
    "figure": _figure,
    "text": _text,
}


def _errors(count: Any) -> str:
    return "1 error" if count == 1 else f"{number(count)} errors"


def _legend() -> Html:
    return element(
        "p",
        element("mark", "dashed frame", class_="chip a missed"),
        " in the gold row, not found   ",
        element("mark", "wavy line", class_="chip a wrong"),
        " found, but wrong",
        class_="note legend",
    )


def _reading(row: Mapping[str, Any]) -> Html:
    """One text with its gold reading beside the one that was found: words where they make up the text, tags otherwise."""
    predicted = as_words(row.get("predicted"))
    gold = as_words(row["gold"]) if row.get("gold") is not None else None
    tokens = as_words(row["tokens"]) if "tokens" in row else str(row.get("text", "")).split()
    if len(tokens) == len(predicted) and tokens != predicted and (gold is None or len(gold) == len(predicted)):
        bare = "".join("".join(tokens).split())
        if "".join("".join(predicted).split()) != bare:
            return tagged(tokens, gold, predicted)
    if gold is None:
        return element("div", words_chips(predicted), class_="reading")
    return compared(gold, predicted)


def _ranked(entry: Mapping[str, Any]) -> Html:
    score = element("span", f"score {number(entry.get('score'))}", class_="score")
    return element("li", words_chips(as_words(entry.get("words"))), score)


def _commands(run: RunContents) -> Html:
    model = run.path / "model"
    again = run.command or str(run.evaluation.get("command") or "")
    if not again and run.configuration:
        again = _command("seqloom", "train", str(run.path / "config.yaml"), "--out", "RUN")
    lines = [
        ("train it again", again),
        ("apply it", _command("seqloom", "predict", str(model), "FILE")),
        ("score it", _command("seqloom", "evaluate", str(model), "DATA")),
        ("look into it", _command("seqloom", "info", str(model))),
        ("from Python", f"import seqloom; model = seqloom.load({str(model)!r})"),
    ]
    commands = [join((element("dt", name), element("dd", element("code", line)))) for name, line in lines if line]
    parts = [element("dl", *commands, class_="commands")]
    made = {
        name: value
        for name, value in {
            "data": run.section("data"),
            "seed": run.evaluation.get("seed"),
            "versions": run.section("versions"),
        }.items()
        if value not in (None, {})
    }
    if made:
        parts.append(facts(made))
    return join(parts)


def _command(*words: str) -> str:
    return shlex.join(words)


def _configuration(run: RunContents) -> Html | None:
    return element("pre", run.configuration.rstrip("\n")) if run.configuration.strip() else None


def _note(sentence: str) -> Html:
    return element("p", sentence, class_="note")


def _or_zero(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


SECTIONS = (
    Section("scores", "Scores", _headline),
    Section("methods", "Beside other methods", _baselines),
    Section("training", "Training", _training),
    Section("memory", "Long-term dependencies", _memory),
)
"""What stands before the panels of the evaluation."""

LAST_SECTIONS = (
    Section("use", "Reproduce and use", _commands),
    Section("configuration", "Configuration", _configuration),
)
"""What stands behind them."""
