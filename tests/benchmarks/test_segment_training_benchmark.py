"""The training benchmark trains the recipe itself, twice and alike. Nothing here depends on how fast anything is."""

import importlib
import json
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seqloom.app.main import main as seqloom_command

TRAINING = ["我 是 中国人", "你 是 中国 人民", "他 喜欢 乒乓球", "中国 人民 喜欢 乒乓球 拍卖", "８０ 人 喜欢 中国"] * 8
TEST = ["我 喜欢 中国", "中国人 是 80 人", "他 是 中国 人民", "乒乓球 拍卖 了"]
SMALL = ["--model.hidden_size", "8", "--training.batch_size", "4", "--training.epochs", "2"]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delenv("SEQLOOM_BACKEND", raising=False)
    return importlib.import_module("segment_training")


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    given = list(SMALL)
    for role, lines in (("train", TRAINING), ("test", TEST)):
        path = tmp_path / f"{role}.txt"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        given += [f"--data.{role}", str(path)]
    return given


def test_both_backends_train_alike_and_the_last_score_is_that_of_the_train_verb(benchmark, keys, tmp_path, capsys):
    out = tmp_path / "report.json"
    options = ["--train", "--block", "3", "--warm-up", "1", "--profile", "2", "--json", str(out)]
    assert benchmark.main([*options, *keys]) == 0
    page = capsys.readouterr().out
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert report["backends"] == ["cpu", "vendor"]
    assert [block["kind"] for block in report["blocks"][:3]] == ["warm-up", "profiled", "timed"]
    # 36 lines are left of 40, in batches of 4; the blocks of an epoch end with it.
    assert [block["step"] for block in report["blocks"]] == [1, 3, 6, 9, 12, 15, 18]
    for block in report["blocks"]:
        assert block["cpu"]["tokens"] == block["vendor"]["tokens"]
        assert block["cpu"]["loss"] == pytest.approx(block["vendor"]["loss"], rel=1e-3)
    assert 0 < report["speed"]["cpu"]["recurrent_share"] < 1
    assert f"median **{report['ratio']['median']:.2f}**" in page
    # The steps are the loop's own: the verb that trains finds the same.
    run = tmp_path / "run"
    assert seqloom_command(["train", "segment", "--out", str(run), "--training.threads", "1", *keys]) == 0
    trained = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))["metrics"]
    assert report["scores"][0]["cpu"]["f1"] == trained["f1"]
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    dev = [line["metric/f1"] for line in map(json.loads, lines) if "metric/f1" in line]
    assert report["scores"][0]["cpu"]["dev"] == dev


def test_blocks_end_where_an_epoch_ends_and_all_steps_are_taken_once(benchmark):
    options = Namespace(train=True, steps=1, block=4, warm_up=3, profile=5)
    blocks = list(benchmark.schedule([10, 7], options))
    assert blocks == [
        ("warm-up", 3, False),
        ("profiled", 5, False),
        ("timed", 2, True),
        ("timed", 4, False),
        ("timed", 3, True),
    ]
    options = Namespace(train=False, steps=5, block=4, warm_up=0, profile=0)
    assert [steps for _, steps, _ in benchmark.schedule([10, 7], options)] == [4, 1]


def test_a_summary_takes_the_ratio_turn_by_turn(benchmark):
    tables = importlib.import_module("segment_training_tables")
    seconds = [(1.0, 2.0), (10.0, 15.0), (1.0, 1.0)]
    blocks = [
        {"kind": "timed", "steps": 2, "a": {"seconds": a, "tokens": 10}, "b": {"seconds": b, "tokens": 10}}
        for a, b in seconds
    ]
    profiled = {"seconds": 4.0, "tokens": 10, "recurrent_seconds": 3.0}
    found = tables.summarise([{"kind": "profiled", "steps": 2, "a": profiled, "b": profiled}, *blocks], ["a", "b"])
    assert found["ratio"]["median"] == 1.5
    assert (found["ratio"]["lowest"], found["ratio"]["highest"]) == (1.0, 2.0)
    assert found["ratio"]["of_totals"] == 1.5
    assert found["speed"]["a"]["tokens_per_second"] == 30 / 12
    assert found["speed"]["a"]["recurrent_share"] == 0.75


def test_a_missing_text_and_a_forced_backend_are_told_in_one_sentence(benchmark, keys, monkeypatch, capsys):
    monkeypatch.delenv("SEQLOOM_DATA", raising=False)
    assert benchmark.main(SMALL) == 2
    assert capsys.readouterr().err.startswith(
        "error: there is no train text: SEQLOOM_DATA is not set; let SEQLOOM_DATA"
    )
    monkeypatch.setenv("SEQLOOM_DATA", "/nowhere")
    assert benchmark.main(SMALL) == 2
    assert "/nowhere/cws-pku/pku98_training.utf8.xz does not exist" in capsys.readouterr().err
    monkeypatch.setenv("SEQLOOM_BACKEND", "reference")
    assert benchmark.main(keys) == 2
    assert capsys.readouterr().err.startswith("error: SEQLOOM_BACKEND names one backend")
