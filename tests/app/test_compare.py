"""The verb that compares cells, on tasks of seconds."""

import dataclasses
import json
import os
import re
import signal
import time
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from seqloom.app import compare
from seqloom.app.compare.page import draw_curves, page
from seqloom.errors import ConfigError
from seqloom.layers.encoder import EncoderConfig, count_parameters
from seqloom.synthetic.compare.plan import Options, make_trials
from seqloom.synthetic.compare.results import read_outcome, summarise, write_outcome
from seqloom.synthetic.compare.trial import Outcome, Trial
from seqloom.synthetic.network import TaskNetwork
from seqloom.synthetic.tasks import make_task

SMALL = ["memorisation", "--length", "2", "--hidden_size", "8", "--updates", "40", "--batch_size", "16"]


def test_cells_are_trained_shown_written_and_never_trained_again(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [*SMALL, "--cells", "gru,rnn", "--seeds", "1", "--out", str(out)]
    assert compare.run(arguments) == 0
    shown = capsys.readouterr()
    assert re.search(r"^gru +8 +1 +[\d,]+ +\d/1", shown.out, re.MULTILINE)
    assert re.search(r"^rnn +8 +1 +[\d,]+ +\d/1", shown.out, re.MULTILINE)
    assert "2/2" in shown.err
    written = json.loads((out / "comparison.json").read_text())
    assert [row["cell"] for row in written["results"]] == ["gru", "rnn"]
    assert len(written["runs"]) == 2
    assert written["command"].startswith("seqloom compare memorisation")
    files = {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    assert len(files) == 2
    assert compare.run([*arguments, "--json"]) == 0
    again = capsys.readouterr()
    assert again.err.count("known already") == 2
    assert json.loads(again.out) == written["results"]
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()} == files


@pytest.mark.parametrize(
    "signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]], ids=["terminated", "interrupted twice"]
)
def test_ctrl_c_loses_nothing_and_the_same_command_goes_on(signals, start_seqloom, tmp_path):
    out, said = tmp_path / "out", tmp_path / "said"
    command = ["compare", "copy", "--cells", "gru", "--length", "30", "--seeds", "1"]
    command += ["--hidden_size", "4", "--updates", "1000000", "--out", str(out)]
    process, begun = start_seqloom(command, said), time.monotonic()
    while not list(out.glob("runs/*.safetensors")) and process.is_alive() and time.monotonic() - begun < 60:
        time.sleep(0.05)
    for number in signals:
        os.kill(process.pid, number)
    process.join(60)
    heard = said.read_text(encoding="utf-8")
    assert process.exitcode == 130, heard
    assert "give the same command again to continue" in heard
    assert "Traceback" not in heard
    (points,) = out.glob("runs/*.curve")
    before = json.loads(points.read_text())
    assert before
    # The same trial goes on from where it was: what it knew is the beginning of what it knows.
    trial = make_trials(Options("copy", ("gru",), 30, seeds=1, hidden_size=4, updates=1_000_000))[0]
    from seqloom.synthetic.compare.trial import run_trial

    outcome = run_trial(trial, out / "runs" / trial.key, seconds=1e-9)
    assert outcome.ending == "seconds"
    assert outcome.curve[: len(before)] == before
    assert outcome.updates >= before[-1]["update"]


def test_cells_of_about_the_same_number_of_parameters():
    options = Options("adding", ("lstm,rnn", "dilated_gru", "lru"), match="parameters", hidden_size=20, seeds=1)
    task = make_task("adding")
    counts = []
    for trial in make_trials(options):
        config = EncoderConfig(cell=trial.cell, hidden_size=trial.hidden_size, layers=trial.layers)
        counts.append(count_parameters(TaskNetwork(config, task)))
    assert counts[0] == 4 * 20 * (2 + 20 + 1) + 21
    assert all(abs(count / counts[0] - 1) < 0.15 for count in counts)


def test_every_cell_runs_before_any_runs_again():
    trials = make_trials(Options("adding", ("gru", "rnn"), seeds=2, first_seed=7))
    assert [(trial.cell, trial.seed) for trial in trials] == [("gru", 7), ("rnn", 7), ("gru", 8), ("rnn", 8)]
    assert trials[0].learning_rate > trials[1].learning_rate


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["addding"], "'addding' is not a known task; did you mean 'adding'?"),
        (["adding", "--cells", "gruu"], "did you mean 'gru'?"),
        (["adding", "--cells", ","], "--cells: no cell is named"),
        (["adding", "--options", "placement"], "--options: 'placement' is not KEY=VALUE"),
        (["adding", "--options", "place=halves"], "adding has no option 'place'; did you mean 'placement'?"),
        (["adding", "--seeds", "0"], "--seeds: 0, expected at least 1"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        compare.run(arguments)
    assert sentence in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def _outcomes(endings):
    trial = make_trials(Options("adding", ("gru",), 20, seeds=1))[0]
    found = []
    for seed, (ending, updates, wrong) in enumerate(endings):
        metrics = {} if ending == "diverged" else {"loss": wrong / 10, "wrong": wrong, "accuracy": 1 - wrong}
        curve = [{"update": 100, "training_loss": 0.2, "loss": 0.1, "wrong": wrong, "accuracy": 1 - wrong}]
        found.append(Outcome(dataclasses.replace(trial, seed=seed), ending, updates, 2.0, 99, metrics, curve))
    return found


def test_a_row_counts_what_became_of_each_seed():
    task = make_task("adding", 20)
    outcomes = _outcomes([("solved", 300, 0.001), ("updates", 900, 0.4), ("solved", 500, 0.002)])
    (row,) = summarise(task, outcomes)
    assert (row.solved, row.seeds, row.updates, row.metric, row.best) == (2, 3, 400, 0.002, 0.001)
    (row,) = summarise(task, _outcomes([("diverged", 10, 0.9), ("diverged", 20, 0.9), ("updates", 30, 0.8)]))
    assert (row.solved, row.diverged, row.updates) == (0, 2, None)
    assert row.metric != row.metric
    assert row.to_dict()["metric"] is None


def test_only_an_outcome_of_exactly_this_trial_is_read(tmp_path):
    (outcome,) = _outcomes([("solved", 300, 0.001)])
    assert read_outcome(tmp_path, outcome.trial) is None
    write_outcome(tmp_path, outcome)
    assert read_outcome(tmp_path, outcome.trial) == outcome
    assert read_outcome(tmp_path, dataclasses.replace(outcome.trial, updates=1)) is None
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:100])
    assert read_outcome(tmp_path, outcome.trial) is None


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.outside, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        self.outside += [
            value for name in ("src", "href", "xlink:href") if (value := values.get(name)) and not value.startswith("#")
        ]


