"""Scores equal seqeval's and scikit-learn's, and the examples counted by hand."""

import random
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support as as_conlleval
from seqeval.metrics.v1 import precision_recall_fscore_support as as_strict
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.metrics import precision_recall_fscore_support as by_tag

from seqloom.scores.counts import Counts
from seqloom.systems.tagger.metrics import score_spans, score_tokens, sentence_ratios

SCHEMES = {"bio": (IOB2, "BI"), "bioes": (IOBES, "BIES"), "bilou": (BILOU, "BILU")}


def tags_of(name):
    return ["O", *(f"{letter}-{label}" for letter in SCHEMES[name][1] for label in ("X", "Y"))]


@st.composite
def pairs(draw, names):
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    return tuple([draw(st.lists(names, min_size=n, max_size=n)) for n in lengths] for _ in range(2))


def seqeval_scores(gold, predicted, average, scheme):
    score = as_conlleval if scheme is None else as_strict
    options = {} if scheme is None else {"scheme": scheme}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return score(gold, predicted, average=average, zero_division=0, **options)


@pytest.mark.parametrize(
    ("name", "mode"), [("bio", "conlleval"), ("bioes", "conlleval"), *((n, "strict") for n in SCHEMES)]
)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_span_scores_equal_those_of_seqeval(name, mode, data):
    gold, predicted = data.draw(pairs(st.sampled_from(tags_of(name))))
    ours = score_spans(gold, predicted, name, mode)
    scheme = SCHEMES[name][0] if mode == "strict" else None
    if not ours.labels:
        assert ours.overall == Counts()
        return
    overall = ours.overall
    np.testing.assert_allclose(
        (overall.precision, overall.recall, overall.f1), seqeval_scores(gold, predicted, "micro", scheme)[:3]
    )
    each = [(c.precision, c.recall, c.f1, c.support) for _, c in sorted(ours.labels.items())]
    np.testing.assert_allclose(np.array(each).T, seqeval_scores(gold, predicted, None, scheme))


def _without_lost_spans(tags):
    """seqeval's strict IOB1 loses a whole span of one B where an illegal B of another label follows; ours keeps it."""
    kept = tags[:1]
    for tag in tags[1:]:
        lost = kept[-1].startswith("B") and tag.startswith("B") and kept[-1] != tag
        kept.append(tag.replace("B", "I", 1) if lost else tag)
    return kept


@pytest.mark.parametrize(
    ("name", "mode"),
    [("bio", "conlleval"), ("iob1", "conlleval"), ("bioes", "conlleval"), *((n, "strict") for n in ("iob1", *SCHEMES))],
)
def test_a_thousand_random_cases_score_as_in_seqeval(name, mode):
    draw = random.Random(name + mode)
    letters = "BI" if name == "iob1" else SCHEMES[name][1]
    names = ["O", "O", *(f"{letter}-{label}" for letter in letters for label in ("X", "Y", "Z-1"))]
    # seqeval's strict reading needs the scheme; its default one takes the letters as they come.
    scheme = None if mode == "conlleval" else IOB1 if name == "iob1" else SCHEMES[name][0]
    for _ in range(1000):
        lengths = [draw.randint(1, 8) for _ in range(draw.randint(1, 3))]
        gold = [draw.choices(names, k=length) for length in lengths]
        predicted = [[draw.choice([tag, draw.choice(names)]) for tag in tags] for tags in gold]
        if scheme is IOB1:
            gold, predicted = ([_without_lost_spans(tags) for tags in side] for side in (gold, predicted))
        ours = score_spans(gold, predicted, name, mode).overall
        expected = (0.0, 0.0, 0.0)
        if ours.predicted or ours.support:
            expected = seqeval_scores(gold, predicted, "micro", scheme)[:3]
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(expected), (gold, predicted)


