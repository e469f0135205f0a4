"""Dynamic time warping against its recursion, aeon's, and what was measured."""

import os
from pathlib import Path

import numpy as np
import pytest

from seqloom.data.series.read import read_series
from seqloom.data.series.reading import SeriesReading
from seqloom.data.source import Source
from seqloom.systems.classifier.baselines.dtw import NearestWarped, warped_distances


def recursive(a, b, window):
    """The definition, cell by cell."""
    band = max(int(window * max(len(a), len(b))), abs(len(a) - len(b)))
    table = {(-1, -1): 0.0}
    for i in range(len(a)):
        for j in range(len(b)):
            if abs(i - j) <= band:
                before = min(table.get(cell, np.inf) for cell in ((i - 1, j - 1), (i - 1, j), (i, j - 1)))
                table[i, j] = before + float(np.square(a[i] - b[j]).sum())
    return table[len(a) - 1, len(b) - 1]


def walks(seed, count, shortest, longest, width=2):
    random = np.random.default_rng(seed)
    return [
        random.standard_normal((length, width)).cumsum(axis=0)
        for length in random.integers(shortest, longest + 1, count)
    ]


@pytest.mark.parametrize("window", [0.0, 0.1, 0.35, 1.0])
@pytest.mark.parametrize(("shortest", "longest"), [(1, 12), (9, 9), (1, 1)])
def test_distances_are_those_of_the_recursion(window, shortest, longest):
    candidates = walks(0, 9, shortest, longest)
    lengths = np.array([len(one) for one in candidates])
    padded = np.full((9, lengths.max(), 2), 1e6)
    for row, one in zip(padded, candidates, strict=True):
        row[: len(one)] = one
    for query in walks(1, 5, shortest, longest):
        expected = [recursive(query, one, window) for one in candidates]
        np.testing.assert_allclose(warped_distances(query, padded, lengths, window), expected, rtol=1e-10)


@pytest.mark.parametrize("window", [0.1, 1.0])
def test_distances_are_those_of_aeon(window):
    distances = pytest.importorskip("aeon.distances", reason="aeon is not installed")
    for seed in range(5):
        query, *candidates = walks(seed, 6, 20, 20, 3)
        found = warped_distances(query, np.stack(candidates), np.full(5, 20), window)
        expected = [distances.dtw_distance(query.T.copy(), one.T.copy(), window=window) for one in candidates]
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("window", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("shortest", "longest"), [(1, 15), (12, 12)])
def test_bounds_never_lose_the_nearest(window, shortest, longest):
    train, queries = walks(2, 80, shortest, longest), walks(3, 6, shortest, longest)
    model = NearestWarped(window).fit(train, np.arange(80))
    expected = []
    for query in queries:
        distances = np.array([recursive(query, one, window) for one in train])
        expected.append(int(distances.argmin()))
        assert (model._lower_bounds(query) <= distances * (1 + 1e-9) + 1e-12).all()
    assert model.predict(queries).tolist() == expected


def test_of_equals_the_first_wins_and_gaps_are_filled():
    series = [np.array([[0.0], [np.nan], [2.0]]), np.array([[0.0], [1.0], [2.0]]), np.array([[5.0]])]
    model = NearestWarped().fit(series, [2, 0, 1])
    assert model.predict([np.array([[0.0], [1.0], [2.0]]), np.array([[4.0], [np.nan]])]).tolist() == [2, 1]


def test_it_comes_back_from_its_arrays():
    train, queries = walks(4, 30, 1, 9), walks(5, 10, 1, 9)
    model = NearestWarped(0.2).fit(train, np.arange(30) % 4)
    again = NearestWarped.from_arrays({name: array.copy() for name, array in model.arrays().items()})
    np.testing.assert_array_equal(model.predict(queries), again.predict(queries))
    with pytest.raises(ValueError, match="has no array 'labels'"):
        NearestWarped.from_arrays({name: array for name, array in model.arrays().items() if name != "labels"})
    with pytest.raises(ValueError, match="does not fit lengths"):
        NearestWarped.from_arrays({**model.arrays(), "flat": np.zeros((3, 2))})


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="0 series and 0 labels"):
        NearestWarped().fit([], [])
    with pytest.raises(ValueError, match=r"series\[1\] has the shape \(0, 2\)"):
        NearestWarped().fit([np.zeros((3, 2)), np.zeros((0, 2))], [0, 1])
    with pytest.raises(ValueError, match=r"series\[0\] has the shape \(3, 1\); expected \(T, 2\)"):
        NearestWarped().fit([np.zeros((3, 2))], [0]).predict([np.zeros((3, 1))])
    with pytest.raises(ValueError, match="window is 2"):
        NearestWarped(2)


@pytest.mark.parametrize(
    ("name", "measured"),
    [("ering", 0.915), ("japanese_vowels", 0.949), ("basic_motions", 0.975), ("racket_sports", 0.803)],
)
def test_accuracy_on_real_data_stays(name, measured):
    """Measured on these files, 2026-12-01; the truth is the recursion above."""
    path = Path(os.environ.get("SEQLOOM_DATA", "")) / name / f"{name}.npz"
    if "SEQLOOM_DATA" not in os.environ or not path.exists():
        pytest.skip(f"SEQLOOM_DATA names no folder with {name}")
    data = read_series(Source(str(path)), SeriesReading())
    train, test = data.part("train"), data.part("test")
    classes = sorted({one.target for one in train})
    model = NearestWarped().fit([one.values for one in train], [classes.index(one.target) for one in train])
    found = model.predict([one.values for one in test])
    accuracy = np.mean([classes[label] == one.target for label, one in zip(found.tolist(), test, strict=True)])
    assert abs(accuracy - measured) < 0.002
