"""Models of an earlier release load, predict, are scored and are reported as they were then; see ``tests/golden``."""

import json
from pathlib import Path

import pytest

from seqloom.app.main import main

GOLDEN = Path(__file__).parents[1] / "golden"
INPUTS = {"tagger": "en_tokens.txt", "segmenter": "zh_raw.txt", "synthetic": "seqs.jsonl"}
TESTS = {"tagger": "en.conll", "segmenter": "zh.txt", "synthetic": "adding"}
MODELS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
PREDICTIONS = [(folder, file.suffix[1:]) for folder in MODELS for file in sorted((GOLDEN / folder).glob("predicted.*"))]


def system_of(folder):
    return folder.split("-")[0]


def numbers(value):
    """Every number of a JSON value, by its place."""
    if isinstance(value, dict):
        return {f"{key}.{rest}": number for key, item in value.items() for rest, number in numbers(item).items()}
    if isinstance(value, list):
        return {f"{key}.{rest}": number for key, item in enumerate(value) for rest, number in numbers(item).items()}
    return {"": value}


@pytest.mark.parametrize(("folder", "form"), PREDICTIONS)
def test_a_model_of_an_earlier_release_predicts_the_same(folder, form, capsys):
    options = ["--read-as", "columns", "--columns", "text=0"] if system_of(folder) == "tagger" else []
    options += ["--format", "plain", "--nbest", "2"] if form == "nbest" else ["--format", form]
    assert main(["predict", str(GOLDEN / folder / "model"), str(GOLDEN / INPUTS[system_of(folder)]), *options]) == 0
    told, expected = capsys.readouterr().out, (GOLDEN / folder / f"predicted.{form}").read_text(encoding="utf-8")
    if form == "json":
        found = [numbers(json.loads(line)) for line in told.splitlines()]
        # Another machine's kernels may differ in the last digits of a probability.
        assert found == [pytest.approx(numbers(json.loads(line)), abs=2e-6) for line in expected.splitlines()]
    else:
        assert told == expected


@pytest.mark.parametrize("folder", MODELS)
def test_a_model_of_an_earlier_release_has_the_same_scores(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(GOLDEN)
    out = tmp_path / "scores.json"
    assert main(["evaluate", f"{folder}/model", TESTS[system_of(folder)], "--json", str(out)]) == 0
    told, expected = (
        json.loads(file.read_text(encoding="utf-8"))["models"][0] for file in (out, GOLDEN / folder / "evaluated.json")
    )
    for each in (told, expected):
        for speed in ("tokens_per_second", "characters_per_second"):
            each["metrics"].pop(speed, None)
    assert told["metrics"] == pytest.approx(expected["metrics"], abs=2e-6, nan_ok=True)
    for part in {"by_class", "confusion", "worst", "counts", "signature"} & set(expected):
        assert told[part] == expected[part], part


@pytest.mark.parametrize("folder", MODELS)
def test_a_run_of_an_earlier_release_still_has_its_report(folder, tmp_path):
    out = tmp_path / "report.html"
    assert main(["report", str(GOLDEN / folder), "--out", str(out)]) == 0
    assert 'id="scores"' in out.read_text(encoding="utf-8")


def test_a_recipe_may_name_its_system_as_earlier_releases_did(tmp_path, capsys):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text((GOLDEN / "synthetic" / "config.yaml").read_text("utf-8"), encoding="utf-8")
    assert "system: longterm" in recipe.read_text("utf-8")
    assert main(["train", str(recipe), "--print-config"]) == 0
    assert "system: synthetic" in capsys.readouterr().out
