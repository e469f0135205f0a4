"""The paired bootstrap against drawing sentences one by one, and cases whose answer is known."""

import numpy as np
import pytest

from seqloom.scores.bootstrap import paired_bootstrap


def slow_bootstrap(first, second, samples, seed):
    """Sentences drawn with replacement, one sample after the other."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(samples):
        places = draw.integers(len(first), size=len(first))
        ours, theirs = first[places].sum(0), second[places].sum(0)
        found.append(ours[0] / ours[1] - theirs[0] / theirs[1])
    return np.array(found)


def counts(seed, sentences=300, right=0.9):
    draw = np.random.default_rng(seed)
    sizes = np.random.default_rng(0).integers(1, 9, sentences)
    return np.stack([draw.binomial(sizes, right), sizes], axis=1)


def test_the_distribution_is_that_of_drawing_sentences_one_by_one():
    first, second = counts(1, right=0.9), counts(2, right=0.88)
    slow = slow_bootstrap(first, second, 4000, seed=5)
    found = paired_bootstrap("accuracy", first, second, samples=4000, seed=7)
    low, high = np.percentile(slow, [2.5, 97.5])
    # 4,000 samples settle the ends of an interval to about a twentieth of its width.
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.08 * (high - low))
    assert found.p_value == pytest.approx((slow <= 0).mean(), abs=0.03)
    assert found.difference == first[:, 0].sum() / first[:, 1].sum() - second[:, 0].sum() / second[:, 1].sum()


def test_the_seed_alone_decides():
    first, second = counts(1), counts(2)
    assert paired_bootstrap("f", first, second, samples=50) == paired_bootstrap("f", first, second, samples=50)
    assert paired_bootstrap("f", first, second, samples=50) != paired_bootstrap("f", first, second, samples=50, seed=1)


def test_exchanging_the_models_turns_the_difference_around():
    first, second = counts(1), counts(2, right=0.8)
    one, other = paired_bootstrap("f", first, second), paired_bootstrap("f", second, first)
    assert one.difference == -other.difference
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.01)


def test_a_model_is_no_better_than_itself():
    same = paired_bootstrap("f", counts(1), counts(1), samples=99)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_equal_models_rarely_differ_significantly():
    p_values = [
        paired_bootstrap("f", counts(2 * seed + 1), counts(2 * seed + 2), samples=200).p_value for seed in range(100)
    ]
    # One-sided for the model that is ahead, whichever it is: a tenth of the tests fall below 0.05.
    assert 1 <= sum(p < 0.05 for p in p_values) <= 22


def test_sentences_with_nothing_to_find_change_nothing_but_the_width():
    first, second = np.array([[2, 4]] * 20), np.array([[1, 4]] * 20)
    empty = np.zeros((30, 2), dtype=int)
    found = paired_bootstrap("f", np.concatenate([first, empty]), np.concatenate([second, empty]), samples=500)
    assert (found.difference, found.low, found.high) == (0.25, 0.25, 0.25)


def test_scores_of_different_tests_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(3, 2\) and \(2, 2\)"):
        paired_bootstrap("f", np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="0 sentences and 10 samples"):
        paired_bootstrap("f", np.ones((0, 2)), np.ones((0, 2)), samples=10)
