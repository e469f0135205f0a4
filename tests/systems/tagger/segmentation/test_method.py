"""Texts in blocks."""

from hypothesis import given
from hypothesis import strategies as st

from seqloom.systems.tagger.segmentation.method import bound_texts


@given(st.lists(st.text(max_size=5)), st.integers(1, 9))
def test_blocks_are_the_texts_in_order_and_only_single_texts_exceed_the_limit(texts, limit):
    blocks = bound_texts(texts, limit)
    assert [text for block in blocks for text in block] == texts
    assert all(sum(map(len, block)) <= limit or len([t for t in block if t]) == 1 for block in blocks)
