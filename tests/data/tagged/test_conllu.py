"""CoNLL-U: what are tokens, what is not, and all of it written back."""

import pytest

from seqloom.data.tagged.conllu import format_conllu, read_conllu
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError, DataError


def row(identity, form, upos="X", misc="_", xpos="Y"):
    return f"{identity}\t{form}\t_\t{upos}\t{xpos}\t_\t_\t_\t_\t{misc}"


GOLDEN = "\n".join(
    [
        "# newdoc id = one",
        "# text = I didn't!",
        row(1, "I", "PRON"),
        row("2-3", "didn't", "_", "SpaceAfter=No"),
        row(2, "did", "AUX"),
        row(3, "n't", "PART"),
        row("3.1", "go", "VERB"),
        row(4, "!", "PUNCT", "Typo=Yes|SpaceAfter=No"),
        "",
        "# text = New York",
        row(1, "New York", "PROPN"),
        "",
        "",
    ]
)


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "t.conllu"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_golden_file(file):
    path = file(GOLDEN)
    first, second = read_conllu(path)
    assert first.tokens == ("I", "did", "n't", "!")
    assert first.tags == ("PRON", "AUX", "PART", "PUNCT")
    assert first.space_after == (True, False, False, False)
    assert first.text == "I didn't!"
    assert (first.line, first.document, first.where(3)) == (3, 1, f"{path}:8")
    assert (second.tokens, second.text) == (("New York",), "New York")
    assert [s.tags for s in read_conllu(path, tag="xpos")] == [("Y",) * 4, ("Y",)]


def test_the_file_comes_back_as_it_was_but_for_the_tags(file):
    sentences = list(read_conllu(file(GOLDEN)))
    assert "\n".join(format_conllu(sentences, [s.tags for s in sentences])) + "\n" == GOLDEN
    other = list(format_conllu(sentences, [["A", "B", "C", "D"], ["E"]], tag="xpos"))
    assert other[4] == row(2, "did", "AUX", xpos="B")
    assert other[3] == row("2-3", "didn't", "_", "SpaceAfter=No")
    assert other[6] == row("3.1", "go", "VERB")


def test_sentences_from_elsewhere_become_ten_columns(file):
    made = list(format_conllu([Sentence(("a", "b"), space_after=(False, True))], [["X", "Y"]]))
    again = list(read_conllu(file("\n".join(made))))
    assert (again[0].tokens, again[0].tags, again[0].space_after) == (("a", "b"), ("X", "Y"), (False, True))


def test_an_intent_before_a_sentence_is_its_label(file):
    text = GOLDEN.replace("# text = I", "# intent = Ask\n# text = I")
    first, second = read_conllu(file(text))
    assert (first.label, second.label) == ("Ask", None)
    assert "\n".join(format_conllu([first, second], [first.tags, second.tags])) + "\n" == text
    ranged = Sentence(("a",), rows=("# id = 1", row("1-2", "ab"), row(1, "a")), token_rows=(2,), label="Tell")
    assert list(format_conllu([ranged], [["X"]]))[:2] == ["# id = 1", "# intent = Tell"]
    assert next(format_conllu([Sentence(("a",), label="Tell")], [["X"]])) == "# intent = Tell"


def test_missing_tags_are_no_class(file):
    (untagged,) = read_conllu(file(row(1, "a", "_") + "\n" + row(2, "b", "_") + "\n"))
    assert untagged.tags is None
    with pytest.raises(DataError, match=r"t\.conllu:2: UPOS is missing"):
        list(read_conllu(file(row(1, "a", "X") + "\n" + row(2, "b", "_") + "\n")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\ta\n", r"t\.conllu:1: 2 columns, expected 10 separated by tabs; the line is '1\\ta'"),
        ("1 a\n", r"t\.conllu:1: 1 column, expected 10"),
        (row("x", "a") + "\n", r"t\.conllu:1: the id is 'x'; expected a number"),
        ("# only comments\n", "has no sentences"),
        ("", "is empty; expected CoNLL-U"),
    ],
)
def test_wrong_lines_are_named(file, text, message):
    with pytest.raises(DataError, match=message):
        list(read_conllu(file(text)))


def test_wrong_arguments_are_refused(file):
    with pytest.raises(ConfigError, match="did you mean 'upos'"):
        read_conllu(file(GOLDEN), tag="uposs")
    with pytest.raises(ValueError, match="1 tags for 2 tokens"):
        list(format_conllu([Sentence(("a", "b"))], [["X"]]))


def test_the_words_of_a_range_have_its_place_in_the_text(tmp_path):
    (tmp_path / "t.conllu").write_text(GOLDEN, encoding="utf-8")
    first, second = read_conllu(tmp_path / "t.conllu")
    assert (first.text, first.offsets) == ("I didn't!", ((0, 1), (2, 5), (5, 8), (8, 9)))
    assert (second.text, second.offsets) == ("New York", None)  # as the tokens and their spaces say
    (tmp_path / "u.conllu").write_text("\n".join([row("1-2", "al"), row(1, "a"), row(2, "el"), row(3, "mar"), ""]))
    (found,) = read_conllu(tmp_path / "u.conllu")
    assert (found.text, found.offsets) == ("al mar", ((0, 2), (0, 2), (3, 6)))


def test_an_empty_form_is_named(tmp_path):
    (tmp_path / "t.conllu").write_text(row(1, "a") + "\n" + row(2, "") + "\n")
    with pytest.raises(DataError, match=r"t\.conllu:2: FORM is empty"):
        list(read_conllu(tmp_path / "t.conllu"))


def test_a_blank_at_the_end_of_the_last_word_stays(tmp_path):
    lines = ["# text = x", row("1-2", "ab "), row(1, "a"), row(2, "b"), ""]
    (tmp_path / "t.conllu").write_text("\n".join(lines), encoding="utf-8")
    (found,) = read_conllu(tmp_path / "t.conllu")
    assert (found.text, found.offsets) == ("ab ", ((0, 3), (0, 3)))
