"""The check finds each planted trouble, at its line, and says nothing about clean files."""

import gzip
import hashlib
import json

import pytest

from seqloom.data.tagged.check import check
from seqloom.data.tagged.formats import ReadOptions
from seqloom.errors import ConfigError, DataError

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
        ("Ada\tB-PRE\n", "error", "labels", "dev:1", "'B-PRE' (once in dev) does not occur in the training file; did you"),
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
        (b"caf\xe9\tB-PER\n", "error", "reading", "dev:1", "byte 0xE9 at offset 3 is not utf-8; if the file"),
        ("\ufeffEU\tB-ORG\na\tO\n", "note", "byte-order mark", "dev:1", "begins with a byte-order mark, which is left out"),
        ("a\tO\r\nb\tB-PER\r\n", "note", "line ends", "dev", "the lines end in \\r\\n"),
        ("a\tB-X\nb\tM-X\nc\tE-X\nd\tI-X\n", "error", "schemes", "dev:4", "letters B, E, I, M belong to no one scheme"),
        ("a\tO\nb\tI-X\n\n" * 3 + "c\tB-X\n\n" * 9, "warning", "schemes", "dev", "3 places break the scheme bio, for 12 spans"),
        ("# intent = X\na\tO\nb\tB-PER\n\nc\tO\n", "warning", "labels", "dev:5", "1 sentences have no label"),
    ],
)  # fmt: skip
def test_each_trouble_is_found_at_its_place(files, dev, severity, kind, where, message):
    report = check(files(train=CLEAN, dev=dev))
    matching = [place for place, text in found(report, severity, kind) if message in text]
    assert matching == [where]
    assert report.is_usable == (report.count("error") == 0)


def test_a_byte_order_mark_and_foreign_line_ends_change_nothing(files):
    plain = check(files(train=CLEAN))
    marked = check(files(train="\ufeff" + CLEAN.replace("\n", "\r\n")))
    assert marked.corpora == plain.corpora
    assert marked.is_usable


def test_labels_of_sentences_that_training_has_not_seen_are_errors(files):
    train = "# intent = Play\na\tO\nb\tB-X\n\n# intent = Ask\nb\tO\n"
    report = check(files(train=train, dev="# intent = Aks\na\tO\nb\tB-X\n"))
    (where, message) = found(report, "error", "labels")[0]
    assert (where, message) == (
        "dev:2",
        "sentence label 'Aks' (once in dev) does not occur in the training file; did you mean 'Ask'?",
    )
    assert report.to_dict()["corpora"]["train"]["sentence_labels"] == {"Ask": 1, "Play": 1}


def test_three_files_are_checked_as_one(files, tmp_path):
    parts = {"train.seq.in": "play jazz\n", "train.seq.out": "O B-genre\n", "train.label": "Play\n"}
    files(**parts)
    report = check({"train": tmp_path / "train"})
    assert report.is_usable
    assert report.corpora["train"].format == "aligned"
    assert report.checksums["train"] == hashlib.sha256("".join(parts.values()).encode()).hexdigest()
    files(**{"train.seq.in": "play jazz\x07\n"})
    assert found(check({"train": tmp_path / "train"}), "warning", "control characters")[0][0] == "train.seq.in:1"
    files(**{"train.seq.out": "O\n"})
    broken = check({"train": tmp_path / "train"})
    assert found(broken, "error", "reading")[0][0] == "train.seq.out:1"
    (tmp_path / "train.label").unlink()
    missing = check({"train": tmp_path / "train"})
    assert "train.label: there is no such file" in "".join(found(missing, "error", "reading")[0])


def test_the_coverage_of_word_vectors_counts_each_way_of_looking_up(files, tmp_path):
    vectors = tmp_path / "vectors"
    vectors.write_text("EU 1 2\nsays 1 2\nada 1 2\nx0 1 2\n")
    report = check(files(train=CLEAN + "\nX1\tO\n"), embeddings=vectors)
    assert report.coverage is not None
    assert (report.coverage.exact, report.coverage.lower, report.coverage.digits) == (2, 1, 1)
    assert report.to_dict()["embeddings"]["missing"] == 2
    with pytest.raises(DataError, match="no such file"):
        check(files(train=CLEAN), embeddings=tmp_path / "nothing")


def test_a_damaged_archive_is_a_finding(tmp_path):
    (tmp_path / "train.gz").write_bytes(gzip.compress(CLEAN.encode())[:-12])
    report = check({"train": tmp_path / "train.gz"})
    assert [(where, message[:10]) for where, message in found(report, "error", "reading")] == [
        ("train.gz", "is damaged")
    ]


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
