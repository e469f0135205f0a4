"""Readers of series: every format gives the same series, and what is wrong is said with its place."""

from collections import Counter

import numpy as np
import pytest

from seqloom.data.labelled import Series
from seqloom.data.series.read import read_series
from seqloom.data.series.reading import SeriesReading
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError

VALUES = [np.array([[1, 10], [2, 20], [3, 30]], np.float32), np.array([[4, np.nan], [5, 50]], np.float32)]
LABELS, GROUPS = ["up", "down"], ["ann", "bob"]
TS = """# a comment
@problemName Small
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true up down
@data
1,2,3:10,20,30:up
4,5:?,50:down
"""
CSV = """case,t,ax,ay,label,user
a,0.00,1,10,up,ann
a,0.01,2,20,up,ann
a,0.02,3,30,up,ann
b,0.00,4,?,down,bob
b,0.01,5,50,down,bob
"""
ARFF = """@relation Small
@attribute rel relational
  @attribute a1 numeric
  @attribute a2 numeric
@end rel
@attribute label {up,down}
@data
'1,2\\n10,20',up
'4,5\\n?,50',down
"""


def read(place, part="", **reading):
    return read_series(Source(place), SeriesReading(**reading), part)


def agree(data, values=VALUES, labels=LABELS, groups=("", "")):
    assert [one.target for one in data.examples] == list(labels)
    assert [one.group for one in data.examples] == list(groups)
    for one, expected in zip(data.examples, values, strict=True):
        assert one.values.dtype == np.float32
        np.testing.assert_array_equal(one.values, expected)


def test_ts(written):
    path = written("small.ts", TS)
    data = read(str(path))
    agree(data)
    assert data.facts["format"] == "ts"
    assert data.facts["channels"] == ("0", "1")
    assert data.facts["declared_equal"] is False
    assert [one.where for one in data.examples] == [f"{path}:10", f"{path}:11"]


def test_arff_of_channels(written):
    data = read(str(written("small.arff", ARFF)))
    agree(data, [VALUES[0][:2], VALUES[1]])
    assert data.facts["declared_equal"] is True


def test_arff_of_one_channel(written):
    text = "@relation x\n@attribute a real\n@attribute b real\n@attribute c {1,2}\n@data\n0.5,1,2\n"
    agree(read(str(written("a.arff", text))), [np.array([[0.5], [1]], np.float32)], ["2"], [""])


def test_long_csv_with_groups_and_rate(written):
    path = written("small.csv", CSV)
    data = read(str(path))
    agree(data, groups=GROUPS)
    assert data.facts["channels"] == ("ax", "ay")
    assert data.facts["rate"] == 100.0
    assert data.facts["time_unit"] == "s"
    assert data.examples[1].where == f"{path}:5"


def test_npz_with_offsets_names_and_rate(tmp_path):
    path = tmp_path / "small.npz"
    np.savez(
        path,
        X=np.concatenate(VALUES),
        offsets=[0, 3, 5],
        labels=LABELS,
        writer=[0, 1],
        writer_names=GROUPS,
        channels=["ax", "ay"],
        rate=100,
        split=["train", "test"],
    )
    data = read(str(path))
    agree(data, groups=GROUPS)
    assert data.facts["rate"] == 100.0
    assert data.facts["channels"] == ("ax", "ay")
    assert {part: list(indices) for part, indices in data.parts.items()} == {"train": [0], "test": [1]}
    agree(read(f"{path}:test"), VALUES[1:], ["down"], ["bob"])
    agree(read(str(path), "test"), VALUES[1:], ["down"], ["bob"])
    with pytest.raises(DataError, match="has no part 'dev'; its parts: train, test"):
        read(f"{path}:dev")


def test_what_npz_leaves_out_is_said(tmp_path, capsys):
    path = tmp_path / "small.npz"
    np.savez(path, xyz=np.zeros((3, 4, 5, 3)), action=[1, 2, 3], subject=[7, 8, 9], used=[True, False, True])
    data = read(str(path))
    assert [(one.target, one.group, one.values.shape) for one in data.examples] == [
        ("1", "7", (4, 15)),
        ("3", "9", (4, 15)),
    ]
    assert data.examples[1].where == f"{path}[2]"
    assert "1 of 3 series are left out" in capsys.readouterr().err


def test_a_folder_for_each_class(written, tmp_path):
    written("data/up/ann/1.csv", "timestamp,ax,ay\n1000,1,10\n1020,2,20\n1040,3,30\n")
    written("data/down/bob/1.csv", "timestamp,ax,ay\n5000,4,?\n5020,5,50\n")
    data = read(str(tmp_path / "data"))
    agree(data, VALUES[::-1], LABELS[::-1], GROUPS[::-1])
    assert (data.facts["rate"], data.facts["time_unit"]) == (50.0, "ms")
    written("plain/train/up/1.csv", "1,10\n2,20\n3,30\n")
    written("plain/test/down/1.csv", "4,?\n5,50\n")
    data = read(str(tmp_path / "plain"))
    agree(data, VALUES[::-1], LABELS[::-1])
    assert {part: list(indices) for part, indices in data.parts.items()} == {"train": [1], "test": [0]}


