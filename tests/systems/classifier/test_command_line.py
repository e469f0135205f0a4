"""Classifiers as a person uses them: from a file to a model, to answers, and back into the file."""

import csv
import json

import numpy as np
import pytest

import seqloom
from seqloom.app.main import main
from seqloom.data.labelled import Series

QUICK = ["--training.epochs", "8", "--training.learning_rate", "0.02", "--training.tensorboard", "false"]
SMALL = [*QUICK, "--model.hidden_size", "8", "--training.batch_size", "4"]


@pytest.fixture
def reviews(tmp_path):
    file = tmp_path / "reviews.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(["id", "text", "label"])
        for number in range(20):
            good = number % 2
            text = f'a {"fine" if good else "dull"} film, "{number}"\nindeed'
            rows.writerow([number, text, "good" if good else "bad"])
    return file


def test_a_table_becomes_a_model_and_a_table_again(reviews, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", "document", "--data.train", str(reviews), "--out", str(run), *SMALL]) == 0
    assert main(["evaluate", str(run / "model"), str(reviews)]) == 0
    capsys.readouterr()
    assert main(["predict", str(run / "model"), str(reviews), "--format", "native"]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines(keepends=True)))
    assert len(rows) == 21
    assert rows[0] == ["id", "text", "label", "predicted", "probability"]
    assert rows[2][:4] == ["1", 'a fine film, "1"\nindeed', "good", "good"]
    assert main(["predict", str(run / "model"), str(reviews), "--format", "json", "--nbest", "2"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["answer"] for one in said[:2]] == ["bad", "good"]
    assert main(["predict", str(run / "model"), str(reviews), "--reject", "0.99999"]) == 0
    assert "?" in capsys.readouterr().out


def test_json_lines_keep_their_keys(tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    lines = [{"text": t, "label": y, "id": n} for n, (t, y) in enumerate([("fine", 1), ("dull", 0)] * 8)]
    file.write_text("\n".join(map(json.dumps, lines)))
    assert main(["train", "document", "--data.train", str(file), "--out", str(tmp_path / "run"), *SMALL]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run/model"), str(file), "--format", "native"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[0])
    assert said.keys() == {"text", "label", "id", "predicted", "probability"}


def test_several_classes_for_a_text(tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    words = {"red": ["colour"], "big": ["size"], "red big": ["colour", "size"], "none": []}
    lines = [{"text": text, "label": labels} for text, labels in list(words.items()) * 8]
    file.write_text("\n".join(map(json.dumps, lines)))
    options = ["--training.epochs", "40", "--training.learning_rate", "0.03", "--training.tensorboard", "false"]
    options += ["--model.hidden_size", "8", "--data.held_out", "0", "--baselines", "[prior]"]
    assert main(["train", "document", "--data.train", str(file), "--out", str(tmp_path / "run"), *options]) == 0
    model = seqloom.load(tmp_path / "run/model")
    assert model.predict(list(words)) == list(words.values())
    report = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert report["metrics"]["micro_f1"] == 1.0


def mixed(count=16, steps=24, seed=0):
    """An outlet that follows the sum of two inlets with a lag."""
    random, examples = np.random.default_rng(seed), []
    for index in range(count):
        values = random.normal(size=(steps + index % 3, 2)).astype(np.float32)
        outlet, level = np.zeros(len(values), np.float32), 0.0
        for step, row in enumerate(values):
            level = 0.7 * level + row.sum()
            outlet[step] = 5 + 2 * level
        examples.append((values, outlet))
    return examples


def test_real_values_at_every_step_are_learned_and_streamed():
    examples = [
        Series(values=values, target=outlet[:, None], where=f"mix {n}") for n, (values, outlet) in enumerate(mixed())
    ]
    model = seqloom.train(
        "soft-sensor",
        data={"train": examples[:12], "dev": examples[12:], "test": examples[12:]},
        model={"hidden_size": 12, "cell": "gru"},
        training={"epochs": 60, "batch_size": 4, "learning_rate": 0.02, "tensorboard": False},
    )
    assert model.evaluate(examples[12:])["r2"] > 0.9
    whole = np.array(model.predict([examples[12].values])[0])
    stream = model.stream()
    parts = [stream.push(chunk) for chunk in np.split(examples[12].values, [3, 10])]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


def test_real_values_of_whole_series_beside_their_mean():
    examples = [Series(values=v, target=np.array([v.mean(), o[-1]], np.float32)) for v, o in mixed(30)]
    model = seqloom.train(
        "series",
        data={"train": examples, "held_out": 0.2},
        model={"hidden_size": 8},
        training={"epochs": 3, "tensorboard": False},
        baselines=("prior",),
    )
    assert len(model.predict([examples[0].values])[0]) == 2
    assert {"r2", "mae", "rmse"} <= model.evaluate(examples).values().keys()


def test_a_table_with_targets_is_a_regression(tmp_path, capsys):
    file = tmp_path / "plant.csv"
    rows = ["case,in1,in2,outlet"]
    for case, (values, outlet) in enumerate(mixed(8, 6)):
        rows += [f"{case},{a:.3f},{b:.3f},{y:.3f}" for (a, b), y in zip(values, outlet, strict=True)]
    file.write_text("\n".join(rows))
    options = ["--data.targets", "[outlet]", "--data.held_out", "0.25", *SMALL]
    assert main(["train", "soft-sensor", "--data.train", str(file), "--out", str(tmp_path / "run"), *options]) == 0
    out = capsys.readouterr().out
    assert "R2" in out


def test_mistakes_end_with_status_2_and_nothing_lost(reviews, tmp_path, capsys):
    run = tmp_path / "run"
    for options, sentence in (
        (["--data.label", "labl"], "there is no column 'labl'"),
        (["--data.folds", "1"], "data.folds is 1; expected at least 2"),
        (["--model.read_out", "men"], "'men' is not one of"),
        (["--data.labels", "[god]"], "did you mean 'good'?"),
        (["--model.embeddings", str(tmp_path / "nothing")], "nothing"),
    ):
        assert main(["train", "document", "--data.train", str(reviews), "--out", str(run), *SMALL, *options]) == 2
        assert sentence in capsys.readouterr().err
        assert not run.exists()
