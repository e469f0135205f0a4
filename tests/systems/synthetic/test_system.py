import json
import os
import signal

import pytest
import torch
import yaml

from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.synthetic.network import score
from seqloom.synthetic.sequences import FreshSequences, HeldOutSequences
from seqloom.synthetic.tasks import TaskBatch, make_task, random_generator
from seqloom.systems.registry import load
from seqloom.systems.supervised import SupervisedTask
from seqloom.systems.synthetic import system
from seqloom.systems.synthetic.config import (
    PredictOptions,
    SyntheticConfig,
    SyntheticDataConfig,
    SyntheticModelConfig,
)
from seqloom.systems.synthetic.model import SyntheticModel
from seqloom.systems.synthetic.system import FreshCorpus, SyntheticSystem
from seqloom.systems.train import train_system
from seqloom.training.config import TrainingConfig
from seqloom.training.loop import TrainingInterrupted

SMALL = SyntheticModelConfig(cell="gru", hidden_size=8)


def model_of(name, **options):
    torch.manual_seed(2)
    return SyntheticModel(SMALL, make_task(name, options=options))


@pytest.mark.parametrize("cell", ["gru", "dilated_rnn", "lru"])
@pytest.mark.parametrize("answers", ["last", "every"])
def test_a_row_is_answered_as_if_it_were_alone_whatever_its_padding_holds(cell, answers):
    torch.manual_seed(1)
    task = make_task("parity", options={"length": 9, "answers": answers})
    model = SyntheticModel(SyntheticModelConfig(cell=cell, hidden_size=6), task)
    batch = task.batch(5, random_generator(1, "train"))
    dirty = batch.inputs.clone()
    dirty[torch.arange(dirty.shape[1]) >= batch.lengths[:, None]] = 1e3
    together = model.network.answer(dirty, batch.lengths)
    for row, steps in enumerate(batch.lengths.tolist()):
        alone = model.network.answer(batch.inputs[row : row + 1, :steps], batch.lengths[row : row + 1])[0]
        found = together[row] if answers == "last" else together[row, :steps]
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)


def test_a_model_comes_back_from_its_directory(tmp_path):
    model = model_of("copy", length=7, positions=3)
    model.about = {"command": "none"}
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    batch = model.task.batch(4, random_generator(1, "train"))
    assert back.task == model.task
    assert back.about == model.about
    assert torch.equal(
        back.network.answer(batch.inputs, batch.lengths), model.network.answer(batch.inputs, batch.lengths)
    )


def test_a_damaged_directory_is_refused(tmp_path):
    model_of("adding").save(tmp_path / "model")
    path = tmp_path / "model" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["hidden_size"] = 9
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=r"has the shape \(.*\), but the configuration needs"):
        load(tmp_path / "model")
    config["model"]["width"] = 9
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match="'model' is damaged: 'width' is not a known key"):
        load(tmp_path / "model")


def learned(model, training, updates):
    corpus = FreshCorpus(FreshSequences(model.task, training.seed, training.batch_size, updates, training.epochs))
    return SupervisedTask(model.network, corpus, training, dict, print)


def test_the_shares_of_several_processes_are_together_the_batch():
    task = learned(model_of("parity"), TrainingConfig(batch_size=7), 10)
    description = task.plan(3)[4]
    whole = task.batch(description)
    shares = [task.batch(task.split(description, rank, 3)) for rank in range(3)]
    assert sum(task.weight(share) for share in shares) == task.weight(whole)
    for rank, share in enumerate(shares):
        assert torch.equal(share.inputs, whole.inputs[rank::3])
        assert torch.equal(share.targets, whole.targets[rank::3])
    assert task.split(description, 7, 8) is None


def test_no_batch_of_a_run_is_seen_twice():
    task = learned(model_of("adding", length=4), TrainingConfig(batch_size=2), 5)
    batches = [task.batch(description) for epoch in range(3) for description in task.plan(epoch)]
    assert len({batch.inputs.numpy().tobytes() for batch in batches}) == 15


def _config(**training):
    settings = {"epochs": 2, "batch_size": 16, "tensorboard": False, "clip_norm": 1.0, "learning_rate": 0.01}
    return SyntheticConfig(
        data=SyntheticDataConfig(
            task="parity",
            length=6,
            options={"test_length": 9},
            updates_per_epoch=12,
            dev_sequences=50,
            test_sequences=60,
        ),
        model=SMALL,
        training=TrainingConfig(**(settings | training)),
    )


def test_a_run_leaves_a_model_and_its_scores_and_an_interrupted_one_ends_with_the_same_bits(tmp_path, monkeypatch):
    config = _config()
    (tmp_path / "whole").mkdir()
    whole = train_system(SyntheticSystem(), config, tmp_path / "whole", command="seqloom train parity")
    report = json.loads((tmp_path / "whole" / "evaluation.json").read_text())
    assert set(report["metrics"]) == {"loss", "wrong", "accuracy", "chance_loss", "chance_wrong"}
    assert report["metrics"]["loss"] == score(whole.network, whole.task.held_out("test", 60))["loss"]
    assert whole.about["scores"] == report["metrics"]

    taken = FreshCorpus.batch

    def interrupted(self, indices, random=None) -> TaskBatch:
        if indices[0] == 17 * 16:
            os.kill(os.getpid(), signal.SIGINT)
        return taken(self, indices, random)

    monkeypatch.setattr(FreshCorpus, "batch", interrupted)
    (tmp_path / "cut").mkdir()
    with pytest.raises(TrainingInterrupted):
        train_system(SyntheticSystem(), config, tmp_path / "cut", command="seqloom train parity")
    monkeypatch.undo()
    resumed = train_system(SyntheticSystem(), config, tmp_path / "cut", resume=True, command="seqloom train parity")
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])


