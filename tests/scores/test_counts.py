"""Counts against scikit-learn, and what a rate without a base is."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as truth
from sklearn.metrics import precision_recall_fscore_support as by_class

from seqloom.scores.counts import Counts, class_counts, confusion_matrix, ratio

NAMES = ["A", "B", "C", "D"]


@given(st.lists(st.tuples(st.sampled_from(NAMES[:3]), st.sampled_from(NAMES[:3])), min_size=1, max_size=30))
def test_classes_and_their_confusion_are_those_of_scikit_learn(pairs):
    gold, predicted = zip(*pairs, strict=True)
    matrix = confusion_matrix(Counter(pairs), NAMES)
    assert matrix.tolist() == truth(gold, predicted, labels=NAMES).tolist()
    found = class_counts(NAMES, matrix)
    rows = np.array([(one.precision, one.recall, one.f1, one.support) for one in found.values()]).T
    np.testing.assert_allclose(rows, by_class(gold, predicted, labels=NAMES, zero_division=0), rtol=1e-12)
    assert found["D"] == Counts()


@pytest.mark.parametrize("empty", [0.0, math.nan])
def test_a_rate_without_a_base_is_what_was_chosen(empty):
    nothing, missed = Counts(empty=empty), Counts(0, 0, 3, empty=empty)
    assert repr([nothing.precision, nothing.recall, nothing.f1]) == repr([empty] * 3)
    assert repr([missed.precision, missed.recall, missed.f1]) == repr([empty, 0.0, 0.0])
    assert (ratio(1, 4), ratio(0, 0), repr(ratio(1, 0, empty))) == (0.25, 0.0, repr(empty))


def test_no_class_at_all_is_an_empty_confusion():
    assert confusion_matrix({}, []).shape == (0, 0)
    assert class_counts([], confusion_matrix({}, [])) == {}
