"""The sections of a report: each makes its content from one part of a run, or None where the run does not have it."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seqloom.app.report.chips import as_words, compared, tagged, words_chips
from seqloom.app.report.contents import RunContents
from seqloom.app.report.curves import draw, find_curves, matplotlib_is_there
from seqloom.app.report.diagnosis import logged_curves
from seqloom.app.report.markup import Html, element, join
from seqloom.app.report.tables import Column, confusion_table, facts, frequent_confusions, score_table
from seqloom.app.wording import METRIC_NAMES, metric_name, number

__all__ = ["SECTIONS", "Section"]


@dataclass(frozen=True)
class Section:
    """A section: the end of its address, its title, and what makes its content."""

    anchor: str
    title: str
    make: Callable[[RunContents], Html | None]


_ORDER = list(METRIC_NAMES)
_SCORES = (
    Column("f1", "F1", "bar"),
    Column("precision", "precision"),
    Column("recall", "recall"),
    Column("oov_recall", "recall of unknown words", "bar"),
    Column("accuracy", "accuracy", "bar"),
)
_SPEEDS = (Column("characters_per_second", "characters/s"), Column("tokens_per_second", "tokens/s"))


def _headline(run: RunContents) -> Html:
    metrics = run.section("metrics")
    if not metrics:
        return _note("This run has no scores: it is not finished, or it had no data to be scored on.")
    order = sorted(metrics, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    cards = [element("div", element("dt", metric_name(name)), element("dd", number(metrics[name]))) for name in order]
    return element("dl", *cards, class_="cards")


def _baselines(run: RunContents) -> Html | None:
    rows = list(run.rows("baselines"))
    own = run.evaluation.get("method")
    if all(row.get("method") == own for row in rows):
        return None
    if own is not None and run.section("metrics") and all(row.get("method") != own for row in rows):
        rows.append({"method": own, **run.section("metrics")})
    rows.sort(key=lambda row: -_or_zero(row.get("f1", row.get("accuracy"))))
    marked = next((index for index, row in enumerate(rows) if own is not None and row.get("method") == own), None)
    if marked is not None:
        rows[marked] = {**rows[marked], "method": f"{own} (this run)"}
    columns = (Column("method", "method", "text"), *_SCORES, *_SPEEDS)
    return join(
        (
            _note("Trained on the same data and scored on the same test; best F1 first. Bars begin at zero."),
            score_table(rows, columns, marked=marked),
        )
    )


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
    columns += [Column(name, metric_name(name)) for name in names]
    columns += [Column("seconds", "seconds"), Column("kept", "best so far", "text")]
    title = element(
        "summary", f"The {len(rows)} evaluations in figures" if len(rows) > 1 else "The evaluation in figures"
    )
    return element("details", title, score_table(rows, columns))


def _by_class(run: RunContents) -> Html | None:
    rows = run.rows("by_class")
    columns = (Column("class", "class", "text"), *_SCORES, Column("support", "in the test"))
    return score_table(rows, columns) if rows else None


def _confusion(run: RunContents) -> Html | None:
    confusion = run.section("confusion")
    if not confusion or not confusion["labels"]:
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


def _by_length(run: RunContents) -> Html | None:
    rows = [
        {**row, "length": _band(row), "sentences": row.get("sentences", row.get("lines"))}
        for row in run.rows("by_length")
    ]
    rows = [row for row in rows if row["sentences"] != 0]
    columns = (Column("length", "length", "text"), *_SCORES, Column("sentences", "sentences"))
    return score_table(rows, columns) if rows else None


def _band(row: Mapping[str, Any]) -> str:
    first, last = row.get("from", row.get("shortest")), row.get("to", row.get("longest"))
    return f"{number(first)} and more" if last is None else f"{number(first)} to {number(last)}"


def _worst(run: RunContents) -> Html | None:
    rows = run.rows("worst")
    if not rows:
        return None
    items = [
        element(
            "li",
            element("p", f"line {number(row.get('line'))} · {_errors(row.get('errors'))}", class_="where"),
            _reading(row),
        )
        for row in rows
    ]
    return join((_legend(run), element("ol", *items, class_="readings", lang=_language(run))))


def _errors(count: Any) -> str:
    return "1 error" if count == 1 else f"{number(count)} errors"


def _legend(run: RunContents) -> Html:
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


def _examples(run: RunContents) -> Html | None:
    rows = run.rows("examples")
    if not rows:
        return None
    items = []
    for row in rows:
        ranked = [entry for entry in row.get("n_best") or [] if isinstance(entry, dict)]
        parts = [element("p", str(row.get("text", "")), class_="where source")]
        # The best of the ranked readings is the prediction, so without a gold reading it need not stand there twice.
        if len(ranked) < 2 or row.get("gold") is not None:
            parts.append(_reading(row))
        if len(ranked) > 1:
            parts.append(element("ol", *map(_ranked, ranked), class_="ranked"))
        items.append(element("li", *parts))
    return element("ul", *items, class_="readings", lang=_language(run))


def _ranked(entry: Mapping[str, Any]) -> Html:
    score = element("span", f"score {number(entry.get('score'))}", class_="score")
    return element("li", words_chips(as_words(entry.get("words"))), score)


def _language(run: RunContents) -> str | None:
    # Han characters are drawn in the style of the page's language, which without this would be a matter of chance.
    return "zh" if run.evaluation.get("system") == "segmenter" else None


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
    Section("classes", "By class", _by_class),
    Section("confusions", "Confusions", _confusion),
    Section("lengths", "By sentence length", _by_length),
    Section("errors", "Worst errors", _worst),
    Section("examples", "Examples", _examples),
    Section("use", "Reproduce and use", _commands),
    Section("configuration", "Configuration", _configuration),
)
