"""The one layout of rows of different lengths, against a loop over rows and steps."""

import pytest
import torch

from seqloom.engine.ragged import PackedRows, Ragged

LENGTHS = [([2, 3, 2, 0, 3], 3), ([1, 3, 0], 5), ([0, 0], 2), ([4], 4), ([2, 2, 2], 2), ([], 3), ([0], 0)]


def walk(lengths, time):
    """(row, step) of each packed position, and the rows in order of length."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    return [(row, step) for step in range(time) for row in order if step < lengths[row]], order


@pytest.mark.parametrize(("lengths", "time"), LENGTHS)
@pytest.mark.parametrize("known", [True, False], ids=["of lengths", "of counts"])
def test_every_position_is_where_a_loop_puts_it(lengths, time, known):
    rows = PackedRows.of(torch.tensor(lengths, dtype=torch.int64), time)
    positions, order = walk(lengths, time)
    if not known:  # what an exported graph passes on: a sorted batch
        rows, lengths = PackedRows(time, len(lengths), rows.counts), sorted(lengths, reverse=True)
        positions, order = walk(lengths, time)
    place = {position: number for number, position in enumerate(positions)}
    assert rows.order.tolist() == order
    assert rows.lengths.tolist() == [lengths[row] for row in order]
    assert rows.inverse.tolist() == [order.index(row) for row in range(len(lengths))]
    assert rows.sizes == [sum(step < length for length in lengths) for step in range(time)]
    assert (rows.first, rows.longest, rows.total) == (
        sum(length > 0 for length in lengths), max(lengths, default=0), len(positions),
    )  # fmt: skip
    assert rows.row.tolist() == [row for row, _ in positions]
    assert rows.index.tolist() == [row * time + step for row, step in positions]
    assert rows.previous.tolist() == [place[row, step - 1] for row, step in positions if step]
    assert rows.mirror.tolist() == [place[row, lengths[row] - 1 - step] for row, step in positions]
    assert rows.first_positions(False).tolist() == [place[row, 0] for row in order if lengths[row]]
    assert rows.first_positions(True).tolist() == [place[row, lengths[row] - 1] for row in order if lengths[row]]


@pytest.mark.parametrize(("lengths", "time"), LENGTHS)
def test_packing_drops_the_padding_and_unpacking_makes_it_zero(lengths, time):
    ragged = Ragged(torch.tensor(lengths, dtype=torch.int64), time)
    x = torch.randn(len(lengths), time, 2)
    packed = ragged.packed.pack(x)
    positions, order = walk(lengths, time)
    assert packed.tolist() == [x[row, step].tolist() for row, step in positions]
    assert torch.equal(ragged.packed.unpack(packed), ragged.clear(x))
    assert torch.equal(ragged.packed.sort(x), x[torch.tensor(order, dtype=torch.int64)])
    assert torch.equal(ragged.packed.unsort(ragged.packed.sort(x)), x)


def test_whole_rows_are_ragged_rows_of_full_length():
    whole, ragged = PackedRows(3, 2), PackedRows.of(torch.tensor([3, 3]), 3)
    x = torch.randn(2, 3, 4)
    assert torch.equal(whole.pack(x), ragged.pack(x))
    assert torch.equal(whole.unpack(whole.pack(x)), x)
    for name in ("sizes", "first", "longest", "total"):
        assert getattr(whole, name) == getattr(ragged, name)
    for turned in (False, True):
        assert torch.equal(whole.first_positions(turned), ragged.first_positions(turned))
    assert whole.counts is None
