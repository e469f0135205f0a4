"""Features of skeletons: what they are by hand, and what must not change them."""

from dataclasses import replace

import numpy as np
import pytest

from seqloom.data.skeleton.config import SkeletonAugmentation, SkeletonConfig
from seqloom.data.skeleton.definition import mirrored, preset
from seqloom.data.skeleton.features import SkeletonFeatures
from seqloom.data.skeleton.motion import filled, smoothed, warped
from seqloom.errors import ConfigError

PLAIN = SkeletonConfig(fill=False, origin="none", smooth=False, size="none", standardise="none")
KINECT = preset("kinect20")


def laid(*sequences):
    return np.concatenate(sequences).astype(np.float32), np.cumsum([0, *map(len, sequences)])


def apply(features, *sequences, random=None):
    out, offsets = features.apply(*laid(*sequences), random)
    return np.split(out, offsets[1:-1])


def walk(seed, frames=24, joints=20):
    """Joints on smooth ways; no coordinate is 0."""
    random = np.random.default_rng(seed)
    place, swing, phase = (
        random.normal(size=(joints, 3)),
        random.normal(size=(joints, 3)),
        random.uniform(0, 6, (joints, 3)),
    )
    t = np.linspace(0, 4, frames)[:, None, None]
    return (place + 0.2 * swing * np.sin(t + phase)).reshape(frames, -1).astype(np.float32)


def test_a_parabola_stays_and_the_middle_is_the_published_filter():
    t = np.arange(9.0)
    parabola = np.stack([3 - t + 0.5 * t**2, t], axis=1)[:, :, None].astype(np.float32)
    short = parabola[:4]
    both, offsets = laid(parabola, short)
    np.testing.assert_allclose(smoothed(both, offsets), both, atol=1e-4)
    x = np.random.default_rng(0).normal(size=(9, 1, 1)).astype(np.float32)
    found = smoothed(x, np.array([0, 9]))[:, 0, 0]
    np.testing.assert_allclose(
        found[2:-2], np.convolve(x[:, 0, 0], np.array([-3, 12, 17, 12, -3]) / 35, "valid"), atol=1e-5
    )
    for part in (slice(0, 5), slice(4, 9)):  # the ends lie on the parabola through their five frames
        fitted = np.polyval(np.polyfit(np.arange(5), x[part, 0, 0], 2), np.arange(5))
        kept = slice(0, 3) if part.start == 0 else slice(2, 5)
        np.testing.assert_allclose(found[part][kept], fitted[kept], atol=1e-5)


def test_missing_joints_lie_between_their_frames():
    nothing = [0.0, 0.0]
    joints = np.array(
        [[[1, 1], nothing], [nothing, nothing], [nothing, nothing], [[4, 7], nothing], [nothing, nothing]], np.float32
    )
    other = np.array([[[np.nan, 2], [5, 5]], [[8, 8], [6, 6]]], np.float32)
    found = filled(*laid(joints, other), parents=(-1, 0))
    expected = [[1, 1], [2, 3], [3, 5], [4, 7], [4, 7]]
    np.testing.assert_allclose(found[:5, 0], expected, atol=1e-6)
    np.testing.assert_allclose(found[:5, 1], expected, atol=1e-6)  # never seen: where its parent is
    np.testing.assert_allclose(found[5:], [[[8, 8], [5, 5]], [[8, 8], [6, 6]]])


def test_a_tempo_without_warp_reads_between_the_frames():
    line = np.arange(5.0)[:, None, None].astype(np.float32)
    found, offsets = warped(*laid(line, line[:1]), np.array([9 / 5, 0.1]), np.zeros((2, 2)))
    assert offsets.tolist() == [0, 9, 10]
    np.testing.assert_allclose(found[:, 0, 0], [*np.arange(0, 4.5, 0.5), 0])


def test_origin_torso_thinning_and_velocities_by_hand():
    frames = np.zeros((3, 20, 3), np.float32)
    frames[:, KINECT.names.index("shoulder_centre"), 1] = 2
    frames[:, KINECT.names.index("hand_left")] = [[1, 0, 0], [2, 0, 0], [3, 0, 4]]
    frames += [5, 6, 7]
    config = replace(PLAIN, origin="frame", size="torso", thin=2, velocities=True)
    features = SkeletonFeatures(config, skeleton=KINECT)
    (found,) = apply(features, frames.reshape(3, 60))
    assert found.shape == (2, features.output_size) == (2, 120)
    hand = found.reshape(2, 20, 6)[:, KINECT.names.index("hand_left")]
    np.testing.assert_allclose(hand, [[0.5, 0, 0, 0, 0, 0], [1.5, 0, 2, 1, 0, 2]], atol=1e-6)


def test_the_first_frame_as_origin_keeps_where_the_body_goes():
    frames = walk(0)
    moving = frames + np.repeat(np.arange(24)[:, None], 60, axis=1)
    features = SkeletonFeatures(replace(PLAIN, origin="first"), skeleton=KINECT)
    still, going = apply(features, frames, moving)
    np.testing.assert_allclose(going - still, moving - frames, atol=1e-4)


