"""The check finds each planted trouble, at its line, and says nothing about clean files."""

import json

import pytest

from seqloom.data.check import check
from seqloom.data.formats import ReadOptions
from seqloom.errors import ConfigError

CLEAN = "EU\tB-ORG\nsays\tO\n\nAda\tB-PER\nLee\tI-PER\n.\tO\n"


@pytest.fixture
def files(tmp_path):
    def write(**contents):
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return {name: tmp_path / name for name in contents}

    return write


def found(report, severity, kind):
    return [
        (f.where.rpartition("/")[2], f.message) for f in report.findings if (f.severity, f.kind) == (severity, kind)
    ]


def test_clean_files_have_notes_only(files):
    report = check(files(train=CLEAN, dev="Ada\tB-PER\nsays\tO\n"))
    assert report.is_usable
    assert {finding.severity for finding in report.findings} == {"note"}
    assert report.corpora["train"].tokens == 5
    assert len(report.checksums["dev"]) == 64
    assert json.loads(json.dumps(report.to_dict()))["corpora"]["train"]["spans"] == {"ORG": 1, "PER": 1}
    assert all(len(row) == 3 for row in report.rows())


@pytest.mark.parametrize(
    ("dev", "severity", "kind", "where", "message"),
    [
        ("Ada\tB-PRE\n", "error", "labels", "dev:1", "'B-PRE' (1 times in dev) does not occur in the training file; did you"),
        ("a\tO\nb\tB-PER\nc\tI-ORG\n", "warning", "illegal tags", "dev:3", "'I-ORG' continues no span of 'ORG'"),
        ("a\tI-PER\nb\tO\n", "error", "schemes", "train", "mixed schemes: train bio, dev iob1"),
        ("a\tN\nb\tV\n", "warning", "schemes", "dev", "spell no spans"),
        ("a\tO\nb\tO\n", "error", "labels", "dev", "no label but O exists"),
        ("a\tO\nEU\n", "error", "reading", "dev:2", "1 column, expected 2"),
        ("", "error", "reading", "dev", "is empty"),
        ("EU\tB-ORG\nsays\tO\n", "warning", "repeated sentences", "dev:1", "1 sentence (100.0 %) of dev shared"),
        ("a\tO\nb\tB-PER\n\na\tO\nb\tB-PER\n", "note", "repeated sentences", "dev:4", "stands at"),
        ("x\tB-PER\n", "warning", "unknown tokens", "dev", "1 tokens of dev (100.00 %)"),
        ("ＥＵ\tB-PER\n", "warning", "widths", "dev:1", "2 characters of dev (ＥＵ)"),
        ("a\x07\tB-PER\n", "warning", "control characters", "dev:1", "U+0007 at character 2: a control character"),
        ("a\tO\nb\ufeff\tB-PER\n", "warning", "control characters", "dev:2", "byte-order mark inside"),
        ("a\tO\r\nb\tB-PER\n", "note", "line ends", "dev", "1 lines end in \\r\\n and 1 in \\n"),
        ("a\tO\n" * 1001 + "b\tB-PER\n", "warning", "long sentences", "dev:1", "1,002 tokens in one sentence"),
        ("é\tO\n".encode() + b"\xe9\tB-PER\n", "error", "encoding", "dev:2", "1 of 2 lines"),
        (b"\xe9\tB-PER\n", "error", "encoding", "dev:1", "none of the 1 lines"),
    ],
)  # fmt: skip
def test_each_trouble_is_found_at_its_place(files, dev, severity, kind, where, message):
    report = check(files(train=CLEAN, dev=dev))
    matching = [place for place, text in found(report, severity, kind) if message in text]
    assert matching == [where]
    assert report.is_usable == (report.count("error") == 0)


def test_findings_are_limited_and_the_rest_counted(files):
    report = check(files(train="a\tB-X\nb\tI-X\n\n" * 20 + "c\tI-X\nc\tO\n\n" * 9), limit=3)
    kept = found(report, "warning", "illegal tags")
    assert len(kept) == 4
    assert kept[-1] == ("train:85", "6 more of this kind, the last one here")


def test_misaligned_spans_are_all_listed(files):
    line = '{"text": "New Yorkers", "spans": [[0, 8, "LOC"], [0, 3, "X"]]}\n'
    report = check(files(train=line * 2), options=ReadOptions(on_misaligned="error"))
    places = [where for where, _ in found(report, "error", "misaligned")]
    assert places == ["train:1", "train:2"]


def test_empty_lines_matter_where_they_are_sentences(files):
    report = check(files(train="我 是\n\n人\n"))
    assert found(report, "note", "empty lines") == [("train:2", "empty lines: 1, each an empty sentence")]
    assert found(check(files(train=CLEAN)), "note", "empty lines") == []


def test_a_missing_file_is_a_finding_and_no_file_a_mistake(files, tmp_path):
    report = check({**files(train=CLEAN), "dev": tmp_path / "trian"})
    assert "did you mean 'train'" in found(report, "error", "reading")[0][1]
    assert set(report.corpora) == {"train"}
    for paths in ({}, {"train": "-"}):
        with pytest.raises(ConfigError, match="several times"):
            check(paths)