def test_a_folder_with_the_two_files_of_the_archive(written, tmp_path):
    written("small/Small_TRAIN.ts", TS)
    written("small/Small_TEST.ts", TS)
    data = read(str(tmp_path / "small"))
    assert {part: list(indices) for part, indices in data.parts.items()} == {"train": [0, 1], "test": [2, 3]}
    agree(read(str(tmp_path / "small"), "test"))


def test_objects():
    agree(read(list(zip(VALUES, LABELS, strict=True))))
    agree(read((VALUES, LABELS)))
    agree(read(VALUES), labels=[None, None])
    agree(read([Series(values=one, target=label) for one, label in zip(VALUES, LABELS, strict=True)]))
    agree(read(np.stack([VALUES[0], VALUES[0]])), [VALUES[0], VALUES[0]], [None, None])
    agree(read([([1, 2], 3)]), [np.array([[1], [2]], np.float32)], ["3"], [""])
    np.testing.assert_array_equal(read([(VALUES[0], [0.5, 1.5])]).examples[0].target, [0.5, 1.5])


def test_a_data_frame(written):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    data = read(pandas.read_csv(written("small.csv", CSV), na_values="?"))
    agree(data, groups=GROUPS)
    assert data.examples[1].where == "<frame>[3]"


def test_channels_are_chosen_by_name_and_number(written):
    assert read(str(written("a.csv", CSV)), channels=("ay",)).facts["channels"] == ("ay",)
    data = read(str(written("a.ts", TS)), channels=("1", "0"))
    np.testing.assert_array_equal(data.examples[0].values, VALUES[0][:, ::-1])
    with pytest.raises(DataError, match="no channel 'az'"):
        read(str(written("a.csv", CSV)), channels=("az",))


def test_targets_of_series_and_of_steps(written, tmp_path):
    text = "@targetLabel true\n@data\n1,2:0.5\n3,4:-1\n"
    assert [one.target.tolist() for one in read(str(written("a.ts", text))).examples] == [[0.5], [-1.0]]
    steps = "case,x,y\na,1,5\na,2,6\nb,3,7\n"
    assert [one.target.tolist() for one in read(str(written("a.csv", steps)), targets=("y",)).examples] == [
        [[5], [6]],
        [[7]],
    ]
    whole = "case,x,y,label\na,1,5,k\na,2,5,k\nb,3,7,k\n"
    data = read(str(written("b.csv", whole)), targets=("y",))
    assert [one.target.tolist() for one in data.examples] == [[5], [7]]
    assert data.facts["channels"] == ("x",)
    np.savez(tmp_path / "a.npz", x=np.zeros((5, 1)), offsets=[0, 3, 5], u=np.arange(5.0), v=[1.0, 2.0])
    assert read(str(tmp_path / "a.npz"), targets=("u",)).examples[1].target.tolist() == [[3], [4]]
    assert read(str(tmp_path / "a.npz"), targets=("v",)).examples[1].target.tolist() == [2]
    with pytest.raises(DataError, match="some targets belong to steps"):
        read(str(tmp_path / "a.npz"), targets=("u", "v"))


def test_a_csv_without_cases_is_one_series(written):
    data = read(str(written("a.csv", "t,x\n0,1\n1,2\n2,3\n")))
    assert [one.values.tolist() for one in data.examples] == [[[1], [2], [3]]]
    assert "rate" not in data.facts


def test_empty_steps_at_the_end_are_left_out(written):
    text = TS.replace("4,5:?,50:down", "4,5,?:?,50,?:down")
    data = read(str(written("a.ts", text)))
    agree(data)
    assert data.facts["trimmed"] == 1
    assert len(read(str(written("a.ts", text)), trim=False).examples[1].values) == 3


