"""What comes into prediction goes out of it: text is not taken for tagged, tagged files are, and old tags stop nothing."""

import json

import pytest

from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError
from seqloom.systems.tagger.baselines.model import BaselineTagger
from seqloom.systems.tagger.output import PredictOptions, predict

NAMES = BaselineTagger.fit("most_frequent", [Sentence(("Ann", "saw", "Rome"), ("B-PER", "O", "B-LOC"))], "bio")
NAMES.reading = {"columns": "text=0,tag=-1", "tag": "upos"}
WORDS = BaselineTagger.fit("most_frequent", [Sentence(("Ann", "saw", "."), ("NNP", "VBD", "."))])
WORDS.reading = {"columns": "text=0,tag=-1", "tag": "upos"}


def written(model, text, **options):
    return list(predict(model, text.split("\n")[:-1], PredictOptions(**options)))


def read(model, text):
    return [json.loads(line) for line in written(model, text, format="json")]


@pytest.mark.parametrize("model", [NAMES, WORDS])
@pytest.mark.parametrize(
    "text",
    [
        "Ann and I\n",
        "Ann and I\nBo met I\n",
        "Blood type O\n",
        "Vitamin B-12\n",
        "and/or\n",
        "he/she said and/or\n",
        "Ann saw Bo .\nBo saw Ann .\n",
        "Ann\tand Bo\n",
        "Ann and I\n\nBo met I\n",
        "\nAnn and I\n",
        "\n\n",
        "Ann  saw   Rome\n",
        "[1] Ann saw\n",
        "# one thing\n# and another\n",
    ],
)
def test_text_comes_back_whole(model, text):
    assert [one["text"] for one in read(model, text)] == text.split("\n")[:-1]
    assert [one["tokens"] for one in read(model, text)] == [line.split() for line in text.split("\n")[:-1]]


@pytest.mark.parametrize(
    "text",
    [
        "Ann B-PER\nsaw O\n\nRome B-LOC\n",
        "Ann O\nsaw O\nRome O\n",
        "Ann\tO\nsaw\tO\n",
        "# id = 1\nAnn NNP I-NP B-PER\nsaw VBD I-VP O\n. . O O\n\n# id = 2\nRome NNP I-NP B-LOC\n",
        "Ann B-GPE\nsaw O\nRome B-GPE\n",
        "word\tlabel\nAnn\tO\n",
        "Ann _ _ _\nsaw _ _ _\n\nRome _ _ _\n",
    ],
)
def test_columns_come_back_with_their_tags_replaced(text):
    known = {"Ann": "B-PER", "saw": "O", "Rome": "B-LOC", ".": "O"}
    rows = []
    for row in text.split("\n")[:-1]:
        fields = row.replace("\t", " ").split(" ")
        rows.append(row[: len(row) - len(fields[-1])] + known[fields[0]] if fields[0] in known else row)
    found = written(NAMES, text)
    if "." in known and ". . O" in text:
        found[3], rows[3] = "", ""  # an unknown word gets the most frequent tag
    assert found == rows


def test_word_and_tag_is_taken_apart_where_the_tags_are_known():
    assert written(WORDS, "Ann/NNP saw/VBD\n") == ["Ann/NNP saw/VBD"]
    assert read(WORDS, "Ann/NNP saw/VBD\n")[0]["tokens"] == ["Ann", "saw"]
    assert read(WORDS, "Ann/NNP saw\n")[0]["tokens"] == ["Ann/NNP", "saw"]


def test_a_model_of_columns_reads_characters_and_letters_as_it_did_in_training():
    model = BaselineTagger.fit("most_frequent", [Sentence(("北", "京"), ("B", "E"))], "bmes")
    model.reading = {"columns": "text=0,tag=-1", "format": "columns"}
    found = written(model, "北\tB\n京\tE\n\n京\tS\n")
    assert [row[:2] for row in found] == ["北\t", "京\t", "", "京\t"]


@pytest.mark.parametrize(
    "record",
    [
        {"text": "Ann saw", "label": [[0, 7, "PER"], [0, 3, "FIRST"]]},
        {"text": "preAnn saw", "label": [[3, 6, "PER"]]},
        {"text": "Ann saw", "label": [[0, 99, "PER"]]},
        {"tokens": ["Ann", "saw"], "ner_tags": [1, 2]},
    ],
)
def test_spans_and_tags_that_will_be_replaced_stop_nothing(record):
    (line,) = written(NAMES, json.dumps(record) + "\n")
    assert "text" in json.loads(line)


