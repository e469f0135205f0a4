"""Programs that run trainings: they leave and come back, end a run early, and ask it to stop."""

from pathlib import Path
from types import ModuleType

import pytest
import torch

from seqloom.training.interruption import Interruption, Request, TrainingInterrupted
from seqloom.training.loop import train
from seqloom.training.run_directory import CheckpointFile
from seqloom.training.run_state import RunState
from seqloom.training.supervisor import Supervisor


class Program(Supervisor):
    """Leaves at one step, ends the run at one evaluation, and asks it to stop when it is asked for the n-th time."""

    silent = True

    def __init__(self, *, leave_at: int = -1, end_at: int = -1, stop_when_asked: int = -1) -> None:
        self.leave_at, self.end_at, self.stop_when_asked = leave_at, end_at, stop_when_asked
        self.asked = 0
        self.evaluated: list[int] = []

    def interruption(self) -> Interruption:
        def stop() -> bool:
            self.asked += 1
            return self.asked == self.stop_when_asked

        return Request(stop)

    def before_step(self, state: RunState, seconds: float) -> bool:
        assert seconds >= 0
        return state.step == self.leave_at

    def after_evaluation(self, state: RunState, metrics: dict[str, float]) -> bool:
        self.evaluated.append(state.step)
        assert "accuracy" in metrics
        assert state.period.weight > 0  # the mean since the last evaluation is still there to be read
        return state.step == self.end_at


def weights_after(harness: ModuleType, path: Path, *programs: Supervisor) -> dict[str, torch.Tensor]:
    for program in programs:
        task = harness.ToyTask()
        try:
            train(task, harness.CONFIG, CheckpointFile(path), supervisor=program)
        except TrainingInterrupted:
            continue
    return task.module.state_dict()


def test_a_run_that_was_left_and_stopped_ends_with_the_bits_of_one_that_was_not(
    harness: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = weights_after(harness, tmp_path / "whole", Program())
    cut = weights_after(
        harness, tmp_path / "cut", Program(leave_at=5), Program(stop_when_asked=6), Program(leave_at=18), Program()
    )
    for name, value in whole.items():
        assert torch.equal(value, cut[name])
    assert capsys.readouterr().err == ""


def test_a_checkpoint_file_is_all_that_is_kept(harness: ModuleType, tmp_path: Path) -> None:
    place = tmp_path / "folder" / "run.safetensors"
    weights_after(harness, place, Program(leave_at=0))
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    result = train(harness.ToyTask(), harness.CONFIG, CheckpointFile(place), supervisor=Program())
    assert result.steps == 21
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_an_evaluation_may_end_a_run_for_good(harness: ModuleType, tmp_path: Path) -> None:
    program = Program(end_at=11)
    result = train(harness.ToyTask(), harness.CONFIG, CheckpointFile(tmp_path / "run"), supervisor=program)
    assert (result.steps, program.evaluated) == (11, [4, 7, 11])
    again = train(harness.ToyTask(), harness.CONFIG, CheckpointFile(tmp_path / "run"), supervisor=Program())
    assert again.steps == 11


def test_a_supervisor_of_a_whole_run_has_its_records_and_its_model(harness: ModuleType, tmp_path: Path) -> None:
    train(harness.ToyTask(), harness.CONFIG, tmp_path / "run", supervisor=Program(end_at=7))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoints", "metrics.jsonl", "model"]
