"""AirGestures: what is generated, and that it can be told apart."""

import numpy as np
import pytest

from seqloom.synthetic.air_gestures import GESTURES, air_gestures


@pytest.fixture(scope="module")
def gestures():
    return air_gestures(users=8, repetitions=5, seed=1)


def course(one):
    at = np.linspace(0, len(one.values) - 1, 16).round().astype(int)
    return ((one.values - one.values.mean(axis=0))[at] / [5, 5, 5, 1, 1, 1]).ravel()


def test_a_seed_gives_the_same_gestures(gestures):
    again, other = air_gestures(8, 5, seed=1), air_gestures(8, 5, seed=2)
    assert all((a.values == b.values).all() for a, b in zip(gestures.examples, again.examples, strict=True))
    assert not all(a.values.shape == b.values.shape for a, b in zip(gestures.examples, other.examples, strict=True))


def test_every_user_makes_every_gesture_as_often(gestures):
    pairs = [(one.target, one.group) for one in gestures.examples]
    assert {pairs.count(pair) for pair in set(pairs)} == {5}
    assert len(set(pairs)) == 8 * 8
    assert {one.target for one in gestures.examples} == set(GESTURES)
    assert all(one.values.shape[1] == 6 and 30 <= len(one.values) <= 160 for one in gestures.examples)
    assert gestures.facts["units"] == ["m/s^2"] * 3 + ["rad/s"] * 3


def test_a_device_at_rest_feels_gravity_and_no_turning(gestures):
    first = np.array([one.values[0] for one in gestures.examples])
    assert np.linalg.norm(first[:, :3], axis=1).mean() == pytest.approx(9.81, abs=0.15)
    assert np.abs(first[:, 3:].mean(axis=0)).max() < 0.05


def test_a_device_that_comes_back_has_turned_by_nothing(gestures):
    for one in gestures.examples:
        turned = np.abs(one.values[:, 3:].sum(axis=0)) / gestures.facts["rate"]
        if one.target.startswith("flick"):  # turns about two axes, as in a circle, do not add up to nothing
            assert turned.max() < 0.1
        elif one.target == "tick":  # to the right and up
            assert turned.max() > 0.2
        assert np.abs(one.values[:, :3] - one.values[:, :3].mean(axis=0)).mean() > 0.2


def test_twice_the_rate_is_the_same_motion():
    slow, fast = air_gestures(1, 1, seed=3), air_gestures(1, 1, seed=3, rate=100.0)
    first, second = slow.examples[0].values, fast.examples[0].values
    assert abs(len(second) - 2 * len(first)) <= 2


def test_a_nearest_neighbour_knows_the_gestures_of_new_users(gestures):
    described = np.array([course(one) for one in gestures.examples])
    labels = np.array([one.target for one in gestures.examples])
    new = np.array([one.group in ("user0", "user1") for one in gestures.examples])
    distance = ((described[new, None] - described[None, ~new]) ** 2).sum(axis=2)
    assert (labels[~new][distance.argmin(axis=1)] == labels[new]).mean() > 0.7
