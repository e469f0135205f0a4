"""Segmented text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.segmented import (
    bmes_sentences,
    format_bmes,
    format_segmented,
    read_bmes,
    read_plain,
    read_segmented,
    segmented_sentences,
)
from seqloom.errors import DataError

word = st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc", "Zl", "Zp"]), min_size=1, max_size=5)
sentence_words = st.lists(st.lists(word, max_size=6), min_size=1, max_size=5)


def test_every_line_is_a_sentence(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes("\ufeff我  是\u3000中国人\r\n\r\n好 \n".encode())
    sentences = list(read_segmented(path))
    assert [sentence.tokens for sentence in sentences] == [("我", "是", "中国人"), (), ("好",)]
    assert sentences[2].where() == f"{path}:3"
    assert [sentence.tokens for sentence in read_plain(path)] == ["我  是\u3000中国人", "", "好 "]


@settings(deadline=None, max_examples=60)
@given(sentence_words)
def test_words_survive_both_formats(sentences):
    lines = list(enumerate(format_segmented(sentences), start=1))
    assert [list(found.tokens) for found in segmented_sentences(lines, "x")] == sentences
    some = [words for words in sentences if words and not "".join(words).startswith(("-DOCSTART-", "#"))]
    rows = list(enumerate(format_bmes(some), start=1))
    if some and "-" not in "".join(map("".join, some)):
        assert [list(found.tokens) for found in bmes_sentences(rows, "x")] == some


def test_other_tags_than_bmes_are_named(tmp_path):
    path = tmp_path / "t.bmes"
    path.write_text("我\tS\n是\tO\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"t\.bmes:2: tag 'O' is none of B, M, E, S"):
        list(read_bmes(path))


def test_nothing_in_gives_nothing_out_only_for_plain_text(tmp_path):
    path = tmp_path / "empty"
    path.write_text("")
    assert list(read_plain(path)) == []
    with pytest.raises(DataError, match="is empty; expected one sentence per line"):
        list(read_segmented(path))
