"""Features of sensors: filters against slow loops, a series alone against a batch, offline against live, chance and seeds."""

from itertools import pairwise

import numpy as np
import pytest

from seqloom.data.series import filters
from seqloom.data.series.augmentation import rotations
from seqloom.data.series.config import SensorAugmentation, SensorFeaturesConfig
from seqloom.data.series.features import SensorFeatures
from seqloom.errors import ConfigError

CHANNELS = ("ax", "ay", "az", "p")
LENGTHS = (7, 1, 0, 40, 13)
FULL = SensorFeaturesConfig(
    units={"p": 0.01},
    triples=("ax ay az",),
    gravity=("ax ay az",),
    low_pass="pole",
    magnitudes=True,
    differences=True,
    augmentation=SensorAugmentation(1.0, jitter=0.1, scaling=0.1, rotation=15, warp=0.3, crop=0.3),
)


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    flat = random.standard_normal((offsets[-1], 4)).astype(np.float32) * [1, 1, 1, 100] + [0, 0, 9.8, 0]
    flat[random.random(flat.shape) < 0.1] = np.nan
    return flat.astype(np.float32), offsets


def _each(flat, offsets, function):
    return np.concatenate([function(flat[start:end]) for start, end in pairwise(offsets)])


def _slow_pole(x, a):
    y = x.astype(np.float64).copy()
    for t in range(1, len(x)):
        y[t] = a * y[t - 1] + (1 - a) * x[t]
    return y


def test_filters_are_their_slow_loops(batch):
    flat, offsets = np.nan_to_num(batch[0]), batch[1]
    first = filters.firsts(offsets)
    mean = _each(
        flat, offsets, lambda x: np.array([x[max(0, t - 4) : t + 1].mean(axis=0) for t in range(len(x))]).reshape(-1, 4)
    )
    np.testing.assert_allclose(filters.moving_mean(flat, first, 5), mean, rtol=1e-5, atol=1e-5)
    pole = _each(flat, offsets, lambda x: _slow_pole(x, np.exp(-1 / 6)))
    np.testing.assert_allclose(filters.one_pole(flat, first, 6.0), pole, rtol=1e-5, atol=1e-5)
    steps = _each(flat, offsets, lambda x: np.diff(x, axis=0, prepend=x[:1]))
    np.testing.assert_array_equal(filters.difference(flat, first), steps)


def test_missing_values_are_interpolated_as_numpy_does(batch):
    flat, offsets = batch

    def slow(x):
        x = x.copy()
        for channel in range(x.shape[1]):
            there = np.flatnonzero(~np.isnan(x[:, channel]))
            if len(there):
                x[:, channel] = np.interp(np.arange(len(x)), there, x[there, channel])
        return x

    np.testing.assert_allclose(
        filters.interpolated(flat, filters.firsts(offsets)), _each(flat, offsets, slow), rtol=1e-6
    )
    np.testing.assert_array_equal(
        filters.held(np.array([[np.nan], [1], [np.nan], [2], [np.nan]], np.float32), np.array([0, 0, 0, 0, 4]))[:, 0],
        [1, 1, 1, 2, np.nan],
    )


@pytest.mark.parametrize("rate", [0.0, 30.0, 100.0, 77.7])
@pytest.mark.parametrize("low_pass", ["none", "mean", "pole"])
def test_a_series_alone_has_the_features_that_it_has_in_a_batch(batch, rate, low_pass):
    config = SensorFeaturesConfig(**{**vars(FULL), "rate": rate, "low_pass": low_pass})
    features = SensorFeatures(config, CHANNELS, 50.0)
    features.fit(*batch)
    together, bounds = features.apply(*batch)
    assert together.shape == (bounds[-1], features.output_size)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    for index, (start, end) in enumerate(zip(batch[1][:-1], batch[1][1:], strict=True)):
        alone, _ = features.apply(batch[0][start:end], np.array([0, end - start]))
        np.testing.assert_array_equal(alone, together[bounds[index] : bounds[index + 1]])


def test_features_of_the_beginning_are_the_beginning_of_the_features(batch):
    features = SensorFeatures(FULL, CHANNELS)
    features.fit(*batch)
    flat = np.nan_to_num(batch[0][8:48])
    whole, _ = features.apply(flat, np.array([0, 40]))
    for length in (1, 2, 17):
        np.testing.assert_allclose(
            features.apply(flat[:length], np.array([0, length]))[0], whole[:length], rtol=1e-5, atol=1e-6
        )


def test_another_rate_has_as_many_steps_as_fit(batch):
    ramp = np.arange(11, dtype=np.float32)[:, None]
    config = SensorFeaturesConfig(rate=20, scaling="none")
    doubled, bounds = SensorFeatures(config, ["x"], 10).apply(ramp, np.array([0, 11]))
    np.testing.assert_allclose(doubled[:, 0], np.arange(21) / 2)
    assert bounds.tolist() == [0, 21]
    halved, _ = SensorFeatures(config, ["x"], 40).apply(ramp, np.array([0, 11]))
    np.testing.assert_allclose(halved[:, 0], np.arange(6) * 2)


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("none", [0, 1, 2, 3, 14]),
        ("range", [-1, -6 / 7, -5 / 7, -4 / 7, 1]),
        ("robust", np.array([-2, -1, 0, 1, 12]) / 2 * 1.349),
    ],
)
def test_scaling_is_by_the_training_data(scaling, expected):
    features = SensorFeatures(SensorFeaturesConfig(scaling=scaling), ["x"])
    flat = np.array([[0], [1], [2], [3], [14]], np.float32)
    features.fit(flat, np.array([0, 2, 5]))
    np.testing.assert_allclose(features.apply(flat, np.array([0, 5]))[0][:, 0], expected, rtol=1e-6)


