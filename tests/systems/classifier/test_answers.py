"""What classifiers answer, by hand-computed numbers."""

import numpy as np
import pytest
import torch

from seqloom.data.labelled import Series
from seqloom.errors import DataError
from seqloom.systems.classifier.answers import Classes, Labels, Values, answer_of
from seqloom.systems.classifier.gap import global_average_precision


def one(target, steps=2, where="a.csv:1"):
    if isinstance(target, list):
        target = np.array(target, np.float32)
    return Series(values=np.zeros((steps, 1), np.float32), target=target, where=where)


def test_classes_are_sorted_by_name_and_numbers_by_size():
    assert answer_of([one("b"), one("a"), one("b")], {}).names == ["a", "b"]
    assert answer_of([one("10"), one("9"), one("2")], {}).names == ["2", "9", "10"]


def test_balanced_weights_make_every_class_count_alike():
    answer = Classes.fit([one("a"), one("a"), one("a"), one("b")])
    torch.testing.assert_close(answer.balanced(), torch.tensor([4 / 6, 4 / 2]))
    scores, targets = torch.zeros(4, 2), torch.tensor([0, 0, 0, 1])
    loss = answer.loss(scores, targets, weights=answer.balanced())
    torch.testing.assert_close(loss, torch.tensor(np.log(2.0), dtype=torch.float32))


def test_a_class_that_training_has_not_seen_is_named_with_its_place():
    answer = Classes.fit([one("walk"), one("run")])
    with pytest.raises(DataError, match=r"a.csv:7: class 'walc' does not occur .*; did you mean 'walk'\?"):
        answer.targets([one("walc", where="a.csv:7")])


def test_several_classes_are_ones_among_zeros():
    answer = answer_of([one(("a", "b")), one(()), one(("c",))], {})
    assert isinstance(answer, Labels)
    assert answer.targets([one(("c", "a"))]).tolist() == [[1.0, 0.0, 1.0]]


def test_real_values_are_learned_in_units_of_their_deviation():
    answer = answer_of([one([1.0, 10.0]), one([3.0, 10.0])], {"targets": ("x", "y")})
    assert isinstance(answer, Values)
    assert answer.names == ["x", "y"]
    assert not answer.stepwise
    assert answer.targets([one([3.0, 11.0])]).tolist() == [[1.0, 1.0]]
    assert answer.decide(torch.tensor([1.0, 1.0])).tolist() == [3.0, 11.0]


def test_values_of_steps_need_one_row_for_each():
    answer = answer_of([one([[1.0], [3.0]]), one([[2.0]], steps=1)], {})
    assert answer.stepwise
    assert answer.targets([one([[2.0], [2.0]])]).shape == (2, 1)
    with pytest.raises(DataError, match=r"a.csv:1: targets of the shape \(1, 1\), expected \(2, 1\)"):
        answer.targets([one([[2.0]])])


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        ([], "no training examples"),
        ([one("a"), one(None)], "it has no answer"),
        ([one("a"), one([1.0])], "its answer is of another kind"),
        ([one("a"), one("a")], "all training examples are of the class 'a'"),
    ],
)
def test_what_cannot_be_learned_is_one_sentence(examples, sentence):
    with pytest.raises(DataError, match=sentence):
        answer_of(examples, {})


def test_global_average_precision_of_hand_computed_cases():
    scores = np.array([[0.9, 0.1], [0.8, 0.2]])
    perfect = np.array([[True, False], [True, False]])
    assert global_average_precision(scores, perfect) == 1.0
    # In the order of scores: right, wrong, wrong, right; both true labels count below.
    mixed = np.array([[True, False], [False, False]])
    assert global_average_precision(scores, mixed) == 1.0
    late = np.array([[False, True], [False, False]])
    assert global_average_precision(scores, late) == pytest.approx(1 / 4)
    # The only true label is not among the best one of its example.
    assert global_average_precision(scores, late, best=1) == 0.0
