"""The trigram tagger, against enumeration of all taggings and a slow reading of Brants' paper."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError
from seqloom.systems.tagger.baselines.hmm import SMALLEST, TrigramModel, TrigramTagger
from seqloom.systems.tagger.baselines.method import TaggedCorpus

WORDS = ("can", "Can", "fish", "the", "dish", "run")
CORPORA = st.lists(
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from("NVD")), max_size=6), min_size=1, max_size=8
).filter(any)


def corpus_of(sentences):
    rows = [Sentence([word for word, _ in row], tuple(tag for _, tag in row)) for row in sentences]
    return TaggedCorpus.of(rows)


def slow_weights(tag_sequences, border):
    """Figure 1 of Brants (2000), word for word; a draw between two orders is shared."""
    three, two, one, context_two, context_one = (Counter() for _ in range(5))
    for tags in tag_sequences:
        padded = [border, border, *tags, border]
        for a, b, c in zip(padded, padded[1:], padded[2:], strict=False):
            three[a, b, c] += 1
            two[b, c] += 1
            one[c] += 1
            context_two[a, b] += 1
            context_one[b] += 1
    total = sum(one.values())
    weights = [0.0, 0.0, 0.0]
    for (a, b, c), count in three.items():
        pairs = [
            (one[c] - 1, total - 1),
            (two[b, c] - 1, context_one[b] - 1),
            (count - 1, context_two[a, b] - 1),
        ]
        rates = [over / under if under else 0.0 for over, under in pairs]
        winners = [order for order in range(3) if rates[order] == max(rates)]
        for order in winners:
            weights[order] += count / len(winners)
    return [weight / sum(weights) for weight in weights]


def slow_emission(tagger, corpus, word):
    """(K,) log p(word | tag), or log p(tag | ending) - log p(tag) for an unknown word."""
    tokens = [token for sentence in corpus.sentences for token in sentence]
    counts = Counter(zip(tokens, corpus.targets.tolist(), strict=True))
    totals = Counter(corpus.targets.tolist())
    tags = range(len(corpus.tags))
    if word in tokens:
        shares = [counts[word, tag] / totals[tag] for tag in tags]
    else:
        everything = [totals[tag] / len(tokens) for tag in tags]
        mean = sum(everything) / len(everything)
        theta = math.sqrt(sum((p - mean) ** 2 for p in everything) / (len(everything) - 1)) if len(tags) > 1 else 0.0
        current = everything
        for size in range(min(10, len(word)) + 1):
            alike = [
                tag
                for token, tag in zip(tokens, corpus.targets.tolist(), strict=True)
                if token[:1].isupper() == word[:1].isupper()
                and len(token) >= size
                and token[len(token) - size :] == word[len(word) - size :]
                and tokens.count(token) <= 10
            ]
            if not alike:
                break
            current = [(alike.count(tag) / len(alike) + theta * current[tag]) / (1 + theta) for tag in tags]
        shares = [current[tag] / everything[tag] for tag in tags]
    return [math.log(share) if share > 0 else -math.inf for share in shares]


def all_taggings(tagger, corpus, sentence):
    """Every possible tagging with its log joint score, best first."""
    emissions = [slow_emission(tagger, corpus, word) for word in sentence]
    border, tags = len(corpus.tags), range(len(corpus.tags))
    scored = []
    for path in itertools.product(tags, repeat=len(sentence)):
        padded = [border, border, *path, border]
        score = sum(
            math.log(tagger.model.probability[a, b, c]) for a, b, c in zip(padded, padded[1:], padded[2:], strict=False)
        )
        score += sum(emission[tag] for emission, tag in zip(emissions, path, strict=True))
        if score > -math.inf:
            scored.append((score, path))
    return sorted(scored, reverse=True)


@given(CORPORA)
@settings(deadline=None, max_examples=80)
def test_the_weights_are_those_of_deleted_interpolation(sentences):
    corpus = corpus_of(sentences)
    model = TrigramModel.fit(len(corpus.tags), corpus.lengths, corpus.targets)
    sequences = [corpus.tags.lookup([tag for _, tag in row]).tolist() for row in sentences if row]
    assert model.weights.tolist() == pytest.approx(slow_weights(sequences, len(corpus.tags)))


@given(CORPORA)
@settings(deadline=None, max_examples=40)
def test_every_context_has_probabilities_that_sum_to_one(sentences):
    corpus = corpus_of(sentences)
    model = TrigramModel.fit(len(corpus.tags), corpus.lengths, corpus.targets)
    assert model.probability.sum(-1) == pytest.approx(1.0, abs=(len(corpus.tags) + 1) * SMALLEST)


def test_probabilities_counted_by_hand():
    # The trigrams ..N, .NV, NV. twice and ..N, .N., where '.' is the border: N and the border follow three times each, V twice.
    corpus = corpus_of([[("a", "N"), ("b", "V")], [("a", "N"), ("b", "V")], [("a", "N")]])
    model = TrigramModel.fit(2, corpus.lengths, corpus.targets)
    # ..N (3): unigram 2/7, bigram 2/2, trigram 2/2. .NV (2): 1/7, 1/2, 1/2. NV. (2): 2/7, 1/1, 1/1. .N. (1): 2/7, 0, 0.
    assert model.weights.tolist() == pytest.approx([1 / 8, 3.5 / 8, 3.5 / 8])
    n, v, border = 0, 1, 2
    assert model.probability[border, n, v] == pytest.approx(1 / 8 * 2 / 8 + 7 / 8 * 2 / 3)
    assert model.probability[border, border, n] == pytest.approx(1 / 8 * 3 / 8 + 7 / 8)
    # The context V N was never seen: the bigram context N stands in for it.
    assert model.probability[v, n, v] == pytest.approx(1 / 8 * 2 / 8 + 7 / 8 * 2 / 3)


@given(CORPORA, st.lists(st.sampled_from((*WORDS, "wish", "Wish", "zzz", "")), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_decoding_finds_the_best_of_all_taggings(sentences, sentence):
    corpus = corpus_of(sentences)
    tagger = TrigramTagger.fit(corpus)
    scored = all_taggings(tagger, corpus, sentence)
    by_path = {path: score for score, path in scored}
    assert by_path[tuple(tagger.tag([sentence])[0].tolist())] == pytest.approx(scored[0][0])
    total = np.logaddexp.reduce([score for score, _ in scored])
    (ranked,) = tagger.k_best([sentence], 5)
    assert [value for _, value in ranked] == pytest.approx([score - total for score, _ in scored[:5]])
    assert [by_path[tuple(path.tolist())] - total for path, _ in ranked] == pytest.approx([v for _, v in ranked])
    posterior = np.zeros((len(sentence), len(corpus.tags)))
    for score, path in scored:
        posterior[np.arange(len(sentence)), path] += math.exp(score - total)
    np.testing.assert_allclose(tagger.marginals([sentence])[0], posterior, atol=1e-9)


def test_an_unknown_word_is_read_by_its_ending_and_capital():
    rows = [[("walking", "V"), ("the", "D"), ("wing", "N"), ("Boeing", "P")], [("talking", "V")], [("baking", "V")]]
    tagger = TrigramTagger.fit(corpus := corpus_of(rows))
    best = {word: corpus.tags.names([int(tagger.unknown(word).argmax())])[0] for word in ("asking", "Asking", "gowing")}
    assert best == {"asking": "V", "Asking": "P", "gowing": "N"}
    for word in ("asking", "", "q"):
        assert tagger.unknown(word).sum() == pytest.approx(1.0)


def test_long_sentences_neither_overflow_nor_vanish():
    tagger = TrigramTagger.fit(corpus_of([[("a", "N"), ("b", "V")], [("a", "V"), ("a", "N")]]))
    sentence = ["a", "b", "q"] * 2000
    (marginals,) = tagger.marginals([sentence])
    np.testing.assert_allclose(marginals.sum(1), 1.0)
    assert np.isfinite(marginals).all()


def test_too_many_tags_are_refused():
    with pytest.raises(ConfigError, match="301 tags; the hidden Markov model takes at most 300"):
        TrigramModel(301, np.zeros((1, 3), np.int64), np.ones(1, np.int64))
