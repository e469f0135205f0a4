"""The figures of :mod:`recurrences` as one page of Markdown: who solves what, in detail, and the field's known facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from machine import markdown_table

from seqloom.app.wording import number
from seqloom.synthetic.compare.results import CellResult
from seqloom.synthetic.tasks import SequenceTask

__all__ = ["FACTS", "Fact", "Found", "to_markdown"]


@dataclass(frozen=True)
class Found:
    """What became of the encoders on one task; ``missing`` runs were left out when the budget was over."""

    name: str
    task: SequenceTask
    results: Sequence[CellResult]
    missing: int
    updates: int

    def of(self, cell: str) -> CellResult | None:
        """The row of an encoder, or None where it did not run."""
        return next((result for result in self.results if result.cell == cell), None)


@dataclass(frozen=True)
class Fact:
    """Something the field knows: some encoders do better than others on some tasks.

    Args:
        claim: the fact in words.
        better: encoders, any of which is the better side.
        worse: encoders, each of which is the worse side.
        tasks: experiments on which it can show.
    """

    claim: str
    better: tuple[str, ...]
    worse: tuple[str, ...]
    tasks: tuple[str, ...]


FACTS = (
    Fact(
        "a tanh RNN fails where an LSTM solves",
        ("lstm", "chrono_lstm"),
        ("rnn",),
        ("adding 100", "adding 200", "adding 400"),
    ),
    Fact(
        "without a forget gate an LSTM collapses",
        ("lstm",),
        ("lstm_1997",),
        ("adding 100", "parity 40 to 256", "permuted MNIST rows"),
    ),
    Fact(
        "dilation extends the memory of the same cell",
        ("dilated_rnn",),
        ("rnn",),
        ("adding 200", "adding 400", "copy 100"),
    ),
    Fact("dilation extends the memory of the same cell", ("dilated_gru",), ("gru",), ("copy 100",)),
    Fact("an LRU remembers longer than an LSTM", ("lru",), ("lstm",), ("copy 100",)),
    Fact(
        "recurrences that are linear and diagonal in their state fail parity",
        ("lstm", "gru", "rnn", "slstm"),
        ("lru", "mingru"),
        ("parity 40 to 256",),
    ),
)


def to_markdown(report: Mapping[str, Any], found: Sequence[Found]) -> str:
    """The command, what the figures depend on, the table of all tasks, the facts, and a table for each task."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    parts = [
        f"`{report['command']}`",
        f"{report['date']}; {machine['processor']}, {machine['cores']} cores, {machine['system']}; {versions}; "
        f"{report['jobs']} runs at a time, one thread each.",
        "Solved seeds, and in parentheses the median of the updates that they needed; where no seed is solved, the "
        "criterion's metric on 10,000 test sequences (the median of the seeds) beside what remembering nothing gives.",
        markdown_table(_overview(found), left=("encoder",)),
        "\n".join(_facts(found)),
    ]
    parts += [part for one in found for part in _details(one)]
    if report["limits_scaled_by"] < 1:
        parts.append(
            f"The runs' limits of processor time were scaled by {report['limits_scaled_by']:.2f} to fit "
            f"{report['budget_minutes']:g} minutes."
        )
    return "\n\n".join(filter(None, parts)) + "\n"


def _overview(found: Sequence[Found]) -> list[dict[str, str]]:
    cells = dict.fromkeys(result.cell for one in found for result in one.results)
    rows = [{"encoder": cell, **{one.name: _cell(one, one.of(cell)) for one in found}} for cell in cells]
    nothing = {one.name: _metric(one, _chance(one.task)) for one in found}
    return [*rows, {"encoder": "remembers nothing", **nothing}]


def _cell(one: Found, result: CellResult | None) -> str:
    if result is None:
        return "not run"
    if result.updates is not None:
        return f"{result.solved}/{result.seeds} ({result.updates:,.0f})"
    return f"0/{result.seeds}: {_metric(one, result.metric)}" if result.metric == result.metric else "diverged"


def _chance(task: SequenceTask) -> float:
    return task.chance if task.criterion.metric == "loss" else task.chance_wrong


def _metric(one: Found, value: float) -> str:
    """Nats for a criterion on the loss, wrong sequences in per cent otherwise."""
    return f"{value:.4f}" if one.task.criterion.metric == "loss" else f"{100 * value:.1f} % wrong"


def _facts(found: Sequence[Found]) -> list[str]:
    by_name = {one.name: one for one in found}
    lines = ["Known facts, and whether these figures show them:", ""]
    for fact in FACTS:
        for name in fact.tasks:
            one = by_name.get(name)
            better = [row for cell in fact.better if one and (row := one.of(cell))]
            worse = [row for cell in fact.worse if one and (row := one.of(cell))]
            if one and better and worse:
                shown = "shown" if _shows(better, worse) else "not shown"
                sides = "; ".join(f"{row.cell} {_cell(one, row)}" for row in (*better, *worse))
                lines.append(f"- {fact.claim}, {name}: **{shown}** ({sides})")
    return lines if len(lines) > 2 else []


def _shows(better: Sequence[CellResult], worse: Sequence[CellResult]) -> bool:
    """Whether one of the better is solved by most of its seeds, and each of the worse by fewer than half of its own."""
    return any(2 * row.solved > row.seeds for row in better) and all(2 * row.solved < row.seeds for row in worse)


def _details(one: Found) -> list[str]:
    rows = [
        {
            "encoder": row.cell,
            "units": number(row.hidden_size),
            "layers": number(row.layers),
            "parameters": number(row.parameters),
            "learning rate": f"{row.learning_rate:g}",
            "solved": f"{row.solved}/{row.seeds}",
            "updates": "–" if row.updates is None else f"{row.updates:,.0f}",
            "loss": number(row.loss),
            one.task.criterion.metric: _metric(one, row.metric),
            "best on development": _metric(one, row.best),
            "out of time": number(row.cut),
            "diverged": number(row.diverged),
            "seconds": f"{row.seconds:.0f}",
        }
        for row in one.results
    ]
    missing = f" {one.missing} runs were left out when the budget was over." if one.missing else ""
    source = f" Images: {one.task.source}." if hasattr(one.task, "source") else ""
    return [
        f"### {one.name}",
        f"Solved: {one.task.criterion}; at most {one.updates:,} updates; who remembers nothing: loss "
        f"{number(one.task.chance)}, {100 * one.task.chance_wrong:.1f} % wrong.{source}{missing}",
        markdown_table(rows, left=("encoder",)),
    ]