@pytest.mark.parametrize("facing", ["series", "frame"])
@pytest.mark.parametrize("up", ["y", "z"])
def test_place_size_and_the_way_the_body_faces_change_nothing(facing, up):
    features = SkeletonFeatures(SkeletonConfig(facing=facing, up=up), skeleton=KINECT)
    frames = walk(1)
    angle = 0.8
    turn = np.eye(3)
    axes = [0, 2] if up == "y" else [0, 1]
    turn[np.ix_(axes, axes)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    other = (3 * frames.reshape(-1, 20, 3) @ turn.T + [1, 2, 3]).reshape(-1, 60)
    found, again = apply(features, frames, other)
    np.testing.assert_allclose(found, again, atol=1e-3)
    left, right = (found.reshape(-1, 20, 3)[:, joint][:, axes] for joint in KINECT.hips)
    across = (right - left).mean(axis=0)
    assert across[0] > 0
    assert abs(across[1]) < 1e-3 * across[0]


def test_alone_is_as_in_a_batch():
    sequences = [walk(seed, frames=seed + 1) for seed in range(20)]
    for sequence in sequences[5:10]:
        sequence[len(sequence) // 2 :, 3:6] = 0
    features = SkeletonFeatures(SkeletonConfig(facing="series", velocities=True, thin=2), skeleton=KINECT)
    features.fit(*laid(*sequences))
    for alone, together in zip(sequences, apply(features, *sequences), strict=True):
        np.testing.assert_allclose(apply(features, alone)[0], together, atol=1e-5)


@pytest.mark.parametrize("standardise", ["global", "channel"])
def test_standardised_by_the_training_data(standardise):
    sequences = [walk(seed) for seed in range(9)]
    features = SkeletonFeatures(SkeletonConfig(standardise=standardise, velocities=True), skeleton=KINECT)
    features.fit(*laid(*sequences))
    whole = np.concatenate(apply(features, *sequences)).reshape(-1, 20, 2, 3)
    np.testing.assert_allclose(whole.mean(axis=0), 0, atol=1e-4)
    if standardise == "global":
        np.testing.assert_allclose(whole.std(axis=0).__pow__(2).mean(axis=(0, 2)), 1, atol=1e-3)
        assert whole.std(axis=0).std() > 0.1
    else:
        deviations = whole.std(axis=0)
        np.testing.assert_allclose(deviations, 1, atol=1e-3)
    other = SkeletonFeatures(features.config, skeleton=KINECT)
    other.restore(features.statistics())
    np.testing.assert_array_equal(np.concatenate(apply(other, *sequences)).reshape(whole.shape), whole)
    with pytest.raises(ValueError, match="'mean' is float32 of shape"):
        SkeletonFeatures(SkeletonConfig(), skeleton=KINECT).restore(features.statistics())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_odd_sequences_never_give_nan(dimensions):
    columns = 20 * dimensions
    good = np.random.default_rng(0).normal(size=(7, columns)).astype(np.float32)
    odd = [good[:0], np.zeros((4, columns)), good[:1], np.full((6, columns), np.nan), np.ones((6, columns)), good]
    config = SkeletonConfig(facing="none" if dimensions == 2 else "series", velocities=True)
    features = SkeletonFeatures(config, skeleton=KINECT, dimensions=dimensions)
    for _ in range(2):
        for random in (None, np.random.default_rng(0)):
            found = apply(features, *odd, random=random)
            assert all(np.isfinite(one).all() for one in found)
            assert [len(one) > 0 for one in found] == [False, True, True, True, True, True]
        features.fit(*laid(*odd))
    assert features.apply(np.zeros((0, columns), np.float32), np.zeros(1, np.int64))[0].shape == (
        0,
        features.output_size,
    )


def test_parts_have_columns_of_their_own():
    features = SkeletonFeatures(replace(PLAIN, velocities=True), skeleton=KINECT)
    parts = features.column_parts()
    assert sorted(column for columns in parts.values() for column in columns) == list(range(features.output_size))
    frames = walk(2)
    changed = frames.copy().reshape(-1, 20, 3)
    changed[:, list(KINECT.parts["left_arm"])] += 1
    before, after = apply(features, frames, changed.reshape(-1, 60))
    assert set(np.flatnonzero((before != after).any(axis=0))) <= set(parts["left_arm"])


def test_a_mirror_swaps_the_sides_and_undoes_itself():
    frames = walk(3)
    seen = mirrored(frames, KINECT).reshape(-1, 20, 3)
    left, right = KINECT.names.index("hand_left"), KINECT.names.index("hand_right")
    np.testing.assert_array_equal(seen[:, left], frames.reshape(-1, 20, 3)[:, right] * [-1, 1, 1])
    np.testing.assert_array_equal(mirrored(seen.reshape(-1, 60), KINECT), frames)


def test_changes_of_training_stay_small_and_come_from_their_generator():
    sequences = [walk(seed) for seed in range(20)]
    features = SkeletonFeatures(SkeletonConfig(), skeleton=KINECT)
    first, again = (apply(features, *sequences, random=np.random.default_rng(1)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert {len(one) for one in first} > {24}
    assert all(24 * 0.6 <= len(one) <= 24 * 1.2 for one in first)
    off = replace(SkeletonConfig(), augmentation=SkeletonAugmentation(*[0.0] * 6))
    unchanged = apply(SkeletonFeatures(off, skeleton=KINECT), *sequences, random=np.random.default_rng(1))
    for a, b in zip(unchanged, apply(features, *sequences), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        (lambda: SkeletonConfig(thin=0), "thin is 0"),
        (lambda: SkeletonAugmentation(yaw=-1), "yaw is -1"),
        (
            lambda: SkeletonFeatures(SkeletonConfig(facing="frame"), skeleton=KINECT, dimensions=2),
            "facing: frame needs joints with 3",
        ),
        (lambda: SkeletonFeatures(skeleton=KINECT, dimensions=4), "the joints have 4 coordinates"),
    ],
)
def test_impossible_choices_are_refused(choice, complaint):
    with pytest.raises(ConfigError, match=complaint):
        choice()


def test_frames_of_another_width_are_a_mistake():
    with pytest.raises(ValueError, match="the frames have 57 columns; expected 20"):
        apply(SkeletonFeatures(skeleton=KINECT), np.ones((2, 57)))
