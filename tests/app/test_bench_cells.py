"""The benchmark of all cells measures each against torch's LSTM. Nothing here depends on how fast anything is."""

import gc
import json
import os

import pytest
import torch

from seqloom import cells as room
from seqloom.app.bench import cells, measure
from seqloom.app.bench.cells import Regime, measure_cells
from seqloom.app.bench.comparison import Contest, Shape, Side
from seqloom.app.bench.timing import Pace
from seqloom.app.cells_page import page, speed_in
from seqloom.app.main import main
from seqloom.errors import ConfigError

REGIMES = (Regime(False, 1, 5), Regime(False, 3, 4), Regime(True, 1, 5), Regime(True, 3, 4))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cells, "REGIMES", REGIMES)
    monkeypatch.setattr(cells, "QUICK", Pace(repeats=1, seconds=0.0, block=0.0, blocks=1))
    monkeypatch.setenv(measure.COMPILE, "0")  # else every cell of every size would be


@pytest.fixture
def fixed(monkeypatch):
    """Sides that take the given time: the cell 1 s, torch's LSTM 2.5 s; equal in their results."""

    def build(shape, **_):
        values = {"outputs": torch.zeros(1)}
        sides = [Side(lambda: None, lambda: values, lambda runs, cost=cost: runs * cost) for cost in (1.0, 2.5)]
        return Contest(*sides, backend="derived")

    monkeypatch.setattr(cells, "_contest", build)


def test_every_registered_cell_agrees_with_the_plain_loop_and_has_a_figure_in_every_regime(monkeypatch):
    monkeypatch.setattr(cells, "REGIMES", (REGIMES[0], REGIMES[3]))
    monkeypatch.setattr(gc, "collect", lambda: 0)  # most of the time of so short a measurement
    speeds = measure_cells(hidden_size=8, threads=1)
    assert {speed.name for speed in speeds} == set(room.names())
    for speed in speeds:
        assert [row.status for row in speed.rows] == ["measured"] * 2, speed
        assert all(row.ratio > 0 for row in speed.rows)
        count = room.get(speed.name).size.count(8, 8)
        assert speed.parameters * (4 * 8 * (8 + 8 + 2)) == pytest.approx(count), speed.name


@pytest.mark.parametrize("training", [False, True])
def test_what_is_timed_beside_the_cell_is_the_lstm_of_torch(training, monkeypatch):
    ran = []
    monkeypatch.setattr(cells, "_outputs", lambda layer, x: (ran.append(layer), torch.sin(layer(x)[0]))[1])
    contest = cells._contest(Shape(2, 3, 4, 4), cell="gru", training=training)
    contest.rival.run()
    assert [type(layer) for layer in ran] == [torch.nn.LSTM]
    contest.rival.values()
    contest.ours.run()
    assert [layer.backend for layer in ran[1:]] == ["reference"] * (len(ran) - 2) + [None]


def test_a_cell_whose_kernel_is_wrong_has_no_figure(monkeypatch, capsys):
    outputs = cells._outputs
    monkeypatch.setattr(
        cells, "_outputs", lambda layer, x: outputs(layer, x) * (1.01 if getattr(layer, "backend", "") is None else 1)
    )
    assert main(["bench", "cells", "--cells", "mgu", "--hidden_size", "4"]) == 1
    printed = capsys.readouterr().out
    assert "mgu, forward, batch 1: the results differ by" in printed
    assert "mgu, training, batch 3: the results differ by" in printed


def test_a_ratio_is_the_time_of_the_lstm_over_that_of_the_cell(fixed, tmp_path, capsys):
    out = tmp_path / "speeds.json"
    assert main(["bench", "cells", "--cells", "rnn,gru", "lstm", "--hidden_size", "4", "--json", str(out)]) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [speed["cell"] for speed in report["cells"]] == ["rnn", "gru", "lstm"]
    assert all(row["ratio"] == 2.5 for speed in report["cells"] for row in speed["regimes"])
    assert report["hidden_size"] == 4
    assert report["cells"][0]["regimes"][0]["shape"] == {"batch": 1, "time": 5, "input": 4, "hidden": 4, "fill": 1.0}
    assert capsys.readouterr().out.count(" 2.50") == 12


def test_the_table_goes_to_its_place_in_the_page_of_cells_and_the_rest_stays(fixed, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.25, 0.5, 0.75), raising=False)  # the page names it
    path = tmp_path / "cells.md"
    path.write_text(page("an old table"), encoding="utf-8")
    command = ["bench", "cells", "--cells", "gru", "--markdown", str(path)]
    assert main(command) == 0
    text = path.read_text(encoding="utf-8")
    assert "| gru | 0.75 | 1 | 2.50 | 2.50 | 2.50 | 2.50 | derived |" in speed_in(text)
    assert text == page(speed_in(text))
    assert main(command) == 0
    assert path.read_text(encoding="utf-8") == text
    path.write_text("something else", encoding="utf-8")
    assert main(command) == 0
    assert path.read_text(encoding="utf-8").startswith("`seqloom bench cells --cells gru")


def test_figures_do_not_depend_on_which_other_cells_are_measured():
    alone, together = measure_cells(["rnn"], hidden_size=4), measure_cells(["gru", "rnn"], hidden_size=4)
    assert [row.difference for row in alone[0].rows] == [row.difference for row in together[1].rows]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cells", "--cells", "lstn"], "did you mean 'lstm'"),
        (["cells", "--hidden_size", "0"], "--hidden_size is 0"),
        (["cells", "--rows", "user-b1"], "--rows is an option of seqloom bench engine, not of cells"),
        (["cells", "--list"], "--list is an option of seqloom bench engine, not of cells"),
        (["engine", "--cells", "gru"], "--cells is an option of seqloom bench cells, not of engine"),
        (["engine", "--hidden_size", "64"], "--hidden_size is an option of seqloom bench cells, not of engine"),
    ],
)
def test_a_wrong_option_is_named(arguments, sentence, capsys):
    assert main(["bench", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_fewer_than_one_thread_is_refused():
    with pytest.raises(ConfigError, match="threads is 0"):
        measure_cells(["rnn"], threads=0)
