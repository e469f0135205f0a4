"""Any format is recognised, reported and written back; real corpora have the sizes that their sources state."""

import lzma
import os
from pathlib import Path

import pytest

from seqloom.data.tagged.formats import ReadOptions, detect_format, format_sentences, read
from seqloom.errors import ConfigError, DataError

CONLLU = "\n".join("\t".join([str(i), w, "_", "X", "_", "_", "0", "root", "_", "_"]) for i, w in ((1, "a"), (2, "b")))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (CONLLU + "\n", "conllu"),
        ("# text = a b\n" + CONLLU + "\n\n", "conllu"),
        ('{"text": "a"}\n', "jsonl"),
        ("a\tX\nb\tY\n", "columns"),
        ("-DOCSTART- O\n\nEU B-ORG\n. O\n", "columns"),
        ("EU NNP B-ORG\n. . O\n\nGerman JJ B-MISC\n", "columns"),
        ("EU B\nsays O\n. O\n", "columns"),
        ("saw Ann in Ek-B\nbo O x\nwe B-X go\nwe go\n", "segmented"),
        ("我 S\n是 S\n\n人 S\n", "bmes"),
        ("我\tB\n们\tE\n", "bmes"),
        ("我们 是\n中国 人\n好\n", "segmented"),
        ("我们 是 人\n\n他们 也 是 人\n", "segmented"),
        ("我们是人\n\n好\n", "plain"),
        ("\n", "plain"),
    ],
)
def test_formats_are_recognised_and_reported(tmp_path, text, name):
    assert detect_format(text.split("\n"))[0] == name
    path = tmp_path / "t"
    path.write_text(text, encoding="utf-8")
    report = read(path).report
    assert report.format == name
    assert report.sentences == len(read(path))
    assert dict(report.rows())["format"].startswith(name)
    assert report.to_dict()["tokens"] == report.tokens


def test_the_report_counts_labels_and_spans(tmp_path):
    path = tmp_path / "t.conll"
    path.write_text("EU I-ORG\nsays O\n\nPeter I-PER\nB. I-PER\nAnn B-PER\n")
    report = read(path).report
    assert report.labels == {"I-PER": 2, "B-PER": 1, "I-ORG": 1, "O": 1}
    assert report.spans == {"PER": 2, "ORG": 1}
    assert report.scheme is not None
    assert report.to_dict()["scheme"] == "iob1"
    named = read(path, "columns", ReadOptions(scheme="bio")).report
    assert dict(named.rows())["tags"] == "bio as given; 2 places break it"
    assert dict(named.rows())["format"] == "columns (as given)"


def test_predictions_are_written_in_the_format_of_the_input(tmp_path):
    path = tmp_path / "t"
    path.write_text("EU NNP I-ORG\nsays VB O\n\n")
    sentences = read(path).sentences
    tags = [["B-ORG", "O"]]
    assert list(format_sentences(sentences, tags, "columns")) == ["EU NNP B-ORG", "says VB O", ""]
    (line,) = format_sentences(sentences, tags, "jsonl", scheme="bio")
    assert '"spans": [{"start": 0, "end": 2, "label": "ORG", "text": "EU"}]' in line
    assert next(format_sentences(sentences, [["X", "Y"]], "conllu")).split("\t")[1:4] == ["EU", "_", "X"]
    path.write_text("a b c\nb c\n")
    sentences = read(path).sentences
    assert list(format_sentences(sentences, [["X"] * 3, ["Y"] * 2], "segmented"))[4:] == ["b\tY", "c\tY", ""]
    with pytest.raises(ConfigError, match="has no place for tags"):
        format_sentences(sentences, tags, "bmes")


