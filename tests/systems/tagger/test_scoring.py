"""Scores and errors of a tagger on sentences."""

import json

import numpy as np
import pytest

from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary
from seqloom.systems.tagger.explanation import Reading
from seqloom.systems.tagger.scoring import LARGEST_LOSS, score, sentence_errors
from seqloom.systems.tagger.seen import Seen


class Stub:
    """A tagger with fixed answers."""

    seen = None
    about, reading = {}, {}

    def __init__(self, answers, tags, scheme=None, labels=None):
        self.answers, self.tags, self.scheme, self.given = answers, TagVocabulary(tags), scheme, labels
        self.labels = None if labels is None else TagVocabulary(["ask", "tell"])

    def predict_with_labels(self, sentences):
        labels = self.given or [None] * len(sentences)
        return [(self.answers[tuple(sentence)][0], label) for sentence, label in zip(sentences, labels, strict=True)]

    def readings(self, sentences):
        found = self.predict_with_labels(sentences)
        marginals = [np.array(self.answers[tuple(sentence)][1]) for sentence in sentences]
        chances = np.array([0.7, 0.3])
        return [
            Reading(tags, rows, label, None if label is None else chances)
            for (tags, label), rows in zip(found, marginals, strict=True)
        ]


SENTENCES = [
    Sentence(("a", "b"), ("X", "Y"), line=1, source="f", rows=("a X", "b Y"), token_rows=(0, 1), label="ask"),
    Sentence(("c",), ("Z",), line=4, source="f", label="tell"),
    Sentence(("d",), ("X",), line=6, source="f", label="ask"),
]
ANSWERS = {
    ("a", "b"): (["X", "X"], [[0.9, 0.1], [0.75, 0.25]]),
    ("c",): (["Y"], [[0.4, 0.6]]),
    ("d",): (["X"], [[1.0, 0.0]]),
}


def test_errors_come_with_their_place_and_loss_the_worst_first():
    unseen, wrong = sentence_errors(Stub(ANSWERS, ["X", "Y"]), SENTENCES)
    assert unseen == {
        "where": "f:4",
        "errors": 1,
        "loss": pytest.approx(LARGEST_LOSS),  # Z is no tag of the model
        "confidence": 0.6,
        "sentence": "c",
        "gold": "Z",
        "predicted": "Y",
    }
    assert wrong == {
        "where": "f:2",
        "errors": 1,
        "loss": pytest.approx(-np.log(0.9) - np.log(0.25)),
        "confidence": 0.75,
        "sentence": "a b",
        "gold": "X Y",
        "predicted": "X X",
    }


def test_a_wrong_label_is_an_error_too():
    rows = sentence_errors(Stub(ANSWERS, ["X", "Y"], labels=["ask", "tell", "tell"]), SENTENCES)
    assert [(row["where"], row["errors"]) for row in rows] == [("f:4", 1), ("f:2", 1), ("f:6", 1)]
    assert rows[2] == {
        "where": "f:6",
        "errors": 1,
        "loss": pytest.approx(-np.log(0.7)),
        "confidence": 0.3,
        "sentence": "d",
        "gold": "X",
        "predicted": "X",
        "gold_label": "ask",
        "predicted_label": "tell",
    }


def test_labels_of_sentences_are_scored_where_file_and_model_have_them():
    found = score(Stub(ANSWERS, ["X", "Y"], labels=["ask", "ask", "ask"]), SENTENCES)
    assert found["label_accuracy"] == pytest.approx(2 / 3)
    assert found.ratios()["label_accuracy"].tolist() == [[1, 1], [0, 1], [1, 1]]
    assert found.details["details"]["labels"]["confusion"] == [["tell", "ask", 1]]
    assert "label_accuracy" not in score(Stub(ANSWERS, ["X", "Y"]), SENTENCES)


def test_the_report_shows_the_worst_sentences_and_is_json():
    found = score(Stub(ANSWERS, ["X", "Y"]), SENTENCES, Seen(frozenset("ab"))).to_dict()
    assert [(row["line"], row["tokens"], row["gold"], row["predicted"]) for row in found["worst"]] == [
        (1, ["a", "b"], ["X", "Y"], ["X", "X"]),
        (4, ["c"], ["Z"], ["Y"]),
    ]
    assert found["metrics"]["unknown_accuracy"] == 0.5
    assert found["signature"] == "accuracy of tokens, punctuation included"
    json.dumps(found)


def test_spans_are_scored_in_both_modes_and_by_what_training_has_seen():
    sentences = [Sentence(("Ann", "in", "Rome"), ("B-PER", "O", "B-LOC"))]
    answers = {("Ann", "in", "Rome"): (["B-PER", "O", "I-LOC"], [[1.0] * 3] * 3)}
    found = score(Stub(answers, ["B-PER", "I-LOC", "O"], "bio"), sentences, Seen(frozenset({"in"}), frozenset({"Ann"})))
    assert (found["span_f1"], found["strict_span_f1"]) == (1.0, pytest.approx(2 / 3))
    assert found["unseen_span_recall"] == 1.0
    assert found.signature.startswith("span F1, scheme bio, mode conlleval, micro average; accuracy")
