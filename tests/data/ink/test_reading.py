"""Ink read from each format, what is refused, and what is written again."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from seqloom.data.ink.config import InkReading
from seqloom.data.ink.reading import ink_format, read_ink
from seqloom.data.ink.strokes import strokes_of
from seqloom.data.ink.writing import to_inkml, to_json, to_svg
from seqloom.errors import DataError

UNIPEN = """.VERSION 1.0
.DATA_SOURCE somewhere
.COMMENT any text
 and more of it
.HIERARCHY WORD CHARACTER
.WRITER_ID abc
.COORD X Y T
.SEGMENT CHARACTER 0,2 OK "a"
.SEGMENT CHARACTER 3:1-4:0 ? "\""
.SEGMENT WORD 0-4 OK "ab"
.SEGMENT CHARACTER 0:1-2 BAD "c"
.PEN_DOWN
0 0 0
1 5 10
.PEN_UP
9 9 20
.PEN_DOWN
4 4 30
.PEN_DOWN
1 1 40
2 2 50
3 3 60
.PEN_DOWN
7 7 70
8 8 80
"""

INKML = """<?xml version="1.0" encoding="UTF-8"?>
<ink xmlns="http://www.w3.org/2003/InkML">
  <traceFormat><channel name="X" type="decimal"/><channel name="Y"/><channel name="F"/></traceFormat>
  <annotation type="writer">w7</annotation>
  <trace id="0">1 2 9, 3 4 9</trace>
  <trace id="1">10 20 1,'2'3 1,-1 4 1,"1 1 1, 1 1 1</trace>
  <trace id="2" type="penUp">0 0 0, 9 9 9</trace>
  <traceGroup>
    <annotation type="truth">whole</annotation>
    <traceGroup><annotation type="truth">a</annotation><traceView traceDataRef="0"/><traceView traceDataRef="#1"/></traceGroup>
    <traceGroup><annotation type="truth">b</annotation><traceView traceDataRef="#1"/><traceView traceDataRef="2"/></traceGroup>
  </traceGroup>