def test_a_model_is_evaluated_on_other_lengths_of_its_task_but_on_no_other_task(monkeypatch):
    monkeypatch.setattr(system, "_TEST_SEQUENCES", 300)
    model = model_of("adding", length=10)
    same, longer = model.evaluate("adding"), model.evaluate("adding:length=30")
    assert same["loss"] == model.evaluate("adding:length=10")["loss"]
    assert same["loss"] != longer["loss"]
    assert same["chance_loss"] == pytest.approx(1 / 6)
    assert same.main == "wrong"
    assert same.to_dict()["details"] == {"criterion": "wrong < 0.01", "solved": False}
    with pytest.raises(ConfigError, match="the model answers 'adding'"):
        model.evaluate("copy")
    with pytest.raises(ConfigError, match="adding has no option 'size'"):
        model.evaluate("adding:size=30")
    with pytest.raises(ConfigError, match="other inputs or answers"):
        model_of("copy", length=5).evaluate("copy:values=3")


@pytest.mark.parametrize("name", ["adding", "temporal_order", "parity"])
def test_examples_in_memory_are_scored_as_the_sequences_that_they_are(name):
    model = model_of(name, length=12)
    held_out = HeldOutSequences(model.task, "test", 40)
    assert len(held_out[:40]) == 40
    expected, found = (SyntheticSystem().score(model, examples).values() for examples in (held_out, held_out[:]))
    assert found == pytest.approx(expected, rel=1e-5)
    pairs = [(example.inputs.tolist(), example.target.tolist()) for example in held_out]
    assert model.evaluate(pairs).values() == pytest.approx(expected, rel=1e-5)


def test_a_fresh_sequence_is_a_row_of_its_batch():
    sequences = FreshSequences(make_task("parity"), 3, 4, 5, 2)
    assert len(sequences) == 40
    batch = sequences.batch(sequences.plan(1)[2])
    for row in range(4):
        example = sequences[(5 + 2) * 4 + row]
        assert torch.equal(example.inputs, batch.inputs[row, : batch.lengths[row]])
        assert torch.equal(example.target, batch.targets[row, : batch.lengths[row]])
    assert torch.equal(sequences[-1].inputs, sequences[39].inputs)


def test_sequences_of_ones_own_are_answered_line_by_line():
    model = model_of("temporal_order", length=10)
    batch = model.task.batch(6, random_generator(1, "test"))
    lines = [json.dumps(row.tolist()) for row in batch.inputs]
    expected = model.network.answer(batch.inputs, batch.lengths)
    assert predicted(model, lines) == [str(k) for k in expected.argmax(-1).tolist()]
    assert model.predict([row[:length] for row, length in zip(batch.inputs, batch.lengths, strict=True)]) == (
        expected.argmax(-1).tolist()
    )
    detailed = [json.loads(line) for line in predicted(model, lines, format="json")]
    torch.testing.assert_close(torch.tensor([one["probabilities"] for one in detailed]), expected.softmax(-1))
    number = predicted(model_of("adding"), ["[[0.5, 1], [0.25, 1]]"])
    assert float(number[0]) == pytest.approx(float(number[0]))
    steps = predicted(model_of("parity"), ["[[0, 1], [1, 0], [1, 0]]"])
    assert len(steps[0].split()) == 3


def predicted(model, lines, **options):
    return list(SyntheticSystem().predict(model, Source(lines), PredictOptions(**options)))


@pytest.mark.parametrize("line", ["[[1, 2]]", "[]", "[[1], [1, 2]]", "hello", "[1, 2]", f"[[{10**400}]]"])
def test_a_line_that_is_no_sequence_is_refused_with_its_number(line):
    model = model_of("temporal_order", length=10)
    good = json.dumps(model.task.batch(1, random_generator(1, "test")).inputs[0].tolist())
    with pytest.raises(DataError, match=r"input:2: .*expected a .*list of steps, each a list of 6 numbers"):
        predicted(model, [good, line])


@pytest.mark.parametrize("cell", ["gru", "dilated_lstm", "lru"])
@pytest.mark.parametrize("name", ["temporal_order", "parity"])
def test_a_stream_answers_after_each_step_what_the_whole_sequence_is_answered(cell, name):
    torch.manual_seed(3)
    model = SyntheticModel(SyntheticModelConfig(cell=cell, hidden_size=6, layers=2), make_task(name, 12))
    model.network.eval()
    steps = HeldOutSequences(model.task, "test", 3)[0].inputs
    live, found = model.stream(), []
    for chunk in (steps[:1], steps[1:1], steps[1:6], steps[6:]):
        found += live.push(chunk)
    assert live.close() == []
    assert len(found) == len(steps)
    if name == "parity":
        assert found == model.predict([steps])[0]
    else:
        assert found == [model.predict([steps[:length]])[0] for length in range(1, len(steps) + 1)]


def test_a_model_that_reads_backwards_has_no_stream():
    for cell in ("gru", "lru"):
        model = SyntheticModel(SyntheticModelConfig(cell=cell, hidden_size=4, bidirectional=True), make_task("adding"))
        with pytest.raises(ConfigError, match="bidirectional"):
            model.stream()
