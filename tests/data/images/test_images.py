"""Images are read as rows, become steps, and are checked."""

import os
from pathlib import Path

import numpy as np
import pytest

import seqloom
from seqloom.data import kinds
from seqloom.data.images.config import ImageFeatureConfig, ImageReading
from seqloom.data.images.features import ImageFeatures
from seqloom.data.images.kind import ImageKind
from seqloom.data.images.read import open_image, read_images
from seqloom.data.labelled import Series, flattened
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError
from seqloom.synthetic.tasks.images import PERMUTATION_SEED

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def read(place, part="", **reading):
    return read_images(Source.of(place), ImageReading(**reading), part)


def picture(seed, height=6, width=5):
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


@pytest.fixture
def saved(tmp_path):
    def save(name, pixels, mode=None):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels, mode).save(file)
        return file

    return save


def test_a_folder_for_each_class_and_part(saved, tmp_path):
    for index, name in enumerate(("train/a/1", "train/a/2", "train/b/1", "test/a/1", "test/b/1")):
        saved(f"set/{name}.png", picture(index))
    (tmp_path / "set" / "train" / "a" / "notes.txt").write_text("no image")
    data = read(tmp_path / "set")
    assert {part: len(rows) for part, rows in data.parts.items()} == {"test": 2, "train": 3}
    assert [one.target for one in data.part("train")] == ["a", "a", "b"]
    assert (data.part("train")[1].values == picture(1)).all()
    assert data.facts == {"format": "folder", "height": 6, "width": 5, "images": 5, "labels": {"a": 3, "b": 2}}
    assert len(read(tmp_path / "set", "test").examples) == 2
    first, second = (one.values for one in data.examples[:2])
    assert first.dtype == np.float32
    assert first.base is second.base


def test_colours_depth_and_transparency_become_grey(saved, tmp_path):
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[..., 1] = 100
    assert (open_image(saved("c.png", colours)) == 59).all()
    assert np.allclose(open_image(saved("d.png", np.full((4, 4), 257 * 7, np.uint16))), 7)
    assert (open_image(saved("t.png", np.zeros((4, 4, 4), np.uint8))) == 255).all()


def test_what_is_no_image_is_one_sentence(saved, tmp_path, monkeypatch):
    file = saved("a/x/1.png", picture(0))
    file.write_bytes(file.read_bytes()[:60])
    saved("a/y/1.png", picture(1))
    with pytest.raises(DataError, match=r"1.png: cannot be read as an image"):
        read(tmp_path / "a")
    saved("a/x/1.png", picture(0, 7))
    with pytest.raises(
        DataError, match=r"1.png: the image has 6 x 5 pixels, the first one 7 x 5; set height and width"
    ):
        read(tmp_path / "a")
    assert read(tmp_path / "a", height=6, width=5).facts["height"] == 6
    monkeypatch.setenv("SEQLOOM_MAX_IMAGE", "20")
    with pytest.raises(DataError, match="7 x 5 pixels, more than 20 pixels; set SEQLOOM_MAX_IMAGE to allow more"):
        read(tmp_path / "a")
    for place in ("nothing", tmp_path / "a" / "x" / "1.png"):
        with pytest.raises(DataError, match="expected a folder of images for each class"):
            read(place)


def test_archives_and_objects(tmp_path):
    images, labels = np.stack([picture(index) for index in range(4)]), np.array([0, 1, 0, 1])
    np.savez(tmp_path / "a.npz", train_x=images[:3], train_y=labels[:3], test_x=images[3:], test_y=labels[3:])
    data = read(tmp_path / "a.npz")
    assert [one.target for one in data.part("train")] == ["0", "1", "0"]
    assert data.part("test")[0].where == f"{tmp_path / 'a.npz'}:test[0]"
    np.savez(tmp_path / "b.npz", images=np.repeat(images[..., None], 3, 3), label=np.array(["p", "q", "p", "q"]))
    assert [one.target for one in read(tmp_path / "b.npz").examples] == ["p", "q", "p", "q"]
    assert np.allclose(read(tmp_path / "b.npz").examples[2].values, images[2], atol=1e-3)
    np.savez(tmp_path / "c.npz", x=images.reshape(4, 30))
    with pytest.raises(DataError, match="30 pixels are no square image"):
        read(tmp_path / "c.npz")
    for given in ((images, labels), list(zip(images, labels, strict=True))):
        assert [one.target for one in read(given).examples] == ["0", "1", "0", "1"]
    assert [one.target for one in read([Series(values=images[0], target="k"), images[1]]).examples] == ["k", None]
    with pytest.raises(DataError, match=r"input\[0\] is a str; expected an image"):
        read(["a"])


def test_scaling_takes_means():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    small = read([image], height=2, width=2).examples[0].values
    assert small.tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert np.isclose(read([image], height=3, width=5).examples[0].values.mean(), image.mean())


def applied(config, images, **options):
    flat, offsets = flattened([Series(values=one.astype(np.float32)) for one in images])
    features = ImageFeatures(config, *images[0].shape)
    features.fit(flat, offsets)
    return features, *features.apply(flat, offsets, **options)