def test_the_pairs_of_spacy_come_back_as_pairs():
    assert written(NAMES, '["Ann saw", {"entities": [], "id": 1}]\n') == [
        '["Ann saw", {"entities": [{"start": 0, "end": 3, "label": "PER", "text": "Ann"}], "id": 1}]'
    ]


def conllu(*rows):
    return "".join("\t".join([i, form, "_", tag, *["_"] * 5, misc]) + "\n" for i, form, tag, misc in rows)


def test_a_missing_part_of_speech_stops_no_prediction():
    text = conllu(("1", "Ann", "NOUN", "_"), ("2", "saw", "_", "_"))
    assert written(WORDS, text)[1].split("\t")[3] == "VBD"


def test_the_text_of_multiword_tokens_is_their_surface():
    rows = [("1-2", "vámonos"), ("1", "vamos"), ("2", "nos"), ("3-4", "al"), ("3", "a"), ("4", "el"), ("5", "mar")]
    text = "# text = vámonos al mar\n" + conllu(*((place, form, "_", "_") for place, form in rows)) + "\n"
    text += conllu(
        ("1-2", "It's", "_", "SpaceAfter=No"),
        *((str(i), form, "X", "_") for i, form in enumerate(("It", "'s", "."), 1)),
    )
    tagger = BaselineTagger.fit("most_frequent", [Sentence(("el", "mar", "'s"), ("B-X", "I-X", "B-Y"))], "bio")
    tagger.reading = {"columns": "text=0,tag=-1", "tag": "upos"}
    one, two = read(tagger, text)
    places = [(e["text"], e["start"], e["end"]) for e in one["entities"] + two["entities"]]
    assert (one["text"], two["text"]) == ("vámonos al mar", "It's.")
    assert ("'s", 2, 4) in places
    assert any(text.endswith("al mar") for text, _, _ in places)
    for found in (one, two):
        assert all(e["text"] == found["text"][e["start"] : e["end"]] for e in found["entities"])


def test_an_entity_has_no_white_space_at_its_ends():
    tagger = BaselineTagger.fit("most_frequent", [Sentence("李 明 说", ("B-X", "I-X", "I-X", "I-X", "O"))], "bio")
    tagger.reading = {"columns": "text=0,tag=-1", "tokens": "characters"}
    (found,) = [
        json.loads(line) for line in predict(tagger, ["李 说 明 "], PredictOptions(format="json", read_as="text"))
    ]
    assert all(entity["text"].strip() == entity["text"] != "" for entity in found["entities"])


def test_what_has_come_is_answered_in_a_pause():
    pauses = iter([True, True])
    given = []

    def lines():
        for line in ("Ann saw", "Rome", "saw"):
            given.append(line)
            yield line

    found = predict(NAMES, lines(), PredictOptions(format="plain"), lambda: next(pauses, False))
    assert next(found) == "Ann/B-PER saw/O"
    assert given == ["Ann saw"]
    assert list(found) == ["Rome/B-LOC", "saw/O"]


@pytest.mark.parametrize(
    ("reading", "option", "cut"),
    [
        ({"cut": False, "whole": False}, "auto", False),
        ({"cut": True, "whole": False}, "auto", True),
        ({"cut": True, "whole": True}, "auto", False),
        ({}, "auto", True),
        ({}, "on", False),
        ({"cut": False}, "off", True),
    ],
)
def test_text_is_cut_as_for_the_training_and_else_keeps_together_what_a_reader_keeps(reading, option, cut):
    model = BaselineTagger.fit("most_frequent", [Sentence(("Ann",), ("O",))], "bio")
    model.reading = {"columns": "text=0,tag=-1", **reading}
    (line,) = predict(model, ["mail a@b.org"], PredictOptions(format="json", read_as="text", whole=option))
    assert json.loads(line)["tokens"] == (["mail", "a", "@", "b", ".", "org"] if cut else ["mail", "a@b.org"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("Ann", "'Ann' is given where sentences are expected"),
        (None, "None is given where sentences are expected"),
        ([["Ann"], None], r"sentence\[1\] is None; expected a list of tokens"),
        ([["Ann", 3]], r"sentence\[0\] has 3 as token 1; expected a string"),
    ],
)
def test_what_is_no_sentence_is_named(given, message):
    with pytest.raises(DataError, match=message):
        NAMES.predict(given)
