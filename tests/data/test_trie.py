"""The trie finds exactly the words that are there."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.characters import code_points
from seqloom.data.trie import Trie

ANY = st.characters(codec=None)  # lone surrogates too


@given(
    st.lists(st.text(alphabet=st.sampled_from("abc中\U00020000\ud800"), min_size=1, max_size=5), unique=True), st.data()
)
@settings(deadline=None, max_examples=150)
def test_matches_are_all_occurrences_of_all_words(words, data):
    text = data.draw(st.text(alphabet=st.sampled_from("abc中d\U00020000\ud800"), max_size=20))
    trie = Trie.build(words)
    characters = np.append(trie.alphabet[code_points(text)], 0).astype(np.int32)
    found = {
        (start, start + length, words[word])
        for length, starts, ids in trie.matches(characters)
        for start, word in zip(starts.tolist(), ids.tolist(), strict=True)
    }
    expected = {(i, i + len(word), word) for word in words for i in range(len(text)) if text.startswith(word, i)}
    assert found == expected


@given(st.text(alphabet=ANY))
def test_code_points_are_one_per_character(text):
    assert code_points(text).tolist() == [ord(character) for character in text]


def test_a_trie_without_words_matches_nothing():
    trie = Trie.build([])
    assert list(trie.matches(np.append(trie.alphabet[code_points("中国")], 0).astype(np.int32))) == []
