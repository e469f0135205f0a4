"""Arrays in one file: sections, rows, names, and files that mean harm."""

import io
import zipfile

import numpy as np
import pytest

from seqloom.data.archives import GROUPS, LABELS, VALUES, is_archive, read_archive, read_sections
from seqloom.errors import DataError


def _saved(tmp_path, **arrays):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **arrays)
    return path


def test_arrays_come_back_as_they_were_written(tmp_path):
    given = {
        "a": np.arange(6, dtype=np.int16).reshape(2, 3),
        "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "c": np.array(["x", "yy"]),
        "d": np.zeros((0, 4), np.float32),
        "e": np.array(2.5),
    }
    path = _saved(tmp_path, **given)
    assert is_archive(path)
    read = read_archive(path)
    assert read.keys() == given.keys()
    for name, array in given.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_prefixes_make_parts_and_what_has_none_belongs_to_all(tmp_path):
    path = _saved(tmp_path, train_x=np.zeros((2, 5, 1)), valid=np.zeros((1, 5, 1)), channels=np.array(["a"]))
    train, dev = read_sections(path)
    assert (train.part, dev.part, dev.name) == ("train", "dev", f"{path}:dev")
    assert dev.key(VALUES) == "x"
    assert train.names("channels") == dev.names("channels") == ["a"]


@pytest.mark.parametrize("place", [{"offsets": [0, 2, 2, 5]}, {"lengths": [2, 0, 3]}])
def test_flat_rows_are_cut(tmp_path, place):
    (section,) = read_sections(_saved(tmp_path, x=np.arange(10).reshape(5, 2), **place))
    assert [len(rows) for rows in section.cut("x")] == [2, 0, 3]
    assert section.cut("x")[2].tolist() == [[4, 5], [6, 7], [8, 9]]


def test_rows_of_one_length_are_cut_to_the_lengths(tmp_path):
    (section,) = read_sections(_saved(tmp_path, x=np.zeros((3, 4, 2)), lengths=[1, 4, 2]))
    assert [len(rows) for rows in section.cut("x")] == [1, 4, 2]


def test_names_groups_split_and_unused_rows(tmp_path):
    (section,) = read_sections(
        _saved(
            tmp_path,
            x=np.zeros((3, 4, 2)),
            action=np.array([3, 1, 3], np.int8),
            writer=[1, 0, 1],
            writer_names=["ann", "bob"],
            split=[0, 2, 1],
            used=[True, False, True],
        )
    )
    assert section.texts(section.key(LABELS), 3) == ["3", "1", "3"]
    assert section.texts(section.key(GROUPS), 3) == ["bob", "ann", "bob"]
    assert section.split(3) == ["train", "test", "dev"]
    assert section.kept(3).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("arrays", "ask", "message"),
    [
        (
            {"x": np.zeros((5, 2)), "offsets": [0, 3, 2, 5]},
            "cut",
            r"the offsets go from 0 to 5; expected them in order",
        ),
        (
            {"x": np.zeros((5, 2)), "offsets": [0, 6]},
            "cut",
            "the offsets go from 0 to 6; expected them in order from 0 to 5",
        ),
        ({"x": np.zeros((5, 2)), "offsets": [0.0, 5.0]}, "cut", "expected a list of whole numbers"),
        ({"x": np.zeros((5, 2)), "lengths": [2, 2]}, "cut", "the lengths sum to 4; expected 5"),
        ({"x": np.zeros((2, 5, 2)), "lengths": [2, 6]}, "cut", r"lengths\[1\] is 6; expected 0 to 5"),
        ({"x": np.zeros(5)}, "cut", "x is flat, and neither offsets nor lengths"),
        ({"y": [0, 1, 2]}, "texts", r"y has the shape \(3,\); expected 2 values"),
        ({"y": [0.5, 1]}, "texts", r"y\[0\] is 0.5; expected whole numbers or texts"),
        ({"y": [0, 2], "y_names": ["a", "b"]}, "texts", r"y\[1\] is 2, and y_names has 2 names"),
        ({"split": [0, 3]}, "split", r"split\[1\] is '3'; expected 0, 1, 2 or train, dev, test"),
        ({"split": ["train", "holdout"]}, "split", "'holdout'; expected"),
        ({"y": [1], "label": [1]}, "key", "has the arrays 'y' and 'label'; name the one"),
        ({"rate": -1.0}, "rate", "rate is -1.0; expected one positive number"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, arrays, ask, message):
    (section,) = read_sections(_saved(tmp_path, **arrays))
    asked = {
        "cut": lambda: section.cut("x"),
        "texts": lambda: section.texts("y", 2),
        "split": lambda: section.split(2),
        "key": lambda: section.key(LABELS),
        "rate": lambda: section.number("rate"),
    }
    with pytest.raises(DataError, match=message):
        asked[ask]()


def _forged(tmp_path, content, name="x.npy"):
    path = tmp_path / "forged.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def test_python_objects_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="holds Python objects, which are never unpickled"):
        read_archive(path)


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 10**9)})
    with pytest.raises(DataError, match=r"is damaged or no \.npz file"):
        read_archive(_forged(tmp_path, stream.getvalue()))


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff{", b"garbage" * 9])
def test_damage_is_one_sentence(tmp_path, content):
    with pytest.raises(DataError, match=r"is damaged or no \.npz file"):
        read_archive(_forged(tmp_path, content))
    other = tmp_path / "other.npz"
    other.write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged or no \.npz file"):
        read_archive(other)


def test_a_size_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQLOOM_MAX_ARCHIVE", "1000")
    path = _saved(tmp_path, x=np.zeros(10_000))
    with pytest.raises(DataError, match="unpacks to 80,128 bytes, more than 1,000; set SEQLOOM_MAX_ARCHIVE"):
        read_archive(path)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_archive(tmp_path / "none.npz")
    with pytest.raises(DataError, match="holds no arrays"):
        read_archive(_forged(tmp_path, b"", "x.txt"))
