"""Words to tags and back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.systems.segmentation.method import bound_texts, tags_to_words, words_to_tags


@given(st.lists(st.text(min_size=1)))
def test_words_come_back_from_their_tags(words):
    assert tags_to_words("".join(words), words_to_tags(words)) == words


@given(st.text(alphabet="BMES"))
def test_any_tags_spell_the_text(tags):
    text = "".join(map(chr, range(97, 97 + len(tags))))
    assert "".join(tags_to_words(text, tags)) == text


@pytest.mark.parametrize(("n", "number"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32)])
def test_the_legal_tag_strings_are_exactly_the_segmentations(n, number):
    text = "abcdef"[:n]
    after = {"": "BS", "B": "ME", "M": "ME", "E": "BS", "S": "BS"}
    legal = [
        tags
        for tags in itertools.product("BMES", repeat=n)
        if all(b in after[a] for a, b in itertools.pairwise(("", *tags))) and tags[-1] in "ES"
    ]
    assert len(legal) == len({tuple(tags_to_words(text, tags)) for tags in legal}) == number
    assert all(words_to_tags(tags_to_words(text, tags)) == "".join(tags) for tags in legal)


def test_tags_that_are_none_are_refused():
    with pytest.raises(ValueError, match="1 tags for 2 characters"):
        tags_to_words("ab", "S")
    with pytest.raises(ValueError, match="tag 1 is 'X'; expected one of B, M, E, S"):
        tags_to_words("ab", "SX")


@given(st.lists(st.text(max_size=5)), st.integers(1, 9))
def test_blocks_are_the_texts_in_order_and_only_single_texts_exceed_the_limit(texts, limit):
    blocks = bound_texts(texts, limit)
    assert [text for block in blocks for text in block] == texts
    assert all(sum(map(len, block)) <= limit or len([t for t in block if t]) == 1 for block in blocks)
