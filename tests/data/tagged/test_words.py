"""Words and their B, M, E, S tags."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.legality import illegal_tags
from seqloom.data.tagged.words import BMES, tags_to_words, word_starts, words_to_tags

words = st.lists(st.text(st.characters(), min_size=1, max_size=40), max_size=12)


@settings(deadline=None, max_examples=80)
@given(words)
def test_words_survive_their_tags(some):
    tags = words_to_tags(some)
    assert tags_to_words("".join(some), tags) == some
    assert illegal_tags(tags, "bmes") == []


@pytest.mark.parametrize("length", range(1, 7))
def test_the_legal_tags_are_exactly_the_segmentations(length):
    text = "甲乙丙丁戊己"[:length]
    legal = [tags for tags in product("BMES", repeat=length) if not illegal_tags(tags, "bmes")]
    assert len(legal) == 2 ** (length - 1)
    assert len({tuple(tags_to_words(text, tags)) for tags in legal}) == len(legal)


def repaired(tags):
    """The repair rule, read word by word: orphans count as B or S, an open word ends before B, S and the end."""
    words, current = [], []
    for index, tag in enumerate(tags):
        if not current:
            tag = {"M": "B", "E": "S"}.get(tag, tag)
        elif tag in "BS":
            words.append(current)
            current = []
        current.append(index)
        if tag in "ES":
            words.append(current)
            current = []
    return [*words, current] if current else words


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text("BMES", max_size=8), max_size=5))
def test_illegal_tags_are_repaired_the_same_way_one_by_one_and_in_bulk(sentences):
    flat, expected, at = "".join(sentences), [], 0
    for tags in sentences:
        indices = repaired(tags)
        text = "".join(chr(0x4E00 + index) for index in range(len(tags)))
        assert tags_to_words(text, tags) == ["".join(text[i] for i in word) for word in indices]
        expected += [at + word[0] for word in indices]
        at += len(tags)
    firsts = np.cumsum([0, *map(len, sentences)])[:-1][[bool(tags) for tags in sentences]]
    starts = word_starts(np.array([BMES.index(tag) for tag in flat], np.int64), firsts.astype(np.int64))
    assert np.flatnonzero(starts).tolist() == expected


def test_tokens_of_several_characters_are_joined():
    assert tags_to_words(["20", "01", "年"], "BES") == ["2001", "年"]


def test_wrong_tags_are_refused():
    with pytest.raises(ValueError, match="2 tags for 1 characters"):
        tags_to_words("a", "BE")
    with pytest.raises(ValueError, match=r"tags\[1\] is 'O'"):
        tags_to_words("ab", "BO")
