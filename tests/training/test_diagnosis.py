"""A run that diagnoses itself has the weights, metrics and resumption of one that does not."""

import dataclasses
import json

import pytest

from seqloom import Recurrent
from seqloom.errors import ConfigError
from seqloom.training.loop import train


def recurrent_task(harness):
    class Task(harness.ToyTask):
        """The toy task with a recurrence in the place of its sum, and a draw in every batch."""

        def __init__(self):
            super().__init__()
            self.module["reader"] = Recurrent("lstm", 6, 6, dropout_state=0.2)

        def scores(self, ids):
            outputs, _ = self.module["reader"](self.module["table"](ids))
            return self.module["out"](self.module["drop"](outputs[:, -1]))

    return Task()


@pytest.fixture(scope="module")
def runs(harness, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for name, every in (("without", 0), ("with", 1), ("sometimes", 2)):
        config = dataclasses.replace(harness.CONFIG, epochs=2, diagnose_every=every)
        train(recurrent_task(harness), config, root / name, console=harness.quiet_console())
    return root


def records(run, event):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def test_a_diagnosis_changes_no_bit_of_a_run(runs):
    for name in ("with", "sometimes"):
        weights = [(run / "model" / "weights.safetensors").read_bytes() for run in (runs / name, runs / "without")]
        assert weights[0] == weights[1]
        kept = [
            {key: value for key, value in record.items() if key not in ("seconds", "rate")}
            for record in records(runs / name, "evaluation") + records(runs / name, "step")
        ]
        plain = [
            {key: value for key, value in record.items() if key not in ("seconds", "rate")}
            for record in records(runs / "without", "evaluation") + records(runs / "without", "step")
        ]
        assert kept == plain


def test_the_numbers_are_logged_at_evaluations(runs):
    assert records(runs / "without", "diagnosis") == []
    found = records(runs / "with", "diagnosis")
    assert [record["step"] for record in found] == [record["step"] for record in records(runs / "with", "evaluation")]
    for name in ("half_life", "operator_norm", "spectral_radius", "lyapunov", "saturation", "forget_mean"):
        assert all(isinstance(record[f"reader.1/{name}"], float) for record in found)
    assert found[0]["reader.1/half_life"] != found[-1]["reader.1/half_life"]
    assert len(records(runs / "sometimes", "diagnosis")) == len(found) // 2


def test_a_run_may_begin_to_diagnose_when_it_is_resumed(harness):
    config = dataclasses.replace(harness.CONFIG, epochs=2)
    assert "diagnose_every" not in config.fixed_on_resume()
    with pytest.raises(ConfigError, match="diagnose_every is -1, expected at least 0"):
        dataclasses.replace(config, diagnose_every=-1)


def test_a_model_without_recurrence_is_refused_before_it_is_trained(harness, tmp_path):
    task = harness.ToyTask()
    config = dataclasses.replace(harness.CONFIG, diagnose_every=1)
    with pytest.raises(ConfigError, match="ModuleDict holds no recurrent layer; set it to 0"):
        train(task, config, tmp_path / "run", console=harness.quiet_console())
    assert not (tmp_path / "run").exists()
