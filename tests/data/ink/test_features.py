"""Features of pen strokes: what they are by hand, and what must not change them."""

from dataclasses import replace

import numpy as np
import pytest

from seqloom.data.ink.config import PenAugmentation, PenConfig
from seqloom.data.ink.features import PenFeatures
from seqloom.data.ink.strokes import joined, strokes_of
from seqloom.errors import ConfigError

TIMED = ("x", "y", "t", "pen_up")


def laid(*characters):
    flat = np.concatenate(characters) if characters else np.zeros((0, 3), np.float32)
    return flat.astype(np.float32), np.cumsum([0, *map(len, characters)])


def apply(features, *characters, random=None):
    out, offsets = features.apply(*laid(*characters), random)
    return np.split(out, offsets[1:-1])


def curve(seed, points=60, timed=False):
    """Two smooth strokes of a size and a place of their own."""
    random = np.random.default_rng(seed)
    strokes = []
    for _ in range(2):
        u = np.linspace(0, 1, points)
        phase = random.uniform(0, 6, (2, 3))
        x, y = [sum(np.sin((k + 1) * 2 * u + phase[a, k]) / (k + 1) for k in range(3)) for a in range(2)]
        columns = [x, y + random.normal(), u * 2 + 5] if timed else [x, y + random.normal()]
        strokes.append(np.stack(columns, axis=1) * ([30, 30, 1] if timed else 30) + random.normal())
    return joined(strokes)


