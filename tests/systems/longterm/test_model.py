import json
import os
import signal

import pytest
import torch
import yaml

from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.synthetic.tasks import TaskBatch, make_task, random_generator
from seqloom.systems.family import load
from seqloom.systems.longterm import verbs
from seqloom.systems.longterm.config import LongtermConfig, LongtermDataConfig, LongtermModelConfig
from seqloom.systems.longterm.model import LongtermModel
from seqloom.systems.longterm.training import LongtermTask
from seqloom.training.config import TrainingConfig
from seqloom.training.loop import TrainingInterrupted

SMALL = LongtermModelConfig(cell="gru", hidden_size=8)


def model_of(name, **options):
    torch.manual_seed(2)
    return LongtermModel(SMALL, make_task(name, options=options))


@pytest.mark.parametrize("cell", ["gru", "dilated_rnn", "lru"])
@pytest.mark.parametrize("answers", ["last", "every"])
def test_a_row_is_answered_as_if_it_were_alone_whatever_its_padding_holds(cell, answers):
    torch.manual_seed(1)
    task = make_task("parity", options={"length": 9, "answers": answers})
    model = LongtermModel(LongtermModelConfig(cell=cell, hidden_size=6), task)
    batch = task.batch(5, random_generator(1, "train"))
    dirty = batch.inputs.clone()
    dirty[torch.arange(dirty.shape[1]) >= batch.lengths[:, None]] = 1e3
    together = model.answer(dirty, batch.lengths)
    for row, steps in enumerate(batch.lengths.tolist()):
        alone = model.answer(batch.inputs[row : row + 1, :steps], batch.lengths[row : row + 1])[0]
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
    assert torch.equal(back.answer(batch.inputs, batch.lengths), model.answer(batch.inputs, batch.lengths))


def test_a_damaged_directory_is_refused(tmp_path):
    model_of("adding").save(tmp_path / "model")
    path = tmp_path / "model" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["hidden_size"] = 9
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match="has another shape"):
        load(tmp_path / "model")
    config["model"]["width"] = 9
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match="'model' or 'task' is damaged"):
        load(tmp_path / "model")


def test_the_shares_of_several_processes_are_together_the_batch():
    task = LongtermTask(model_of("parity"), TrainingConfig(batch_size=7), 10, 10)
    description = task.plan(3)[4]
    whole = task.batch(description)
    shares = [task.batch(task.split(description, rank, 3)) for rank in range(3)]
    assert sum(task.weight(share) for share in shares) == task.weight(whole)
    for rank, share in enumerate(shares):
        assert torch.equal(share.inputs, whole.inputs[rank::3])
        assert torch.equal(share.targets, whole.targets[rank::3])
    assert task.split(description, 7, 8) is None


def test_no_batch_of_a_run_is_seen_twice():
    task = LongtermTask(model_of("adding", length=4), TrainingConfig(batch_size=2), 5, 10)
    batches = [task.batch(description) for epoch in range(3) for description in task.plan(epoch)]
    assert len({batch.inputs.numpy().tobytes() for batch in batches}) == 15


def _config(**training):
    settings = {"epochs": 2, "batch_size": 16, "tensorboard": False, "clip_norm": 1.0, "learning_rate": 0.01}
    return LongtermConfig(
        data=LongtermDataConfig(
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
    whole = verbs.train(config, tmp_path / "whole", resume=False, command="seqloom train parity")
    report = json.loads((tmp_path / "whole" / "evaluation.json").read_text())
    assert set(report["metrics"]) == {"loss", "wrong", "accuracy", "chance_loss", "chance_wrong"}
    assert report["metrics"]["loss"] == whole.score("test", 60)["loss"]
    assert whole.about["scores"] == report["metrics"]

    taken = LongtermTask.batch

    def interrupted(self, description) -> TaskBatch:
        if description[0] == 17:
            os.kill(os.getpid(), signal.SIGINT)
        return taken(self, description)

    monkeypatch.setattr(LongtermTask, "batch", interrupted)
    (tmp_path / "cut").mkdir()
    with pytest.raises(TrainingInterrupted):
        verbs.train(config, tmp_path / "cut", resume=False, command="seqloom train parity")
    monkeypatch.undo()
    resumed = verbs.train(config, tmp_path / "cut", resume=True, command="seqloom train parity")
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])


def test_a_model_is_evaluated_on_other_lengths_of_its_task_but_on_no_other_task(monkeypatch):
    monkeypatch.setattr(verbs, "_TEST_SEQUENCES", 300)
    model = model_of("adding", length=10)
    same, longer = verbs.evaluate(model, "adding"), verbs.evaluate(model, "adding:length=30")
    assert same.metrics["loss"] == verbs.evaluate(model, "adding:length=10").metrics["loss"]
    assert same.metrics["loss"] != longer.metrics["loss"]
    assert same.metrics["chance_loss"] == pytest.approx(1 / 6)
    with pytest.raises(ConfigError, match="the model answers 'adding'"):
        verbs.evaluate(model, "copy")
    with pytest.raises(ConfigError, match="adding has no option 'size'"):
        verbs.evaluate(model, "adding:size=30")
    with pytest.raises(ConfigError, match="other inputs or answers"):
        verbs.evaluate(model_of("copy", length=5), "copy:values=3")


def test_sequences_of_ones_own_are_answered_line_by_line():
    model = model_of("temporal_order", length=10)
    batch = model.task.batch(6, random_generator(1, "test"))
    lines = [json.dumps(row.tolist()) for row in batch.inputs]
    expected = model.answer(batch.inputs, batch.lengths)
    assert list(verbs.predict(model, lines, verbs.PredictOptions())) == [str(k) for k in expected.argmax(-1).tolist()]
    detailed = [json.loads(line) for line in verbs.predict(model, lines, verbs.PredictOptions(format="json"))]
    torch.testing.assert_close(torch.tensor([one["probabilities"] for one in detailed]), expected.softmax(-1))
    number = list(verbs.predict(model_of("adding"), ["[[0.5, 1], [0.25, 1]]"], verbs.PredictOptions()))
    assert float(number[0]) == pytest.approx(float(number[0]))
    steps = list(verbs.predict(model_of("parity"), ["[[0, 1], [1, 0], [1, 0]]"], verbs.PredictOptions()))
    assert len(steps[0].split()) == 3


@pytest.mark.parametrize("line", ["[[1, 2]]", "[]", "[[1], [1, 2]]", "hello", "[1, 2]"])
def test_a_line_that_is_no_sequence_is_refused_with_its_number(line):
    model = model_of("temporal_order", length=10)
    good = json.dumps(model.task.batch(1, random_generator(1, "test")).inputs[0].tolist())
    with pytest.raises(DataError, match=r"input:2: .*expected a JSON list of steps, each a list of 6 numbers"):
        list(verbs.predict(model, [good, line], verbs.PredictOptions()))