def test_the_page_needs_nothing_else_and_shows_every_cell():
    pytest.importorskip("matplotlib")
    task = make_task("adding", 20)
    outcomes = _outcomes([("solved", 300, 0.001), ("updates", 900, 0.4)])
    other = [dataclasses.replace(one, trial=dataclasses.replace(one.trial, cell="rnn")) for one in outcomes]
    drawing = draw_curves(task, outcomes + other)
    texts = "".join(ElementTree.fromstring(drawing).itertext())
    assert all(word in texts for word in ("gru", "rnn", "remembers nothing", "mean squared error"))
    described = {
        "command": "seqloom compare <adding>",
        "machine": {"cores": 2},
        "task": {"name": "adding"},
        "chance": {"loss": task.chance, "wrong": task.chance_wrong},
        "criterion": str(task.criterion),
        "results": [row.to_dict() for row in summarise(task, outcomes + other)],
    }
    text = page(task, described, drawing)
    parser = _Links()
    parser.feed(text)
    assert parser.outside == []
    assert "script" not in parser.tags
    assert "svg" in parser.tags
    assert "seqloom compare &lt;adding&gt;" in text
    assert "Learning curves" not in page(task, described, "")


def test_a_trial_can_be_told_to_another_process():
    trial = make_trials(Options("parity", ("gru",), seeds=1))[0]
    assert Trial(**json.loads(json.dumps(dataclasses.asdict(trial)))) == trial
