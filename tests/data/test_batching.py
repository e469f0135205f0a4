"""Plans of batches are pure functions; padding changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.batching import batches, evaluation_batches, pad, pad_rows, restore_order

some_lengths = st.lists(st.integers(0, 40), max_size=120)
limits = st.one_of(
    st.builds(lambda n: {"sentences": n}, st.integers(1, 20)), st.builds(lambda n: {"tokens": n}, st.integers(1, 200))
)


@settings(deadline=None, max_examples=120)
@given(some_lengths, limits, st.integers(-5, 2**40), st.integers(0, 5), st.integers(1, 4), st.booleans())
def test_every_sentence_comes_once_and_no_batch_is_too_large(lengths, limit, seed, epoch, window, shuffle):
    plan = batches(lengths, **limit, seed=seed, epoch=epoch, window=window, shuffle=shuffle)
    for some in (plan, evaluation_batches(lengths, **limit)):
        assert sorted(np.concatenate(some).tolist() if some else []) == list(range(len(lengths)))
        for batch in some:
            sizes = [lengths[index] for index in batch]
            assert sizes
            assert sizes in (sorted(sizes), sorted(sizes, reverse=True))
            if "sentences" in limit:
                assert len(sizes) <= limit["sentences"]
            else:
                assert len(sizes) == 1 or len(sizes) * max(sizes) <= limit["tokens"]


@settings(deadline=None, max_examples=40)
@given(some_lengths, limits, st.integers(0, 9), st.integers(0, 9))
def test_a_plan_depends_on_its_arguments_alone(lengths, limit, seed, epoch):
    first = batches(lengths, **limit, seed=seed, epoch=epoch)
    np.random.default_rng().random(10)
    second = batches(np.array(lengths), **limit, seed=seed, epoch=epoch)
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]


def test_the_plan_of_a_seed_never_changes_between_releases():
    plan = batches(range(9), sentences=2, seed=7, epoch=3, window=2)
    assert [batch.tolist() for batch in plan] == [[0, 2], [7, 8], [3, 4], [6], [1, 5]]


def test_epochs_and_seeds_differ_and_are_fair():
    plans = {
        str([b.tolist() for b in batches([3] * 50, sentences=5, seed=s, epoch=e)]) for s in range(5) for e in range(5)
    }
    assert len(plans) == 25
    first = np.bincount([batches([1] * 4, sentences=1, seed=0, epoch=e)[0][0] for e in range(2000)], minlength=4)
    assert (abs(first - 500) < 100).all()


def test_sorting_in_windows_pads_little():
    lengths = np.random.default_rng(0).integers(1, 100, 4000)
    plan = batches(lengths, sentences=32, seed=1)
    padded = sum(len(batch) * lengths[batch].max() for batch in plan)
    assert padded < 1.05 * lengths.sum()


def test_token_batches_use_their_room():
    lengths = np.random.default_rng(0).integers(1, 100, 4000)
    for plan in (batches(lengths, tokens=2000, seed=1), evaluation_batches(lengths, tokens=2000)):
        assert len(plan) < 1.1 * lengths.sum() / 2000


def test_evaluation_begins_with_the_longest_batch():
    plan = evaluation_batches([1, 9, 3, 9, 0], tokens=18)
    assert [batch.tolist() for batch in plan] == [[1, 3], [2, 0, 4]]


@settings(deadline=None, max_examples=60)
@given(some_lengths, limits)
def test_results_come_back_in_the_order_of_the_sentences(lengths, limit):
    plan = evaluation_batches(lengths, **limit)
    assert restore_order(plan, [batch.tolist() for batch in plan]) == list(range(len(lengths)))


def test_wrong_limits_are_refused():
    for arguments in ({}, {"sentences": 1, "tokens": 1}):
        with pytest.raises(ValueError, match="give one of sentences and tokens"):
            batches([1], **arguments)
    with pytest.raises(ValueError, match="sentences is 0"):
        batches([1], sentences=0)
    with pytest.raises(ValueError, match=r"lengths\[1\] is -2"):
        batches([1, -2], sentences=1)
    with pytest.raises(ValueError, match="2 sentences but there are 1 results"):
        restore_order([np.array([0, 1])], [["a"]])
    with pytest.raises(ValueError, match="no rows to pad"):
        pad([])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=9), st.data())
def test_padding_keeps_every_value_and_adds_only_its_own(lengths, data):
    rows = [np.arange(n * 2, dtype=np.int32).reshape(n, 2) for n in lengths]
    padded, sizes = pad(rows, value=-1)
    assert padded.dtype == np.int32
    assert sizes.tolist() == lengths
    for row, kept in zip(rows, padded, strict=True):
        assert (kept[: len(row)] == row).all()
        assert (kept[len(row) :] == -1).all()
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1))
    expected, expected_sizes = pad([rows[index] for index in chosen], value=-1)
    found, found_sizes = pad_rows(np.concatenate(rows), offsets, chosen, value=-1)
    assert (found == expected).all()
    assert found.shape == expected.shape
    assert found_sizes.tolist() == expected_sizes.tolist()
