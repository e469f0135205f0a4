"""The report of an evaluation adds up and names places."""

import json

import pytest

from seqloom.data.tagged.sentences import Sentence
from seqloom.systems.tagger.seen import Seen, span_texts
from seqloom.systems.tagger.tag_report import Recall, tag_report

SENTENCES = [
    Sentence(("Ada", "met", "Bob", "Lee"), ("B-PER", "O", "B-PER", "I-PER"), line=1, source="t"),
    Sentence(("Oslo",) * 12, ("B-LOC", *["O"] * 11), line=6, source="t"),
    Sentence((), (), line=19, source="t"),
]
PREDICTED = [["B-PER", "O", "B-PER", "O"], ["O", "B-LOC", *["O"] * 10], []]


def test_the_parts_add_up():
    report = tag_report(
        SENTENCES, PREDICTED, "bio", training=Seen(frozenset(("Ada", "met", "Oslo")), frozenset(("Ada", "Oslo")))
    )
    assert report.tokens.tokens == 16
    assert report.seen is not None
    assert report.unseen is not None
    assert (report.seen.tokens, report.seen.correct, report.seen.sentences, report.seen.correct_sentences) == (
        14,
        12,
        2,
        1,
    )
    assert (report.unseen.tokens, report.unseen.correct) == (2, 1)
    assert report.seen_spans == Recall(1, 2)
    assert report.unseen_spans == Recall(0, 1)
    assert [(row.shortest, row.longest, row.sentences) for row in report.lengths] == [(1, 10, 1), (11, 20, 1)]
    assert report.lengths[0].span_f1 == 0.5
    assert sum(row.sentences for row in report.lengths) == 2
    assert [(worst.where, len(worst.errors)) for worst in report.worst] == [("t:6", 2), ("t:1", 1)]
    assert report.worst[1].errors == ((3, "I-PER", "O"),)
    assert json.loads(json.dumps(report.to_dict()))["unseen_spans"]["support"] == 1


def test_plain_tags_have_no_span_scores():
    report = tag_report([Sentence(("a",), ("N",))], [["N"]])
    assert report.spans is None
    assert report.seen is None
    assert set(report.to_dict()) == {"tokens", "lengths", "worst"}


def test_sentences_without_gold_tags_are_refused():
    with pytest.raises(ValueError, match="t:3: the sentence has no tags"):
        tag_report([Sentence(("a",), line=3, source="t")], [["N"]])


def test_known_spans_come_from_tagged_sentences():
    assert span_texts(SENTENCES, "bio") == {"Ada", "Bob Lee", "Oslo"}
    assert span_texts([Sentence("我在北京", ("O", "O", "B-X", "I-X"))], "bio") == {"北 京"}
