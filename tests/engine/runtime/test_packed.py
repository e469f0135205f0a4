"""Packed cells on every instruction set of this machine: the same results, and for int8 the same integers."""

import numpy as np
import pytest
import torch

from seqloom import cells
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime import cpu, native, packed, recorded

if not native.available():
    pytest.skip("the kernels were not built", allow_module_level=True)

SETS = pytest.mark.parametrize("isa", packed.instruction_sets())
KINDS = ["float32", "bfloat16", "int8"]


def cell_of(name, inputs, units, **options):
    torch.manual_seed(3)
    return cells.get(name)(inputs, units, **options)


def run(cell, x, rows=None, initial=(), cells=1, leaves=(), **options):
    parts = [packed.pack(cell, **options) for _ in range(cells)]
    return packed.run(parts, x, PackedRows(*x.shape[:2]) if rows is None else rows, leaves, initial)


# Rows meet the tiles of the products, which all cells share; so every number of them is for a few cells.
@SETS
@pytest.mark.parametrize(
    ("name", "batches"),
    [(name, (1, 2, 3, 4, 5, 6, 7, 9) if name in ("lstm", "gru", "gru_before") else (1, 4, 9)) for name in cells.names()]
    + [pytest.param(name, (2, 3, 5, 6, 7), marks=pytest.mark.slow) for name in cells.names()],
)
def test_float32_equals_the_program_in_torch_with_lengths_and_both_directions(name, batches, isa):
    for batch in batches:
        _check_float32(cell_of(name, 11, 21), batch, isa)


def _check_float32(cell, batch, isa):
    lengths = torch.randint(0, 8, (batch,)).sort(descending=True)[0]
    lengths[0] = 7
    counts = (lengths > torch.arange(7).unsqueeze(1)).sum(1)
    rows, x = PackedRows(7, batch, counts), torch.randn(int(counts.sum()), 11)
    sizes = dict(zip(cell.state, cell.state_sizes, strict=True))
    initial = [torch.randn(batch, size) for _ in range(2) for size in sizes.values()]
    initial = [v.abs() + 0.5 if n in cell.positive else v for n, v in zip((*sizes, *sizes), initial, strict=True)]
    with torch.no_grad():
        inputs = cpu.gather(cpu.prepare(cell), [cell, cell], x, initial)
    found = run(cell, x, rows, initial, cells=2, leaves=inputs.rows, parts=2, instruction_set=isa)
    wanted = recorded.replay(packed.program_of(cell), rows, inputs, 2)
    for mine, sought in zip(found, wanted, strict=True):
        torch.testing.assert_close(
            mine, sought.detach(), atol=2e-6, rtol=1e-5, msg=lambda said: f"batch {batch}: {said}"
        )


@pytest.mark.parametrize("units", [1, 4, 33, 130, 600])
def test_int8_is_the_same_numbers_on_every_instruction_set(units):
    cell = cell_of("rnn_relu", 50, units)
    x = torch.randn(12 * 9, 50)
    results = [
        run(cell, x, PackedRows(12, 9), weights="int8", parts=parts, instruction_set=isa, plain=plain)
        for isa in packed.instruction_sets()
        for plain in (False, True)
        for parts in (1, 3)
    ]
    for result in results[1:]:
        assert all(torch.equal(*pair) for pair in zip(result, results[0], strict=True))


@SETS
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("length", [1, 3, 64, 511, 512, 513, 1100])
def test_an_int8_product_is_exact_in_integers(length, plain, isa):
    cell = cell_of("rnn_relu", length, 7, bias=False)
    x = torch.randn(1, length)
    x[0, 0], cell.weight_x.data[:, 0] = 4.0, 1.0  # the largest products that there are
    found = run(cell, x, PackedRows(1, 1), weights="int8", instruction_set=isa, plain=plain)[0]
    entries, weights = x[0].numpy(), cell.weight_x.detach().numpy()
    largest = np.abs(entries).max()
    rounded = np.rint(entries * (np.float32(32767) / largest)).astype(np.int64)
    scales = np.abs(weights).max(1) / np.float32(127)
    small = np.rint(weights / scales[:, None]).astype(np.int64)
    total = np.zeros(7, np.float32)
    for begin in range(0, length, 512):  # blocks are exact; their sums are rounded
        total += (small[:, begin : begin + 512] * rounded[begin : begin + 512]).sum(1).astype(np.float32)
    wanted = total * scales * (largest / np.float32(32767))
    assert np.array_equal(found[0].numpy(), np.maximum(wanted, 0))


@pytest.mark.parametrize("isa", packed.instruction_sets())
def test_blocks_of_the_largest_integers_do_not_overflow(isa):
    cell = cell_of("rnn_relu", 512, 5, bias=False)
    cell.weight_x.data.fill_(1.0)
    for plain in (False, True):
        found = run(cell, torch.ones(1, 512), PackedRows(1, 1), weights="int8", instruction_set=isa, plain=plain)[0]
        torch.testing.assert_close(found, torch.full((1, 5), 512.0))


@SETS
def test_bfloat16_is_float32_with_rounded_weights_to_the_bit(isa):
    cell, x = cell_of("lstm", 31, 43), torch.randn(30, 31)
    found = run(cell, x, PackedRows(10, 3), weights="bfloat16", instruction_set=isa)
    for name, declared in cell.graph.declarations.items():
        if declared.role != "vector":
            getattr(cell, name).data.copy_(getattr(cell, name).data.bfloat16().float())
    wanted = run(cell, x, PackedRows(10, 3), instruction_set=isa)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


@SETS
@pytest.mark.parametrize("weights", KINDS)
def test_a_row_is_the_same_bits_alone_and_in_any_batch_and_partition(weights, isa):
    cell, x = cell_of("gru", 23, 70), torch.randn(6, 9, 23)
    options = {"weights": weights, "instruction_set": isa}
    together = run(cell, x.flatten(0, 1), PackedRows(6, 9), **options)
    for row in (0, 5, 8):
        alone = run(cell, x[:, row], PackedRows(6, 1), parts=3, **options)
        assert torch.equal(alone[0], together[0].view(6, 9, -1)[:, row])
        assert torch.equal(alone[1][0], together[1][row])


def test_fewer_bits_take_less_memory():
    sizes = [packed.pack(cell_of("lstm", 256, 256), kind).bytes for kind in KINDS]
    assert sizes[1] < 0.52 * sizes[0]
    assert sizes[2] < 0.27 * sizes[0]
