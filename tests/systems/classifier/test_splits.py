"""Which examples train, choose and score."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.labelled import LabelledData, Series
from seqloom.errors import ConfigError
from seqloom.systems.classifier.config import LabelledFilesConfig
from seqloom.systems.classifier.splits import drawn, labelled_splits


def some(count=40, groups=0, classes=2):
    values = np.zeros((1, 1), np.float32)
    return [
        Series(values=values, target="abcdef"[index * classes // count], group=f"g{index % groups}" if groups else "")
        for index in range(count)
    ]


def divided(examples, parts=None, **data):
    whole = LabelledData(examples, {}, parts or {})
    return labelled_splits(lambda source: whole, LabelledFilesConfig(**data), {"train": examples})


def test_what_is_held_out_has_some_of_each_class():
    splits = divided(some(), held_out=0.25, held_out_test=0.25)
    assert Counter(one.target for one in splits.test) == {"a": 5, "b": 5}
    assert abs(Counter(one.target for one in splits.dev)["a"] - 4) <= 1
    assert len(splits.train) + len(splits.dev) + len(splits.test) == 40


@settings(max_examples=30, deadline=None)
@given(groups=st.integers(3, 12), share=st.sampled_from([0.1, 0.2, 0.5]), seed=st.integers(0, 5))
def test_no_group_is_on_both_sides(groups, share, seed):
    kept, held = drawn(some(40, groups), share, "groups", seed)
    assert len(kept) + len(held) == 40
    assert kept
    assert held
    assert not {one.group for one in kept} & {one.group for one in held}


def test_known_groups_are_kept_together_without_being_asked_to():
    splits = divided(some(40, 8), held_out_test=0.25)
    parts = [{one.group for one in part} for part in (splits.train, splits.dev, splits.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_a_random_draw_over_groups_is_warned_about(capsys):
    divided(some(40, 8), held_out_test=0.25, split="random")
    assert "data.split is 'random' over 8 groups" in capsys.readouterr().err


@pytest.mark.parametrize("groups", [0, 7])
def test_folds_cover_everything_once(groups):
    examples, seen = some(41, groups), Counter()
    for fold in range(5):
        splits = divided(examples, folds=5, fold=fold)
        seen.update(map(id, splits.test))
        assert not {id(one) for one in splits.train} & {id(one) for one in splits.test}
    assert seen == Counter(map(id, examples))


def test_parts_that_a_file_names_are_used():
    examples = some(10)
    splits = divided(examples, {"train": range(5), "dev": [5], "test": range(6, 10)})
    assert [len(part) for part in (splits.train, splits.dev, splits.test)] == [5, 1, 4]


def test_named_groups_are_scored_and_the_others_train():
    splits = divided(some(40, 4), test_groups=("g1", "g3"), dev_groups=("g0",))
    assert {one.group for one in splits.test} == {"g1", "g3"}
    assert {one.group for one in splits.dev} == {"g0"}
    assert {one.group for one in splits.train} == {"g2"}
    with pytest.raises(ConfigError, match=r"data.test_groups: there is no group 'g9'"):
        divided(some(40, 4), test_groups=("g9",))


def test_a_limit_takes_examples_from_all_over_a_sorted_file():
    assert {one.target for one in divided(some(40, classes=4), limit=8).train} == set("abcd")


def test_classes_can_be_chosen():
    splits = divided(some(40, classes=4), labels=("a", "d"))
    assert {one.target for one in splits.train} == {"a", "d"}
    with pytest.raises(ConfigError, match=r"data.labels: no train example is of the class 'x'"):
        divided(some(), labels=("x",))


def test_the_same_seed_draws_the_same():
    first, second = (divided(some(40), held_out=0.2) for _ in range(2))
    assert len(first.dev) == len(second.dev)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_a_share_of_the_training_examples_has_all_classes_and_the_test_stays(share):
    whole, part = (divided(some(200), held_out_test=0.2, train_share=one) for one in (1.0, share))
    assert len(part.train) == pytest.approx(share * len(whole.train), abs=3)
    assert {one.target for one in part.train} == {"a", "b"}
    assert [one.where for one in part.test] == [one.where for one in whole.test]
