"""Most frequent tags, counted by hand."""

import math

import numpy as np
import pytest

from seqloom.data.tagged.sentences import Sentence
from seqloom.systems.tagger.baselines.method import TaggedCorpus
from seqloom.systems.tagger.baselines.most_frequent import MostFrequentTag

SENTENCES = [
    Sentence(("the", "run", "ended"), ("D", "N", "V")),
    Sentence(("they", "run"), ("P", "V")),
    Sentence(("Rome", "run", "mended"), ("N", "N", "V")),
    Sentence(("a", "bearded", "man"), ("D", "J", "N")),
]


@pytest.fixture
def fitted():
    corpus = TaggedCorpus.of(SENTENCES)
    return corpus, MostFrequentTag.fit(corpus)


def names(corpus, method, sentence):
    return corpus.tags.names(method.tag([sentence])[0].tolist())


def test_known_words_have_their_most_frequent_tag(fitted):
    assert names(*fitted, ["run", "the", "Rome"]) == ["N", "D", "N"]


def test_unknown_words_are_read_by_their_longest_known_ending_of_the_same_case(fitted):
    # -nded is V twice; -rded is J; -ded is V, V, J; -ome is of Rome, which has a capital; -e is of 'the' without one.
    assert names(*fitted, ["fended", "herded", "kidded", "Dome", "ome"]) == ["V", "J", "V", "N", "D"]


def test_a_draw_goes_to_the_tag_that_is_more_frequent_overall():
    corpus = TaggedCorpus.of([Sentence(("x", "x", "y"), ("V", "N", "V"))])
    assert names(corpus, MostFrequentTag.fit(corpus), ["x"]) == ["V"]


def test_probabilities_are_shares_and_paths_their_products(fitted):
    corpus, method = fitted
    marginals = method.marginals([["run", "the"], []])
    run = dict(zip(corpus.tags.entries, marginals[0][0], strict=True))
    assert run == {"N": pytest.approx(2 / 3), "V": pytest.approx(1 / 3), "D": 0, "J": 0, "P": 0}
    assert marginals[1].shape == (0, 5)
    ranked, empty = method.k_best([["run", "the", "run"], []], 3)
    assert [value for _, value in ranked] == pytest.approx([math.log(4 / 9), math.log(2 / 9), math.log(2 / 9)])
    assert corpus.tags.names(ranked[0][0].tolist()) == ["N", "D", "N"]
    assert [(path.tolist(), value) for path, value in empty] == [([], 0.0)]


def test_words_spelled_like_special_symbols_are_unknown_and_do_no_harm():
    corpus = TaggedCorpus.of([Sentence(("<unk>", "<pad>", "a"), ("N", "N", "V"))])
    method = MostFrequentTag.fit(corpus)
    assert names(corpus, method, ["<pad>", "<unk>", "</s>", "a"]) == ["N", "N", "N", "V"]
    np.testing.assert_allclose(method.marginals([["<unk>"]])[0].sum(), 1.0)
