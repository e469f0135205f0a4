"""The hidden Markov model, against enumeration of all legal tag strings."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.words import words_to_tags
from seqloom.errors import ConfigError, DataError
from seqloom.systems.tagger.segmentation.dictionary import Dictionary, UserEntry
from seqloom.systems.tagger.segmentation.hmm import HiddenMarkovModel
from seqloom.systems.tagger.segmentation.method import WordSegmenter

LINES = st.lists(
    st.lists(st.text(alphabet="甲乙丙", min_size=1, max_size=4), min_size=1, max_size=5), min_size=1, max_size=6
)


def cuts(text):
    for choice in itertools.product([False, True], repeat=len(text) - 1):
        ends = [i + 1 for i, cut in enumerate(choice) if cut] + [len(text)]
        yield [text[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def joint(model, words):
    """log p(tags, text), by the definition."""
    tags, text = ["BMES".index(tag) for tag in words_to_tags(words)], "".join(words)
    rows = [model.characters.find(character) + 1 for character in text]
    score = model.start[tags[0]] + sum(model.emission[row, tag] for row, tag in zip(rows, tags, strict=True))
    return score + sum(model.transition[a, b] for a, b in itertools.pairwise(tags))


@given(LINES, st.text(alphabet="甲乙丙丁", min_size=1, max_size=9))
@settings(deadline=None, max_examples=60)
def test_viterbi_and_n_best_find_the_best_of_all_segmentations(lines, text):
    model = HiddenMarkovModel.fit(lines)
    scores = sorted((joint(model, words) for words in cuts(text)), reverse=True)[:5]
    found = model.n_best(text, 5)
    assert [score for _, score in found] == pytest.approx(scores)
    assert [joint(model, words) for words, _ in found] == pytest.approx(scores)
    assert joint(model, model.segment([text])[0]) == pytest.approx(scores[0])


@given(LINES)
@settings(deadline=None, max_examples=40)
def test_every_distribution_sums_to_one(lines):
    model = HiddenMarkovModel.fit(lines)
    assert np.exp(model.start).sum() == pytest.approx(1)
    assert np.exp(model.transition).sum(axis=1) == pytest.approx(np.ones(4))
    assert np.exp(model.emission).sum(axis=0) == pytest.approx(np.ones(4))


def test_probabilities_are_counts_plus_a_tenth():
    model = HiddenMarkovModel.fit([["甲乙", "丙"], ["甲"]])
    assert model.start[0] == pytest.approx(math.log(1.1 / 2.2))
    assert model.transition[2].tolist() == pytest.approx(
        [math.log(0.1 / 1.2), -math.inf, -math.inf, math.log(1.1 / 1.2)]
    )
    # tag S: 丙 once, 甲 once, of three known characters and the row for unknown ones, where 丙 (seen once) counts again
    row = model.characters.index("甲") + 1
    assert model.emission[row, 3] == pytest.approx(math.log(1.1 / (1 + 1 + 1 + 0.4)))


@given(st.lists(st.text(st.characters(codec=None)), max_size=4))
@settings(deadline=None, max_examples=60)
def test_every_text_comes_back_whole(texts):
    model = HiddenMarkovModel.fit([["甲乙", "丙"], ["甲"]])
    assert ["".join(words) for words in model.segment(texts)] == texts


def test_a_users_words_are_imposed_and_the_state_holds_them():
    user = {"乙丙": UserEntry("force"), "丁丁": UserEntry("prefer")}
    model = HiddenMarkovModel.fit([["甲乙", "丙"], ["丁"]] * 3).with_dictionary(
        Dictionary.from_counts({}).with_words(user)
    )
    assert isinstance(model, WordSegmenter)
    restored = HiddenMarkovModel.from_state(*model.state())
    for method in (model, restored):
        assert method.segment(["甲乙丙", "丁丁"]) == [["甲", "乙丙"], ["丁丁"]]
        assert method.n_best("甲乙丙", 3)[0][0] == ["甲", "乙丙"]


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(DataError, match="hold no word"):
        HiddenMarkovModel.fit([[], [""]])
    with pytest.raises(ConfigError, match="smoothing is 0"):
        HiddenMarkovModel.fit([["a"]], smoothing=0)
    assert HiddenMarkovModel.fit([["a"]]).n_best("", 3) == [([], 0.0)]
