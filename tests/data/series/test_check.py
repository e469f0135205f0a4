"""The check of series: each trouble on a small file, nothing on a good one."""

import numpy as np
import pytest

from seqloom.data import kinds
from seqloom.data.series.kind import SeriesCheck, SeriesKind
from seqloom.errors import ConfigError


def waves(count=12, steps=40, width=3, seed=0):
    """Acceleration with gravity on z."""
    random = np.random.default_rng(seed)
    return (random.standard_normal((count, steps, width)) + [0, 0, 9.8][:width]).astype(np.float32)


def labels(count=12):
    return np.array(["up", "down"] * (count // 2))


@pytest.fixture
def saved(tmp_path):
    def save(name="a.npz", **arrays):
        path = tmp_path / name
        np.savez(path, **arrays)
        return path

    return save


def found(path, **options):
    report = SeriesKind().check(SeriesCheck(data=path, **options))
    return {one.kind: (one.severity, one.where.rpartition("/")[2], one.message) for one in reversed(report.findings)}


def test_good_data_have_nothing_to_note(saved):
    path = saved(x=waves(), y=labels(), subject=np.repeat(["ann", "bob", "cid"], 4), split=np.repeat([0, 1, 2], 4))
    assert found(path) == {}
    report = SeriesKind().check(SeriesCheck(data=path))
    assert [section.title for section in report.sections] == ["train", "dev", "test"]
    assert dict(report.sections[0].facts)["steps"] == "40 to 40, 40.0 on average, 40 in the middle"
    assert report.sections[0].distributions == {"class": {"down": 2, "up": 2}}


def test_a_class_with_one_example(saved):
    found_here = found(saved(x=waves(), y=np.where(np.arange(12) == 5, "left", labels())))
    assert found_here["rare class"][:2] == ("warning", "a.npz[5]")
    assert "'left' has one example" in found_here["rare class"][2]


def test_imbalance(saved):
    random = np.random.default_rng(0)
    x = random.standard_normal((302, 10, 2)).astype(np.float32)
    assert "150 times rarer" in found(saved(x=x, y=np.arange(302) < 2))["imbalance"][2]


def test_groups_and_series_across_splits(saved):
    x = waves()
    path = saved(x=x[:6], y=labels(6), subject=["ann", "bob", "cid"] * 2)
    other = saved(
        "b.npz", x=np.concatenate([x[6:], x[:1]]), y=[*labels(6), "up"], subject=["cid", "dan", "eve"] * 2 + ["ann"]
    )
    there = found(path, test=other)
    assert there["shared groups"][0] == "warning"
    assert "2 of 4 groups of test are in data too (ann, cid)" in there["shared groups"][2]
    assert there["shared examples"][1] == "b.npz[6]"
    parts = saved("c.npz", x=x, y=labels(), subject=np.repeat(["ann", "bob", "cid"], 4), split=[0, 1, 2] * 4)
    assert "groups of dev are in train too" in found(parts)["shared groups"][2]


def test_constant_channels(saved):
    x = waves()
    x[:, :, 1] = 0.5
    x[3, :, 0] = -1
    there = found(saved(x=x, y=labels(), channels=["ax", "ay", "az"]))
    assert there["constant channel"] == ("warning", "a.npz[0]", "data: channel ay is always 0.5; leave it out")
    assert there["still channel"][:2] == ("note", "a.npz[3]")


@pytest.mark.parametrize(
    ("factor", "hint"), [(9.80665, "g and m/s2"), (180 / np.pi, "degrees and radians"), (20, "the same")]
)
def test_units_that_differ_between_groups(saved, factor, hint):
    x = waves()
    x[4:8] *= factor
    kind, where, message = found(saved(x=x, y=labels(), subject=np.repeat(["ann", "bob", "cid"], 4)))["unit jump"]
    assert (kind, where) == ("warning", "a.npz[4]")
    assert "(bob)" in message
    assert hint in message


def test_units_that_differ_between_files_and_between_series(saved):
    path, other = saved(x=waves(), y=labels()), saved("b.npz", x=waves(10, seed=1) / 9.80665, y=labels(10))
    assert "times smaller in 10 of 22 series (test)" in found(path, test=other)["unit jump"][2]
    x = waves(seed=2)
    x[[1, 4, 5]] *= 9.80665
    assert "3 of 12 series" in found(saved("c.npz", x=x, y=labels()))["unit jump"][2]


def test_units_that_change_inside_a_series(saved):
    x = waves()
    x[7, 25:] /= 9.80665
    there = found(saved(x=x, y=labels(), channels=["ax", "ay", "az"]))["unit jump"]
    assert there[:2] == ("warning", "a.npz[7]")
    assert "channel az changes its size about" in there[2]
    assert "at step 25" in there[2]


def table(rates, name="x", steps=20):
    rows = [f"case,t,{name},label"]
    for case, rate in enumerate(rates):
        rows += [f"c{case},{step / rate:.6f},{(case * 7 + step * step) % 11},{case % 2}" for step in range(steps)]
    return "\n".join(rows) + "\n"


def test_rates(written):
    path = written("a.csv", table([50, 50, 50, 50]))
    assert found(path) == {}
    assert "the timestamps make 50 steps in a second; expected 100" in found(path, rate=100.0)["rate"][2]
    there = found(written("b.csv", table([50, 50, 25, 50, 50, 50])))["rates"]
    assert there[:2] == ("warning", "b.csv:42")
    assert "1 of 6 series have another rate than the usual 50" in there[2]
    assert "test has 100 steps in a second, data 50" in found(path, test=written("c.csv", table([100] * 4)))["rates"][2]


def test_unequal_lengths_and_padding(saved):
    x = waves()
    ragged = found(saved(x=x.reshape(-1, 3), y=labels(), lengths=[40] * 10 + [30, 50]))
    assert ragged["lengths"] == ("note", "a.npz[10]", "data: the series have 30 to 50 steps; the shortest here")
    assert "padding" not in ragged
    for name, fill in (("zeros", 0.0), ("last", None), ("nan", np.nan)):
        padded = x.copy()
        for index in range(10):
            length = 20 + index
            padded[index, length:] = padded[index, length - 1] if fill is None else fill
        there = found(saved(f"{name}.npz", x=padded, y=labels()))["padding"]
        assert there[0] == "warning"
        assert "10" in there[2]


def test_missing_values(saved):
    x = waves()
    x[2, 5, 1] = x[4, 6:8, 0] = np.nan
    there = found(saved(x=x, y=labels()))
    assert there["missing values"][:2] == ("note", "a.npz[2]")
    assert "3 values are missing (0.21 %) in 2 of 12 series" in there["missing values"][2]


def test_files_with_other_channels_and_files_that_cannot_be_read(saved, written):
    path = saved(x=waves(), y=labels())
    assert found(path, test=saved("b.npz", x=waves(width=2), y=labels()))["channels"][0] == "error"
    there = found(path, test=written("c.csv", "case,x\na,1\na,b\n"))["reading"]
    assert there[:2] == ("error", "c.csv:3")
    with pytest.raises(ConfigError, match="give the names of files"):
        found("-")


def test_the_kind_knows_its_own(saved, written, tmp_path):
    own = [
        saved(x=waves(), y=labels()),
        saved("f.npz", train_x=waves().reshape(-1, 3), train_offsets=[0, 480]),
        written("a.ts", "#\n@classLabel true a\n@data\n1:a\n"),
        written("a.arff", "% x\n@relation a\n"),
        written("a.csv", table([50, 50])),
        written("one.csv", "timestamp,ax,ay\n0,1,2\n20,2,3\n").parent / "one.csv",
    ]
    written("classes/up/1.csv", "1,2\n3,4\n")
    written("pair/A_TRAIN.ts", "@data\n1\n")
    written("pair/A_TEST.ts", "@data\n1\n")
    for path in (*own, tmp_path / "classes", tmp_path / "pair"):
        assert SeriesKind().recognises(path), path
        assert kinds.choose(kinds.checkable(), path).name == "series", path
    others = [
        written("tags.txt", "a\tB\n"),
        written("texts.csv", "label,text\n1,good\n"),
        written("texts.tsv", "a\tB\nc\tD\n"),
        written("folder/up/1.txt", "some words\n").parent.parent,
        saved("other.npz", weights=np.zeros((3, 3))),
        written("broken.npz", "PK"),
        written("empty.ts", ""),
        written("empty.csv", ""),
        tmp_path / "missing.ts",
        tmp_path / "missing",
    ]
    for path in others:
        assert not SeriesKind().recognises(path), path


def test_real_sets_are_silent_but_for_lengths(real):
    for name in ("basic_motions", "racket_sports", "ering", "japanese_vowels", "pendigits"):
        assert found(real(f"{name}/{name}.npz")).keys() <= {"lengths"}
