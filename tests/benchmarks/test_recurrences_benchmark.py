"""The benchmark of recurrences: its limits fit its budget, its page says what was found, and its runs are kept."""

import dataclasses
import importlib
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

from seqloom.synthetic.compare.results import CellResult
from seqloom.synthetic.tasks import make_task


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("recurrences")


@pytest.fixture
def tables(benchmark: ModuleType) -> ModuleType:
    return importlib.import_module("recurrences_tables")


def test_all_runs_together_fit_the_budget_at_worst_and_a_large_budget_changes_nothing(benchmark):
    planned = [benchmark.trials_of(experiment, ("lstm", "rnn")) for experiment in benchmark.EXPERIMENTS]
    keys = [trial.key for trials in planned for trial in trials]
    assert len(set(keys)) == len(keys) == 2 * sum(experiment.seeds for experiment in benchmark.EXPERIMENTS)
    limits, factor = benchmark.scaled_limits(benchmark.EXPERIMENTS, planned, 5, 2)
    assert factor < 1
    assert sum(limits.values()) == pytest.approx((5 * 60 - benchmark.START_SECONDS) * 2)
    limits, factor = benchmark.scaled_limits(benchmark.EXPERIMENTS, planned, 1000, 2)
    assert factor == 1
    assert {limits[trial.key] for trial in planned[0]} == {benchmark.EXPERIMENTS[0].seconds}


def test_the_reported_budget_leaves_every_limit_as_it_is(benchmark):
    runs = len(benchmark.CELLS)
    worst = sum(experiment.seconds * experiment.seeds * runs for experiment in benchmark.EXPERIMENTS)
    assert worst <= (60 * 85 - benchmark.START_SECONDS) * 2


def test_a_run_of_the_benchmark_writes_its_page_and_keeps_its_runs(benchmark, tmp_path, monkeypatch, capsys):
    small = dataclasses.replace(
        benchmark.EXPERIMENTS[3], length=10, updates=20, evaluate_every=10, batch_size=4, seeds=1
    )
    monkeypatch.setattr(benchmark, "EXPERIMENTS", (small,))
    monkeypatch.setattr(benchmark, "HIDDEN_SIZE", 4)
    arguments = ["recurrences.py", "--cells", "gru", "--out", str(tmp_path / "runs"), "--jobs", "1"]
    arguments += ["--json", str(tmp_path / "figures.json"), "--markdown", str(tmp_path / "page.md")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert benchmark.main() == 0
    page = (tmp_path / "page.md").read_text()
    assert "| gru | 0/1:" in page
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["experiments"][0]["results"][0]["cell"] == "gru"
    assert figures["machine"]["cores"]
    capsys.readouterr()
    assert benchmark.main() == 0
    assert "known already" in capsys.readouterr().err
    assert (tmp_path / "page.md").read_text() == page


def _row(cell, solved, seeds=3, metric=0.5):
    return CellResult(
        cell, 9, 1, 0.002, 1000, seeds, solved, 0, 0, 300 if solved else None, metric, metric, metric, 3.0
    )


def test_a_fact_is_shown_only_where_the_better_side_solves_and_the_worse_does_not(tables):
    task = make_task("parity")
    report = {
        "command": "c", "date": "d", "machine": {"processor": "p", "cores": 2, "system": "s"}, "versions": {"torch": "1"},
        "jobs": 2, "limits_scaled_by": 1.0, "budget_minutes": 85,
    }  # fmt: skip
    for rows, shown in (
        ([_row("lstm", 3), _row("lru", 0), _row("mingru", 1)], "**shown** (lstm 3/3 (300); lru 0/3: 50.0 % wrong;"),
        ([_row("lstm", 3), _row("lru", 2), _row("mingru", 0)], "**not shown**"),
        ([_row("lstm", 1), _row("lru", 0), _row("mingru", 0)], "**not shown**"),
    ):
        page = tables.to_markdown(report, [tables.Found("parity 40 to 256", task, rows, 0, 4000)])
        (line,) = [line for line in page.splitlines() if "linear and diagonal" in line]
        assert shown in line
    page = tables.to_markdown(report, [tables.Found("x", task, [_row("lstm", 0, metric=math.nan)], 4, 10)])
    assert "Known facts" not in page
    assert "| lstm | diverged |" in page
    assert "4 runs were left out" in page
