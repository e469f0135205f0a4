"""A system of one's own: one file, no line of seqloom changed, everything there is for a system."""

import json
import sys
from pathlib import Path

import pytest

import seqloom
from seqloom.app.main import main
from seqloom.systems.check import check_system
from seqloom.systems.registry import SYSTEMS

FILE = Path(__file__).with_name("csv_classifier.py")
ROWS = ("up,0.{0},0.{2},0.{4}", "down,0.{4},0.{2},0.{1}", "down,0.{4},0.{0}")
TRAIN = "".join(row.format(*range(n, n + 5)) + "\n" for n in range(5) for row in ROWS) * 2


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nothing that a test registers stays."""
    monkeypatch.setenv("SEQLOOM_IMPORT", "")
    known = dict(SYSTEMS)
    yield
    SYSTEMS.clear()
    SYSTEMS.update(known)
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(FILE)]:
        del sys.modules[name]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.csv").write_text(TRAIN, encoding="utf-8")
    Path("mine.yaml").write_text(
        "system: csv_classifier\ntraining: {epochs: 30, batch_size: 4, learning_rate: 0.02}\n", encoding="utf-8"
    )
    return tmp_path


def run(*arguments):
    return main([*arguments, "--import", str(FILE)])


def test_it_is_one_file_of_at_most_150_lines():
    assert len(FILE.read_text(encoding="utf-8").splitlines()) <= 150


def test_it_trains_evaluates_predicts_and_reports(files, capsys):
    assert run("train", "mine.yaml", "--data.train", "train.csv", "--data.dev", "train.csv", "--out", "run") == 0
    assert "accuracy" in capsys.readouterr().out
    assert run("evaluate", "run/model", "train.csv", "--json", "scores.json") == 0
    assert json.loads(Path("scores.json").read_text())["models"][0]["metrics"]["accuracy"] == 1.0
    capsys.readouterr()
    Path("new.csv").write_text("0.1,0.8\n0.9,0.5,0.2\n", encoding="utf-8")
    assert run("predict", "run/model", "new.csv") == 0
    assert capsys.readouterr().out == "up\ndown\n"
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert "Confusions" in page
    assert "By class" in page
    assert run("info", "run/model") == 0
    assert "short sequences of numbers" in capsys.readouterr().out
    assert run("systems", "--json") == 0
    assert "csv_classifier" in [one["name"] for one in json.loads(capsys.readouterr().out)]


def test_two_models_of_it_are_compared(files, capsys):
    for seed in ("1", "2"):
        assert run("train", "mine.yaml", "--data.train", "train.csv", "--seed", seed, "--out", f"run{seed}") == 0
    capsys.readouterr()
    assert run("evaluate", "run1/model", "run2/model", "train.csv") == 0
    assert "paired bootstrap" in capsys.readouterr().out


def test_what_it_cannot_do_is_one_sentence(files, capsys):
    assert run("train", "mine.yaml", "--data.train", "train.csv", "--out", "run") == 0
    assert run("diagnose", "run/model", "train.csv") == 2
    assert "gives no batch to diagnose" in capsys.readouterr().err
    assert run("evaluate", "run/model", "train.csv", "--errors", "wrong.tsv") == 2
    assert "lists no errors" in capsys.readouterr().err
    Path("bad.csv").write_text("up,0.5\ndown,x\n", encoding="utf-8")
    assert run("evaluate", "run/model", "bad.csv") == 2
    assert "bad.csv:2: could not convert string to float: 'x'" in capsys.readouterr().err


def test_it_passes_the_battery_and_is_there_in_python(files):
    assert run("systems") == 0
    check_system("csv_classifier")
    rows = [("up", (0.1, 0.5)), ("down", (0.6, 0.2))] * 4
    row = sys.modules[SYSTEMS["csv_classifier"].system.__module__].Row
    model = seqloom.train(
        {"system": "csv_classifier"},
        data={"train": [row(*one) for one in rows], "held_out": 0.2},
        training={"epochs": 20, "learning_rate": 0.02},
    )
    assert model.predict([[0.0, 0.9], [0.9, 0.0]]) == ["up", "down"]
    assert model.evaluate([row("up", (0.2, 0.8))])["accuracy"] == 1.0


def test_no_line_of_the_command_line_knows_a_family_or_a_system():
    room = Path(seqloom.__file__).parent / "app"
    names = {name for one in SYSTEMS.values() for name in (one.name,)} | {
        "tagger",
        "segmenter",
        "synthetic",
        "longterm",
    }
    families = ("Classifier", "Tagger", "Transcriber", "Translator", "Generator", "Tracker", "TreeModel")
    for file in room.rglob("*.py"):
        if file.is_relative_to(room / "bench"):
            continue
        text = file.read_text(encoding="utf-8")
        found = [name for name in names if f"systems.{name}" in text or f'"{name}"' in text]
        found += [name for name in families if name in text]
        assert not found, f"{file} knows {found}"
