"""What the recipes must reach on real data, or something is broken; floors lie at least three deviations below the mean of
three seeds (docs/results/tagging.md), and above the feature CRF's score."""

import json
import os
from pathlib import Path

import pytest

from seqloom.app.main import main

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("recipe", "folder", "train", "dev", "test", "floors"),
    [
        ("ner", "ner-conll2003", "eng.train.xz", "eng.testa.xz", "eng.testb.xz", {"span_f1": 0.85}),
        (
            "ner-characters",
            "ner-resume-zh",
            "train.char.bmes.xz",
            "dev.char.bmes.xz",
            "test.char.bmes.xz",
            {"span_f1": 0.925},
        ),
        ("slots", "slots-snips", "train", "valid", "test", {"span_f1": 0.935, "label_accuracy": 0.965}),
        (
            "pos",
            "ud-english-ewt",
            "en_ewt-ud-train.conllu.xz",
            "en_ewt-ud-dev.conllu.xz",
            "en_ewt-ud-test.conllu.xz",
            {"accuracy": 0.951, "unknown_accuracy": 0.81},
        ),
        (
            "pos-chinese",
            "ud-chinese",
            "zh-ud-train.conll.xz",
            "zh-ud-dev.conll.xz",
            "zh-ud-test.conll.xz",
            {"accuracy": 0.929, "unknown_accuracy": 0.785},
        ),
    ],
)
def test_a_recipe_reaches_its_floor(recipe, folder, train, dev, test, floors, tmp_path):
    place = os.environ.get("SEQLOOM_DATA")
    if place is None or not (Path(place) / folder).is_dir():
        pytest.skip(f"SEQLOOM_DATA does not name a folder with {folder}")
    files = {"train": train, "dev": dev, "test": test}
    data = [text for role, name in files.items() for text in (f"--data.{role}", str(Path(place) / folder / name))]
    assert main(["train", recipe, "--out", str(tmp_path / "run"), *data]) == 0
    metrics = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))["metrics"]
    for name, floor in floors.items():
        assert metrics[name] >= floor, name
