"""StickFolk: what is generated, and that it can be told apart."""

from itertools import pairwise

import numpy as np
import pytest

from seqloom.data.labelled import flattened
from seqloom.data.skeleton.config import SkeletonConfig
from seqloom.data.skeleton.definition import Skeleton, fitting, mirrored, preset
from seqloom.data.skeleton.features import SkeletonFeatures
from seqloom.synthetic.stick_folk import ACTIONS, stick_folk


@pytest.fixture(scope="module")
def clips():
    return stick_folk(320, seed=1)


def described(clips, values=None):
    """(S, F) the course of the features at ten times, for a nearest neighbour."""
    features = SkeletonFeatures(SkeletonConfig(facing="series"), skeleton=preset("kinect20"))
    flat, offsets = flattened(clips.examples)
    features.fit(flat, offsets)
    found, offsets = features.apply(flat, offsets)
    at = [np.linspace(begin, end - 1, 10).round().astype(int) for begin, end in pairwise(offsets)]
    return found[np.array(at)].reshape(len(at), -1)


def test_a_seed_gives_the_same_clips(clips):
    again, other = stick_folk(320, seed=1), stick_folk(320, seed=2)
    assert all((a.values == b.values).all() for a, b in zip(clips.examples, again.examples, strict=True))
    assert not all(a.values.shape == b.values.shape for a, b in zip(clips.examples, other.examples, strict=True))


def test_every_actor_does_every_action_as_often(clips):
    pairs = [(one.target, one.group) for one in clips.examples]
    assert {pairs.count(pair) for pair in set(pairs)} == {4}
    assert len(set(pairs)) == 8 * 10
    assert {one.target for one in clips.examples} == set(ACTIONS)
    assert all(20 <= len(one.values) <= 40 and one.values.shape[1] == 60 for one in clips.examples)


def test_bones_keep_their_lengths_but_for_the_noise(clips):
    skeleton = Skeleton.of(clips.facts["skeleton"])
    for one in clips.examples[::37]:
        joints = one.values.reshape(-1, 20, 3)
        for joint, parent in skeleton.bones:
            assert np.linalg.norm(joints[:, joint] - joints[:, parent], axis=1).std() < 0.03
    assert fitting(clips.examples[0].values.reshape(-1, 20, 3)).name == "kinect20"


def test_the_side_that_acts_is_the_one_of_the_name(clips):
    place = {name: index for index, name in enumerate(clips.facts["joints"])}
    for action, limb in (("wave", "hand"), ("kick", "foot")):
        for side, other in (("left", "right"), ("right", "left")):
            one = next(one for one in clips.examples if one.target == f"{action}_{side}")
            moved = np.ptp(one.values.reshape(-1, 20, 3), axis=0).max(axis=1)
            assert moved[place[f"{limb}_{side}"]] > 2 * moved[place[f"{limb}_{other}"]]
            seen = np.ptp(mirrored(one.values, preset("kinect20")).reshape(-1, 20, 3), axis=0).max(axis=1)
            assert seen[place[f"{limb}_{other}"]] > 2 * seen[place[f"{limb}_{side}"]]


def test_a_nearest_neighbour_knows_the_actions_of_new_actors(clips):
    described_clips = described(clips)
    labels = np.array([one.target for one in clips.examples])
    new = np.array([one.group in ("actor0", "actor1") for one in clips.examples])
    distance = ((described_clips[new, None] - described_clips[None, ~new]) ** 2).sum(axis=2)
    assert (labels[~new][distance.argmin(axis=1)] == labels[new]).mean() > 0.9
