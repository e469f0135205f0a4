"""Features of tokens: values by hand, pairs, zeros for digits, chances of the unknown, files."""

from collections import Counter

import numpy as np
import pytest

from seqloom.data.vocabulary import UNKNOWN
from seqloom.systems.tagger.encoding import EncodedCorpus, Hiding
from seqloom.systems.tagger.features import FEATURES, FeatureSet
from seqloom.systems.tagger.token_features import FUNCTIONS, LONGEST_SPELLING

SENTENCES = [["The", "IBM", "man", "of", "1998"], [], ["the", "man", "of", "The", "iPad", "x" * 40], ["man", "of"]]
NAMES = [name for name in FEATURES if name != "lexicon"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("capitalisation", ["leading", "upper", "lower", "lower", "none"]),
        ("shape", ["Xx", "X", "x", "x", "d"]),
        ("suffix3", ["The", "IBM", "man", "of", "998"]),
        ("lowercase", ["the", "ibm", "man", "of", "1998"]),
    ],
)
def test_features_say_what_they_are_named_for(name, values):
    features = FeatureSet.fit([name], SENTENCES)
    assert features.tokens[name].vocabulary.names(features.encode(SENTENCES[:1])[name]) == values


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("A", "leading"),
        ("U.S.", "upper"),
        ("McGregor", "mixed"),
        ("O'neill", "leading"),
        ("--", "none"),
        ("我", "none"),
    ],
)
def test_capitals_are_told_apart(token, kind):
    assert FUNCTIONS["capitalisation"](token) == kind


def test_a_corpus_is_encoded_as_its_sentences_one_by_one_are():
    features = FeatureSet.fit(NAMES, SENTENCES)
    together = features.encode(SENTENCES)
    for name, flat in together.items():
        assert flat.tolist() == [i for sentence in SENTENCES for i in features.encode([sentence])[name].tolist()], name


def test_pairs_of_words_are_those_of_neighbours_with_the_ends_of_the_sentence():
    features = FeatureSet.fit(["token", "bigram_left", "bigram_right"], SENTENCES)
    names = ["<pad>", "<unk>", "<s>", "</s>", *features.values("bigram_left")]
    flat = features.encode([["of", "The", "man", "of"]])
    # "The man" never occurs in training; the others do, whatever stands around them there.
    assert [names[i] for i in flat["bigram_left"]] == ["<unk>", "ofThe", "<unk>", "manof"]
    assert [names[i] for i in flat["bigram_right"]] == ["ofThe", "<unk>", "manof", "of</s>"]


@pytest.mark.parametrize("name", ["token", "bigram_left", "bigram_right"])
def test_pairs_of_one_character_words_are_those_of_the_string(name):
    texts = ["中国人", "中国", "人中"]
    found = []
    for sentences in (texts, [list(text) for text in texts]):
        features = FeatureSet.fit(["token", "bigram_left", "bigram_right"], sentences)
        values = ["<pad>", "<unk>", "<s>", "</s>", *features.values(name)]
        found.append([values[index] for index in features.encode(sentences)[name]])
    assert found[0] == found[1]


def test_digits_are_read_as_zeros_everywhere_where_asked():
    features = FeatureSet.fit(["token", "suffix2", "characters"], [["1998", "2007", "B2"]], zero_digits=True)
    assert sorted(features.values("token")) == ["0000", "B0"]
    assert features.tokens["suffix2"].vocabulary.entries == ["00", "B0"]
    ids = features.encode([["1234"], ["x9"]])["token"]
    assert ids.tolist() == [features.encode([["0000"]])["token"][0], UNKNOWN]
    spelled = EncodedCorpus(features, [["3456"]]).batch(np.array([0])).spelling
    assert spelled.ids.tolist() == [features.characters.encode("0000").tolist()]


def test_spellings_of_a_batch_are_those_of_its_distinct_tokens():
    features = FeatureSet.fit(["characters"], SENTENCES)
    batch = EncodedCorpus(features, SENTENCES).batch(np.array([2, 3, 1]))
    distinct = {
        tuple(row[:length].tolist()) for row, length in zip(batch.spelling.ids, batch.spelling.lengths, strict=True)
    }
    assert len(distinct) == len(batch.spelling.ids) == len({token for i in (2, 3) for token in SENTENCES[i]})
    for row, index in enumerate((2, 3, 1)):
        for place, token in enumerate(SENTENCES[index]):
            which = int(batch.spelling.index[row, place])
            found = batch.spelling.ids[which, : batch.spelling.lengths[which]].tolist()
            assert found == features.characters.encode(token[:LONGEST_SPELLING]).tolist()


