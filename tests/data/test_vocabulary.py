"""Vocabularies: fixed ids, exact inverses, and files that are checked when they are read."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import SPECIALS, UNKNOWN, TagVocabulary, Vocabulary
from seqloom.errors import DataError, ModelError

words = st.lists(st.text(max_size=4), max_size=30)


@settings(deadline=None, max_examples=60)
@given(words, words)
def test_lookup_and_names_are_inverse_on_known_words(training, text):
    vocabulary = Vocabulary.build(training)
    ids = vocabulary.lookup(text)
    assert ids.dtype == np.int64
    for word, index in zip(text, ids.tolist(), strict=True):
        known = word in training and word not in SPECIALS
        assert (index >= 4) == known
        assert (word in vocabulary) == known
        assert vocabulary.names([index])[0] == (word if known else "<unk>")


def test_the_special_symbols_have_fixed_ids_and_texts_cannot_forge_padding():
    vocabulary = Vocabulary.build(["a"])
    assert vocabulary.names(range(4)) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert vocabulary.lookup(["<pad>", "<unk>", "<s>", "</s>"]).tolist() == [UNKNOWN] * 4


def test_entries_are_ordered_by_count_then_name_and_rare_ones_left_out():
    vocabulary = Vocabulary.build(["b", "a", "c", "c", "b", "a", "d"], min_count=2)
    assert vocabulary.entries == ["a", "b", "c"]
    assert vocabulary.counts.tolist() == [0, 0, 0, 0, 2, 2, 2]
    assert Vocabulary.build("aabbbc", max_size=2).entries == ["b", "a"]


def test_wrong_entries_are_refused():
    with pytest.raises(ValueError, match="'a' twice"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(ValueError, match="fixed symbol"):
        Vocabulary(["<s>"])
    with pytest.raises(ValueError, match="expected 1 whole numbers"):
        Vocabulary(["a"], [1, 2])
    with pytest.raises(ValueError, match="at least one tag"):
        TagVocabulary([])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(), max_size=4), min_size=1, max_size=20))
def test_a_saved_vocabulary_loads_as_it_was_even_with_lone_surrogates(tmp_path, items):
    for kind in (Vocabulary, TagVocabulary):
        vocabulary = kind.build(items)
        vocabulary.save(tmp_path / "v.json")
        loaded = kind.load(tmp_path / "v.json")
        assert loaded.entries == vocabulary.entries
        assert loaded.counts.tolist() == vocabulary.counts.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "tags"}, "expected a file of kind 'vocabulary', found 'tags'"),
        ({"format": 2}, "has format 2"),
        ({"entries": ["a", "a"]}, "'a' twice"),
        ({"entries": ["a", 3]}, "not a list of strings"),
        ({"entries": "ab"}, "not a list of strings"),
        ({"counts": [1]}, "expected 2 whole numbers"),
        ({"counts": [1, -1]}, "number 1 is below zero"),
        ({"counts": [1, "x"]}, "whole numbers"),
        ({"counts": None}, None),
    ],
)
def test_a_damaged_file_is_a_model_error(tmp_path, change, message):
    path = tmp_path / "words.json"
    Vocabulary(["a", "b"]).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    if message is None:
        assert Vocabulary.load(path).entries == ["a", "b"]
        return
    with pytest.raises(ModelError, match=message):
        Vocabulary.load(path)


def test_missing_and_cut_files_are_model_errors(tmp_path):
    path = tmp_path / "words.json"
    with pytest.raises(ModelError, match="cannot be read"):
        Vocabulary.load(path)
    path.write_text('{"kind": "vocab')
    with pytest.raises(ModelError, match="is damaged, not JSON"):
        Vocabulary.load(path)
    path.write_text('{"kind": "vocabulary", "format": 1}')
    with pytest.raises(ModelError, match="'entries' is missing"):
        Vocabulary.load(path)
    path.write_text("[]")
    with pytest.raises(ModelError, match="found 'list'"):
        Vocabulary.load(path)


def test_an_unseen_tag_is_an_error_with_file_and_line():
    tags = TagVocabulary.build(["O", "B-PER", "I-PER", "O"])
    assert tags.entries == ["O", "B-PER", "I-PER"]
    sentence = Sentence(
        ["a", "b"], ("O", "B-PRE"), line=12, source="dev.conll", rows=("a O", "b B-PRE"), token_rows=(0, 1)
    )
    with pytest.raises(DataError, match=r"^dev\.conll:13: tag 'B-PRE' does not occur.*did you mean 'B-PER'\?"):
        tags.lookup_sentence(sentence)
    with pytest.raises(DataError, match=r"^dev\.conll:12: the sentence has no tags"):
        tags.lookup_sentence(Sentence(["a"], line=12, source="dev.conll"))
    assert tags["I-PER"] == 2
    assert tags.names([1, 0]) == ["B-PER", "O"]
