"""Any cell, any sizes, any lengths: every backend is as near to the truth as the plain loop, eight times at most."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .configurations import CELLS, Configuration
from .judge import judge, limitation, require, truth_of

EVERY_DAY, RARELY = 2 * len(CELLS), 2400  # configurations, over all cells


def draw(cell, first, last):
    """Each cell's share of the seeds from first to last."""
    position = CELLS.index(cell)
    return [Configuration.draw(seed, cell) for seed in range(first, last) if seed % len(CELLS) == position]


def judge_all(configurations, backend):
    taken = [configuration for configuration in configurations if limitation(backend, configuration) is None]
    if not taken:
        pytest.skip(f"the {backend} backend refuses the cell")  # one reason, so that a report has one line for all
    complaints = [(configuration, judge(configuration, backend)) for configuration in taken]
    wrong = ["\n".join([repr(configuration), *found]) for configuration, found in complaints if found]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(taken)} configurations are wrong on {backend}:", *wrong])


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_states_and_gradients_are_as_near_to_the_truth_as_the_plain_loop(cell, backend):
    judge_all(draw(cell, 0, EVERY_DAY), backend)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_thousands_of_configurations_are_as_near_to_the_truth_as_the_plain_loop(cell, backend):
    judge_all(draw(cell, EVERY_DAY, EVERY_DAY + RARELY), backend)


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "gru_before", "NormalisedLSTM"])
def test_a_ragged_bidirectional_stack_of_everyday_shape_is_true(cell, started, backend):
    wide = Configuration(cell, 33, 65, 5, 12, layers=2, bidirectional=True, lengths="zeros", started=started, seed=1)
    if limitation(backend, wide):
        pytest.skip(f"the {backend} backend refuses the cell")
    require(wide, backend)


def test_the_gradient_of_a_vector_is_a_precise_sum_over_thousands_of_rows_and_steps(backend):
    long = Configuration(
        "SmoothVocabulary", 24, 4, 31, 300, lengths="random", started=True, loss="sum", scale=1.7, seed=530
    )
    if limitation(backend, long):
        pytest.skip(f"the {backend} backend refuses the cell")
    require(long, backend)


def test_the_slope_of_a_saturated_unit_is_as_precise_as_its_value(backend):
    """One that the plain loop, by luck, has to the last digit: judge.py says why nobody else must."""
    saturated = Configuration(
        "rnn",
        64,
        1,
        4,
        60,
        lengths="zeros",
        started=True,
        form="sliced",
        wanted="inputs",
        loss="sum",
        scale=1.7,
        seed=2417,
    )
    if limitation(backend, saturated):
        pytest.skip(f"the {backend} backend refuses the cell")
    require(saturated, backend)


@functools.cache
def refused(cell, backend):
    return limitation(backend, Configuration(cell, 2, 2, 1, 1))


@pytest.mark.parametrize("examples", [12, pytest.param(300, marks=pytest.mark.slow)])
def test_shapes_and_lengths_that_hypothesis_finds_are_true(examples, backend):
    @settings(deadline=None, max_examples=examples, derandomize=True, database=None)
    @given(
        cell=st.sampled_from([cell for cell in CELLS if not refused(cell, backend)]), size=st.integers(1, 40),
        features=st.integers(1, 20), batch=st.integers(0, 9), time=st.integers(0, 6), layers=st.integers(1, 2),
        bidirectional=st.booleans(), lengths=st.sampled_from(["none", "random", "zeros", "equal", "empty"]),
        started=st.booleans(), loss=st.sampled_from(["both", "outputs", "final", "sum"]),
    )  # fmt: skip
    def hold(cell, size, features, batch, time, layers, bidirectional, lengths, started, loss):
        if cell == "UnitwiseInput":
            features, layers = size, 1
        options = {"layers": layers, "bidirectional": bidirectional, "lengths": lengths, "started": started}
        require(Configuration(cell, features, size, batch, time, loss=loss, seed=3, **options), backend)

    hold()


def test_a_configuration_is_what_it_prints():
    drawn = Configuration.draw(17)
    assert eval(repr(drawn), {"Configuration": Configuration}) == drawn
    assert Configuration.draw(17) == drawn != Configuration.draw(18)


def test_the_draw_reaches_every_corner():
    drawn = [Configuration.draw(seed) for seed in range(600)]
    assert {c.cell for c in drawn} == set(CELLS)
    assert {c.layers for c in drawn} == {1, 2, 3}
    assert {c.lengths for c in drawn} == {"none", "random", "zeros", "equal", "empty"}
    assert min(c.time for c in drawn) == 0
    assert max(c.time for c in drawn) == 300
    assert max(c.batch for c in drawn) == 64
    assert {1, 255, 256, 257} <= {c.hidden_size for c in drawn} & {c.input_size for c in drawn}


def test_gradients_are_judged_unless_a_value_lies_on_the_edge_of_a_kink():
    kinked = [truth_of(configuration) for configuration in draw("KinkedVocabulary", 0, 4 * len(CELLS))]
    assert sum(truth.smooth for truth in kinked) >= len(kinked) / 2
    assert all(truth_of(configuration).smooth for configuration in draw("lstm", 0, 60))
