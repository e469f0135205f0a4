"""What a network must reach on real text, or something is broken; floors lie three deviations below the mean of three seeds."""

import json
import os
import statistics
from pathlib import Path

import pytest

from seqloom.app.main import main

pytestmark = pytest.mark.slow


@pytest.fixture
def bakeoff():
    place = os.environ.get("SEQLOOM_DATA")
    if place is None or not (Path(place) / "cws-pku").is_dir():
        pytest.skip("SEQLOOM_DATA does not name a folder with cws-pku")
    return Path(place) / "cws-pku"


def _train(bakeoff: Path, run: Path, *more: str) -> dict[str, float]:
    data = [
        "--data.train",
        str(bakeoff / "pku98_training.utf8.xz"),
        "--data.test",
        str(bakeoff / "pku_test_gold.utf8.xz"),
    ]
    assert main(["train", "segment", "--out", str(run), *data, *more]) == 0
    metrics: dict[str, float] = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))["metrics"]
    return metrics


def test_two_epochs_of_the_shipped_recipe_reach_their_floor(bakeoff, tmp_path):
    metrics = _train(bakeoff, tmp_path / "run", "--training.epochs", "2")
    assert metrics["f1"] >= 0.950
    assert metrics["oov_recall"] >= 0.60


def test_softmax_and_crf_are_within_two_points_of_each_other(bakeoff, tmp_path):
    scores = [
        _train(bakeoff, tmp_path / method, "--method", method, "--limit", "4000", "--training.epochs", "2")["f1"]
        for method in ("blstm", "blstm-crf")
    ]
    assert statistics.pstdev(scores) < 0.01
    assert min(scores) > 0.88
