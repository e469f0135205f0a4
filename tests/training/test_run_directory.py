from pathlib import Path

import pytest

from seqloom.training.run_directory import MetricsFile, RunDirectory


def test_a_configuration_alone_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    assert RunDirectory(tmp_path).problem(resume=False) == ""
    assert RunDirectory(tmp_path).problem(resume=True) == ""


def test_a_model_without_a_checkpoint_is_not_trained_over(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert "holds a run already (model)" in RunDirectory(tmp_path).problem(resume=False)
    assert "no checkpoint to resume from" in RunDirectory(tmp_path).problem(resume=True)


def test_a_model_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.replace_model(lambda directory: (directory / "weights").write_text("old") and None)

    def fail(directory: Path) -> None:
        (directory / "weights").write_text("half of the n")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run.replace_model(fail)
    run.prepare()
    assert (tmp_path / "model" / "weights").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoints", "model"]


def test_a_model_caught_between_the_two_renames_comes_back(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.replace_model(lambda directory: (directory / "weights").write_text("old") and None)
    (tmp_path / "model").rename(tmp_path / ".model.old")
    run.prepare()
    assert (tmp_path / "model" / "weights").read_text() == "old"


def test_metrics_are_cut_back_to_the_last_line_that_the_checkpoint_saw(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    file.write({"step": 1, "loss": float("nan"), "best": True})
    size = file.sync()
    file.write({"step": 2})
    file.close()
    with (tmp_path / "metrics.jsonl").open("a") as damaged:
        damaged.write('{"step": 3, "lo')
    again = MetricsFile(tmp_path / "metrics.jsonl", size)
    again.write({"step": 2, "loss": 0.5})
    again.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert lines == ['{"step": 1, "loss": null, "best": true}', '{"step": 2, "loss": 0.5}']