def test_deviations_and_a_channel_that_never_changes():
    random = np.random.default_rng(1)
    flat = np.column_stack([random.normal(5, 3, 500), np.full(500, 0.1), np.full(500, np.nan)]).astype(np.float32)
    features = SensorFeatures(SensorFeaturesConfig(), "abc")
    features.fit(flat, np.array([0, 500]))
    scaled, _ = features.apply(flat, np.array([0, 500]))
    np.testing.assert_allclose(scaled[:, 0].mean(), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[:, 0].std(), 1, rtol=1e-5)
    np.testing.assert_allclose(scaled[:, 1:], 0, atol=1e-6)


def test_gravity_is_taken_away():
    flat = np.tile(np.array([[0, 0, 9.8, 5]], np.float32), (200, 1))
    config = SensorFeaturesConfig(triples=("ax ay az",), gravity=("ax ay az",), scaling="none", magnitudes=True)
    still, _ = SensorFeatures(config, CHANNELS).apply(flat, np.array([0, 200]))
    np.testing.assert_allclose(still, np.tile([0, 0, 0, 5, 0], (200, 1)), atol=1e-5)


def test_statistics_come_back(batch):
    features, other = SensorFeatures(FULL, CHANNELS), SensorFeatures(FULL, CHANNELS)
    features.fit(*batch)
    other.restore(features.statistics())
    np.testing.assert_array_equal(features.apply(*batch)[0], other.apply(*batch)[0])
    with pytest.raises(ValueError, match="have no 'centre'"):
        other.restore({"spread": np.ones(4, np.float32)})
    with pytest.raises(ValueError, match=r"scale of the features is float32 \(1,\); expected \(10,\)"):
        other.restore({**features.statistics(), "scale": np.ones(1, np.float32)})


def test_chance_comes_from_the_generator_alone(batch):
    features = SensorFeatures(FULL, CHANNELS)
    features.fit(*batch)
    first, bounds = features.apply(*batch, np.random.default_rng(3))
    second, _ = features.apply(*batch, np.random.default_rng(3))
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()
    assert len(bounds) == len(batch[1])
    assert ((np.diff(bounds) > 0) == (np.diff(batch[1]) > 0)).all()
    other = features.apply(*batch, np.random.default_rng(4))[0]
    assert other.shape != first.shape or not np.array_equal(other, first)


def test_without_strengths_chance_changes_nothing(batch):
    features = SensorFeatures(SensorFeaturesConfig(), CHANNELS)
    features.fit(*batch)
    np.testing.assert_array_equal(features.apply(*batch, np.random.default_rng(0))[0], features.apply(*batch)[0])


def test_rotation_keeps_lengths_and_stays_in_its_range(batch):
    random = np.random.default_rng(0)
    turns = rotations(random.standard_normal((50, 3)), np.full(50, np.deg2rad(15)))
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    np.testing.assert_allclose((np.trace(turns, axis1=1, axis2=2) - 1) / 2, np.cos(np.deg2rad(15)))
    np.testing.assert_allclose(
        rotations(np.array([[0, 0, 1.0]]), np.array([np.pi / 2]))[0] @ [1, 0, 0], [0, 1, 0], atol=1e-12
    )
    config = SensorFeaturesConfig(
        triples=("ax ay az",), scaling="none", magnitudes=True, augmentation=SensorAugmentation(1.0, rotation=15)
    )
    features = SensorFeatures(config, CHANNELS)
    flat = np.nan_to_num(batch[0])
    turned, plain = features.apply(flat, batch[1], random)[0], features.apply(flat, batch[1])[0]
    np.testing.assert_allclose(turned[:, 4], plain[:, 4], rtol=1e-5)
    np.testing.assert_array_equal(turned[:, 3], plain[:, 3])
    assert not np.allclose(turned[:, :3], plain[:, :3])


def test_warped_time_never_runs_back():
    ramp = np.arange(100, dtype=np.float32)[:, None]
    config = SensorFeaturesConfig(scaling="none", augmentation=SensorAugmentation(1.0, warp=0.5))
    features = SensorFeatures(config, ["x"])
    lengths = set()
    for seed in range(20):
        warped, bounds = features.apply(ramp, np.array([0, 100]), np.random.default_rng(seed))
        assert (np.diff(warped[:, 0]) > 0).all()
        assert (warped[0, 0], warped[-1, 0]) == (0, 99)
        lengths.add(int(bounds[-1]))
    assert min(lengths) >= 66
    assert max(lengths) <= 150
    assert len(lengths) > 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"units": {"x": 0.0}}, "features.units.x is 0.0"),
        ({"triples": ("a b",)}, "expected three channels"),
        ({"gravity": ("a b c",)}, "none of features.triples"),
        ({"magnitudes": True}, "needs features.triples"),
        ({"augmentation": SensorAugmentation(rotation=5)}, "rotation needs features.triples"),
        ({"low_pass_steps": 0}, "low_pass_steps is 0"),
        ({"rate": -1.0}, "rate is -1.0"),
    ],
)
def test_settings_that_cannot_be_are_said(values, message):
    with pytest.raises(ConfigError, match=message):
        SensorFeaturesConfig(**values)


def test_settings_that_do_not_fit_the_data_are_said():
    with pytest.raises(ConfigError, match="'az' is not a channel"):
        SensorFeatures(SensorFeaturesConfig(units={"az": 2.0}), ["ax", "ay"])
    with pytest.raises(ConfigError, match="the data do not say their own"):
        SensorFeatures(SensorFeaturesConfig(rate=50), ["ax"])
    with pytest.raises(ConfigError, match=r"augmentation.warp is 2.0; expected 0 to 0.95"):
        SensorAugmentation(warp=2.0)
