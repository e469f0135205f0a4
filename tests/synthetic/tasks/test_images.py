import os

import numpy as np
import pytest
import torch

from seqloom.errors import ConfigError, DataError
from seqloom.synthetic.tasks import make_task, random_generator
from seqloom.synthetic.tasks.images import load_images

digits = {"source": "digits"}


def test_pixels_and_rows_are_the_same_numbers_in_the_same_order():
    pytest.importorskip("sklearn")
    rows, pixels = (make_task(name, options=digits) for name in ("mnist_rows", "mnist_pixels"))
    one, other = (next(task.held_out("test", 50)) for task in (rows, pixels))
    assert one.inputs.shape == (50, 8, 8)
    assert other.inputs.shape == (50, 64, 1)
    assert torch.equal(one.inputs.flatten(1), other.inputs.flatten(1))
    assert torch.equal(one.targets, other.targets)


def test_the_order_of_permuted_pixels_is_one_published_permutation_for_all_splits():
    pytest.importorskip("sklearn")
    plain, permuted = (make_task(name, options=digits) for name in ("mnist_pixels", "permuted_pixels"))
    order = np.random.RandomState(92916).permutation(64)
    assert sorted(order) == list(range(64))
    for split in ("train", "dev", "test"):
        before, after = (next(task.held_out(split, 20)).inputs.flatten(1) for task in (plain, permuted))
        assert torch.equal(after, before[:, order])


def test_the_splits_share_no_image_and_the_test_is_held_out_whole():
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    task = make_task("mnist_rows", options=digits)
    batches = [batch for split in ("train", "dev", "test") for batch in task.held_out(split, 10_000)]
    inputs = torch.cat([batch.inputs for batch in batches])
    images, labels = load_digits(return_X_y=True)
    assert np.array_equal(inputs.numpy().reshape(-1, 64) * 16, images)
    assert np.array_equal(torch.cat([batch.targets for batch in batches]).numpy(), labels)


def test_training_batches_come_from_the_training_images():
    pytest.importorskip("sklearn")
    task = make_task("mnist_rows", options=digits)
    known = {image.tobytes() for image in load_images("digits", 8).images["train"]}
    batch = task.batch(200, random_generator(1, "train"))
    assert all(image.numpy().tobytes() in known for image in batch.inputs)


def test_the_source_is_resolved_when_the_task_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("SEQLOOM_DATA", str(tmp_path))
    task = make_task("permuted_rows")
    assert (task.source, task.size, task.longest, task.input_size) == ("digits", 8, 8, 8)
    (tmp_path / "mnist").mkdir()
    images = np.zeros((70_000, 28, 28), dtype=np.uint8)
    images[-1, 0, :2] = 255
    arrays = {"train_x": images[:60_000], "test_x": images[60_000:]}
    arrays |= {"train_y": np.arange(60_000) % 10, "test_y": np.arange(10_000) % 10}
    np.savez(tmp_path / "mnist" / "mnist.npz", **arrays)
    load_images.cache_clear()
    task = make_task("mnist_pixels", options={"size": 14})
    assert (task.source, task.longest, task.output_size) == ("mnist", 196, 10)
    batches = list(task.held_out("test", 10_000))
    assert sum(len(batch.lengths) for batch in batches) == 10_000
    assert batches[-1].inputs[-1, 0, 0] == 0.5
    assert batches[-1].inputs.sum() == 0.5
    load_images.cache_clear()


def test_a_missing_source_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("SEQLOOM_DATA", str(tmp_path))
    load_images.cache_clear()
    task = make_task("mnist_rows", options={"source": "mnist"})
    with pytest.raises(DataError, match="set SEQLOOM_DATA to the folder that holds mnist"):
        task.batch(1, random_generator(1, "train"))


@pytest.mark.skipif("SEQLOOM_DATA" not in os.environ, reason="SEQLOOM_DATA names no folder with mnist")
def test_mnist_has_its_published_counts():
    labels = load_images("mnist", 28).labels
    assert [len(labels[split]) for split in ("train", "dev", "test")] == [55_000, 5_000, 10_000]
    assert np.bincount(labels["test"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("addding", {}, "'addding' is not a known task; did you mean 'adding'?"),
        ("adding", {"length": 1}, "adding: length is 1, expected at least 2"),
        ("adding", {"placement": "thirds"}, "placement is 'thirds', expected 'halves' or 'windows'"),
        ("adding", {"length": "long"}, "adding: length is 'long', expected a value like 100"),
        ("temporal_order", {"symbols": 4}, "symbols is 4, expected 2 or 3"),
        ("parity", {"test_length": 40}, "parity: test_length is 40, expected at least 41"),
        ("mnist_rows", {"source": "mnist", "size": 27}, "size is 27, expected 28 or 14"),
        ("noisy_memorisation", {"length": 3}, "length is 3, expected at least 5"),
        ("mnist_rows", {"length": 3}, "mnist_rows has no option 'length'"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused_in_one_sentence(name, options, sentence):
    with pytest.raises(ConfigError) as refused:
        make_task(name, options=options)
    assert sentence in str(refused.value)