def test_word_dropout_hides_words_by_their_counts_and_nothing_else():
    sentences = [["a"] * 9 + ["b"] * 3 + ["c"]] * 4000
    features = FeatureSet.fit(["token", "shape"], sentences[:1])
    corpus = EncodedCorpus(features, sentences, hiding=Hiding(word_dropout=1.0))
    batch = corpus.batch(np.arange(4000), np.random.default_rng(0))
    hidden = Counter(dict(zip("abc", (0, 0, 0), strict=True)))
    for place, token in enumerate(sentences[0]):
        hidden[token] += int((batch.ids["token"][:, place] == UNKNOWN).sum())
    for token, count in {"a": 9, "b": 3, "c": 1}.items():
        assert hidden[token] / (4000 * count) == pytest.approx(1 / (1 + count), abs=0.02)
    assert (batch.ids["shape"] != UNKNOWN).all()
    # In the place of the chance of values seen once, which the other features keep.
    rates = features.unknown_rates("token", 0.5, 1.0)
    assert rates[features.encode([["c"]])["token"][0]] == 0.5
    assert not rates[:4].any()


def test_features_are_read_back_as_they_were(tmp_path):
    features = FeatureSet.fit(NAMES, SENTENCES, zero_digits=True)
    features.save(tmp_path)
    again = FeatureSet.load(tmp_path, NAMES, zero_digits=True)
    new = [["The", "man", "unheard", "77"], *SENTENCES]
    assert features.sizes() == again.sizes()
    for name, flat in features.encode(new).items():
        np.testing.assert_array_equal(flat, again.encode(new)[name])


def test_words_that_only_the_vectors_know_have_rows_behind_those_of_training():
    names = ["token", "lowercase", "bigram_left"]
    features = FeatureSet.fit(names, [["Rome", "fell"]], zero_digits=True)
    pairs = features.encode([["Rome", "fell", "Oslo", "Rome"]])["bigram_left"]
    before = features.encode([["Rome", "Oslo"]])["token"]
    features.know("token", ["Oslo", "Rome", "1998", "<unk>", "Oslo"])
    assert features.tokens["token"].vocabulary.entries[-2:] == ["Oslo", "0000"]
    after = features.encode([["Rome", "Oslo", "2007"]])["token"]
    assert before[1] == UNKNOWN
    assert after.tolist() == [before[0], features.sizes()["token"] - 2, features.sizes()["token"] - 1]
    assert not features.unknown_rates("token", 0.5, 1.0)[after[1:]].any()
    assert features.encode([["Oslo"]])["lowercase"].tolist() == [UNKNOWN]
    np.testing.assert_array_equal(features.encode([["Rome", "fell", "Oslo", "Rome"]])["bigram_left"], pairs)


def test_a_feature_with_vectors_looks_unknown_words_up_as_these_are(tmp_path):
    sentences = [["Rome", "fell", "in", "410"]]
    plain = FeatureSet.fit(["token"], sentences)
    features = FeatureSet.fit(["token"], sentences, with_vectors=["token"])
    for one in (plain, features):
        one.know("token", ["merkel", "a0", "0000"])
    unseen = [["Merkel", "merkel", "A7", "Rome", "1998", "Fell", "Oslo"]]
    number = features.tokens["token"].vocabulary
    expected = ["merkel", "merkel", "a0", "Rome", "0000", "fell", "<unk>"]
    assert number.names(features.encode(unseen)["token"].tolist()) == expected
    assert number.names(plain.encode(unseen)["token"].tolist()) == ["<unk>", "merkel", "<unk>", "Rome", *["<unk>"] * 3]
    features.save(tmp_path)
    again = FeatureSet.load(tmp_path, ["token"], with_vectors={"token": "vectors.txt"})
    np.testing.assert_array_equal(again.encode(unseen)["token"], features.encode(unseen)["token"])
