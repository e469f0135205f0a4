"""The verbs on the command line where the data are the name of a task."""

import json
from pathlib import Path

import pytest
import torch

from seqloom.app.main import main
from seqloom.synthetic.tasks import make_task
from seqloom.systems.synthetic.config import SyntheticModelConfig
from seqloom.systems.synthetic.model import SyntheticModel

GOLDEN = Path(__file__).parents[2] / "golden"


def test_an_evaluation_on_a_task_is_written_without_a_checksum(tmp_path, capsys):
    torch.manual_seed(0)
    model = SyntheticModel(SyntheticModelConfig(cell="gru", hidden_size=4), make_task("adding", 10))
    model.save(tmp_path / "model")
    assert main(["evaluate", str(tmp_path / "model"), "adding:length=12", "--json", str(tmp_path / "scores.json")]) == 0
    report = json.loads((tmp_path / "scores.json").read_text())
    assert report["sha256"] is None
    assert report["models"][0]["metrics"]["wrong"] > 0.5
    assert "wrong" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_model_of_an_earlier_release_answers_as_it_did(form, capsys):
    model = str(GOLDEN / "synthetic" / "model")
    assert main(["predict", model, str(GOLDEN / "seqs.jsonl"), "--format", form]) == 0
    assert capsys.readouterr().out == (GOLDEN / "synthetic" / f"predicted.{form}").read_text()


def test_a_model_of_an_earlier_release_has_the_scores_that_it_had(tmp_path):
    assert (
        main(["evaluate", str(GOLDEN / "synthetic" / "model"), "adding", "--json", str(tmp_path / "scores.json")]) == 0
    )
    expected = json.loads((GOLDEN / "synthetic" / "evaluated.json").read_text())
    found = json.loads((tmp_path / "scores.json").read_text())
    for old, new in zip(expected["models"], found["models"], strict=True):
        assert new["metrics"] == pytest.approx(old["metrics"], rel=1e-6)
        assert new["details"] == old["details"]


def test_a_recipe_of_an_earlier_release_names_its_system_as_it_did(tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text("extends: adding\nsystem: longterm\n", encoding="utf-8")
    small = ["--data.length", "6", "--data.updates_per_epoch", "2", "--data.dev_sequences", "10"]
    small += ["--data.test_sequences", "10", "--model.hidden_size", "4", "--training.epochs", "1"]
    assert main(["train", str(recipe), "--out", str(tmp_path / "run"), *small]) == 0
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["system"] == "synthetic"