def test_tags_are_converted_while_they_are_read(tmp_path):
    path = tmp_path / "t.conll"
    path.write_text("EU I-ORG\nsays O\n\nPeter I-PER\nB. I-PER\nAnn B-PER\n")
    corpus = read(path, options=ReadOptions(convert="bioes"))
    assert [sentence.tags for sentence in corpus.sentences] == [("S-ORG", "O"), ("B-PER", "E-PER", "S-PER")]
    assert corpus.report.scheme is not None
    assert corpus.report.to_dict()["scheme"] == "bioes"
    assert corpus.report.scheme.reason.startswith("IOB1: ")
    assert corpus.report.scheme.reason.endswith("converted to bioes")
    assert corpus.report.spans == {"PER": 2, "ORG": 1}
    direct = read(path, options=ReadOptions(convert="direct"))
    assert [sentence.tags for sentence in direct.sentences] == [("BO", "O"), ("BN", "EN", "BN")]
    lines = format_sentences(direct.sentences, [sentence.tags or () for sentence in direct.sentences], "columns")
    path.write_text("\n".join(lines))
    assert read(path, options=ReadOptions(convert="iob1")).sentences[1].tags == ("I-PER", "I-PER", "B-PER")
    assert read(path, options=ReadOptions(convert="direct")).sentences == read(path).sentences


def test_tags_that_spell_no_spans_are_not_converted(tmp_path):
    path = tmp_path / "t.conll"
    path.write_text("a\tNN\nb\tVB\n")
    with pytest.raises(DataError, match=r"t\.conll:1: the tags spell no spans and cannot become bioes"):
        read(path, options=ReadOptions(convert="bioes"))
    with pytest.raises(ConfigError, match="not a known tagging scheme"):
        read(path, options=ReadOptions(convert="bieos"))
    path.write_text("a O\nb O\n")
    assert read(path, options=ReadOptions(convert="bioes")).sentences[0].tags == ("O", "O")
    path.write_text("a B-X\nb M-X\nc I-X\n")
    with pytest.raises(DataError, match=r"t\.conll:3: tag 'I-X' is not a tag of the scheme bmes"):
        read(path, options=ReadOptions(convert="bioes"))


def test_wrong_files_and_names_are_refused(tmp_path):
    path = tmp_path / "t"
    path.write_text("")
    with pytest.raises(DataError, match="is empty; expected sentences as columns"):
        read(path)
    assert read(path, "plain").sentences == []
    with pytest.raises(ConfigError, match="did you mean 'conllu'"):
        read(path, "conlu")


def real(name):
    folder = os.environ.get("SEQLOOM_DATA")
    path = Path(folder or "", name)
    if not folder or not path.is_file():
        pytest.skip(f"SEQLOOM_DATA names no folder with {name}")
    return path


@pytest.mark.parametrize(
    ("name", "format", "sentences", "tokens"),
    [
        ("ud-english-ewt/en_ewt-ud-dev.conllu.xz", "conllu", 2_001, 25_147),
        ("ud-english-ewt/en_ewt-ud-test.conllu.xz", "conllu", 2_077, 25_094),
        ("ud-chinese/zh-ud-dev.conll.xz", "conllu", 500, 12_663),
        ("ud-chinese/zh-ud-test.conll.xz", "conllu", 500, 12_012),
        ("ner-conll2003/eng.testb.xz", "columns", 3_453, 46_435),
        ("ner-resume-zh/dev.char.bmes.xz", "columns", 463, 13_890),
    ],
)
def test_real_corpora_have_their_stated_sizes_and_come_back_unchanged(name, format, sentences, tokens):
    path = real(name)
    corpus = read(path)
    assert (corpus.report.format, corpus.report.sentences, corpus.report.tokens) == (format, sentences, tokens)
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        text = stream.read()
    assert (
        "\n".join(format_sentences(corpus.sentences, [s.tags or () for s in corpus.sentences], format)) + "\n" == text
    )


def test_real_entities_are_counted_as_in_the_paper():
    report = read(real("ner-conll2003/eng.testb.xz")).report
    assert report.spans == {"LOC": 1668, "ORG": 1661, "PER": 1617, "MISC": 702}
    assert report.documents == 231
    assert report.to_dict()["scheme"] == "iob1"


def test_real_words_are_counted_as_stated():
    report = read(real("cws-pku/pku_test_gold.utf8.xz")).report
    assert (report.format, report.tokens) == ("segmented", 104_372)


@pytest.mark.parametrize("broken", ["rejects", "rejects O X"])
def test_a_broken_line_of_a_short_column_file_is_named_and_makes_no_lines_of_words(tmp_path, broken):
    (tmp_path / "t").write_text(f"EU B-ORG\n{broken}\nGerman B-MISC\n\nPeter B-PER\nsaw O\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"t:2: .* expected 2 .*; the line is '{broken}'"):
        read(tmp_path / "t")
