"""A cell's numbers do not depend on whether its elementwise code was compiled, nor on when that happened."""

from __future__ import annotations

import pytest
import torch

from seqloom.cells import registry
from seqloom.engine.codegen import compiler, toolchain
from seqloom.engine.lowering import lowering
from seqloom.engine.lowering.form import Pass
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime import cpu, native, sequence
from seqloom.engine.runtime.loaded import Inputs, LoadedProgram
from seqloom.engine.runtime.sequence import run_backward, run_forward

from ..lowering.steps import NormalisedStack


def results(loaded: LoadedProgram, inputs: Inputs, rows: PackedRows) -> list[torch.Tensor]:
    forward = run_forward(loaded, rows, inputs, directions=1, save=True, threads=1)
    ones: list[torch.Tensor | None] = [torch.ones_like(value) for value in forward[: 1 + len(loaded.program.states)]]
    gradients = run_backward(loaded, rows, inputs, forward, ones, directions=1, threads=1)
    return [*forward[:2], *(value for value in gradients.flat() if value is not None)]


@pytest.mark.parametrize("isa", native.kernels().instruction_sets() if native.available() else [])
@pytest.mark.parametrize("cell_class", [registry.get("lstm"), registry.get("gru_before"), NormalisedStack])
def test_the_virtual_machine_and_compiled_code_agree_bit_for_bit(cell_class, isa, monkeypatch):
    if toolchain.find() is None:
        pytest.skip("no C++ compiler on this machine")
    torch.manual_seed(0)
    cell = cell_class(5, 19)
    program = lowering.lower(cell.graph)
    monkeypatch.setattr(native, "_built_in", lambda _: {})
    found = []
    for mode in ("0", "wait"):
        monkeypatch.setenv(compiler.COMPILE, mode)
        loaded = LoadedProgram(program, native.load(program, isa))
        stages = len(program.backward)
        assert all(loaded.machine.compiled(Pass.BACKWARD.value, i) == (mode == "wait") for i in range(stages))
        torch.manual_seed(1)
        with torch.no_grad():
            inputs = cpu.gather(cpu.prepare(cell), [cell], torch.randn(21, 5), [])
        found.append(results(loaded, inputs, PackedRows(3, 7)))
    for interpreted, compiled in zip(*found, strict=True):
        assert torch.equal(interpreted, compiled)


@pytest.mark.skipif(
    not native.available() or "avx512" not in native.kernels().instruction_sets(),
    reason="only with AVX-512 does every product sum in one order, whatever the tile",
)
@pytest.mark.parametrize("cell_class", [registry.get("lstm"), registry.get("gru"), registry.get("gru_before")])
def test_many_rows_give_the_same_bits_on_any_number_of_threads_and_in_any_company(cell_class):
    torch.manual_seed(0)
    cell = cell_class(9, 45)
    program = lowering.lower(cell.graph)
    loaded = LoadedProgram(program, native.load(program, "avx512"))
    x = torch.randn(4, 40, 9)
    with torch.no_grad():
        whole, few = (
            cpu.gather(cpu.prepare(cell), [cell], values.flatten(0, 1), []) for values in (x, x[:, 3:20].contiguous())
        )
        one, two = (
            run_forward(loaded, PackedRows(4, 40), whole, directions=1, save=False, threads=threads)[0]
            for threads in (1, 2)
        )
        alone = run_forward(loaded, PackedRows(4, 17), few, directions=1, save=False, threads=1)[0]
    assert torch.equal(one, two)
    assert torch.equal(one.view(4, 40, -1)[:, 3:20], alone.view(4, 17, -1))


@pytest.mark.skipif(not native.available(), reason="the compiled kernels are missing")
@pytest.mark.parametrize("division", [(2, 1), (1, 2)], ids=["rows", "units"])
@pytest.mark.parametrize("name", ["gru", "gru_before"])
def test_a_crowded_machine_changes_no_bit(name, division, monkeypatch):
    # Where threads lack a core, one thread does what was divided among several: also sums over rows must not notice.
    torch.manual_seed(0)
    cell = registry.get(name)(6, 40)
    prepared = cpu.prepare(cell)
    with torch.no_grad():
        inputs = cpu.gather(prepared, [cell], torch.randn(9 * 21, 6), [])
    found, run_undivided = [], sequence._run
    for threads in (1, 2):

        def run(loaded, rows, *, threads, available=threads, **described):
            named = {**described, "threads": available, "division": native.kernels().Division(*division)}
            run_undivided(loaded, rows, **named)

        monkeypatch.setattr(sequence, "_run", run)
        found.append(results(prepared.loaded, inputs, PackedRows(9, 21)))
    for alone, together in zip(*found, strict=True):
        assert torch.equal(alone, together)
