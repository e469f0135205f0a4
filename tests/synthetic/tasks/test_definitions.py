"""Every generated sequence is checked by a loop that knows the task's words, not its code."""

import itertools

import numpy as np
import pytest
import torch

from seqloom.synthetic.tasks import IGNORED, make_task, random_generator, task_names

ROWS = 40


def draw(name, split="train", seed=3, size=ROWS, **options):
    task = make_task(name, options=options)
    return task, task.batch(size, random_generator(seed, split), split)


def symbols(inputs):
    """The ids of one-hot steps, as lists."""
    assert ((inputs == 0) | (inputs == 1)).all()
    assert (inputs.sum(-1) == 1).all()
    return inputs.argmax(-1).tolist()


@pytest.mark.parametrize(("name", "combine"), [("adding", lambda a, b: a + b), ("multiplication", lambda a, b: a * b)])
@pytest.mark.parametrize(("placement", "length"), [("halves", 31), ("windows", 40)])
def test_the_two_marked_numbers_stand_in_their_parts_and_make_the_answer(name, combine, placement, length):
    task, batch = draw(name, length=length, placement=placement)
    assert batch.inputs.shape[-1] == task.input_size == 2
    seen = set()
    for row, steps, target in zip(batch.inputs.tolist(), batch.lengths.tolist(), batch.targets.tolist(), strict=True):
        marked = [place for place, (_, marker) in enumerate(row) if marker]
        assert [row[place][1] for place in marked] == [1, 1]
        first, second = marked
        if placement == "halves":
            assert steps == length
            assert first < length // 2 <= second < length
        else:
            assert length <= steps <= 1.1 * length
            assert first < length // 10 <= second < length // 2
        assert all(0 <= value <= 1 for value, _ in row)
        assert all(value == 0 and marker == 0 for value, marker in row[steps:])
        assert target == pytest.approx([combine(row[first][0], row[second][0])])
        seen |= {first, second}
    assert len(seen) > 10


@pytest.mark.parametrize(
    ("name", "windows"),
    [("temporal_order", [(6, 12), (30, 36)]), ("temporal_order_3bit", [(6, 12), (20, 26), (40, 46)])],
)
def test_the_class_of_temporal_order_spells_the_relevant_symbols(name, windows):
    _, batch = draw(name, length=60)
    for row, target in zip(symbols(batch.inputs), batch.targets.tolist(), strict=True):
        relevant = [(place, symbol) for place, symbol in enumerate(row) if symbol < 2]
        assert len(relevant) == len(windows)
        assert all(low <= place < high for (place, _), (low, high) in zip(relevant, windows, strict=True))
        assert target == int("".join(str(symbol) for _, symbol in relevant), 2)
    assert set(batch.targets.tolist()) <= set(range(2 ** len(windows)))
    assert len(set(batch.targets.tolist())) > 2


def test_permutation_asks_for_its_first_symbol_which_no_other_step_shows():
    task, batch = draw("permutation", length=50)
    assert batch.inputs.shape == (ROWS, 49, 100)
    for row, target in zip(symbols(batch.inputs), batch.targets.tolist(), strict=True):
        assert row[0] == target
        assert target in (0, 1)
        assert all(2 <= symbol < task.input_size for symbol in row[1:])


@pytest.mark.parametrize(
    ("name", "positions", "values"), [("copy", 10, 8), ("memorisation", 5, 2), ("memorisation_20bit", 10, 5)]
)
def test_recall_waits_and_then_asks_for_the_first_symbols_in_order(name, positions, values):
    length = 30
    _, batch = draw(name, length=length)
    blank, signal = values, values + 1
    waiting = length - 1 if name == "copy" else length
    for row, asked in zip(symbols(batch.inputs), batch.targets.tolist(), strict=True):
        assert all(symbol < values for symbol in row[:positions])
        assert row[positions:] == [blank] * waiting + [signal] + [blank] * positions
        elsewhere = blank if name == "copy" else IGNORED
        assert asked == [elsewhere] * (len(row) - positions) + row[:positions]
    if name == "copy":
        assert batch.inputs.shape[1] == length + 20


def test_noisy_memorisation_scatters_its_symbols_in_the_order_in_which_they_are_asked():
    task, batch = draw("noisy_memorisation", length=30, positions=4, values=3, distractors=2)
    places = set()
    for row, asked in zip(symbols(batch.inputs), batch.targets.tolist(), strict=True):
        relevant = [symbol for symbol in row[:30] if symbol < 3]
        places |= {place for place, symbol in enumerate(row[:30]) if symbol < 3}
        assert all(symbol in (5, 6) for symbol in row[:30] if symbol >= 3)
        assert row[30:] == [4] + [3] * 4
        assert asked == [IGNORED] * 31 + relevant
    assert len(places) > 25
    assert task.input_size == 7


@pytest.mark.parametrize("answers", ["every", "last"])
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_parity_counts_the_ones_and_is_asked_on_longer_sequences_than_it_is_taught_on(answers, split):
    _, batch = draw("parity", split=split, length=12, test_length=30, answers=answers)
    low, high = (1, 12) if split == "train" else (13, 30)
    assert low <= min(batch.lengths) <= max(batch.lengths) <= high
    for inputs, steps, target in zip(batch.inputs, batch.lengths.tolist(), batch.targets.tolist(), strict=True):
        bits = symbols(inputs[:steps])
        assert (inputs[steps:] == 0).all()
        running = [count % 2 for count in itertools.accumulate(bits)]
        if answers == "last":
            assert target == running[-1]
        else:
            assert target == running + [IGNORED] * (len(target) - steps)


@pytest.mark.parametrize("name", [name for name in task_names() if "mnist" not in name and "permuted" not in name])
def test_batches_depend_on_their_generator_alone_and_differ_between_generators(name):
    task = make_task(name)
    again = [task.batch(8, random_generator(5, "train", 2)) for _ in range(2)]
    assert torch.equal(again[0].inputs, again[1].inputs)
    assert torch.equal(again[0].targets, again[1].targets)
    others = [
        random_generator(5, "dev", 2),
        random_generator(5, "test", 2),
        random_generator(6, "train", 2),
        random_generator(5, "train", 3),
    ]
    for generator in others:
        other = task.batch(8, generator)
        same = other.inputs.shape == again[0].inputs.shape and torch.equal(other.inputs, again[0].inputs)
        assert not same


def test_no_two_generators_share_a_seed():
    seeds = {
        random_generator(seed, split, number).initial_seed()
        for split in ("train", "dev", "test")
        for seed in range(40)
        for number in range(40)
    }
    assert len(seeds) == 3 * 40 * 40


def test_held_out_sequences_are_the_same_every_time_and_as_many_as_asked():
    task = make_task("adding", 10)
    batches = [list(task.held_out("test", 1100)) for _ in range(2)]
    assert sum(len(batch.lengths) for batch in batches[0]) == 1100
    assert all(torch.equal(one.inputs, two.inputs) for one, two in zip(*batches, strict=True))
    rows = torch.cat([batch.inputs[..., 0] for batch in batches[0]])
    assert len(np.unique(rows.numpy(), axis=0)) == 1100
