"""Words with tags and joint tags of characters say the same, in every format that words and tags come in."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.formats import ReadOptions, format_sentences, read
from seqloom.data.tagged.joint import character_sentence, joint_tags, joint_words
from seqloom.data.tagged.legality import detect_scheme, illegal_tags
from seqloom.data.tagged.schemes import SCHEMES, spans_from
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError

JOINT = ReadOptions(tokens="joint")
CONLLU = (
    "# sent_id = 1\n# intent = Ask\n1-2\t中国人\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n"
    "1\t中国\t_\tPROPN\tNR\t_\t2\tnmod\t_\t_\n2\t人\t_\tNOUN\tNN\t_\t0\troot\t_\t_\n"
    "3\t好\t_\tADJ\tJJ\t_\t2\tdep\t_\tSpaceAfter=No\n\n"
)

pairs = st.lists(
    st.tuples(st.text("中国人民/", min_size=1, max_size=5), st.sampled_from(["n", "-LRB-", "Ng", "O"])), max_size=8
)


@settings(deadline=None)
@given(pairs)
def test_joint_tags_are_the_words_and_their_tags(row):
    words, tags = [word for word, _ in row], [tag for _, tag in row]
    joint = joint_tags(words, tags)
    assert joint_words("".join(words), joint) == (words, tags)
    assert illegal_tags(joint, "bmes") == []
    borders = [sum(map(len, words[:index])) for index in range(len(words) + 1)]
    assert [tuple(span) for span in spans_from(joint, "bmes")] == list(zip(borders, borders[1:], tags, strict=False))
    assert detect_scheme([joint]).scheme is (SCHEMES["bmes"] if row else None)


@settings(deadline=None)
@given(st.data(), st.text("中国人民", max_size=8))
def test_any_joint_tags_cut_the_text_into_words(data, text):
    names = [letter + "-" + tag for letter in "BMES" for tag in "nv"]
    tags = data.draw(st.lists(st.sampled_from(names), min_size=len(text), max_size=len(text)))
    words, labels = joint_words(text, tags)
    assert "".join(words) == text
    assert len(words) == len(labels)


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "t"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("中国/nr 人/n\n\n好/a\n", "slashed"),
        ("中国\tnr\n人\tn\n\n好\ta\n\n", "columns"),
        ("-DOCSTART-\tx\n\n# intent = Ask\n中国\tnr\n人\tn\n\n好\ta\n\n", "columns"),
    ],
)
def test_files_of_words_become_characters_and_come_back(file, text, format):
    corpus = read(file(text), options=JOINT)
    filled = [sentence for sentence in corpus.sentences if len(sentence)]
    assert [(s.tokens, s.tags) for s in filled] == [("中国人", ("B-nr", "E-nr", "S-n")), ("好", ("S-a",))]
    assert corpus.report.spans == {"a": 1, "n": 1, "nr": 1}
    assert corpus.report.scheme is not None
    assert corpus.report.scheme.scheme is SCHEMES["bmes"]
    tags = [sentence.tags or () for sentence in corpus.sentences]
    assert "\n".join(format_sentences(corpus.sentences, tags, format, JOINT)) + "\n" == text


def test_conllu_becomes_characters_and_other_words(file):
    path = file(CONLLU)
    (sentence,) = read(path, options=JOINT).sentences
    assert sentence.tokens == "中国人好"
    assert sentence.tags == ("B-PROPN", "E-PROPN", "S-NOUN", "S-ADJ")
    assert sentence.space_after == (False, False, False, False)
    assert (sentence.where(1), sentence.where(3), sentence.label) == (f"{path}:4", f"{path}:6", "Ask")
    assert read(path, options=ReadOptions(tokens="joint", tag="xpos")).sentences[0].tags == (
        "B-NR",
        "E-NR",
        "S-NN",
        "S-JJ",
    )
    tags = ["B-NOUN", "M-NOUN", "E-NOUN", "S-ADJ"]
    lines = list(format_sentences([sentence], [tags], "conllu", JOINT, labels=["Tell"]))
    assert lines[:2] == ["# sent_id = 1", "# intent = Tell"]
    assert lines[2].split("\t") == ["1", "中国人", "_", "NOUN", "_", "_", "_", "_", "_", "SpaceAfter=No"]
    (again,) = read(file("\n".join(lines)), options=JOINT).sentences
    assert (again.tokens, list(again.tags or ()), again.label) == (sentence.tokens, tags, "Tell")


def test_json_lines_become_characters_and_hold_the_words_as_spans(file):
    records = [{"text": "中国 人", "words": ["中国", "人"], "tags": ["NR", "NN"]}, {"tokens": ["好"], "tags": ["JJ"]}]
    sentences = read(file("\n".join(map(json.dumps, records))), options=JOINT).sentences
    assert [(s.tokens, s.tags) for s in sentences] == [("中国人", ("B-NR", "E-NR", "S-NN")), ("好", ("S-JJ",))]
    assert sentences[0].offsets == ((0, 1), (1, 2), (3, 4))
    tags = [sentence.tags or () for sentence in sentences]
    first, _ = (json.loads(line) for line in format_sentences(sentences, tags, "jsonl", JOINT, "bmes"))
    assert [(span["text"], span["label"], span["start"]) for span in first["spans"]] == [
        ("中国", "NR", 0),
        ("人", "NN", 3),
    ]
    text = {"text": "中国人", "spans": [[0, 2, "NR"], [2, 3, "NN"]]}
    (again,) = read(file(json.dumps(text)), options=JOINT).sentences
    assert (again.tokens, again.tags) == ("中国人", ("B-NR", "E-NR", "S-NN"))


def test_text_without_tags_is_read_as_characters(file):
    for text, format in (("中国人\n好\n", "plain"), ("中国 人\n好\n", "segmented")):
        sentences = read(file(text), options=JOINT).sentences
        assert [(s.tokens, s.tags) for s in sentences] == [("中国人", None), ("好", None)]
        assert list(format_sentences(sentences, [["B-n", "E-n", "S-v"], ["S-a"]], format, JOINT)) == [
            "中国/n 人/v",
            "好/a",
        ]
    untagged = "1\t中国\t_\t_\t_\t_\t_\t_\t_\t_\n"
    assert read(file(untagged), options=JOINT).sentences[0].tags is None
    (characters,) = read(file("中 国\n"), options=ReadOptions(tokens="characters")).sentences
    assert characters.tokens == "中 国"


def test_wrong_tags_are_refused(file):
    with pytest.raises(
        DataError, match=r"t:2: tag 'B-PER' spells a span and is no tag of a word.*leave the option tokens"
    ):
        read(file("he\tO\nAda\tB-PER\n"), options=JOINT)
    with pytest.raises(ValueError, match=r"tags\[1\] is 'O'; expected the place in a word"):
        joint_words("ab", ["S-n", "O"])
    with pytest.raises(ValueError, match="1 tags for 2 characters"):
        joint_words("ab", ["S-n"])
    unchanged = Sentence("ab", ("B-n", "E-n"))
    assert character_sentence(unchanged) is unchanged


@pytest.mark.parametrize(
    ("name", "words", "tags"),
    [
        ("ud-chinese/zh-ud-test.conll.xz", 12_012, 15),
        pytest.param("pku98-pos/199801.txt.xz", 1_121_447, 44, marks=pytest.mark.slow),
    ],
)
def test_real_words_survive_as_characters(name, words, tags):
    folder = os.environ.get("SEQLOOM_DATA")
    path = Path(folder or "", name)
    if not folder or not path.is_file():
        pytest.skip(f"SEQLOOM_DATA names no folder with {name}")
    plain, joint = read(path), read(path, options=JOINT)
    assert (plain.report.tokens, len(plain.report.labels)) == (words, tags)
    assert joint.report.spans == plain.report.labels
    assert joint.report.scheme is not None
    assert joint.report.scheme.conflicts == 0
    for one, other in zip(plain.sentences[-3000:], joint.sentences[-3000:], strict=True):
        assert joint_words(other.tokens, other.tags or ()) == (list(one.tokens), list(one.tags or ()))
