import dataclasses
import errno
import io
import json
import shutil
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from rich.console import Console

from seqloom.errors import ConfigError, ModelError
from seqloom.training.checkpoint import read_checkpoint
from seqloom.training.interruption import Interruption
from seqloom.training.loop import TrainingError, TrainingInterrupted, train

Ordeal = tuple[Path, dict[str, Any]]


def records(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "rate")} for line in lines]


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("last", "best"):
        tensors, header = read_checkpoint(one / "checkpoints" / f"{name}.safetensors")
        others, other_header = read_checkpoint(other / "checkpoints" / f"{name}.safetensors")
        assert tensors.keys() == others.keys()
        for key, tensor in tensors.items():
            assert torch.equal(tensor, others[key]), key
        for state in (header["state"], other_header["state"]):
            del state["seconds"], state["metrics_size"]
        assert header == other_header
    weights = "model/weights.safetensors"
    assert (one / weights).read_bytes() == (other / weights).read_bytes()
    assert records(one) == records(other)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=400)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def whole(harness: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train(harness.ToyTask(), harness.CONFIG, run, console=harness.quiet_console())
    return run


def test_a_run_leaves_its_logs_its_checkpoints_and_the_best_model(harness: ModuleType, whole: Path) -> None:
    lines = records(whole)
    assert [line["step"] for line in lines if line["event"] == "step"] == [3, 6, 9, 12, 15, 18, 21]
    evaluations = [line for line in lines if line["event"] == "evaluation"]
    assert [line["step"] for line in evaluations] == [4, 7, 11, 14, 18, 21]
    best = max(evaluations, key=lambda line: line["metric/accuracy"])
    assert best["metric/accuracy"] > 0.8
    header = read_checkpoint(whole / "checkpoints" / "best.safetensors")[1]
    assert header["state"]["best_step"] == header["state"]["step"] == best["step"]
    assert sorted(p.name for p in whole.iterdir()) == ["checkpoints", "metrics.jsonl", "model"]
    assert sorted(p.name for p in (whole / "model").iterdir()) == ["card.md", "weights.safetensors"]


def test_interrupted_after_every_single_step_the_run_ends_with_the_same_bits(
    harness: ModuleType, whole: Path, tmp_path: Path
) -> None:
    class Impatient(harness.ToyTask):  # type: ignore[misc, name-defined]
        def batch(self, description: torch.Tensor) -> Any:
            signal.raise_signal(signal.SIGINT)
            return super().batch(description)

    config = dataclasses.replace(harness.CONFIG, checkpoint_seconds=1000.0)
    for attempt in range(21):
        with pytest.raises(TrainingInterrupted, match="--resume") as stop:
            train(Impatient(), config, tmp_path / "run", resume=attempt > 0, console=harness.quiet_console())
        assert stop.value.code == 130
    train(harness.ToyTask(), config, tmp_path / "run", resume=True, console=harness.quiet_console())
    assert_same_run(tmp_path / "run", whole)


def test_interrupted_within_an_evaluation_the_run_stops_at_once_and_repeats_it(
    harness: ModuleType, whole: Path, tmp_path: Path
) -> None:
    class Interrupted(harness.ToyTask):  # type: ignore[misc, name-defined]
        def evaluate(self) -> dict[str, float]:
            torch.rand(5)
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("the evaluation went on")

    with pytest.raises(TrainingInterrupted):
        train(Interrupted(), harness.CONFIG, tmp_path / "run", console=harness.quiet_console())
    assert all(line["event"] == "step" for line in records(tmp_path / "run"))
    train(harness.ToyTask(), harness.CONFIG, tmp_path / "run", resume=True, console=harness.quiet_console())
    assert_same_run(tmp_path / "run", whole)


def test_a_terminal_that_closes_is_obeyed_like_a_request_to_stop_however_often_it_says_so(
    harness: ModuleType, whole: Path, tmp_path: Path
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    class Closing(harness.ToyTask):  # type: ignore[misc, name-defined]
        def batch(self, description: torch.Tensor) -> Any:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGHUP):
                signal.raise_signal(number)
            return super().batch(description)

    with pytest.raises(TrainingInterrupted, match="--resume"):
        train(Closing(), harness.CONFIG, tmp_path / "run", console=Console(file=Gone()))
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    train(harness.ToyTask(), harness.CONFIG, tmp_path / "run", resume=True, console=harness.quiet_console())
    assert_same_run(tmp_path / "run", whole)


def test_a_closed_terminal_that_is_to_be_ignored_is_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGHUP)
            assert not interruption.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_interrupt_stops_at_once(harness: ModuleType, tmp_path: Path) -> None:
    class Twice(harness.ToyTask):  # type: ignore[misc, name-defined]
        def batch(self, description: torch.Tensor) -> Any:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the step went on")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(Twice(), harness.CONFIG, tmp_path / "run", console=harness.quiet_console())
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("moment", "optimiser"),
    [("batch", "adamw"), ("evaluate", "sgd"), ("save_model", "adagrad"), ("save_model", "adam")],
)
def test_a_crash_at_any_moment_costs_nothing(harness: ModuleType, tmp_path: Path, moment: str, optimiser: str) -> None:
    config = dataclasses.replace(
        harness.CONFIG, optimiser=optimiser, schedule="cosine", momentum=0.9, weight_decay=0.01, epochs=2
    )
    train(harness.ToyTask(), config, tmp_path / "whole", console=harness.quiet_console())
    crashing = harness.ToyTask()
    original, calls = getattr(crashing, moment), []

    def crash(*arguments: Any) -> Any:
        calls.append(arguments)
        result = original(*arguments)
        if len(calls) == 2:
            raise RuntimeError("crash")
        return result

    setattr(crashing, moment, crash)
    with pytest.raises(RuntimeError, match="crash"):
        train(crashing, config, tmp_path / "run", console=harness.quiet_console())
    train(harness.ToyTask(), config, tmp_path / "run", resume=True, console=harness.quiet_console())
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_killed_ten_times_also_while_writing_the_run_ends_with_the_same_bits(ordeal: Ordeal) -> None:
    root, report = ordeal
    assert report["killed"]["status"] == 0
    assert len(report["killed"]["steps"]) == 10
    assert any(report["killed"]["leftovers"]), "no kill fell into a writing; make writing slower"
    assert_same_run(root / "killed", root / "whole")
    assert not [p for p in (root / "killed").rglob("*") if p.suffix == ".partial" or p.name.startswith(".model")]


