"""Documents as they are read from what people have."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from seqloom.data.documents.config import DocumentReading
from seqloom.data.documents.read import documents_of, line_document, read_documents, recognised_format
from seqloom.data.labelled import Document
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError


def read(place, part="", **reading):
    return read_documents(Source.of(place), DocumentReading(**reading), part)


def pairs(data):
    return [(one.text, one.target) for one in data.examples]


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return file

    return write


def test_a_table_with_a_header_is_read_by_its_names(written):
    file = written("a.csv", 'id,Title,description,Class,user\n7,One,"two\nlines, ""quoted""",x,u\n8,Three,four,y,v\n')
    data = read(file, group="user")
    assert pairs(data) == [('One\ntwo\nlines, "quoted"', "x"), ("Three\nfour", "y")]
    assert [one.where for one in data.examples] == [f"{file}:2", f"{file}:4"]
    assert [one.group for one in data.examples] == ["u", "v"]
    assert data.examples[0].record.names == ("id", "Title", "description", "Class", "user")
    assert data.examples[0].record.fields == ("7", "One", 'two\nlines, "quoted"', "x", "u")
    assert data.facts["columns"] == "text=Title,description, label=Class, group=user"
    assert (data.facts["documents"], data.facts["labels"], data.facts["guessed"]) == (2, {"x": 1, "y": 1}, False)


def test_columns_are_named_by_name_or_number_and_a_wrong_one_is_said(written):
    file = written("a.csv", "who,what,how\na,some text,x\nb,other text,y\n")
    assert pairs(read(file, text="what", label="how")) == [("some text", "x"), ("other text", "y")]
    assert pairs(read(file, text="1,0", label="2", header="yes"))[0] == ("some text\na", "x")
    assert pairs(read(file, text="1", label="2", header="no"))[0] == ("what", "how")
    assert pairs(read(file, text="what", label="none"))[0] == ("some text", None)
    with pytest.raises(ConfigError, match="there is no column 'houw'; did you mean 'how'"):
        read(file, text="what", label="houw")
    with pytest.raises(ConfigError, match="there is no column 9; it has 3, counted from 0"):
        read(file, text="9", label="0")


def test_a_guess_is_strict_and_said(written, capsys):
    rows = [f"{index % 2}\tthe text of number {index}, rather long" for index in range(20)]
    data = read(written("a.tsv", "\n".join(rows)))
    assert data.facts["guessed"]
    assert data.facts["columns"] == "text=1, label=0"
    assert "read as text=1, label=0" in capsys.readouterr().err
    rows = [f"{index % 2}\t{index % 3}\tthe text of number {index}, rather long" for index in range(20)]
    file = written("b.tsv", "\n".join(rows))
    with pytest.raises(DataError, match=r"which of its 3 columns .* \(classes may be in 0 or 1\)"):
        read(file)
    assert read(file, text="2", label="1").facts["labels"] == {"0": 7, "1": 7, "2": 6}


def test_quotation_marks_in_tab_separated_text_are_characters_unless_all_are_quoted(written):
    plain = written("a.tsv", 'label\ttext\nx\t"Good" he said\ny\t5" disks "\n')
    assert pairs(read(plain)) == [('"Good" he said', "x"), ('5" disks "', "y")]
    quoted = written("b.tsv", '"label"\t"text"\n"x"\t"a ""good"" one"\n"y"\t"bad"\n')
    assert pairs(read(quoted)) == [('a "good" one', "x"), ("bad", "y")]
    lines = written("c.tsv", 'label\ttext\nx\t"two\nlines"\ny\tone\n')
    assert pairs(read(lines)) == [("two\nlines", "x"), ("one", "y")]


def test_semicolons_and_packed_tables(written):
    file = written("a.csv.gz", gzip.compress(b"text;label\ngut, oder nicht;x\n"))
    assert pairs(read(file)) == [("gut, oder nicht", "x")]