def test_rates_that_differ_are_no_rate(written):
    data = read(str(written("a.csv", CSV.replace("b,0.01", "b,0.04"))))
    assert "rate" not in data.facts
    assert np.allclose(data.facts["rates"], [100, 25])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.ts",
            TS.replace("Label true", "Lable true"),
            "a.ts:8: @classlable is not a known tag; did you mean 'classlabel'",
        ),
        ("a.ts", TS.replace("Stamps false", "Stamps true"), "a.ts:3: series with timestamps are not read"),
        ("a.ts", TS.replace("50:down", "50:dwn"), "a.ts:11: the class is 'dwn'; did you mean 'down'"),
        ("a.ts", TS.replace("4,5:", "4,5,6:"), "a.ts:11: the channels have 3, 2 values"),
        ("a.ts", TS.replace("?,50:", "?,50:1,1:"), "a.ts:11: 3 channels; @dimensions says 2"),
        ("a.ts", TS.replace("4,5", "4,5x"), "a.ts:11: channel 1, value 2 is '5x'; expected a number"),
        ("a.ts", TS.replace("4,5", "4,1_0"), "a.ts:11: channel 1, value 2 is '1_0'"),
        ("a.ts", TS.replace("4,5", "4,1e99"), "a.ts:11: channel 1, value 2 is '1e99'"),
        ("a.ts", TS.replace("@data\n", ""), "a.ts:9: expected a tag"),
        ("a.ts", "@classLabel false\n", "has no @data"),
        ("a.ts", "@\n", "a.ts:1: @ is not a known tag"),
        ("a.arff", ARFF.replace("up\n'4", "op\n'4"), "a.arff:8: the class is 'op'"),
        ("a.arff", ARFF.replace("'4,5\\n", "'4\\n"), "a.arff:9: the channels have 1, 2 values"),
        ("a.arff", ARFF.replace("'4", "4"), "a.arff:9: expected the channels in quotation marks"),
        ("a.arff", ARFF.replace("a2 numeric", "a2 string"), "a.arff:4: inside a relation an attribute is 'string'"),
        ("a.csv", CSV.replace("5,50", "5,5o"), "a.csv:6: ay is '5o'; expected a number"),
        ("a.csv", CSV.replace("b,0.01,5,50,down", "b,0.01,5,50,up"), "a.csv:6: label is 'up', and 'down' where"),
        ("a.csv", CSV.replace("b,0.01", "b,0.00"), "a.csv:6: the time 0.00 does not come after 0.00"),
        ("a.csv", CSV.replace("b,0.01", "b,noon"), "a.csv:6: the time is 'noon'"),
        ("a.csv", CSV.replace("b,0.01,5", "b,0.01"), "a.csv:6: 5 fields; expected 6"),
        ("a.csv", CSV.replace("user", "label"), "a.csv:1: the header has the name 'label' twice"),
        ("a.csv", CSV.replace("user", "class"), "has the columns 'label' and 'class'; name the one that is the label"),
        ("a.csv", "1,2\n3,4\n", "a.csv:1: expected a header"),
        ("a.csv", "case,x\n", "has a header and no rows"),
        ("a.csv", "case,label\na,b\n", "has no column left for the values"),
        ("a.foo", "", "ends in none of .ts"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(written, name, text, message):
    with pytest.raises(DataError) as problem:
        read(str(written(name, text)))
    assert message in str(problem.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("x", "ends in none of"),
        (3, "the inputs are a int"),
        ([object()], r"input\[0\] is a object"),
        ([[[1, 2], [3]]], r"input\[0\] is a list"),
        ([np.zeros((2, 2, 2))], r"input\[0\] has the shape \(2, 2, 2\)"),
        (np.zeros((2, 2)), r"the array has the shape \(2, 2\)"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], r"input\[1\] has 3 channels, and input\[0\] has 2"),
        ([np.full((2, 2), np.inf)], r"input\[0\]: step 0 holds a number that is infinite"),
        ((VALUES, ["a"]), "2 series and 1 labels"),
        ([], "holds no series"),
    ],
)
def test_objects_that_are_no_series(given, message):
    with pytest.raises(DataError, match=message):
        read(given)


def test_an_unknown_format_is_said():
    with pytest.raises(ConfigError, match="did you mean 'arff'"):
        read("x", format="arf")


@pytest.mark.parametrize(
    ("name", "train", "test", "shape", "counts"),
    [
        ("japanese_vowels/japanese_vowels.npz", 270, 370, (None, 12), [31, 35, 88, 44, 29, 24, 40, 50, 29]),
        ("basic_motions/basic_motions.npz", 40, 40, (100, 6), [10] * 4),
        ("racket_sports/racket_sports.npz", 151, 152, (30, 6), [40, 43, 35, 34]),
        ("ering/ering.npz", 30, 270, (65, 4), [45] * 6),
        ("pendigits/pendigits.npz", 7494, 3498, (8, 2), [363, 364, 364, 336, 364, 335, 336, 364, 336, 336]),
    ],
)
def test_real_sets_have_the_counts_of_their_notes(real, name, train, test, shape, counts):
    data = read(str(real(name)))
    assert (len(data.parts["train"]), len(data.parts["test"])) == (train, test)
    classes = Counter(one.target for one in data.part("test"))
    assert [classes[label] for label in sorted(classes, key=lambda text: (len(text), text))] == counts
    assert {one.values.shape[1] for one in data.examples} == {shape[1]}
    lengths = {len(one.values) for one in data.examples}
    assert lengths == {shape[0]} if shape[0] else (min(lengths), max(lengths)) == (7, 29)