@pytest.mark.parametrize("name", ["sigint", "sigterm"])
def test_a_signal_saves_and_exits_with_130(ordeal: Ordeal, name: str) -> None:
    root, report = ordeal
    assert report[name] == {"status": 130, "resumed": 0}
    assert_same_run(root / name, root / "whole")


@pytest.mark.parametrize("name", ["two", "three"])
def test_several_processes_train_what_one_trains(
    harness: ModuleType, ordeal: Ordeal, tmp_path: Path, name: str
) -> None:
    root, report = ordeal
    assert set(report[name]["statuses"]) == {0}
    config = dataclasses.replace(harness.CONFIG, epochs=2, log_every=1)
    task = harness.ToyTask(dropout=0.0, sentences=25)
    train(task, config, tmp_path / "one", console=harness.quiet_console())
    tensors = read_checkpoint(root / name / "checkpoints" / "last.safetensors")[0]
    for key, tensor in read_checkpoint(tmp_path / "one" / "checkpoints" / "last.safetensors")[0].items():
        if not key.startswith("random."):
            torch.testing.assert_close(tensors[key], tensor, atol=1e-6, rtol=1e-5, msg=key)
    for together, alone in zip(records(root / name), records(tmp_path / "one"), strict=True):
        assert together == pytest.approx(alone, abs=1e-5)


def test_several_processes_stop_together_and_resume_to_the_same_bits(ordeal: Ordeal) -> None:
    root, report = ordeal
    assert report["three resumed"] == {"stopped": [130] * 3, "statuses": [0] * 3}
    assert_same_run(root / "three resumed", root / "three")


