"""A classifier at work on what comes: the same answers as offline, for every chunking, in memory that does not grow."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seqloom
from seqloom.data.cutting import EnergyCut, PenCut
from seqloom.data.labelled import Series
from seqloom.errors import ConfigError, DataError


def rising(count=12, steps=9, seed=0):
    random, examples = np.random.default_rng(seed), []
    for index in range(count):
        slope = 1 if index % 2 else -1
        values = slope * np.linspace(0, 1, steps - index % 3)[:, None] + random.normal(0, 0.05, (steps - index % 3, 2))
        examples.append(Series(values=values.astype(np.float32), target="up" if slope > 0 else "down"))
    return examples


def trained(**model):
    sections = {"hidden_size": 6, "bidirectional": False, "noise_input": 0.0, **model}
    training = {"epochs": 3, "tensorboard": False, "batch_size": 4}
    data = {"train": rising(), "held_out": 0.0}
    return seqloom.train("series", data=data, model=sections, training=training, baselines=())


@pytest.fixture(scope="module")
def forwards():
    return {name: trained(read_out=name) for name in ("last", "mean", "max", "attention", "votes", "sum")}


@pytest.mark.parametrize("name", ["last", "mean", "max", "attention", "votes", "sum"])
@settings(max_examples=10, deadline=None)
@given(chunks=st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_a_stream_says_after_each_step_what_offline_says_of_that_beginning(forwards, name, chunks):
    model = forwards[name]
    values = rising(1, sum(chunks), seed=3)[0].values
    stream = model.stream()
    found = np.concatenate([stream.probabilities(chunk) for chunk in np.split(values, np.cumsum(chunks)[:-1])])
    np.testing.assert_allclose(found, model.early_probabilities([values])[0], atol=1e-5)
    np.testing.assert_allclose(found[-1], model.probabilities([values])[0], atol=1e-5)


@pytest.mark.parametrize("model", [{"bidirectional": True}, {"read_out": "vlad", "clusters": 2}])
def test_what_needs_the_end_answers_there(model):
    network = trained(**model)
    values, stream = rising(1)[0].values, network.stream()
    assert stream.push(values[:3]) == stream.push(values[3:]) == []
    assert stream.close() == network.predict([values])
    with pytest.raises(ConfigError, match=r"needs the end of a sequence; train one with model.bidirectional false"):
        network.stream().probabilities(values)


def test_beginnings_of_a_bidirectional_model_are_read_anew():
    model, values = trained(bidirectional=True), rising(1)[0].values
    found = model.early_probabilities([values])[0]
    for step in range(1, len(values) + 1):
        np.testing.assert_allclose(found[step - 1], model.probabilities([values[:step]])[0], atol=1e-5)


def test_a_missing_value_is_the_last_one_that_was_there(forwards):
    values = rising(1)[0].values.copy()
    held = values.copy()
    held[4, 0], values[4, 0] = held[3, 0], np.nan
    streams = [forwards["mean"].stream().probabilities(one) for one in (values, held)]
    np.testing.assert_allclose(*streams)


def test_a_stream_without_end_keeps_its_memory(forwards):
    stream, chunk = forwards["mean"].stream(), np.zeros((2000, 2), np.float32)
    stream.push(chunk)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        stream.push(chunk)
    assert tracemalloc.get_traced_memory()[0] - before < 200_000
    tracemalloc.stop()


@pytest.mark.parametrize("bad", [[["x", "y"]], np.zeros((3, 5)), np.zeros((2, 2, 2)), object()])
def test_a_chunk_that_does_not_fit_is_one_sentence(forwards, bad):
    with pytest.raises(DataError, match="a chunk"):
        forwards["mean"].stream().push(bad)


QUIET, LOUD = np.zeros((30, 2), np.float32), np.tile([[1.0, -1.0], [-1.0, 1.0]], (10, 1)).astype(np.float32)
CUT = EnergyCut(start=0.5, stop=0.1, window=4, pause=6, before=2, shortest=3)


@settings(max_examples=20, deadline=None)
@given(chunks=st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_pieces_do_not_depend_on_how_a_recording_comes(forwards, chunks):
    model, whole = forwards["mean"], np.concatenate([QUIET, LOUD, QUIET, LOUD, QUIET])
    once = model.stream(CUT)
    expected = once.push(whole) + once.close()
    stream, found, start = model.stream(CUT), [], 0
    for size in [*chunks, len(whole)]:
        found += stream.push(whole[start : start + size])
        start += size
    found += stream.close()
    assert found == expected
    assert [(one.start, one.end) for one in found] == [(29, 54), (79, 104)]


def test_a_piece_is_answered_as_if_it_stood_alone(forwards):
    model, whole = forwards["mean"], np.concatenate([QUIET, LOUD, QUIET])
    (found,) = model.stream(CUT).push(whole)
    assert [found.answer] == model.predict([whole[found.start : found.end]])
    (rejected,) = model.stream(CUT, reject=0.9999).push(whole)
    assert rejected.answer == "?"


def test_a_recording_that_never_rests_is_cut_at_the_longest_piece(forwards):
    cut = EnergyCut(start=0.5, stop=0.1, longest=25)
    found = forwards["mean"].stream(cut).push(np.tile(LOUD, (5, 1)))
    assert all(one.end - one.start <= 25 for one in found)
    assert len(found) >= 3


def test_characters_are_cut_where_the_pen_stays_away():
    def stroke(start, count=4):
        rows = [[x, 0.0, start + 0.02 * x, 0.0] for x in range(count)]
        rows[-1][3] = 1.0
        return rows

    ink = np.array([*stroke(0.0), *stroke(0.3), *stroke(2.0), *stroke(9.0)], np.float32)
    cutter = PenCut(pen_up=3, time=2, pause=0.6).cutter()
    found = [piece for point in ink for piece in cutter.push(point[None])] + cutter.close()
    assert [(one.start, one.end) for one in found] == [(0, 8), (8, 12), (12, 16)]


def test_thresholds_come_from_a_recording_of_rest():
    rest = np.random.default_rng(0).normal(size=(500, 3))
    cut = EnergyCut.of_rest(rest, factor=4.0)
    assert cut.start == pytest.approx(8.0, rel=0.2)
    assert cut.stop == cut.start / 2
    with pytest.raises(ConfigError, match="expected at least 3 steps"):
        EnergyCut.of_rest(rest[:2])
    with pytest.raises(ConfigError, match="expected 0 <= stop <= start"):
        EnergyCut(start=0.1, stop=0.5)


def test_a_model_is_copied_and_pickled(forwards):
    values = rising(1)[0].values
    for again in (copy.deepcopy(forwards["mean"]), pickle.loads(pickle.dumps(forwards["mean"]))):
        np.testing.assert_array_equal(again.probabilities([values])[0], forwards["mean"].probabilities([values])[0])