@pytest.mark.filterwarnings("ignore:A single label")
@settings(deadline=None, max_examples=60)
@given(pairs(st.sampled_from(["N", "V", "A", "-"])))
def test_token_scores_equal_those_of_scikit_learn(both):
    gold, predicted = both
    ours = score_tokens(gold, predicted)
    flat_gold, flat = [tag for tags in gold for tag in tags], [tag for tags in predicted for tag in tags]
    assert ours.accuracy == pytest.approx(accuracy_score(flat_gold, flat))
    names = sorted({*flat_gold, *flat})
    assert list(ours.tags) == names
    each = [(c.precision, c.recall, c.f1, c.support) for c in ours.tags.values()]
    np.testing.assert_allclose(np.array(each).T, by_tag(flat_gold, flat, labels=names, zero_division=0))
    assert ours.macro_f1 == pytest.approx(by_tag(flat_gold, flat, labels=names, average="macro", zero_division=0)[2])
    matrix = confusion_matrix(flat_gold, flat, labels=names)
    np.fill_diagonal(matrix, 0)
    expected = {(names[i], names[j]): int(matrix[i, j]) for i, j in np.argwhere(matrix)}
    assert ours.confusion == expected
    assert list(ours.confusion.values()) == sorted(expected.values(), reverse=True)


def test_an_example_counted_by_hand():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "O"]]
    predicted = [["B-PER", "O", "O", "I-LOC"], ["O", "B-PER"]]
    spans = score_spans(gold, predicted, "bio")
    assert spans.overall == Counts(correct=1, predicted=3, support=2)
    assert spans.labels == {"LOC": Counts(1, 1, 1), "PER": Counts(0, 2, 1)}
    assert score_spans(gold, predicted, "bio", "strict").overall == Counts(0, 2, 2)
    assert spans.signature == "span F1, scheme bio, mode conlleval, micro average"
    tokens = score_tokens(gold, predicted)
    assert (tokens.correct, tokens.tokens, tokens.sentences, tokens.correct_sentences) == (3, 6, 2, 0)
    assert tokens.confusion == {("B-LOC", "I-LOC"): 1, ("I-PER", "O"): 1, ("O", "B-PER"): 1}
    assert tokens.to_dict()["accuracy"] == 0.5
    assert spans.to_dict()["labels"]["LOC"]["f1"] == 1.0


def test_adjacent_entities_of_iob1_are_two():
    assert score_spans([["I-X", "B-X"]], [["I-X", "I-X"]], "iob1").overall == Counts(0, 1, 2)


def test_nothing_to_score_is_zero():
    assert score_tokens([], []).accuracy == 0.0
    assert score_tokens([[]], [[]]).to_dict()["sentence_accuracy"] == 1.0
    assert score_spans([["O"]], [["O"]], "bio").overall.f1 == 0.0


def test_sides_of_different_length_are_refused():
    with pytest.raises(ValueError, match="1 predicted sentences for 2 gold"):
        score_tokens([["N"], ["N"]], [["N"]])
    with pytest.raises(ValueError, match="sentence 1 has 2 predicted tags for 1"):
        score_spans([["O"], ["O"]], [["O"], ["O", "O"]], "bio")


@settings(deadline=None, max_examples=60)
@given(pairs(st.sampled_from(tags_of("bio"))))
def test_the_parts_of_sentences_add_up_to_the_scores(both):
    gold, predicted = both
    labels = (["a"] * len(gold), ["ab"[len(tags) % 2] for tags in gold])
    sums = {name: ratio.sum(0) for name, ratio in sentence_ratios(gold, predicted, "bio", labels).items()}
    assert sums["accuracy"][0] / sums["accuracy"][1] == score_tokens(gold, predicted).accuracy
    spans = score_spans(gold, predicted, "bio").overall
    assert sums["span_f1"].tolist() == [2 * spans.correct, spans.predicted + spans.support]
    assert sums["label_accuracy"].tolist() == [labels[1].count("a"), len(gold)]