def test_what_is_wrong_with_a_table_is_said_with_its_line(written):
    with pytest.raises(DataError, match=r"a.csv:3: 3 fields, but the first row has 2; .* needs quotation marks"):
        read(written("a.csv", "text,label\na,x\nb,c,y\n"))
    with pytest.raises(DataError, match=r"c.csv:2: byte 0xE9 .* latin-1"):
        read(written("c.csv", b"text,label\ncaf\xe9,x\n"))
    assert pairs(read(written("c.csv", b"text,label\ncaf\xe9,x\n"), encoding="latin-1")) == [("café", "x")]
    with pytest.raises(DataError, match="no such file"):
        read("nothing.csv")


def test_an_endless_quotation_is_one_sentence(written, monkeypatch):
    monkeypatch.setenv("SEQLOOM_MAX_LINE", "200000")
    file = written("a.csv", 'text,label\na,x\n"b,y\n' + "some more text,x\n" * 20_000)
    with pytest.raises(DataError, match=r"a.csv:3: .*(never closed|fields)"):
        read(file)


def test_json_lines_have_labels_of_every_kind(written):
    file = written(
        "a.jsonl",
        '{"text": "a", "label": "x", "id": 1}\n{"text": "b", "label": 3}\n{"text": "c", "label": true}\n'
        '{"text": "d", "labels": ["x", "y"]}\n\n{"title": "e", "body": "f", "category": null}\n',
    )
    data = read(file)
    assert pairs(data) == [("a", "x"), ("b", "3"), ("c", "true"), ("d", ("x", "y")), ("e\nf", None)]
    assert data.examples[0].record == {"text": "a", "label": "x", "id": 1}
    assert data.examples[4].where == f"{file}:6"
    assert data.facts["labels"] == {"x": 2, "3": 1, "true": 1, "y": 1}
    for line, complaint in [
        ("[1]", r"a.jsonl:1: '\[1\]' is no JSON object"),
        ('{"texts": "a"}', "a.jsonl:1: 'text' is no text; the object has 'texts'"),
        ('{"text": "a", "label": {}}', "a.jsonl:1: the label is a dict"),
        ('{"text": "a"', "a.jsonl:1: not JSON"),
    ]:
        with pytest.raises(DataError, match=complaint):
            read(written("a.jsonl", line))


def test_several_labels_of_a_cell(written):
    file = written("a.csv", 'text,label\na,"x, y"\nb,\n')
    assert pairs(read(file, several=",")) == [("a", ("x", "y")), ("b", ())]


def test_lines_with_labels_and_lines_without(written):
    file = written("a.txt", "__label__x  a text\n__label__x __label__y b __label__z\n")
    assert pairs(read(file)) == [("a text", "x"), ("b __label__z", ("x", "y"))]
    assert read(file).facts["format"] == "fasttext"
    assert pairs(read(written("b.txt", "one\n\ntwo words\n"))) == [("one", None), ("", None), ("two words", None)]


def test_a_folder_for_each_class_and_for_each_part(written, tmp_path):
    for name in ("train/pos/1.txt", "train/pos/2.txt", "train/neg/1.txt", "train/unsup/1.txt", "test/pos/1.txt"):
        written(f"set/{name}", f"{name}\nsecond line\n")
    written("set/test/neg/1.txt", "bad")
    data = read(tmp_path / "set")
    assert {part: len(rows) for part, rows in data.parts.items()} == {"test": 2, "train": 4}
    assert {one.target for one in data.part("train")} == {"pos", "neg", None}
    assert data.part("test")[0].text == "bad"
    assert data.part("test")[1].text == "test/pos/1.txt\nsecond line"
    assert len(read(tmp_path / "set", "test").examples) == 2
    assert pairs(read(tmp_path / "set" / "test"))[0] == ("bad", "neg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither a folder nor a file for each class"):
        read(tmp_path / "empty")


def test_a_file_for_each_class(written, tmp_path, capsys):
    written("mr/README.md", "about")
    written("mr/rt.pos", "good\nfine\n")
    written("mr/rt.neg.gz", gzip.compress(b"bad\n"))
    expected = [("bad", "neg"), ("good", "pos"), ("fine", "pos")]
    assert pairs(read(tmp_path / "mr")) == pairs(read(tmp_path / "mr" / "rt")) == expected
    assert "a file each: neg (rt.neg.gz), pos (rt.pos)" in capsys.readouterr().err
    written("texts/pos.txt", "good\n")
    written("texts/neg.txt", "bad\n")
    assert pairs(read(tmp_path / "texts")) == [("bad", "neg"), ("good", "pos")]
    for name in ("train.pos", "train.neg", "test.pos", "test.neg"):
        written(f"parts/{name}", f"{name}\n")
    assert [one.text for one in read(tmp_path / "parts").part("test")] == ["test.neg", "test.pos"]


