"""``seqloom evaluate`` with several models: differences, errors, how the scores are counted."""

import json

import pytest

from seqloom.app.main import main
from seqloom.data.tagged.formats import read
from seqloom.systems.tagger.baselines.model import BaselineTagger

TRAIN = "Ann\tN\nsaw\tV\nit\tP\n\nthe\tD\nsaw\tN\nran\tV\n\n" * 5
TEST = "the\tD\nsaw\tN\nsaw\tV\nit\tP\n\nAnn\tN\nran\tV\n\n" * 10


@pytest.fixture
def models(tmp_path):
    (tmp_path / "train.tsv").write_text(TRAIN, encoding="utf-8")
    (tmp_path / "test.tsv").write_text(TEST, encoding="utf-8")
    sentences = read(tmp_path / "train.tsv").sentences
    for method in ("hmm", "most_frequent"):
        tagger = BaselineTagger.fit(method, sentences)
        tagger.reading = {"columns": "text=0,tag=-1"}
        tagger.save(tmp_path / method)
    return tmp_path


def test_several_models_are_compared_with_an_interval(models, capsys):
    hmm, frequent, data = (str(models / name) for name in ("hmm", "most_frequent", "test.tsv"))
    errors, scores = models / "errors.tsv", models / "scores.json"
    command = ["evaluate", hmm, frequent, data, "--errors", str(errors), "--json", str(scores), "--samples", "500"]
    assert main(command) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "accuracy of tokens, punctuation included" in said
    assert f"{hmm} against {frequent}: accuracy +0.1667, 95 % interval" in said
    report = json.loads(scores.read_text(encoding="utf-8"))
    (difference,) = report["differences"]
    first, second = (entry["metrics"]["accuracy"] for entry in report["models"])
    assert (first, second) == (1.0, pytest.approx(5 / 6))
    assert difference["difference"] == pytest.approx(first - second)
    assert difference["low"] < first - second < difference["high"]
    assert (difference["p_value"], difference["samples"]) == (pytest.approx(1 / 501), 500)
    head, *rows = [line.split("\t") for line in errors.read_text(encoding="utf-8").splitlines()]
    assert head == ["model", "where", "errors", "loss", "confidence", "sentence", "gold", "predicted"]
    assert len(rows) == 10
    assert rows[0][0] == frequent
    # With N and V equally frequent, 'saw' is N wherever it stands; the third line is where it should be V.
    assert {tuple(row[5:]) for row in rows} == {("the saw saw it", "D N V P", "D N N P")}
    assert rows[0][1] == f"{data}:3"


def test_a_single_model_is_compared_with_nothing(models, capsys):
    errors = models / "errors.tsv"
    assert main(["evaluate", str(models / "hmm"), str(models / "test.tsv"), "--errors", str(errors)]) == 0
    assert "against" not in capsys.readouterr().out
    assert errors.read_text(encoding="utf-8") == ""


def test_wrong_options_are_named(models, capsys):
    assert main(["evaluate", str(models / "hmm"), str(models / "test.tsv"), "--samples", "-1"]) == 2
    assert "--samples: -1 is not a number of samples" in capsys.readouterr().err