def test_every_order_holds_every_pixel_once():
    images = np.stack([picture(1), picture(2)])
    for order, expected in (
        ("rows", images.reshape(12, 5)),
        ("columns", images.transpose(0, 2, 1).reshape(10, 6)),
        ("pixels", images.reshape(60, 1)),
    ):
        features, steps, offsets = applied(ImageFeatureConfig(order=order, highest=1), images)
        assert (steps == expected).all()
        assert steps.shape[1] == features.output_size
        assert offsets.tolist() == [0, len(steps) // 2, len(steps)]
    features, steps, offsets = applied(ImageFeatureConfig(order="permuted", pixels=3, highest=1), images)
    order = np.random.RandomState(PERMUTATION_SEED).permutation(30)
    assert (steps == images.reshape(2, 30)[:, order].reshape(20, 3)).all()
    assert offsets.tolist() == [0, 10, 20]
    with pytest.raises(ConfigError, match="pixels is 4; expected a divisor of the 30 of an image"):
        ImageFeatures(ImageFeatureConfig(order="pixels", pixels=4), 6, 5)


def test_scaling_is_learned_and_restored():
    images = np.stack([picture(1), picture(2)])
    config = ImageFeatureConfig(order="permuted", standardise=True)
    features, steps, _ = applied(config, images)
    assert abs(steps.mean()) < 1e-5
    assert abs(steps.std() - 1) < 1e-5
    again = ImageFeatures(config, 6, 5)
    again.restore(features.statistics())
    flat, offsets = flattened([Series(values=one.astype(np.float32)) for one in images])
    assert (again.apply(flat, offsets)[0] == steps).all()
    for damaged in ({}, {"scaling": np.ones(2)}, {"scaling": np.ones(3), "order": np.zeros(30, np.int64)}):
        with pytest.raises(ValueError, match="missing or damaged"):
            again.restore(damaged)
    with pytest.raises(DataError, match="an image has 12 rows of 5 pixels; expected 6 of 5, as in training"):
        again.apply(flat, np.array([0, 12]))


def test_chance_moves_images_and_only_in_training():
    image = np.zeros((28, 28), np.uint8)
    image[10:18, 12:16] = 200
    config = ImageFeatureConfig(shift=2, rotation=15, zoom=0.1, elastic=0.5, highest=1)
    features, plain, _ = applied(config, [image] * 300)
    assert features.augments
    assert (plain == np.tile(image, (300, 1))).all()
    _, moved, _ = applied(config, [image] * 300, random=np.random.default_rng(3))
    _, again, _ = applied(config, [image] * 300, random=np.random.default_rng(3))
    assert (moved == again).all()
    seen = moved.reshape(300, 28, 28)
    assert len({one.tobytes() for one in seen}) == 300
    assert np.allclose(seen.mean(0).sum(), image.sum(), rtol=0.05)
    rows = (seen.sum(2) * np.arange(28)).sum(1) / seen.sum((1, 2))
    assert abs(rows.mean() - 13.5) < 0.3
    still, fixed, _ = applied(ImageFeatureConfig(shift=1e-6, highest=1), [image], random=np.random.default_rng(0))
    assert still.augments
    assert np.allclose(fixed, image, atol=1e-2)


def test_what_is_wrong_with_images_is_found(saved, tmp_path):
    for index, name in enumerate(("train/a/1", "train/a/2", "train/b/1", "test/a/1")):
        saved(f"set/{name}.png", picture(index))
    saved("set/train/a/3.png", np.zeros((6, 5), np.uint8))
    saved("set/train/a/4.png", picture(1))
    saved("set/test/b/1.png", picture(2))
    saved("set/test/c/1.png", picture(9, 4, 4))
    assert kinds.choose(kinds.checkable(), tmp_path / "set").name == "images"
    report = seqloom.check(tmp_path / "set")
    found = {
        (one.severity, one.kind, Path(one.where).relative_to(tmp_path / "set").as_posix()) for one in report.findings
    }
    assert {
        ("error", "sizes", "test/c/1.png"),
        ("warning", "constant image", "train/a/3.png"),
        ("warning", "rare class", "train/b/1.png"),
        ("note", "repetitions", "train/a/4.png"),
        ("warning", "shared examples", "test/b/1.png"),
        ("error", "unknown class", "test/c/1.png"),
    } <= found


def test_only_images_are_recognised(saved, tmp_path):
    kind = ImageKind()
    np.savez(tmp_path / "images.npz", x=np.zeros((3, 8, 8), np.uint8))
    np.savez(tmp_path / "floats.npz", x=np.zeros((3, 8, 8), np.float32))
    np.savez(tmp_path / "series.npz", x=np.zeros((3, 8, 8), np.uint8), offsets=np.arange(3))
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04")
    locked = bytearray((tmp_path / "images.npz").read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1  # as if it had a password
    (tmp_path / "locked.npz").write_bytes(locked)
    saved("one/a/1.png", picture(0))
    recognised = [path.name for path in sorted(tmp_path.iterdir()) if kind.recognises(path)]
    assert recognised == ["images.npz"]


@pytest.mark.skipif("SEQLOOM_DATA" not in os.environ, reason="SEQLOOM_DATA names no folder with mnist")
def test_counts_of_mnist():
    data = read(Path(os.environ["SEQLOOM_DATA"]) / "mnist" / "mnist.npz", "test")
    counts = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    assert data.facts["labels"] == {
        str(digit): counts[digit] for digit in sorted(range(10), key=lambda one: -counts[one])
    }
    assert (data.facts["height"], data.facts["width"], len(data.examples)) == (28, 28, 10_000)
