"""The benchmarks run, and say what the scorer says. Nothing here depends on how fast anything is."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from seqloom.systems.tagger.segmentation import methods
from seqloom.systems.tagger.segmentation.config import StatisticsConfig
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.score import score_segmentation
from seqloom.systems.tagger.segmentation.segmenter import Segmenter

TRAINING = ["我 是 中国人", "你 是 中国 人民", "他 喜欢 乒乓球", "中国 人民 喜欢 乒乓球 拍卖", "８０ 人 喜欢 中国"] * 4
TEST = ["我 喜欢 中国", "中国人 是 80 人", "他 是 中国 人民", "乒乓球 拍卖 了"]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("segmentation")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    texts = {"train": TRAINING, "test": TEST, "words": ["中国", "了", "拍卖"]}
    for name, lines in texts.items():
        (tmp_path / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return {name: str(tmp_path / f"{name}.txt") for name in texts}


def run(benchmark: ModuleType, files: dict[str, str], *more: str) -> dict:
    out = Path(files["train"]).with_name("out.json")
    given = [argument for name in ("train", "test", "words") for argument in (f"--{name}", files[name])]
    assert benchmark.main([*given, "--passes", "1", "--threads", "1", "--json", str(out), *more]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def fit(method: str, lines: list[list[str]]) -> Segmenter:
    words = Dictionary.from_lines(lines)
    return Segmenter(method, words, methods.fit(method, lines, words, StatisticsConfig()))


def test_every_row_has_the_scores_that_the_scorer_gives_on_the_lines_before_the_held_out_ones(benchmark, files, capsys):
    report = run(benchmark, files, "--methods", "fmm,bigram", "--rivals", "none")
    lines = [line.replace("８０", "80").split() for line in TRAINING[:-2]]
    gold = [line.split() for line in TEST]
    known = {word for words in lines for word in words}
    assert [row["name"] for row in report["rows"]] == ["fmm", "bigram"]
    for row in report["rows"]:
        found = [found.words for found in fit(row["name"], lines).predict(["".join(words) for words in gold])]
        for vocabulary, scores in ((known, row), (["中国", "了", "拍卖"], row["official"])):
            expected = score_segmentation(gold, found, vocabulary).to_dict()
            assert {name: scores[name] for name in ("oov_rate", "oov_recall", "iv_recall")} == {
                name: expected[name] for name in ("oov_rate", "oov_recall", "iv_recall")
            }
        assert row["f1"] == expected["f1"]
    page = capsys.readouterr().out
    assert page.count("| bigram |") + page.count("| **bigram** |") == 1


def test_the_best_model_is_compared_with_every_other_row(benchmark, files, tmp_path):
    lines = [line.replace("８０", "80").split() for line in TRAINING]
    fit("bmm", lines[:-2]).save(tmp_path / "same" / "model")
    fit("fmm", lines[:4]).save(tmp_path / "other" / "model")
    models = [str(tmp_path / name / "model") for name in ("same", "other")]
    report = run(benchmark, files, "--methods", "bigram", "--rivals", "none", "--model", *models)
    by_name = {row["name"]: row for row in report["rows"]}
    assert by_name["bmm (same)"]["trained_on"] == "training lines"
    assert by_name["fmm (other)"]["trained_on"].startswith("other lines")
    models_only = [row for row in report["rows"] if row["kind"] == "model"]
    (best,) = [row for row in report["rows"] if row["best"]]
    assert best["kind"] == "model"
    assert best["f1"] == max(row["f1"] for row in models_only)
    for row in report["rows"]:
        if not row["best"]:
            assert row["best_against_this"]["difference"] == pytest.approx(best["f1"] - row["f1"])
            assert 0 < row["best_against_this"]["p_value"] <= 1


def test_a_missing_rival_says_how_to_install_it_and_the_others_run(benchmark, files, monkeypatch, capsys):
    def absent(module: str) -> ModuleType:
        raise ImportError(f"No module named {module!r}")

    monkeypatch.setattr(importlib.import_module("rivals"), "import_module", absent)
    report = run(benchmark, files, "--methods", "fmm", "--rivals", "jieba,snownlp")
    assert [row["name"] for row in report["rows"]] == ["fmm"]
    assert set(report["left_out"]) == {"jieba", "snownlp"}
    assert 'pip install "seqloom[rivals]"' in capsys.readouterr().out


def test_a_mistake_is_one_sentence_and_status_2(benchmark, files, capsys):
    arguments = ["--train", "nowhere.txt", "--test", files["test"], "--methods", "fmm", "--rivals", "none"]
    assert benchmark.main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: nowhere.txt")
    with pytest.raises(SystemExit):
        benchmark.parse_options(["--train", "a", "--test", "b", "--methods", "fm"])
    assert "'fm' is not one of" in capsys.readouterr().err


def test_the_folder_of_the_data_is_shown_by_the_name_of_its_variable(benchmark, monkeypatch):
    machine = importlib.import_module("machine")
    monkeypatch.setenv("SEQLOOM_DATA", "/somewhere/data/")
    assert machine.without_folder("--train /somewhere/data/a.txt") == "--train $SEQLOOM_DATA/a.txt"
    monkeypatch.delenv("SEQLOOM_DATA")
    assert machine.without_folder("--train /a.txt") == "--train /a.txt"


def test_a_failing_process_is_told_with_its_own_words(benchmark):
    machine = importlib.import_module("machine")
    cost = machine.run_process(["-c", "pass"], threads=1)
    assert cost.wall > 0
    # The memory is the child's alone, however much its parent holds: here, torch.
    assert cost.peak_bytes < 100e6
    with pytest.raises(RuntimeError, match="no such luck"):
        machine.run_process(["-c", "raise SystemExit('no such luck')"], threads=1)
