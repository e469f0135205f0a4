import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.location import locate
from seqloom.data.tagged.formats import detect_format, read
from seqloom.data.tagged.slashed import format_slashed, slashed_sentences
from seqloom.errors import DataError

pairs = st.lists(st.tuples(st.text("中国/ab", min_size=1, max_size=4), st.sampled_from(["n", "v", "Ng"])), max_size=6)


@given(st.lists(pairs, max_size=5))
@settings(deadline=None)
def test_words_and_tags_survive_writing_and_reading(sentences):
    words, tags = [[w for w, _ in row] for row in sentences], [[t for _, t in row] for row in sentences]
    lines = enumerate(format_slashed(words, tags), start=1)
    found = list(slashed_sentences(lines, "memory"))
    assert [list(sentence.tokens) for sentence in found] == words
    assert [list(sentence.tags or ()) for sentence in found] == tags


def test_the_format_is_recognised_and_a_lonely_word_is_refused(tmp_path):
    assert detect_format(["我/r 是/v  中国人/n"])[0] == "slashed"
    assert detect_format(["我 是 1/2"])[0] == "segmented"
    (tmp_path / "x.txt").write_text("我/r 是/v\n中国/ns 人\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.txt:2: '人' is not a word and its tag"):
        read(tmp_path / "x.txt", "slashed")


def test_files_inside_packages_are_found_without_importing_them():
    assert str(locate("package:pytest/__init__.py")).endswith("__init__.py")
    assert locate("plain.txt") == "plain.txt"
    with pytest.raises(DataError, match=r"pip install nowhere_at_all"):
        locate("package:nowhere_at_all/data.txt")
    with pytest.raises(DataError, match=r"has no file 'nothing\.txt'"):
        locate("package:pytest/nothing.txt")
