"""Three files of equal length are one file of sentences; where they disagree, file and line are named."""

import gzip
import hashlib
import lzma
import os
from pathlib import Path

import pytest

from seqloom.data.files import checksum
from seqloom.data.tagged.aligned import read_aligned
from seqloom.data.tagged.formats import format_sentences, read, read_lines
from seqloom.errors import ConfigError, DataError

GOLDEN = {"seq.in": "play jazz \nwill it rain\n", "seq.out": "O B-genre \nO O O\n", "label": "PlayMusic\nGetWeather\n"}


@pytest.fixture
def prefix(tmp_path):
    def write(pack=bytes, suffix="", separator=".", **changed):
        if separator == "/":
            (tmp_path / "train").mkdir()
        for name, content in (GOLDEN | {key.replace("_", "."): text for key, text in changed.items()}).items():
            if content is not None:
                (tmp_path / f"train{separator}{name}{suffix}").write_bytes(pack(content.encode()))
        return tmp_path / "train"

    return write


@pytest.mark.parametrize(
    ("pack", "suffix", "separator"),
    [(bytes, "", "."), (gzip.compress, ".gz", "."), (lzma.compress, ".xz", "."), (bytes, "", "/")],
)
def test_tokens_tags_and_labels_are_brought_together(prefix, pack, suffix, separator):
    path = prefix(pack, suffix, separator)
    corpus = read(path)
    first, second = corpus.sentences
    assert (first.tokens, first.tags, first.label) == (("play", "jazz"), ("O", "B-genre"), "PlayMusic")
    assert (second.tokens, second.label) == (("will", "it", "rain"), "GetWeather")
    assert second.where().endswith(f"train{separator}seq.out{suffix}:2")
    report = corpus.report
    assert (report.format, report.sentence_labels) == ("aligned", {"GetWeather": 1, "PlayMusic": 1})
    assert dict(report.rows())["sentence labels"] == "GetWeather 1, PlayMusic 1"
    assert read(path, "aligned").report.reason == "as given"


def test_the_checksum_is_that_of_the_three_files_together(prefix):
    assert checksum(prefix()) == hashlib.sha256("".join(GOLDEN.values()).encode()).hexdigest()


def test_predictions_become_columns_with_the_intent_in_a_comment(prefix, tmp_path):
    sentences = read(prefix()).sentences
    lines = format_sentences(sentences, [["B-x", "O"], ["O"] * 3], "aligned", labels=["A", "B"])
    other = tmp_path / "x.conll"
    other.write_text("\n".join(lines) + "\n")
    assert other.read_text().startswith("# intent = A\nplay\tB-x\njazz\tO\n\n# intent = B\nwill\tO\n")
    again = read(other).sentences
    assert [(s.tokens, s.label) for s in again] == [(("play", "jazz"), "A"), (("will", "it", "rain"), "B")]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seq_out": "O B-genre\n"}, r"train\.seq\.out:2: the file ends after 1 lines, \S+train\.seq\.in goes on"),
        ({"seq_in": "play jazz\n"}, r"train\.seq\.in:2: the file ends after 1 lines, \S+train\.seq\.out goes on"),
        (
            {"label": "PlayMusic\nGetWeather\nX\n"},
            r"train\.seq\.in:3: the file ends after 2 lines, \S+train\.label goes on",
        ),
        (
            {"seq_out": "O B-genre\nO O\n"},
            r"train\.seq\.out:2: 2 tags for 3 tokens in \S+train\.seq\.in:2; expected a tag",
        ),
        ({"seq_out": "O\nO O O\n"}, r"train\.seq\.out:1: 1 tag for 2 tokens"),
        ({"label": "PlayMusic\n\n"}, r"train\.label:2: the label is empty"),
        ({"label": ""}, r"train\.label is empty; expected one line for each sentence"),
        ({"label": None}, r"train\.label: there is no such file beside \S+train\.seq\.in; all three are needed"),
    ],
)
def test_disagreement_is_named(prefix, changed, message):
    with pytest.raises(DataError, match=message):
        read(prefix(**changed))


def test_lines_that_are_empty_in_all_files_are_no_sentences(prefix):
    assert len(read(prefix(**{name.replace(".", "_"): text + "\n" for name, text in GOLDEN.items()}))) == 2


def test_other_names_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read(tmp_path / "train")
    with pytest.raises(DataError, match=r"there are no files \S+train\.seq\.in"):
        read_aligned(tmp_path / "train")
    file = tmp_path / "x"
    file.write_text("a b\n")
    with pytest.raises(DataError, match="there are no files"):
        read(file, "aligned")
    with pytest.raises(ConfigError, match="is three files"):
        read_lines([], "x", "aligned")


def test_real_queries_have_their_stated_sizes():
    folder = os.environ.get("SEQLOOM_DATA")
    path = Path(folder or "", "slots-snips")
    if not folder or not path.is_dir():
        pytest.skip("SEQLOOM_DATA names no folder with slots-snips")
    report = read(path / "train").report
    assert (report.format, report.sentences, len(report.sentence_labels), len(report.labels)) == (
        "aligned",
        13_084,
        7,
        72,
    )
    assert len(report.spans) == 39
    assert report.scheme is not None
    assert (report.to_dict()["scheme"], report.scheme.conflicts) == ("bio", 0)
    assert [read(path / split).report.sentences for split in ("valid", "test")] == [700, 700]
