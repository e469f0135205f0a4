"""JSON lines: offsets count characters, and no span is lost in silence."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.jsonl import format_spans_jsonl, format_words_jsonl, jsonl_sentences
from seqloom.data.tagged.offsets import tokenize, word_offsets
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError


def read(*records, **options):
    lines = [
        (number, record if isinstance(record, str) else json.dumps(record)) for number, record in enumerate(records, 1)
    ]
    return list(jsonl_sentences(lines, "t.jsonl", **options))


def test_golden_lines():
    text = "Ada went to New York."
    spans = [{"start": 0, "end": 3, "label": "PER"}, {"start": 12, "end": 20, "label": "LOC"}]
    for record in (
        {"text": text, "spans": spans},
        {"text": text, "entities": spans},
        {"text": text, "label": [[12, 20, "LOC"], [0, 3, "PER"]]},
    ):
        (sentence,) = read(record)
        assert sentence.tokens == ("Ada", "went", "to", "New", "York", ".")
        assert sentence.tags == ("B-PER", "O", "O", "B-LOC", "I-LOC", "O")
        assert sentence.offsets is not None
        assert sentence.offsets[4] == (16, 20)
    (sentence,) = read({"text": "我在北京😀", "spans": [[2, 5, "X"]]}, tokens="characters", scheme="bioes")
    assert (sentence.tokens, sentence.tags) == ("我在北京😀", ("O", "O", "B-X", "I-X", "E-X"))
    (sentence,) = read({"tokens": ["a", "b"], "tags": ["X", "Y"]})
    assert (sentence.tokens, sentence.tags) == (("a", "b"), ("X", "Y"))
    (sentence,) = read({"text": "我 是", "words": [{"w": "我", "start": 0, "end": 1}, {"w": "是"}]})
    assert (sentence.tokens, sentence.offsets, sentence.tags) == (("我", "是"), ((0, 1), (2, 3)), None)
    first, second = read({"text": "a"}, "", {"text": "b"})
    assert (first.line, second.line) == (1, 3)


def test_misaligned_spans_stop_are_listed_or_expanded():
    record = {"text": "New Yorkers", "spans": [[0, 8, "LOC"]]}
    with pytest.raises(
        DataError, match=r"^t\.jsonl:1: span \[0, 8\) 'LOC' 'New York' does not fall on token borders.*"
    ):
        read(record)
    for choice, tags in (("skip", ("O", "O")), ("expand", ("B-LOC", "I-LOC"))):
        found = []
        (sentence,) = read(record, on_misaligned=choice, misaligned=found)
        assert sentence.tags == tags
        assert [(span.where, span.expanded_text) for span in found] == [("t.jsonl:1", "New Yorkers")]


def test_white_space_at_a_border_is_no_mistake():
    (sentence,) = read({"text": "to Rome now", "spans": [[2, 8, "LOC"]]})
    assert sentence.tags == ("O", "B-LOC", "O")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", r"t\.jsonl:1: the line is not JSON"),
        ("[1]", r"the line is a JSON list"),
        ({"x": 1}, r"neither 'text' nor 'tokens'; its keys are \['x'\]"),
        ({"text": 3}, r"'text' is 3"),
        ({"text": "ab", "spans": [[0, 3, "X"]]}, r"span \[0, 3\) 'X' does not lie within 2 characters"),
        ({"text": "ab", "spans": [[1, 1, "X"]]}, r"does not lie within"),
        ({"text": "ab", "spans": [[0, 1]]}, r"\[0, 1\] is no span"),
        ({"text": "a  b", "spans": [[1, 2, "X"]]}, r"nothing but white space"),
        ({"text": "a b", "spans": [[0, 3, "X"], [2, 3, "Y"]]}, r"overlap"),
        ({"tokens": ["a"], "tags": ["X", "Y"]}, r"'tags' is not a list of 1 strings"),
        ({"tokens": ["a", 3]}, r"entry that is no word"),
        ({"tokens": ["a"], "spans": [[0, 1, "X"]]}, r"needs a 'text'"),
        ({"text": "ab", "intent": 3}, r"'intent' is 3; expected the sentence's label as a string"),
        ({"text": "ab", "label": " "}, r"'label' is ' '; expected the sentence's label"),
        ({"text": "ab", "words": ["a", "c"]}, r"word 'c' is not at character 1"),
        ({"text": "ab", "words": [{"w": "ab", "start": 1, "end": 3}]}, r"said to stand at \[1, 3\); it is at \[0, 2\)"),
    ],
)
def test_wrong_lines_are_named(record, message):
    with pytest.raises(DataError, match=message):
        read(record)


@settings(deadline=None, max_examples=80)
@given(st.text(st.characters(), max_size=30))
def test_tokens_cover_everything_but_white_space(text):
    offsets = tokenize(text)
    assert "".join(text[start:end] for start, end in offsets) == "".join(text.split())
    words = [text[start:end] for start, end in offsets]
    assert word_offsets(text, words) == offsets


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=3), max_size=8)
)
def test_spans_survive_writing_and_reading(tokens):
    tags = ["B-X" if index % 3 == 0 else "I-X" if index % 3 == 1 else "O" for index in range(len(tokens))]
    sentence = Sentence(tuple(tokens))
    (line,) = format_spans_jsonl([sentence], [tags])
    written = json.loads(line)
    for span in written["spans"]:
        assert written["text"][span["start"] : span["end"]] == span["text"]
    (again,) = read({**written, "tokens": tokens})
    assert list(again.tags or ()) == tags


def test_predictions_keep_the_other_keys_of_the_input():
    sentences = read({"id": 7, "text": "Ada left", "entities": [], "meta": {"a": 1}})
    (line,) = format_spans_jsonl(sentences, [["B-PER", "O"]])
    assert json.loads(line) == {
        "id": 7,
        "text": "Ada left",
        "entities": [{"start": 0, "end": 3, "label": "PER", "text": "Ada"}],
        "meta": {"a": 1},
    }
    (line,) = format_spans_jsonl(read({"text": "a b"}), [["X", "Y"]], scheme="")
    assert json.loads(line) == {"text": "a b", "tokens": ["a", "b"], "tags": ["X", "Y"]}


def test_the_label_of_a_sentence_is_read_and_put_back():
    records = (
        {"text": "play jazz", "spans": [[5, 9, "genre"]], "intent": "PlayMusic"},
        {"text": "rain", "label": "GetWeather", "tags": ["O"], "tokens": ["rain"]},
        {"text": "rain", "label": [[0, 4, "X"]], "intent": "GetWeather"},
        {"text": "rain", "label": 3},
    )
    sentences = read(*records)
    assert [sentence.label for sentence in sentences] == ["PlayMusic", "GetWeather", "GetWeather", None]
    assert sentences[2].tags == ("B-X",)
    others = [replace(sentence, label="New") for sentence in sentences]
    written = [json.loads(line) for line in format_spans_jsonl(others, [s.tags or ("O",) for s in sentences])]
    assert [(record.get("intent"), record.get("label")) for record in written] == [
        ("New", None),
        (None, "New"),
        ("New", [{"start": 0, "end": 4, "label": "X", "text": "rain"}]),
        ("New", []),
    ]
    assert [sentence.label for sentence in read(*written)] == ["New"] * 4
    assert json.loads(next(format_spans_jsonl([Sentence(("a",), label="New")], [["O"]])))["intent"] == "New"


def test_words_are_written_with_offsets_into_the_given_text():
    (line,) = format_words_jsonl([" 我是\u3000人"], [["我是", "人"]])
    assert json.loads(line)["words"][1] == {"w": "人", "start": 4, "end": 5}
    (line,) = format_words_jsonl(["\ud800"], [["\ud800"]])
    assert line.isascii()
    with pytest.raises(ValueError, match="no word covers"):
        list(format_words_jsonl(["ab"], [["a"]]))
