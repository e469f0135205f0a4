"""Column files: read as they are, written back as they were."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.columns import format_columns, parse_columns, read_columns
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError, DataError

GOLDEN = """\
-DOCSTART- -X- O O

EU NNP I-NP I-ORG
#  NN  I-NP O
. . O O

Peter NNP I-NP I-PER


-DOCSTART- -X- O O

# NN I-NP O

"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "t.conll"
        path.write_bytes(text.encode())
        return path

    return write


def test_golden_file(file):
    path = file(GOLDEN)
    first, second, third = read_columns(path, tag=3)
    assert first.tokens == ("EU", "#", ".")
    assert first.tags == ("I-ORG", "O", "O")
    assert (first.line, first.document, first.where(2)) == (3, 1, f"{path}:5")
    assert (second.tokens, second.line, second.document) == (("Peter",), 7, 1)
    assert (third.tokens, third.line, third.document) == (("#",), 12, 2)
    assert [sentence.tags for sentence in read_columns(path, tag=None)] == [None] * 3
    assert [sentence.tokens[0] for sentence in read_columns(path, text=1, tag=2)] == ["NNP", "NNP", "NN"]


def test_the_file_comes_back_as_it_was_but_for_the_tags(file):
    sentences = list(read_columns(file(GOLDEN)))
    kept = "\n".join(format_columns(sentences, [sentence.tags for sentence in sentences]))
    assert kept + "\n" == GOLDEN
    other = "\n".join(format_columns(sentences, [["X"] * len(sentence) for sentence in sentences], tag=3))
    assert "EU NNP I-NP X\n#  NN  I-NP X\n" in other
    assert other.startswith("-DOCSTART- -X- O O\n\n")
    added = list(format_columns(sentences, [["X"] * len(sentence) for sentence in sentences], tag=None))
    assert added[3] == "#  NN  I-NP O X"


field = st.text(st.characters(exclude_characters="\t\n\r ", exclude_categories=["Cs"]), min_size=1, max_size=4)
table = st.lists(st.lists(st.tuples(field, field, field), min_size=1, max_size=4), min_size=1, max_size=4)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table, st.sampled_from(["\t", " ", "  "]))
def test_any_fields_survive_reading_and_writing(file, sentences, separator):
    text = "\n\n".join("\n".join(separator.join(row) for row in rows) for rows in sentences) + "\n"
    if text.startswith("\ufeff") or any(row[0].startswith(("#", "-DOCSTART-")) for rows in sentences for row in rows):
        return
    found = list(read_columns(file(text), text=0, tag=2))
    assert [sentence.tokens for sentence in found] == [tuple(row[0] for row in rows) for rows in sentences]
    assert [sentence.tags for sentence in found] == [tuple(row[2] for row in rows) for rows in sentences]
    assert "\n".join(format_columns(found, [s.tags for s in found], tag=2)) + "\n" == text


def test_tokens_with_spaces_stand_between_tabs(file):
    (sentence,) = read_columns(file("New York\tB-LOC\r\n\u3000\tO\r\n"))
    assert sentence.tokens == ("New York", "\u3000")


def test_comments_before_a_sentence_are_kept(file):
    text = "# id = 1\na\tX\n\n# second\nb\tY\n#\tX\n"
    sentences = list(read_columns(file(text)))
    assert [sentence.tokens for sentence in sentences] == [("a",), ("b", "#")]
    assert "\n".join(format_columns(sentences, [["X"], ["Y", "X"]])) + "\n" == text


INTENTS = """\
-DOCSTART- X O

# id = 1
# intent = Play Music
play VB O
jazz NN B-genre

#intent=GetWeather
rain NN O

# NN O

"""


def test_an_intent_before_a_sentence_is_its_label(file):
    sentences = list(read_columns(file(INTENTS)))
    assert [sentence.label for sentence in sentences] == ["Play Music", "GetWeather", None]
    tags = [sentence.tags for sentence in sentences]
    assert "\n".join(format_columns(sentences, tags)) + "\n" == INTENTS
    others = [replace(sentence, label=label) for sentence, label in zip(sentences, "ABC", strict=True)]
    lines = list(format_columns(others, tags))
    assert lines == [
        "-DOCSTART- X O", "", "# id = 1", "# intent = A", "play VB O", "jazz NN B-genre", "",
        "# intent = B", "rain NN O", "", "# intent = C", "# NN O", "",
    ]  # fmt: skip
    (again,) = read_columns(file("\n".join(format_columns([Sentence(("a",), label="A")], [["X"]]))))
    assert (again.tokens, again.label) == (("a",), "A")


def test_an_intent_is_a_comment_in_files_of_as_many_columns_too(file):
    first, second = read_columns(file("a b c O\n\n# intent = X\n# b c O\n"))
    assert (first.label, second.label, second.tokens) == (None, "X", ("#",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tX\nEU\n", r"t\.conll:2: 1 column, expected 2 \(token, tag\) separated by a tab; the line is 'EU'"),
        ("a\tX\nNew York\n", r"t\.conll:2: 1 column, expected 2 \(token, tag\) separated by a tab"),
        ("a b c X\na X\n", r"t\.conll:2: 2 columns, expected 4 as in line 1 separated by spaces"),
        ("EU\n", r"t\.conll:1: 1 column, expected 2 \(token, tag\)"),
        ("\tX\n", r"t\.conll:1: the token's column is empty"),
        ("a\t\n", r"t\.conll:1: the tag's column is empty"),
        ("\n\n", r"has no sentences; expected columns"),
        ("", r"is empty; expected columns"),
        ("# intent =\na X\n", r"t\.conll:1: the intent is empty"),
        ("a X\n\n# intent = A\n# intent = B\na X\n", r"t\.conll:4: the sentence has the intent 'A' already"),
    ],
)
def test_wrong_lines_are_named(file, text, message):
    with pytest.raises(DataError, match=message):
        list(read_columns(file(text)))


def test_columns_as_people_write_them():
    assert parse_columns("text=1, tag=-1") == {"text": 1, "tag": -1}
    for wrong in ("text", "text=x", "tag=1", ""):
        with pytest.raises(ConfigError, match="expected such as text=0"):
            parse_columns(wrong)


def test_the_number_of_tags_must_match(file):
    sentences = list(read_columns(file("a\tX\n")))
    with pytest.raises(ValueError, match="2 tags for 1 tokens"):
        list(format_columns(sentences, [["X", "Y"]]))
