"""The verb convert: schemes there and back without a loss, formats with the same spans, mistakes in one sentence."""

import json
import lzma
import os
from pathlib import Path

import pytest

from seqloom.app.main import main
from seqloom.data.tagged.formats import read
from seqloom.data.tagged.schemes import spans_from

TEXT = """-DOCSTART- -X- O O

# intent = Say
Ann  NNP B-NP I-PER
Lee  NNP B-NP B-PER
saw  VBD B-VP O

New  NNP B-NP I-LOC
York NNP I-NP I-LOC

"""


def written(capsys, *arguments):
    status = main(["convert", *map(str, arguments)])
    streams = capsys.readouterr()
    return status, streams.out, streams.err


@pytest.fixture
def data(tmp_path):
    (tmp_path / "t.conll").write_text(TEXT, encoding="utf-8")
    return tmp_path / "t.conll"


@pytest.mark.parametrize("scheme", ["bio", "bioes", "bilou", "bmes", "direct"])
def test_schemes_change_and_change_back_and_all_else_stays(data, tmp_path, capsys, scheme):
    status, there, told = written(capsys, data, "--to-scheme", scheme)
    assert status == 0
    assert "IOB1" in told
    assert [line.rsplit(" ", 1)[0] for line in there.split("\n")] == [
        line.rsplit(" ", 1)[0] for line in TEXT.split("\n")
    ]
    other = tmp_path / "other.conll"
    other.write_text(there, encoding="utf-8")
    assert written(capsys, other, "--to-scheme", "iob1", "--scheme", scheme)[1] == TEXT


@pytest.mark.parametrize("format", ["columns", "conllu", "jsonl", "slashed"])
def test_another_format_has_the_same_spans_and_labels(data, tmp_path, capsys, format):
    other = tmp_path / "other"
    other.write_text(written(capsys, data, "--to-format", format)[1], encoding="utf-8")
    before, after = read(data), read(other)
    assert [list(one.tokens) for one in after.sentences] == [list(one.tokens) for one in before.sentences]
    spans = [spans_from(one.tags, after.report.scheme.scheme) for one in after.sentences]
    assert spans == [spans_from(one.tags, before.report.scheme.scheme) for one in before.sentences]
    if format != "slashed":  # which has no place for it
        assert [one.label for one in after.sentences] == ["Say", None]


def test_characters_become_a_text_without_spaces(tmp_path, capsys):
    (tmp_path / "t").write_text("李 B-PER\n明 E-PER\n说 O\n", encoding="utf-8")
    status, found, _ = written(capsys, tmp_path / "t", "--to-format", "jsonl", "--tokens", "characters")
    assert status == 0
    assert json.loads(found) == {"text": "李明说", "spans": [{"start": 0, "end": 2, "label": "PER", "text": "李明"}]}


def test_tags_that_break_their_scheme_are_mended_and_told(tmp_path, capsys):
    (tmp_path / "t").write_text("Ann B-PER\nLee I-PER\n\nsaw O\nBo I-PER\n\n", encoding="utf-8")
    _, found, told = written(capsys, tmp_path / "t", "--scheme", "bio")
    assert found == "Ann B-PER\nLee I-PER\n\nsaw O\nBo B-PER\n\n"
    assert "1 sentence broke the scheme" in told


def test_a_stated_scheme_is_kept_to(data, capsys):
    _, found, told = written(capsys, data, "--scheme", "bio")
    assert "bio as given; 2 places break it" in told
    assert found == TEXT.replace("Ann  NNP B-NP I-PER", "Ann  NNP B-NP B-PER").replace(
        "NNP B-NP I-LOC", "NNP B-NP B-LOC"
    )


def test_joint_tokens_are_characters_in_every_format(tmp_path, capsys):
    (tmp_path / "t").write_text("他/PN 喜欢/VV\n", encoding="utf-8")
    found = {
        format: written(capsys, tmp_path / "t", "--tokens", "joint", "--to-format", format)[1]
        for format in ("same", "columns", "jsonl")
    }
    assert found["same"] == "他/S-PN 喜/B-VV 欢/E-VV\n"
    assert found["columns"] == "他\tS-PN\n喜\tB-VV\n欢\tE-VV\n\n"
    assert json.loads(found["jsonl"])["text"] == "他喜欢"
    assert written(capsys, tmp_path / "t", "--tokens", "joint", "--to-scheme", "bio")[1] == "他/B-PN 喜/B-VV 欢/I-VV\n"


def test_the_spaces_of_a_text_stand_in_conllu(tmp_path, capsys):
    (tmp_path / "t").write_text('{"text": "Ann left Rome.", "spans": [[9, 13, "LOC"]]}\n', encoding="utf-8")
    (tmp_path / "u").write_text(written(capsys, tmp_path / "t", "--to-format", "conllu")[1], encoding="utf-8")
    back = json.loads(written(capsys, tmp_path / "u", "--to-format", "jsonl")[1])
    assert back == {"text": "Ann left Rome.", "spans": [{"start": 9, "end": 13, "label": "LOC", "text": "Rome"}]}


@pytest.mark.parametrize(
    ("text", "arguments", "complaint"),
    [
        ("a DET\n\nb NOUN\n\n", ["--to-scheme", "bio"], "the tags spell no spans and cannot become bio"),
        ("a B-X\nb I-X\nc M-X\n\nd O\n", [], ":2: tag 'I-X' is not a tag of the scheme bmes"),
        ("a\u3000b\tX\n\n", ["--to-format", "slashed"], "with the tag 'X' cannot be written as slashed"),
        ("Ann B-PER\n\n", ["--to-scheme", "bios"], "did you mean"),
        (
            "we go home\nyou stay here\n",
            ["--to-format", "columns"],
            ":1: the sentence has no tags to convert; the file",
        ),
        ("Ann B-PER\nsaw O\nLee\n\n", [], ":3: 1 column"),
    ],
)
def test_what_cannot_be_converted_is_told_in_one_sentence(tmp_path, capsys, text, arguments, complaint):
    (tmp_path / "t").write_text(text, encoding="utf-8")
    status, found, told = written(capsys, tmp_path / "t", *arguments)
    assert (status, found) == (2, "")
    assert complaint in told.splitlines()[-1]


def test_a_real_corpus_comes_back_byte_for_byte(tmp_path, capsys):
    file = Path(os.environ.get("SEQLOOM_DATA", "")) / "ner-conll2003" / "eng.testb.xz"
    if "SEQLOOM_DATA" not in os.environ or not file.exists():
        pytest.skip("SEQLOOM_DATA names no folder with ner-conll2003/eng.testb.xz")
    other = tmp_path / "bioes"
    other.write_text(written(capsys, file, "--to-scheme", "bioes")[1], encoding="utf-8")
    with lzma.open(file, "rt", encoding="utf-8") as whole:
        assert written(capsys, other, "--to-scheme", "iob1")[1] == whole.read()
