"""A real training, killed at random moments and resumed: the same model as if nothing was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from seqloom.app.main import main

RECIPE = [
    *("--model.hidden_size", "16", "--model.features", "{token: 16, bigram_left: 8, bigram_right: 8, lexicon: 4}"),
    *("--training.epochs", "3", "--training.batch_size", "4", "--training.log_every", "5"),
    *("--training.checkpoint_seconds", "0.05", "--training.tensorboard", "false", "--training.threads", "1"),
]


def _command(run: Path, text: Path, *more: str) -> list[str]:
    return ["train", "segment", "--data.train", str(text), "--out", str(run), *RECIPE, *more]


def _weights(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / "model" / "weights.safetensors")


def _metrics(run: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    clock = ("seconds", "rate", "metric/characters_per_second")
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


def _run_killed(start, run: Path, text: Path, kills: int, chance: random.Random) -> int:
    """Starts the training again and again, killing it at a random moment once it has begun; how often that happened."""
    killed = 0
    while killed < kills:
        last, begun = run / "checkpoints" / "last.safetensors", time.monotonic()
        before = last.stat().st_mtime_ns if last.exists() else 0
        process = start(
            _command(run, text, *(["--resume"] if (run / "config.yaml").exists() else [])), run.with_name("said")
        )
        while process.is_alive() and (not last.exists() or last.stat().st_mtime_ns == before):
            if time.monotonic() - begun > 120:
                process.kill()
                raise AssertionError("the training did not write a checkpoint within two minutes")
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.5))
        if not process.is_alive():
            break
        process.kill()
        process.join()
        killed += 1
    assert main(_command(run, text, "--resume")) == 0
    return killed


@pytest.fixture(scope="module")
def straight(tmp_path_factory, segmented_file):
    run = tmp_path_factory.mktemp("straight") / "run"
    assert main(_command(run, segmented_file)) == 0
    return run


def _check_killed(start, straight, segmented_file, run, kills, seed):
    killed = _run_killed(start, run, segmented_file, kills, random.Random(seed))
    expected, found = _weights(straight), _weights(run)
    assert killed >= 1
    assert expected.keys() == found.keys()
    for name in expected:
        assert np.array_equal(expected[name], found[name]), f"{name} differs after {killed} kills"
    assert _metrics(run) == _metrics(straight)
    return killed


def test_a_training_that_was_killed_ends_with_the_bits_of_one_that_was_not(
    start_seqloom, straight, segmented_file, tmp_path
):
    _check_killed(start_seqloom, straight, segmented_file, tmp_path / "run", kills=2, seed=time.time_ns())


@pytest.mark.slow
def test_ten_kills_change_nothing(start_seqloom, straight, segmented_file, tmp_path):
    total = 0
    while total < 10:
        run = tmp_path / f"run{total}"
        total += _check_killed(start_seqloom, straight, segmented_file, run, kills=10 - total, seed=total)


def test_control_c_saves_and_says_how_to_go_on(start_seqloom, straight, segmented_file, tmp_path):
    run, said = tmp_path / "run", tmp_path / "said"
    process = start_seqloom(_command(run, segmented_file), said)
    while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
        assert process.is_alive(), said.read_text(encoding="utf-8")
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    if process.exitcode == 0:
        pytest.skip("the training was over before the signal came")
    assert process.exitcode == 130
    assert "--resume" in said.read_text(encoding="utf-8")
    assert main(_command(run, segmented_file, "--resume")) == 0
    assert all(np.array_equal(array, _weights(run)[name]) for name, array in _weights(straight).items())


def test_whoever_asks_three_times_gets_a_line_and_no_traceback(segmented_file, tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "seqloom", *_command(run, segmented_file, "--training.epochs", "200")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
        assert process.poll() is None
        time.sleep(0.01)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    said = process.stderr.read()
    process.stderr.close()
    assert process.returncode == 130
    assert "Traceback" not in said, said
    assert said.splitlines()[-1] in ("interrupted", "stopped at once") or "--resume" in said


def test_a_terminal_that_closes_leaves_a_run_that_resumes(segmented_file, tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "seqloom", *_command(run, segmented_file, "--training.epochs", "200")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
        assert process.poll() is None
        time.sleep(0.01)
    steps = len(_metrics(run))
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 130
    assert len(_metrics(run)) >= steps
