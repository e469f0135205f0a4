"""A real training, killed at random moments and resumed, and shared by two processes: the same model as if nothing was."""

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

RECIPE = [
    *("--model.hidden_size", "16", "--model.features", "{token: 16, bigram_left: 8, bigram_right: 8, lexicon: 4}"),
    *("--training.epochs", "3", "--training.batch_size", "4", "--training.log_every", "5"),
    *("--training.checkpoint_seconds", "0.05", "--training.tensorboard", "false", "--training.threads", "1"),
]


def _command(run: Path, text: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "seqloom",
        "train",
        "segment",
        "--data.train",
        str(text),
        "--out",
        str(run),
        *RECIPE,
        *more,
    ]


def _weights(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / "model" / "weights.safetensors")


def _metrics(run: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    clock = ("seconds", "rate", "metric/characters_per_second")
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


def _run_killed(run: Path, text: Path, kills: int, chance: random.Random) -> int:
    """Starts the training again and again, killing it at a random moment once it has begun; how often that happened."""
    killed = 0
    while killed < kills:
        process = subprocess.Popen(
            _command(run, text, *(["--resume"] if (run / "config.yaml").exists() else [])),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        last, begun = run / "checkpoints" / "last.safetensors", time.monotonic()
        before = last.stat().st_mtime_ns if last.exists() else 0
        while process.poll() is None and (not last.exists() or last.stat().st_mtime_ns == before):
            if time.monotonic() - begun > 120:
                process.kill()
                raise AssertionError("the training did not write a checkpoint within two minutes")
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.5))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
    subprocess.run(_command(run, text, "--resume"), check=True, capture_output=True)
    return killed


@pytest.fixture(scope="module")
def straight(tmp_path_factory, segmented_file):
    run = tmp_path_factory.mktemp("straight") / "run"
    subprocess.run(_command(run, segmented_file), check=True, capture_output=True)
    return run


def _check_killed(straight, segmented_file, run, kills, seed):
    killed = _run_killed(run, segmented_file, kills, random.Random(seed))
    expected, found = _weights(straight), _weights(run)
    assert killed >= 1
    assert expected.keys() == found.keys()
    for name in expected:
        assert np.array_equal(expected[name], found[name]), f"{name} differs after {killed} kills"
    assert _metrics(run) == _metrics(straight)
    return killed


def test_a_training_that_was_killed_ends_with_the_bits_of_one_that_was_not(straight, segmented_file, tmp_path):
    _check_killed(straight, segmented_file, tmp_path / "run", kills=3, seed=time.time_ns())


@pytest.mark.slow
def test_ten_kills_change_nothing(straight, segmented_file, tmp_path):
    total = 0
    while total < 10:
        total += _check_killed(straight, segmented_file, tmp_path / f"run{total}", kills=10 - total, seed=total)


def test_control_c_saves_and_says_how_to_go_on(straight, segmented_file, tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        _command(run, segmented_file), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the training was over before the signal came")
    assert process.returncode == 130
    assert "--resume" in said
    subprocess.run(_command(run, segmented_file, "--resume"), check=True, capture_output=True)
    assert all(np.array_equal(array, _weights(run)[name]) for name, array in _weights(straight).items())


def test_whoever_asks_three_times_gets_a_line_and_no_traceback(segmented_file, tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        _command(run, segmented_file, "--training.epochs", "200"),
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
        _command(run, segmented_file, "--training.epochs", "200"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
        assert process.poll() is None
        time.sleep(0.01)
    steps = len(_metrics(run))
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 130
    assert len(_metrics(run)) >= steps


def test_two_processes_train_the_same_recipe(straight, segmented_file, tmp_path):
    run = tmp_path / "run"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, *_command(run, segmented_file)[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (
        json.loads((place / "evaluation.json").read_text(encoding="utf-8"))["metrics"] for place in (straight, run)
    )
    # Dropout differs between the processes, so the weights do; what was learned does not.
    assert two["f1"] > 0.9 * one["f1"] > 0.5
    assert (run / "report.html").exists()
