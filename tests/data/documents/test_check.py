"""What ``seqloom check`` finds in documents, and which files it takes for documents."""

import os
from pathlib import Path

import pytest

import seqloom
from seqloom.data import kinds
from seqloom.data.documents.kind import DocumentKind
from seqloom.errors import ConfigError


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return file

    return write


def found(report):
    return [(one.severity, one.kind, Path(one.where).name) for one in report.findings if one.kind != "longest text"]


def test_what_is_wrong_in_one_file(written):
    file = written(
        "a.csv",
        "text,label\n"
        "fine text,x\n"
        '"fine  text",x\n'
        "fine text,y\n"
        ",y\n"
        "only one of these,z\n"
        "<b>bold</b> and &amp; more,x\n"
        "spelt\\nbreak\\n,y\n"
        "real<br />break,\n"
        "a\x07bell,x\n",
    )
    report = seqloom.check(file)
    assert found(report) == [
        ("warning", "control characters", "a.csv:10"),
        ("warning", "rare class", "a.csv:6"),
        ("warning", "no class", "a.csv:9"),
        ("warning", "contradictions", "a.csv:4"),
        ("warning", "empty text", "a.csv:5"),
        ("warning", "remains", "a.csv:7"),
        ("warning", "remains", "a.csv:7"),
        ("warning", "remains", "a.csv:8"),
        ("note", "repetitions", "a.csv:3"),
        ("note", "remains", "a.csv:9"),
    ]
    (section,) = report.to_dict()["sections"]
    assert section["distributions"] == {"class": {"x": 4, "y": 3, "z": 1}}
    assert section["facts"]["documents"] == "9"


def test_what_splits_share_and_should_not(written):
    train = written("train.csv", "text,label,user\na text,x,u\nb text,y,v\n")
    dev = written("dev.csv", "text,label,user\na text,x,w\nc text,new,u\n")
    test = written("test.csv", "text,label,user\nc text,x,z\n")
    report = seqloom.check(train, kind="documents", dev=dev, test=test, group="user")
    shared = [(one.severity, one.kind, Path(one.where).name) for one in report.findings if "shared" in one.kind]
    assert shared == [
        ("warning", "shared examples", "dev.csv:2"),
        ("warning", "shared groups", "dev.csv:3"),
        ("warning", "shared examples", "test.csv:2"),
    ]
    assert ("error", "unknown class", "dev.csv:3") in found(report)
    assert not report.is_usable


def test_what_cannot_be_read_is_a_finding(written):
    report = seqloom.check(written("a.csv", b"text,label\ncaf\xe9,x\nok,y\n"), kind="documents")
    assert ("error", "reading", "a.csv:2") in found(report)
    assert ("error", "encoding", "a.csv:2") in found(report)
    rows = "".join(f"{index % 2}\tthe text of number {index}, rather long\n" for index in range(20))
    report = seqloom.check(written("b.tsv", rows))
    assert found(report) == [("note", "columns", "b.tsv")]
    assert seqloom.check(written("c.csv", "text,label\na,x\n"), kind="documents").count("error") == 1
    with pytest.raises(ConfigError, match="check reads its files several times"):
        seqloom.check("-", kind="documents")


def test_a_folder_with_parts_is_compared_with_itself(written, tmp_path):
    for name, text in [
        ("train/pos/1", "good"),
        ("train/neg/1", "bad"),
        ("test/pos/1", "good"),
        ("test/neg/1", "worse"),
    ]:
        written(f"{name}.txt", text)
    report = seqloom.check(tmp_path)
    assert [section["title"] for section in report.to_dict()["sections"]] == ["test", "train"]
    assert [one.kind for one in report.findings if "shared" in one.kind] == ["shared examples"]


NOT_DOCUMENTS = {
    "columns.tsv": "EU\tB-ORG\nrejects\tO\n\nGerman\tB-MISC\ncall\tO\n",
    "columns.conll": "EU B-ORG\nrejects O\n",
    "words.tsv": "Wort\tword\nBaum\ttree\nHaus\thouse\n",
    "spans.jsonl": '{"text": "Ann", "label": [[0, 3, "PER"]]}\n',
    "tokens.jsonl": '{"tokens": ["Ann"], "tags": ["O"]}\n',
    "entities.jsonl": '{"text": "Ann", "entities": [], "label": "x"}\n',
    "plain.txt": "just lines\nof text\n",
    "series.csv": "time,x,y\n0.1,2,3\n0.2,3,4\n",
    "numbers.csv": "1,0.1234567890123,0.22222222222222\n2,0.1234567890123,0.22222222222222\n" * 5,
    "parallel.tsv": "".join(f"a sentence {n}, rather long\tein Satz {n}, recht lang\n" for n in range(9)),
    "set/train.txt": "a\n",
    "aligned/a.seq.in": "a\n",
    "binary.csv": b"RIFF\0\0",
    "empty.csv": "",
}
DOCUMENTS = {
    "a.csv": "text,label\na,x\nb,y\n",
    "b.tsv": "".join(f"{n % 2}\tthe text of number {n}, rather long\n" for n in range(20)),
    "c.jsonl": '{"text": "Ann", "label": "x"}\n{"text": "b", "label": ["x", "y"]}\n',
    "d.txt": "__label__x text\n__label__y text\n",
    "e/pos/1.txt": "good words",
    "e/neg/1.txt": "bad words",
    "f/pos.txt": "good words\n",
    "f/neg.txt": "bad words\n",
}


def test_only_what_cannot_be_mistaken_is_recognised(written, tmp_path):
    for name, content in {**NOT_DOCUMENTS, **DOCUMENTS}.items():
        written(name, content)
    kind = DocumentKind()
    taken = {
        name for name in {one.split("/")[0] for one in (*NOT_DOCUMENTS, *DOCUMENTS)} if kind.recognises(tmp_path / name)
    }
    assert taken == {name.split("/")[0] for name in DOCUMENTS}
    assert not kind.recognises(tmp_path / "nothing")
    assert not kind.recognises(Path("-"))


@pytest.mark.skipif("SEQLOOM_DATA" not in os.environ, reason="SEQLOOM_DATA names no folder with cls-agnews and others")
def test_real_data_are_recognised_and_others_are_not():
    data = Path(os.environ["SEQLOOM_DATA"])
    asked = kinds.checkable()
    for name in (
        "cls-agnews/test.csv.xz",
        "cls-mr",
        "cls-mr/rt-polarity",
        "cls-zh-reviews/dev.tsv.xz",
        "cls-zh-reviews",
    ):
        assert kinds.choose(asked, data / name).name == "documents", name
    tagged = ["ner-conll2003/eng.testb.xz", "slots-snips", "ner-resume-zh", "pku98-pos", "cws-pku", "ud-english-ewt"]
    for name in tagged:
        files = sorted((data / name).iterdir()) if (data / name).is_dir() else [data / name]
        assert not any(asked["documents"].recognises(file) for file in files), name
    report = seqloom.check(data / "cls-zh-reviews")
    assert [one.kind for one in report.findings if "shared" in one.kind] == []
    mixed = seqloom.check(data / "cls-mr")
    assert [one.where.rpartition(":")[2] for one in mixed.findings if one.kind == "reading"] == ["32"]
