"""Characters and pairs of characters: the fast way equals the slow and obvious one."""

import lzma
import os
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqloom.data.characters import BigramVocabulary, CharacterVocabulary, code_points
from seqloom.data.vocabulary import END, START, UNKNOWN
from seqloom.errors import ModelError

any_text = st.text(st.characters(), max_size=12)
small_text = st.text("甲乙丙丁戊", max_size=12)


@settings(deadline=None, max_examples=80)
@given(st.lists(any_text), st.lists(any_text))
def test_characters_equal_a_dictionary(training, texts):
    vocabulary = CharacterVocabulary.build(training)
    oracle = {name: index for index, name in enumerate(vocabulary.entries, start=4)}
    counted = Counter("".join(training))
    assert set(oracle) == set(counted)
    assert vocabulary.counts[4:].tolist() == [counted[name] for name in vocabulary.entries]
    batch = vocabulary.encode_batch(texts)
    assert batch.ids.dtype == np.int64
    assert batch.lengths.tolist() == [len(text) for text in texts]
    assert batch.ids.tolist() == [oracle.get(character, UNKNOWN) for text in texts for character in text]


def bigram_oracle(text, known):
    """For each character the two neighbouring pairs, read off one by one."""
    padded = [START, *known.encode(text).tolist(), END]
    pairs = list(pairwise(padded)) if text else []
    return pairs[:-1], pairs[1:]


@settings(deadline=None, max_examples=80)
@given(st.lists(small_text), st.lists(small_text), st.integers(1, 3), st.integers(1, 3))
def test_bigrams_equal_a_dictionary(training, texts, character_min, pair_min):
    characters = CharacterVocabulary.build(training, character_min)
    counted: Counter[tuple[int, int]] = Counter()
    for text in training:
        left, right = bigram_oracle(text, characters)
        counted.update(left + right[-1:])
    oracle = {pair: n for pair, n in counted.items() if n >= pair_min and UNKNOWN not in pair}
    bigrams = BigramVocabulary.build(characters.encode_batch(training), len(characters), pair_min)
    entries = list(zip(*(side.tolist() for side in bigrams.pairs()), strict=True))
    assert dict(zip(entries, bigrams.counts[4:].tolist(), strict=True)) == oracle
    assert bigrams.counts[4:].tolist() == sorted(oracle.values(), reverse=True)
    ids = {pair: index for index, pair in enumerate(entries, start=4)}
    left, right = bigrams.encode_batch(characters.encode_batch(texts))
    sides = [bigram_oracle(text, characters) for text in texts]
    assert left.tolist() == [ids.get(pair, UNKNOWN) for side, _ in sides for pair in side]
    assert right.tolist() == [ids.get(pair, UNKNOWN) for _, side in sides for pair in side]


def test_code_points_beyond_the_table_and_lone_surrogates_are_single_characters():
    vocabulary = CharacterVocabulary(["a", "\ud800"])
    assert code_points("\ud83d\ude00").tolist() == [0xD83D, 0xDE00]
    assert vocabulary.encode("a\U0010ffff\ud800\x00").tolist() == [4, UNKNOWN, 5, UNKNOWN]
    assert "a" in vocabulary
    assert "aa" not in vocabulary


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(any_text))
def test_both_load_as_they_were_saved(tmp_path, training):
    characters = CharacterVocabulary.build(training)
    bigrams = BigramVocabulary.build(characters.encode_batch(training), len(characters))
    characters.save(tmp_path / "c.json")
    bigrams.save(tmp_path / "b.json")
    again, pairs = CharacterVocabulary.load(tmp_path / "c.json"), BigramVocabulary.load(tmp_path / "b.json")
    assert again.entries == characters.entries
    assert again.counts.tolist() == characters.counts.tolist()
    batch = characters.encode_batch(training)
    assert [side.tolist() for side in pairs.encode_batch(batch)] == [
        side.tolist() for side in bigrams.encode_batch(batch)
    ]
    assert pairs.counts.tolist() == bigrams.counts.tolist()


def test_damaged_files_are_model_errors(tmp_path):
    path = tmp_path / "x.json"
    head = '{"format": 1, "kind": '
    for text, message in [
        (head + '"characters", "entries": ["ab"], "counts": [1]}', "'ab' is not one character"),
        (head + '"characters", "entries": ["a", "a"], "counts": [1, 1]}', "holds a character twice"),
    ]:
        path.write_text(text)
        with pytest.raises(ModelError, match=message):
            CharacterVocabulary.load(path)
    for text, message in [
        (head + '"bigrams", "characters": 5, "keys": [25], "counts": [1]}', "outside the 5 characters"),
        (head + '"bigrams", "characters": 5, "keys": [7, 7], "counts": [1, 1]}', "holds a pair twice"),
        (head + '"bigrams", "characters": 5, "keys": [1.5], "counts": [1]}', "whole numbers"),
        (head + '"bigrams", "characters": 5, "keys": [-1], "counts": [1]}', "below zero"),
    ]:
        path.write_text(text)
        with pytest.raises(ModelError, match=message):
            BigramVocabulary.load(path)


def test_a_month_of_newspaper_is_encoded_in_a_moment():
    folder = os.environ.get("SEQLOOM_DATA")
    path = Path(folder or "", "cws-pku", "pku98_training.utf8.xz")
    if not folder or not path.is_file():
        pytest.skip("SEQLOOM_DATA names no folder with cws-pku")
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        texts = ["".join(line.split()) for line in lines]
    assert sum(map(len, texts)) == 1_841_657
    start = time.process_time()
    characters = CharacterVocabulary.build(texts)
    batch = characters.encode_batch(texts)
    bigrams = BigramVocabulary.build(batch, len(characters))
    built = time.process_time() - start
    bigrams.encode_batch(batch)
    print(f"{len(bigrams)} pairs of {len(characters)} characters: built {built:.2f} s", end=", ")
    print(f"encoded {time.process_time() - start - built:.2f} s")
    assert len(bigrams) - 4 == bigrams.counts.astype(bool).sum()
    assert bigrams.counts.sum() == 1_841_657 + len(texts)