def test_a_corner_and_a_dot_by_hand():
    # The box is 4 wide and 2 high, its centre (2, 1): coordinates become (x - 2) / 4, (y - 1) / 4.
    corner = joined([np.array([[0, 0], [0, 0], [4, 0], [4, 2]]), np.array([[2, 2]])])
    features = PenFeatures(PenConfig(resample="none", position=True, curvature=True))
    (found,) = apply(features, corner)
    assert features.names == ("dx", "dy", "cos", "sin", "x", "y", "turn_cos", "turn_sin", "pen_up")
    expected = [
        [0, 0, 0, 0, -0.5, -0.25, 0, 0, 0],
        [1, 0, 1, 0, 0.5, -0.25, 0, 0, 0],
        [0, 0.5, 0, 1, 0.5, 0.25, 0, 1, 1],
        [-0.5, 0, -1, 0, 0, 0.25, 0, 1, 0],
        [0, 0, 0, 0, 0, 0.25, 0, 0, 1],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_points_lie_at_equal_distances_and_ends_stay():
    (found,) = apply(
        PenFeatures(PenConfig(features="minimal", delta=0.25)), joined([np.array([[0, 0], [0.1, 0], [8, 0]])])
    )
    np.testing.assert_allclose(found, [[0, 0, 0], [0.25, 0, 0], [0.25, 0, 0], [0.25, 0, 0], [0.25, 0, 1]], atol=1e-6)


def test_the_speed_is_measured_before_points_are_moved():
    # Speeds 1 and 3 in the two halves; the median of 1, 1, 3 is 1.
    stroke = joined([np.array([[0, 0, 0], [1, 0, 1], [2, 0, 2], [8, 0, 4]])])
    features = PenFeatures(PenConfig(delta=0.125), TIMED)
    (found,) = apply(features, stroke)
    assert features.names == ("dx", "dy", "cos", "sin", "speed", "pen_up")
    assert features.output_size == 6
    speed = np.expm1(found[:, 4])
    np.testing.assert_allclose(speed, [1, 1, 1, 1 + 2 / 6, 1 + 4 / 6, 2, 2 + 2 / 6, 2 + 4 / 6, 3], rtol=1e-5)


def test_resampling_by_time_puts_more_points_where_the_pen_is_slow():
    stroke = joined([np.array([[0, 0, 0], [1, 0, 3], [4, 0, 4]])])
    (found,) = apply(PenFeatures(PenConfig(resample="time", features="minimal", delta=0.25), TIMED), stroke)
    np.testing.assert_allclose(found[:, 0], np.array([0, 1 / 3, 1 / 3, 1 / 3, 3]) / 4, atol=1e-6)


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_place_size_and_density_change_little(timed, seed):
    features = PenFeatures(PenConfig(position=True), TIMED if timed else ("x", "y", "pen_up"))
    character, dense = curve(seed, timed=timed), curve(seed, points=120, timed=timed)
    moved = character.copy()
    moved[:, :2] = moved[:, :2] * 7 + [1000, -300]
    reference, shifted, denser = apply(features, character, moved, dense)
    assert shifted.shape == reference.shape
    np.testing.assert_allclose(shifted, reference, atol=2e-3)
    if denser.shape == reference.shape:
        assert np.abs(denser - reference).mean() < 0.02
    else:  # a length near a multiple of delta
        assert abs(len(denser) - len(reference)) <= 2


def test_alone_is_as_in_a_batch():
    characters = [curve(seed, points=20 + seed) for seed in range(30)]
    features = PenFeatures(PenConfig(position=True, curvature=True))
    features.fit(*laid(*characters))
    for alone, together in zip(characters, apply(features, *characters), strict=True):
        np.testing.assert_allclose(apply(features, alone)[0], together, atol=1e-5)


def test_the_slow_way_gives_the_same():
    """Stroke by stroke with np.interp, as a person would write it."""
    character = curve(3)
    (found,) = apply(PenFeatures(PenConfig(features="minimal", delta=0.1)), character)
    points = character[:, :2].astype(float)
    low, high = points.min(0), points.max(0)
    places = []
    for stroke in strokes_of(character):
        p = (stroke - (low + high) / 2) / (high - low).max()
        s = np.append(0, np.cumsum(np.hypot(*np.diff(p, axis=0).T)))
        at = np.linspace(0, s[-1], max(2, int(np.ceil(s[-1] / 0.1)) + 1))
        places.append(np.stack([np.interp(at, s, p[:, 0]), np.interp(at, s, p[:, 1])], 1))
    lengths = list(map(len, places))
    whole = np.concatenate(places)
    steps = np.diff(whole, axis=0, prepend=whole[:1])
    up = np.zeros(len(whole))
    up[np.cumsum(lengths) - 1] = 1
    np.testing.assert_allclose(found, np.column_stack([steps, up]), atol=1e-6)


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize(
    "config", [PenConfig(), PenConfig(resample="none", curvature=True), PenConfig(resample="time")]
)
def test_odd_characters_never_give_nan(config, augmented):
    def character(points):
        return np.array(points, np.float32).reshape(-1, 4)

    odd = [
        character([]),
        character([[3, 3, 0, 1]]),
        character([[3, 3, 0, 0], [3, 3, 0, 0], [3, 3, 0, 1]]),
        character([[3, 3, 0, 1], [4, 4, 0, 1], [5, 5, 0, 1]]),
        character([[np.nan, 1, 0, 0], [1, np.inf, 0, 1], [2, 2, np.nan, 1]]),
        character([[0, 0, 5, 0], [1, 1, 4, 0], [2, 2, 3, 0]]),
        character([[-1e30, 0, 0, 0], [1e30, 0, 0, 0]]),
        character([[1e-30, 0, 0, 0], [0, 0, 0, 0]]),
    ]
    features = PenFeatures(config, TIMED)
    random = np.random.default_rng(0) if augmented else None
    for _ in range(2):
        found = apply(features, *odd, random=random)
        assert all(np.isfinite(one).all() for one in found)
        assert [len(one) > 0 for one in found] == [False, True, True, True, False, True, True, True]
        assert all(one[-1, -1] == 1 for one in found if len(one))
        features.fit(*laid(*odd))
    features.fit(np.zeros((0, 4), np.float32), np.zeros(1, np.int64))
    assert features.apply(np.zeros((0, 4), np.float32), np.zeros(1, np.int64))[0].shape == (0, features.output_size)


def test_standardised_by_the_training_data_but_for_pen_up():
    characters = [curve(seed) for seed in range(20)]
    features = PenFeatures(PenConfig(position=True))
    features.fit(*laid(*characters))
    whole = np.concatenate(apply(features, *characters))
    np.testing.assert_allclose(whole[:, :-1].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(whole[:, :-1].std(axis=0), 1, atol=1e-4)
    assert set(np.unique(whole[:, -1])) == {0, 1}
    other = PenFeatures(PenConfig(position=True))
    other.restore(features.statistics())
    np.testing.assert_array_equal(np.concatenate(apply(other, *characters)), whole)


def test_statistics_of_another_shape_are_refused():
    features = PenFeatures(PenConfig())
    good = features.statistics()
    for wrong in [
        {},
        {"mean": good["mean"]},
        {**good, "mean": np.zeros(9, np.float32)},
        {**good, "deviation": good["mean"] * 0},
    ]:
        with pytest.raises(ValueError, match=r"mean|deviation"):
            features.restore(wrong)


def test_changes_of_training_stay_small_and_come_from_their_generator():
    features = PenFeatures(PenConfig(position=True))
    characters = [curve(seed) for seed in range(50)]
    first, again = (apply(features, *characters, random=np.random.default_rng(1)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    plain = apply(features, *characters)
    assert not any(len(a) == len(b) and np.allclose(a, b) for a, b in zip(first, plain, strict=True))
    for a, b in zip(first, plain, strict=True):
        assert abs(len(a) - len(b)) <= 0.6 * len(b)
        assert np.abs(a[:, 4:6]).max() < 1
        assert a[:, -1].sum() == b[:, -1].sum()
    off = replace(PenConfig(), augmentation=PenAugmentation(*[0.0] * 7))
    unchanged = apply(PenFeatures(off), *characters, random=np.random.default_rng(1))
    for a, b in zip(unchanged, apply(PenFeatures(PenConfig()), *characters), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        (lambda: PenFeatures(PenConfig(resample="time")), "resample: time needs ink with time"),
        (
            lambda: PenFeatures(None, ("ax", "ay")),
            "the columns of the ink are ax, ay; expected x, y, perhaps t, pen_up",
        ),
        (lambda: PenConfig(delta=0.0), "delta is 0.0"),
        (lambda: PenAugmentation(warp=1.5), "warp is 1.5"),
        (lambda: PenAugmentation(drop=-1), "drop is -1"),
    ],
)
def test_impossible_choices_are_refused(choice, complaint):
    with pytest.raises(ConfigError, match=complaint):
        choice()