def test_a_finished_run_says_so_and_is_left_alone(
    harness: ModuleType, whole: Path, tmp_path: Path, console: Console
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    result = train(harness.ToyTask(), harness.CONFIG, run, resume=True, console=console)
    assert "this run is finished" in said(console)
    assert result.steps == 21
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_a_run_is_never_overwritten(harness: ModuleType, whole: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds a run already.*--resume"):
        train(harness.ToyTask(), harness.CONFIG, whole, console=harness.quiet_console())


def test_there_must_be_a_run_to_resume(harness: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run to resume"):
        train(harness.ToyTask(), harness.CONFIG, tmp_path / "none", resume=True, console=harness.quiet_console())


def test_a_resumption_with_other_settings_names_them(harness: ModuleType, tmp_path: Path) -> None:
    run, quiet = tmp_path / "run", harness.quiet_console()
    train(harness.ToyTask(), harness.CONFIG, run, identity={"model": {"size": 6}}, console=quiet)
    other = dataclasses.replace(harness.CONFIG, learning_rate=0.1, checkpoint_seconds=5.0)
    with pytest.raises(ConfigError, match=r"learning_rate \(was 0.05, now 0.1\), model.size \(was 6, now 7\)") as error:
        train(harness.ToyTask(), other, run, resume=True, identity={"model": {"size": 7}}, console=quiet)
    assert "checkpoint_seconds" not in str(error.value)


def test_a_run_of_an_earlier_release_resumes_under_settings_that_it_did_not_know(harness, tmp_path) -> None:
    run, quiet = tmp_path / "run", harness.quiet_console()
    train(harness.ToyTask(), harness.CONFIG, run, identity={"model": {"size": 6}}, console=quiet)
    known = {"model": {"size": 6, "merge": "concat"}}
    train(harness.ToyTask(), harness.CONFIG, run, resume=True, identity=known, console=quiet)
    with pytest.raises(ConfigError, match=r"model.size \(was 6, now None\)"):
        train(harness.ToyTask(), harness.CONFIG, run, resume=True, identity={"model": {}}, console=quiet)


def test_a_truncated_checkpoint_is_refused_in_one_sentence(harness: ModuleType, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    last = run / "checkpoints" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"last.safetensors: the checkpoint is damaged or incomplete"):
        train(harness.ToyTask(), harness.CONFIG, run, resume=True, console=harness.quiet_console())


def scaled(harness: ModuleType, scale: float, *, after: int = 0) -> Any:
    class Scaled(harness.ToyTask):  # type: ignore[misc, name-defined]
        steps = 0

        def loss(self, batch: Any) -> torch.Tensor:
            self.steps += 1
            return super().loss(batch) * (scale if self.steps > after else 1.0)  # type: ignore[no-any-return]

    return Scaled()


def test_a_loss_that_is_not_a_number_ends_the_run_and_spares_what_was_saved(
    harness: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"the loss is nan at epoch 1, batch 6 \(step 5\); lower training.learning"):
        train(scaled(harness, float("nan"), after=5), harness.CONFIG, tmp_path, console=harness.quiet_console())
    tensors, header = read_checkpoint(tmp_path / "checkpoints" / "last.safetensors")
    assert header["state"]["step"] == 5
    assert all(bool(t.isfinite().all()) for t in tensors.values())


def test_a_loss_of_zero_from_the_start_ends_the_run(harness: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="exactly 0 in all of the first 7 steps"):
        train(scaled(harness, 0.0), harness.CONFIG, tmp_path, console=harness.quiet_console())


def test_a_loss_that_becomes_zero_is_a_success(harness: ModuleType, tmp_path: Path) -> None:
    result = train(scaled(harness, 0.0, after=3), harness.CONFIG, tmp_path, console=harness.quiet_console())
    assert result.steps == 21


class Exploding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient * float("inf")


def exploding(harness: ModuleType, bad: range) -> Any:
    class Task(harness.ToyTask):  # type: ignore[misc, name-defined]
        steps = 0

        def loss(self, batch: Any) -> torch.Tensor:
            self.steps += 1
            value = super().loss(batch)
            return Exploding.apply(value) if self.steps in bad else value  # type: ignore[no-any-return, no-untyped-call]

    return Task()


def test_a_step_whose_gradient_is_not_finite_is_skipped_and_counted(harness: ModuleType, tmp_path: Path) -> None:
    result = train(exploding(harness, range(3, 8)), harness.CONFIG, tmp_path, console=harness.quiet_console())
    assert (result.skipped_steps, result.steps) == (5, 21)
    tensors = read_checkpoint(tmp_path / "checkpoints" / "last.safetensors")[0]
    assert all(bool(t.isfinite().all()) for t in tensors.values())
    assert int(tensors["optimiser./row_steps"]) == 16


def test_too_many_skipped_steps_in_a_row_end_the_run(harness: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="in 10 steps in a row"):
        train(exploding(harness, range(3, 99)), harness.CONFIG, tmp_path, console=harness.quiet_console())


def test_patience_ends_a_run_that_no_longer_improves(harness: ModuleType, tmp_path: Path) -> None:
    task = harness.ToyTask()
    values = iter([0.1, 0.5, 0.4, 0.5, float("nan"), 0.2, 0.9])
    task.evaluate = lambda: {"accuracy": next(values)}
    config = dataclasses.replace(harness.CONFIG, epochs=50, evaluate_every=1.0, patience=4)
    result = train(task, config, tmp_path, console=harness.quiet_console())
    assert (result.best, result.best_step, result.epochs, result.stopped_early) == (0.5, 14, 6.0, True)


def test_an_unknown_metric_is_named_together_with_the_known_ones(harness: ModuleType, tmp_path: Path) -> None:
    config = dataclasses.replace(harness.CONFIG, monitor="f1")
    with pytest.raises(ConfigError, match=r"training.monitor is 'f1', but the evaluation reports accuracy, likelihood"):
        train(harness.ToyTask(), config, tmp_path, console=harness.quiet_console())


def test_event_files_are_written_where_tensorboard_is_installed(harness: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    config = dataclasses.replace(harness.CONFIG, tensorboard=True, epochs=1)
    train(harness.ToyTask(), config, tmp_path, console=harness.quiet_console())
    assert any(p.stat().st_size > 500 for p in (tmp_path / "events").iterdir())


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_names_metric_memory_and_model(harness: ModuleType, tmp_path: Path, terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=300, force_terminal=terminal)
    config = dataclasses.replace(harness.CONFIG, epochs=1)
    train(harness.ToyTask(step_seconds=0.05), config, tmp_path, console=console)
    for expected in ("after 1 epochs: training loss", "accuracy", "best accuracy", "peak memory", "model in"):
        assert expected in said(console)
    assert ("epoch 1/1" in said(console)) == terminal