</ink>
"""


def file(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return str(path)


def places(example):
    return [stroke[:, :2].tolist() for stroke in strokes_of(example.values)]


def test_segments_of_unipen_are_characters(tmp_path):
    path = file(tmp_path, "a.dat", UNIPEN)
    data = read_ink(path)
    assert data.facts == {"format": "unipen", "channels": ["x", "y", "t", "pen_up"], "y_down": False, "doubtful": 2}
    assert [one.target for one in data.examples] == ["a", '"', "c"]
    assert {one.group for one in data.examples} == {"abc"}
    assert data.examples[0].where == f"{path}:8"
    assert [places(one) for one in data.examples] == [
        [[[0, 0], [1, 5]], [[4, 4]]],
        [[[2, 2], [3, 3]], [[7, 7]]],
        [[[1, 5]], [[4, 4]]],
    ]
    assert data.examples[0].values[:, 2].tolist() == [0, 10, 30]
    assert data.examples[1].values[:, 2].tolist() == [0, 10, 20]
    good = read_ink(path, InkReading(quality="good"))
    assert [one.target for one in good.examples] == ["a"]
    assert [one.target for one in read_ink(path, InkReading(level="WORD")).examples] == ["ab"]


def test_an_included_file_is_read_in_its_place(tmp_path):
    head, rest = UNIPEN.split(".PEN_DOWN", 1)
    file(tmp_path, "include/points.dat", ".PEN_DOWN" + rest)
    path = file(tmp_path, "a.dat", head + ".INCLUDE include/points.dat\n")
    whole = read_ink(file(tmp_path, "b.dat", UNIPEN))
    included = read_ink(path, InkReading(format="unipen"))
    assert [places(one) for one in included.examples] == [places(one) for one in whole.examples]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("4 4 30", "4 4"), r"a.dat:18: 2 numbers; expected 3: X Y T"),
        (("4 4 30", "4 x 30"), r"a.dat:18: '4 x 30'; expected the numbers X Y T"),
        (("0,2 OK", "0,9 OK"), r"a.dat:8: components 9, but the file has 5, counted from 0"),
        (("0,2 OK", "2-0 OK"), r"a.dat:8: components 2-0, but the file has 5"),
        (('0,2 OK "a"', "?"), r"a.dat:8: the segment is 'CHARACTER \?'; expected a level"),
        ((".COORD X Y T", ".COORD X T P"), r"a.dat: .COORD names X T P; expected X and Y among them"),
        (
            (".COMMENT any", ".INCLUDE ../../etc/passwd\n.COMMENT"),
            r"a.dat:3: includes '../../etc/passwd'; expected a file beside",
        ),
        ((".COMMENT any", ".INCLUDE a.dat\n.COMMENT"), r"a.dat:3: files include each other more than 8 deep"),
        (("4 4 30", "4 1e300 30"), r"a.dat:8, point 0: .*is no place"),
    ],
)
def test_wrong_unipen_is_one_sentence(tmp_path, change, complaint):
    with pytest.raises(DataError, match=complaint):
        read_ink(file(tmp_path, "a.dat", UNIPEN.replace(*change)))


def test_a_small_file_cannot_hold_endless_characters(tmp_path):
    points = ".PEN_DOWN\n" + "1 2\n" * 2000
    for places in ("0", ",".join(["0"] * 30)):
        segments = f'.SEGMENT CHARACTER {places} OK "a"\n' * (30 if places == "0" else 1)
        with pytest.raises(DataError, match="its characters have more than 50,000 points, and the file 2,000"):
            read_ink(file(tmp_path, "a.dat", ".COORD X Y\n" + segments + points))
    trace = '<trace id="t">' + ",".join(["1 2"] * 2000) + "</trace>"
    view = '<traceGroup><annotation type="truth">a</annotation><traceView traceDataRef="t"/></traceGroup>'
    with pytest.raises(DataError, match="its characters have more than 50,000 points, and the file 2,000"):
        read_ink(file(tmp_path, "a.inkml", f"<ink>{trace}{view * 30}</ink>"))


def test_groups_that_name_each_other_twice_are_read_once(tmp_path):
    views = [f'<traceView traceDataRef="g{k + 1}"/>' * 2 for k in range(20)]
    levels = [f'<traceGroup id="g{k}">{view}</traceGroup>' for k, view in enumerate(views)]
    last = '<traceGroup id="g20"><trace>1 2</trace></traceGroup>'
    first = '<traceView traceDataRef="g0"><annotation type="truth">a</annotation></traceView>'
    (one,) = read_ink(file(tmp_path, "a.inkml", f"<ink>{first}{''.join(levels)}{last}</ink>")).examples
    assert places(one) == [[[1, -2]]]


def test_groups_of_inkml_with_a_truth_are_characters(tmp_path):
    path = file(tmp_path, "a.inkml", INKML)
    data = read_ink(path, InkReading(y_down="no"))
    assert [one.target for one in data.examples] == ["a", "b"]
    assert {one.group for one in data.examples} == {"w7"}
    # x: differences (') +2, -1, then differences of differences ("), so that -1 grows to 0 and 1; y: differences.
    second = [[10, 20], [12, 23], [11, 27], [11, 28], [12, 29]]
    assert [places(one) for one in data.examples] == [[[[1, 2], [3, 4]], second], [second]]
    down = read_ink(path)
    assert down.facts["y_down"]
    assert places(down.examples[1])[0][0] == [10, -20]


def test_inkml_without_groups_is_one_character(tmp_path):
    text = '<ink><annotation type="truth">x</annotation><trace>1 2, 3 4</trace><trace>1.5 -2 0 7</trace></ink>'
    with pytest.raises(DataError, match=r"trace 1, point 0: '1.5 -2 0 7'; expected 2 numbers"):
        read_ink(file(tmp_path, "a.inkml", text))
    (one,) = read_ink(file(tmp_path, "b.inkml", text.replace(" 0 7", ""))).examples
    assert (one.target, places(one)) == ("x", [[[1, -2], [3, -4]], [[1.5, 2]]])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            '<!DOCTYPE ink [<!ENTITY a "b">]><ink/>',
            "a.inkml:1: a document type declaration; expected InkML without one",
        ),
        ("<ink>", "a.inkml:1: no element found"),
        ("<svg/>", "the outermost element is <svg>; expected <ink>"),
        ("<ink><trace>1 b</trace></ink>", "trace 0, point 0: '1 b'; expected 2 numbers"),
        ("<ink><trace>1</trace></ink>", "trace 0, point 0: 1 values; expected 2"),
        ("<ink><trace>1 1e99</trace></ink>", "is no place"),
        (
            '<ink><traceFormat><channel name="X"/></traceFormat><trace>1</trace></ink>',
            "its channels are X; expected X and Y",
        ),
        (
            '<ink><traceGroup id="g"><annotation type="truth">x</annotation><traceView traceDataRef="g"/></traceGroup></ink>',
            "deep; expected fewer|which is no trace or group",
        ),
        (
            '<ink><traceView traceDataRef="q"><annotation type="truth">x</annotation></traceView></ink>',
            "a traceView of 'q', which",
        ),
    ],
)
def test_wrong_inkml_is_one_sentence(tmp_path, text, complaint):
    with pytest.raises(DataError, match=complaint):
        read_ink(file(tmp_path, "a.inkml", text))


def test_json_in_all_its_forms(tmp_path):
    strokes = [[[0, 0], [1, 2]], [[3, 3]]]
    drawing = [[[0, 1], [0, 2]], [[3], [3]]]
    named = [[{"x": 0, "y": 0}, {"x": 1, "y": 2}], [{"x": 3, "y": 3}]]
    expected = [[[0, 0], [1, -2]], [[3, -3]]]
    forms = [
        strokes,
        {"strokes": strokes, "label": "a", "writer": 3},
        [strokes, strokes],
        [{"strokes": named, "label": "a"}, {"drawing": drawing, "word": "a"}],
    ]
    for index, form in enumerate(forms):
        data = read_ink(file(tmp_path, f"{index}.json", json.dumps(form)))
        assert data.facts["format"] == "json"
        assert all(places(one) == expected for one in data.examples)
        assert len(data.examples) == (1 if index < 2 else 2)
    lines = "\n".join(json.dumps(one) for one in [forms[1], {"drawing": drawing, "word": "b", "split": "test"}])
    path = file(tmp_path, "a.ndjson", lines + "\n")
    data = read_ink(path)
    assert data.facts["format"] == "jsonl"
    assert [(one.target, one.group, one.where) for one in data.examples] == [
        ("a", "3", f"{path}:1"),
        ("b", "", f"{path}:2"),
    ]
    assert [one.target for one in read_ink(f"{path}:test").examples] == ["b"]
    with pytest.raises(DataError, match="has no part 'dev'; it holds test"):
        read_ink(path, part="dev")
    other = read_ink(path, InkReading(label="split", y_down="no"))
    assert [one.target for one in other.examples] == [None, "test"]
    assert places(other.examples[0])[0] == [[0, 0], [1, 2]]


def test_times_are_kept_where_all_have_them_and_count_from_the_first(tmp_path):
    timed = [[[0, 0, 1.7e12], [1, 2, 1.7e12 + 8]], [[3, 3, 1.7e12 + 9]]]
    data = read_ink([timed])
    assert data.facts["channels"] == ["x", "y", "t", "pen_up"]
    assert data.examples[0].values[:, 2].tolist() == [0, 8, 9]
    assert read_ink([timed, [[[0, 0], [1, 1]]]]).facts["channels"] == ["x", "y", "pen_up"]
    assert read_ink([timed], InkReading(time="no")).examples[0].values.shape == (3, 3)


def test_objects_in_memory(tmp_path):
    strokes = [np.array([[0, 0], [1, 2]]), np.array([[3.0, 3]])]
    listed = [stroke.tolist() for stroke in strokes]
    forms = [
        [strokes],
        [(strokes, "a")],
        [listed],
        strokes,
        listed,
        [{"strokes": strokes, "label": "a"}],
        (strokes, "a"),
    ]
    for form in forms:
        data = read_ink(form)
        assert [places(one) for one in data.examples] == [[[[0, 0], [1, -2]], [[3, -3]]]]
    assert [len(one.values) for one in read_ink(np.zeros((4, 8, 2))).examples] == [8] * 4
    assert read_ink([]).examples == []
    assert [len(one.values) for one in read_ink([[], [[[1, 2]]], [[]]]).examples] == [0, 1, 0]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (["ab"], r"input\[0\]: the strokes are a str"),
        ([3], r"input\[0\]: the strokes are a int"),
        ([[[[1, 2], [3]]]], r"input\[0\], stroke 0: the points are not all lists of as many numbers"),
        ([[[[1, 2, 3, 4]]]], r"input\[0\], stroke 0: the points have the shape \(1, 4\)"),
        ([[[[1, float("nan")]]]], r"input\[0\], stroke 0, point 0: \[1.0, nan\] is no place"),
        ([{"stroke": []}], "the mapping has the keys stroke"),
        ([{"drawing": [[[1], [2, 3]]]}], "the lists of x, y and t are not equally long"),
        ([{"drawing": [[[1]]]}], "expected two or three lists"),
        ([{"strokes": [], "label": [1]}], "label .* is a list; expected a text"),
        ([{"strokes": [[{"x": 1}]]}], "a point is {'x': 1}; expected x, y"),
        (7, "the value is a int"),
        (np.zeros(3), r"the array has the shape \(3,\)"),
    ],
)
def test_other_objects_are_refused(value, complaint):
    with pytest.raises(DataError, match=complaint):
        read_ink(value)


@pytest.mark.parametrize(("name", "text"), [("a.json", "[[["), ("a.jsonl", '{"strokes": []}\n[')])
def test_damaged_json_is_one_sentence(tmp_path, name, text):
    with pytest.raises(DataError, match=r"a\.json.*expected a list of strokes"):
        read_ink(file(tmp_path, name, text))


def test_a_folder_of_class_folders(tmp_path):
    for label in "ab":
        file(tmp_path, f"{label}/1.json", "[[[0, 0], [1, 1]]]")
    file(tmp_path, "b/2.inkml", '<ink><annotation type="truth">c</annotation><trace>1 2, 3 4</trace></ink>')
    data = read_ink(tmp_path)
    assert [one.target for one in data.examples] == ["a", "b", "c"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file ends in"):
        read_ink(tmp_path / "empty")


def archive(tmp_path, **arrays):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    return str(path)


FLAT = {
    "dx": np.array([0, 1, 2, 0, 5], np.int16),
    "dy": np.array([0, 1, 1, 0, 5], np.int16),
    "pen_up": np.array([0, 1, 1, 0, 1], np.uint8),
    "offsets": np.array([0, 3, 5]),
    "label": np.array(["a", "b"]),
    "quality": np.array(["OK", "?"]),
    "writer": np.array([1, 0]),
    "writer_names": np.array(["p", "q"]),
    "split": np.array([0, 2]),
}


def test_archives_of_displacements_and_of_places(tmp_path):
    data = read_ink(archive(tmp_path, **FLAT))
    assert [(one.target, one.group, one.record) for one in data.examples] == [
        ("a", "q", {"quality": "OK"}),
        ("b", "p", {"quality": "?"}),
    ]
    assert data.parts == {"train": [0], "test": [1]}
    assert [places(one) for one in data.examples] == [[[[0, 0], [1, 1]], [[3, 2]]], [[[0, 0], [5, 5]]]]
    good = read_ink(archive(tmp_path, **FLAT), InkReading(quality="good"))
    assert (len(good.examples), good.parts, good.facts["doubtful"]) == (1, {"train": [0], "test": []}, 1)
    started = read_ink(archive(tmp_path, **FLAT, start=np.array([[10, 20], [30, 40]])), InkReading(y_down="yes"))
    assert [places(one)[0][0] for one in started.examples] == [[10, -20], [30, -40]]
    located = {name.removeprefix("d"): array for name, array in FLAT.items()}
    assert places(read_ink(archive(tmp_path, **located, t=np.arange(5))).examples[1]) == [[[0, 0], [5, 5]]]


def test_archives_of_equally_long_characters(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    x[1, 2:] = np.nan
    data = read_ink(archive(tmp_path, train_x=x, train_y=[1, 2, 1], test_x=x[:1], test_y=[2]))
    assert {name: list(part) for name, part in data.parts.items()} == {"train": [0, 1, 2], "test": [3]}
    assert [one.target for one in data.examples] == ["1", "2", "1", "2"]
    assert [len(one.values) for one in data.examples] == [4, 2, 4, 4]
    assert data.examples[1].values[:, 2].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"offsets": np.array([0, 9])}, "the offsets go from 0 to 9; expected them in order from 0 to 5"),
        ({"offsets": np.array([0.5])}, "offsets is 0.5; expected a list of whole numbers"),
        ({"dx": np.zeros(4)}, r"the shapes are dx \(4,\), dy \(5,\), pen_up \(5,\)"),
        ({"dx": np.full(5, np.inf)}, r"dx\[0\] is inf; expected finite numbers"),
        ({"dx": np.array(list("abcde"))}, "dx is <U1; expected numbers"),
        ({"label": np.zeros((2, 2))}, r"label has the shape \(2, 2\); expected one value"),
        ({"label": np.array([0.5, 1])}, r"label\[0\] is 0.5; expected whole numbers or texts"),
        ({"label": np.array([None, {}], dtype=object)}, "label.npy holds Python objects"),
        ({"writer": np.array([0, 2])}, r"writer\[1\] is 2, and writer_names has 2 names"),
        ({"split": np.array([0, 7])}, r"split\[1\] is '7'; expected 0, 1, 2"),
        ({"start": np.zeros(2)}, r"start has the shape \(2,\)"),
        ({"pen_up": np.zeros((5, 1))}, "expected as many numbers in each"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, change, complaint):
    with pytest.raises(DataError, match=complaint):
        read_ink(archive(tmp_path, **{**FLAT, **change}))


def test_other_files_are_no_ink(tmp_path):
    with pytest.raises(DataError, match=r"the arrays are a \(3,\); expected dx, dy or x, y"):
        read_ink(archive(tmp_path, a=np.zeros(3)))
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match=r"is damaged or no .npz file"):
        read_ink(str(tmp_path / "b.npz"))
    for content in ("hello", ""):
        with pytest.raises(DataError, match="expected ink in one of these formats"):
            read_ink(file(tmp_path, "a.txt", content))
    with pytest.raises(DataError, match="nothing"):
        read_ink(str(tmp_path / "nothing.npz"))


def test_what_is_written_is_read_again(tmp_path):
    strokes = [np.array([[0.5, 1, 0], [2, -3.25, 4]]), np.array([[7, 8, 9.5]])]
    for timed in (False, True):
        given = [stroke[:, : 3 if timed else 2] for stroke in strokes]
        for name, text in (("a.jsonl", to_json(given, "<&>", "w")), ("a.inkml", to_inkml(given, "<&>", "w"))):
            (one,) = read_ink(file(tmp_path, name, text)).examples
            assert (one.target, one.group) == ("<&>", "w")
            for found, wanted in zip(strokes_of(one.values), given, strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_drawing_has_a_path_for_each_stroke_and_dots():
    from xml.etree import ElementTree

    drawn = to_svg([np.array([[0, 0], [1, 2]]), np.array([[3, 3]]), np.zeros((0, 2))], size=50)
    paths = [one.get("d") for one in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}path")]
    assert paths == ["M4.0 46.0L18.0 18.0", "M46.0 4.0h0"]
    ElementTree.fromstring(to_svg([]))


def test_the_format_is_seen(tmp_path):
    assert ink_format(file(tmp_path, "a", UNIPEN)) == "unipen"
    assert ink_format(file(tmp_path, "b", INKML)) == "inkml"
    assert ink_format(file(tmp_path, "c", "[[[1, 2]]]")) == "json"
    assert ink_format(file(tmp_path, "d", '{"strokes": []}\n{"strokes": []}\n')) == "jsonl"


DATA = Path(os.environ.get("SEQLOOM_DATA", ""))


@pytest.mark.skipif("SEQLOOM_DATA" not in os.environ, reason="SEQLOOM_DATA names no folder with unipen_chars")
@pytest.mark.parametrize(
    ("name", "counts"),
    [("digits", (11794, 1266, 1254)), ("upper", (19252, 1890, 2112)), ("lower", (45976, 3632, 5783))],
)
def test_unipen_characters_are_counted_as_published(name, counts):
    data = read_ink(DATA / "unipen_chars" / f"{name}.npz")
    assert tuple(len(data.parts[part]) for part in ("train", "dev", "test")) == counts
    writers = [{one.group for one in data.part(part)} for part in ("train", "dev", "test")]
    assert not writers[0] & writers[2]
    assert not writers[0] & writers[1]
    assert all(one.values[-1, 2] == 1 for one in data.examples)


@pytest.mark.skipif("SEQLOOM_DATA" not in os.environ, reason="SEQLOOM_DATA names no folder with pendigits")
def test_pen_digits_are_counted_as_published():
    data = read_ink(DATA / "pendigits" / "pendigits.npz")
    labels = [[one.target for one in data.part(part)] for part in ("train", "test")]
    assert [labels[0].count(str(digit)) for digit in range(1, 11)] == [780, 779, 780, 719, 780, 720, 720, 778, 719, 719]
    assert [labels[1].count(str(digit)) for digit in range(1, 11)] == [363, 364, 364, 336, 364, 335, 336, 364, 336, 336]
    assert {one.values.shape for one in data.examples} == {(8, 3)}
    assert {one.values[:, 2].sum() for one in data.examples} == {1}
