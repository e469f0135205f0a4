"""Texts become tokens, sentences and ids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.data.documents.config import TokenConfig
from seqloom.data.documents.encoding import bigram_ids, encode_sentences, encode_words, fit_sentences, fit_words
from seqloom.data.documents.tokens import Tokeniser, is_cjk
from seqloom.data.vocabulary import UNKNOWN
from seqloom.errors import ConfigError


def test_words_characters_and_both():
    text = "Don’t 说 Hello世界2024!"
    assert Tokeniser(TokenConfig()).words(text) == ["don’t", "说", "hello", "世", "界", "2024", "!"]
    assert Tokeniser(TokenConfig(tokens="words", lowercase=False)).words(text)[1:3] == ["说", "Hello世界2024"]
    assert Tokeniser(TokenConfig(tokens="characters")).words("Ab 世") == ["a", "b", "世"]
    assert Tokeniser(TokenConfig(fold_digits=True)).words("in 2024") == ["in", "0000"]
    assert Tokeniser(TokenConfig(breaks=False)).words("a<br />b") == ["a", "<", "br", "/", ">", "b"]
    assert (is_cjk("かな"), is_cjk("naïve")) == (True, False)


def test_which_end_is_kept():
    def kept(keep, longest=3):
        return Tokeniser(TokenConfig(longest=longest, keep=keep)).words("a b c d e")

    assert (kept("head"), kept("tail"), kept("both")) == (["a", "b", "c"], ["c", "d", "e"], ["a", "b", "e"])
    assert kept("head", 0) == kept("both", 5) == ["a", "b", "c", "d", "e"]
    sentences = Tokeniser(TokenConfig(sentences=2, keep="tail")).sentences("a. b. c.")
    assert sentences == [["b", "."], ["c", "."]]
    with pytest.raises(ConfigError, match="longest is -1; expected 0 or more"):
        TokenConfig(longest=-1)


def test_sentences_end_at_marks_and_line_breaks():
    tokeniser = Tokeniser(TokenConfig(longest_sentence=4))
    assert tokeniser.sentences('He said "no." Then<BR/>a b c d e') == [
        ["he", "said", '"', "no"], [".", '"'], ["then"], ["a", "b", "c", "d"], ["e"],
    ]  # fmt: skip
    assert tokeniser.sentences("好！！坏？“是。”\n\n完") == [
        ["好", "！", "！"],
        ["坏", "？"],
        ["“", "是", "。", "”"],
        ["完"],
    ]
    assert tokeniser.sentences(" \n ") == []


@given(st.text(), st.sampled_from(["auto", "words", "characters"]), st.sampled_from(["head", "tail", "both"]))
def test_spans_are_the_words_where_they_stand(text, tokens, keep):
    for given_text in (text, f"{text}<br />A.{text}"):
        plain = given_text.replace("İ", "I")
        tokeniser = Tokeniser(TokenConfig(tokens=tokens, keep=keep, longest=7, longest_sentence=3))
        spans = tokeniser.spans(plain)
        assert [span.text.lower() for span in spans] == [word.lower() for word in tokeniser.words(plain)]
        assert all(plain[span.start : span.end] == span.text for span in spans)
        sentences = tokeniser.sentence_spans(plain)
        assert [len(one) for one in sentences] == [len(one) for one in tokeniser.sentences(plain)]
        assert all(plain[span.start : span.end] == span.text for one in sentences for span in one)


def test_a_corpus_is_numbered_as_text_by_text():
    tokeniser = Tokeniser(TokenConfig())
    texts = ["B a b.", "", "c a b <unk>"]
    vocabulary, batch = fit_words(tokeniser, texts, min_count=2)
    assert vocabulary.entries == ["b", "a"]
    assert batch.offsets.tolist() == [0, 4, 4, 10]
    assert batch.ids.tolist() == vocabulary.lookup([word for text in texts for word in tokeniser.words(text)]).tolist()
    again = encode_words(tokeniser, vocabulary, texts)
    assert (again.ids == batch.ids).all()
    assert (again.offsets == batch.offsets).all()
    assert encode_words(tokeniser, vocabulary, []).offsets.tolist() == [0]
    assert fit_words(tokeniser, texts, max_size=1)[0].entries == ["b"]


def test_a_corpus_in_sentences_has_two_arrays_of_offsets():
    tokeniser = Tokeniser(TokenConfig())
    texts = ["A b. C.", "", "d"]
    vocabulary, nested = fit_sentences(tokeniser, texts)
    assert nested.words.tolist() == [0, 3, 5, 6]
    assert nested.sentences.tolist() == [0, 2, 2, 3]
    assert vocabulary.names(nested.ids) == ["a", "b", ".", "c", ".", "d"]
    unknown = encode_sentences(tokeniser, vocabulary, ["x b"])
    assert unknown.ids.tolist() == [UNKNOWN, vocabulary["b"]]


def test_pairs_depend_on_the_word_before_in_the_same_text():
    tokeniser = Tokeniser(TokenConfig())
    _, batch = fit_words(tokeniser, ["a b", "a b a", "", "b"])
    pairs = bigram_ids(batch, 1 << 20)
    assert pairs[:2].tolist() == pairs[2:4].tolist()
    assert len(set(pairs.tolist())) == 4
    assert pairs.min() > 0
    assert bigram_ids(batch, 2).tolist() == [1] * 6
    few = bigram_ids(batch._replace(ids=np.arange(6)), 5)
    assert few.max() < 5
    with pytest.raises(ValueError, match="buckets is 1"):
        bigram_ids(batch, 1)
