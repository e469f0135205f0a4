import dataclasses

import pytest

from seqloom.synthetic.compare.defaults import learning_rate
from seqloom.synthetic.compare.trial import Outcome, Trial, TrialStopped, resolved_options, run_trial

TRIAL = Trial(
    task="parity",
    options=resolved_options("parity", 6, {"test_length": 10}),
    cell="gru",
    seed=1,
    hidden_size=8,
    layers=1,
    updates=60,
    batch_size=16,
    learning_rate=0.01,
    evaluate_every=20,
    dev_sequences=100,
    test_sequences=200,
)


def timeless(outcome):
    return dataclasses.replace(outcome, seconds=0.0)


def test_a_trial_that_was_stopped_and_continued_ends_as_one_that_was_not(tmp_path):
    whole = run_trial(TRIAL, tmp_path / "whole")
    assert whole.updates == 60
    assert [point["update"] for point in whole.curve] == [20, 40, 60]
    asked = 0

    def stop_at(count):
        def stop():
            nonlocal asked
            asked += 1
            return asked == count

        return stop

    for count in (11, 11 + 31):  # before the first evaluation, and 31 updates later
        with pytest.raises(TrialStopped):
            run_trial(TRIAL, tmp_path / "cut", stop=stop_at(count))
    resumed = run_trial(TRIAL, tmp_path / "cut")
    assert timeless(resumed) == timeless(whole)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_without_time_keeps_its_place_and_goes_on_when_it_gets_more(tmp_path):
    cut = run_trial(TRIAL, tmp_path / "cut", seconds=1e-9)
    assert (cut.ending, cut.updates) == ("seconds", 0)
    assert (tmp_path / "cut.safetensors").is_file()
    finished = run_trial(TRIAL, tmp_path / "cut", seconds=1000.0)
    assert timeless(finished) == timeless(run_trial(TRIAL, tmp_path / "whole"))


def test_a_trial_ends_when_development_and_test_meet_the_criterion(tmp_path):
    easy = dataclasses.replace(
        TRIAL, task="memorisation", options=resolved_options("memorisation", 1, {"positions": 1}), updates=2000
    )
    outcome = run_trial(easy, tmp_path / "easy")
    assert outcome.solved
    assert outcome.updates == outcome.curve[-1]["update"] < 2000
    assert outcome.metrics["wrong"] < 0.01
    assert outcome.curve[-1]["wrong"] < 0.01
    assert outcome.best["wrong"] == min(point["wrong"] for point in outcome.curve)
    assert Outcome.from_dict(outcome.to_dict()) == outcome


def test_numbers_that_are_none_end_a_trial_with_a_note(tmp_path):
    wild = dataclasses.replace(TRIAL, cell="rnn_relu", learning_rate=1e30, clip_norm=0.0)
    outcome = run_trial(wild, tmp_path / "wild")
    assert outcome.ending == "diverged"
    assert outcome.metrics == {}
    assert outcome.note


def test_the_key_of_a_trial_tells_all_settings_apart():
    changes = {
        "task": "copy", "options": {}, "cell": "lstm", "seed": 2, "hidden_size": 9, "layers": 2, "updates": 61,
        "batch_size": 17, "learning_rate": 0.02, "clip_norm": 2.0, "evaluate_every": 21, "dev_sequences": 101,
        "test_sequences": 201,
    }  # fmt: skip
    assert set(changes) == {field.name for field in dataclasses.fields(Trial)}
    keys = {TRIAL.key, *(dataclasses.replace(TRIAL, **{name: value}).key for name, value in changes.items())}
    assert len(keys) == len(changes) + 1
    assert TRIAL.key.startswith("gru-seed1-")


def test_the_rate_of_a_cell_without_gates_is_lower_and_its_own_in_every_arrangement():
    assert learning_rate("rnn") < learning_rate("dilated_rnn") < learning_rate("lstm")
    assert learning_rate("irnn") < learning_rate("lstm") == learning_rate("chrono_lstm") == learning_rate("block_irnn")


@pytest.mark.parametrize("damage", [b"", None], ids=["damaged", "of another trial"])
def test_a_checkpoint_that_cannot_be_continued_costs_time_alone(damage, tmp_path):
    whole = run_trial(TRIAL, tmp_path / "whole")
    other = dataclasses.replace(TRIAL, seed=9)
    run_trial(other, tmp_path / "cut", seconds=1e-9)
    if damage is not None:
        (tmp_path / "cut.safetensors").write_bytes(damage)
    assert timeless(run_trial(TRIAL, tmp_path / "cut")) == timeless(whole)


def test_an_outcome_of_an_earlier_release_is_read():
    told = {
        "trial": {
            "task": "memorisation", "options": {"length": 2, "positions": 5}, "cell": "chrono_lstm", "seed": 1,
            "hidden_size": 8, "layers": 1, "updates": 250, "batch_size": 16, "learning_rate": 0.002, "clip_norm": 1.0,
            "evaluate_every": 100, "dev_sequences": 1000, "test_sequences": 10000,
        },
        "ending": "updates", "updates": 250, "seconds": 0.42, "parameters": 434,
        "metrics": {"loss": 0.5739, "wrong": 0.9, "accuracy": 0.1},
        "curve": [{"update": 100, "training_loss": 0.7, "loss": 0.69, "wrong": 0.97, "accuracy": 0.03}], "note": "",
    }  # fmt: skip
    assert Outcome.from_dict(told).to_dict() == told
