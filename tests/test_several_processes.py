"""The page on several processes: its commands run as they stand, on two processes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqloom.app.main import main

PAGE = Path(__file__).parent.parent / "docs" / "several-processes.md"
SMALL = "--training.epochs 16 --training.batch_size 16 --model.hidden_size 8 --training.tensorboard false"


def page_commands() -> tuple[list[str], list[str], list[str]]:
    """The training on one machine, its resumption and the evaluation, as the page has them."""
    lines = re.findall(
        r"^ {4}((?:OMP_NUM_THREADS=\d )?(?:torchrun --standalone|seqloom) .*)$", PAGE.read_text(), re.MULTILINE
    )
    start, evaluate, resume = (shlex.split(line) for line in lines)
    assert "--resume" in resume
    assert "--nproc_per_node 2" in shlex.join(start)
    return start, resume, evaluate


def launch(command: list[str]) -> "subprocess.Popen[str]":
    assert command[:2] == ["OMP_NUM_THREADS=4", "torchrun"]
    launcher = [sys.executable, "-m", "torch.distributed.run", *command[2:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(launcher, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_two_processes_train_stop_resume_and_leave_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = "Ann\tNOUN\n{}\tVERB\nBob\tNOUN\n.\tPUNCT\n\n"
    text = "".join(sentence.format(verb) for verb in ["sees", "hears", "likes", "knows"] * 12)
    for name in ("train.conll", "test.conll"):
        Path(name).write_text(text, encoding="utf-8")
    start, resume, evaluate = page_commands()
    metrics = Path("runs/tags/metrics.jsonl")

    training = launch([*start, *SMALL.split()])
    while not (metrics.exists() and metrics.stat().st_size):
        assert training.poll() is None, training.communicate()[1]
        time.sleep(0.01)
    training.send_signal(signal.SIGINT)
    said = training.communicate(timeout=240)[1]
    assert training.returncode != 0, "the training was over before the signal came"
    assert "everything is saved in runs/tags" in said

    assert main(resume[resume.index("seqloom") + 1 :]) == 2  # in one process
    assert "processes (was 2, now 1)" in capsys.readouterr().err

    resumed = launch(resume)
    said = resumed.communicate(timeout=240)[1]
    assert resumed.returncode == 0, said
    assert "resuming at epoch" in said

    assert main(evaluate[1:]) == 0
    assert "accuracy" in capsys.readouterr().out.lower()
    assert Path("runs/tags/report.html").exists()
    alone = [part.replace("runs/tags", "runs/alone") for part in start[start.index("seqloom") + 1 :]]
    assert main([*alone, *SMALL.split()]) == 0
    two, one = (
        json.loads(Path(run, "evaluation.json").read_text(encoding="utf-8"))["metrics"]["accuracy"]
        for run in ("runs/tags", "runs/alone")
    )
    # Dropout differs between the processes, so the weights do; what was learned does not.
    assert two > 0.9 * one > 0.5