def test_files_called_after_parts_are_parts_and_no_classes(written, tmp_path):
    written("a/train.csv", "text,label\na,x\nb,y\n")
    written("a/test.csv", "text,label\nc,x\n")
    data = read(tmp_path / "a")
    assert [one.text for one in data.part("test")] == ["c"]
    assert [one.text for one in read(tmp_path / "a", "train").examples] == ["a", "b"]
    written("b/train.txt", "a\n")
    written("b/test.txt", "b\n")
    assert {part: len(rows) for part, rows in read(tmp_path / "b").parts.items()} == {"test": 1, "train": 1}


class Table:
    columns = ("text", "label")

    def to_dict(self, form):
        assert form == "records"
        return [{"text": "a", "label": np.int64(3)}, {"text": "b", "label": float("nan")}]


def test_objects_in_memory():
    document = Document(text="d", target="x")
    given = ["a", ("b", "x"), ("c", ["x", "y"]), {"text": "e", "label": 1}, document]
    assert [(one.text, one.target) for one in documents_of(given)] == [
        ("a", None), ("b", "x"), ("c", ("x", "y")), ("e", "1"), ("d", "x"),
    ]  # fmt: skip
    assert pairs(read(Table())) == [("a", "3"), ("b", None)]
    assert pairs(read([{"t": "a", "l": 1}], text="t", label="l")) == [("a", "1")]
    with pytest.raises(DataError, match=r"input\[1\] is a int; expected a text"):
        documents_of(["a", 3])
    with pytest.raises(DataError, match="the inputs are a str"):
        documents_of("a")


def test_a_line_of_standard_input():
    reading = DocumentReading()
    assert line_document('{"text": "a", "label": "x"}', "input:1", reading).target == "x"
    assert line_document("__label__x a", "input:1", reading).text == "a"
    assert line_document("just a text", "input:1", reading).text == "just a text"


DATA = Path(os.environ.get("SEQLOOM_DATA", ""))


@pytest.mark.skipif("SEQLOOM_DATA" not in os.environ, reason="SEQLOOM_DATA names no folder with cls-agnews and others")
@pytest.mark.parametrize(
    ("name", "reading", "labels"),
    [
        ("cls-agnews/test.csv.xz", {}, dict.fromkeys("1234", 1900)),
        ("cls-agnews/train_20k_subset.csv.xz", {}, dict.fromkeys("1234", 5000)),
        ("cls-imdb/train.tsv.xz", {"text": "3", "label": "0"}, {"0": 12500, "1": 12500}),
        ("cls-mr", {"encoding": "latin-1"}, {"neg": 5331, "pos": 5331}),
        ("cls-mr/rt-polarity", {"encoding": "latin-1"}, {"neg": 5331, "pos": 5331}),
        ("cls-zh-reviews/train.tsv.xz", {}, {"0": 13839 - 6653, "1": 6653}),
        ("cls-zh-reviews/dev.tsv.xz", {}, {"0": 1789 - 863, "1": 863}),
        ("cls-zh-reviews/test.tsv.xz", {}, {"0": 1733 - 814, "1": 814}),
    ],
)
def test_counts_of_real_data(name, reading, labels):
    assert read(DATA / name, **reading).facts["labels"] == labels


@pytest.mark.skipif("SEQLOOM_DATA" not in os.environ, reason="SEQLOOM_DATA names no folder with cls-mr")
def test_latin_bytes_are_named():
    with pytest.raises(DataError, match=r"rt-polarity.neg.xz:32: byte 0xE9 .* such as latin-1"):
        read(DATA / "cls-mr")
    assert recognised_format(str(DATA / "cls-mr")) == "folder"
