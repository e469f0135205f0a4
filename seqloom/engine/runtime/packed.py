"""Cells whose weights are packed once and kept: what streams step with, and what inference with fewer bits multiplies with.

Packing reads a cell's parameters; what changes in them later is not seen. A packed cell and a stream made of packed
cells add up every product in one fixed order: the same bits for a row alone or in a batch, step by step or in chunks, on
any number of threads (the sums over units of a layer normalisation apart, of which each thread adds up a part).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from seqloom.engine.contract import NO_NOISE, SequenceCell
from seqloom.engine.lowering.form import KernelProgram
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime import cpu, native
from seqloom.engine.runtime.loaded import share
from seqloom.engine.runtime.torch_library import loaded_program
from seqloom.errors import ConfigError

__all__ = [
    "PackedCell",
    "Weights",
    "check_weights",
    "instruction_sets",
    "limitation",
    "most_threads",
    "native_stream",
    "pack",
    "program_of",
    "run",
]

Weights: TypeAlias = Literal["float32", "bfloat16", "int8"]
"""How packed weights are kept: as they are; rounded to bfloat16 and multiplied as floats; or as 8-bit integers times a
scale for each unit, multiplied exactly with 16-bit integers times a scale for each vector."""

_NAMES = get_args(Weights)


def instruction_sets() -> list[str]:
    """The instruction sets that this machine and build have, the best first."""
    names: list[str] = native.kernels().instruction_sets()
    return names


@dataclass(frozen=True, eq=False)
class PackedCell:
    """A cell's weights in the machine's order."""

    program: KernelProgram
    machine: Any

    @property
    def bytes(self) -> int:
        """Memory of the packed weights."""
        size: int = self.machine.bytes
        return size


def check_weights(name: str, *, short: bool = False) -> Weights:
    """The name of a kind of weights; ``bf16`` stands for ``bfloat16``.

    Args:
        name: what somebody asked for.
        short: whether it must have fewer bits than float32.
    Raises:
        ConfigError: there is no such kind.
    """
    full = "bfloat16" if name == "bf16" else name
    known = _NAMES[1:] if short else _NAMES
    if full not in known:
        raise ConfigError(f"weights is {name!r}; expected {', '.join(map(repr, known[:-1]))} or '{known[-1]}'")
    return full  # type: ignore[return-value]


def limitation(cells: Sequence[SequenceCell]) -> str | None:
    """Why the machine cannot keep these cells' weights, or none where it can."""
    return cpu.limitation(cells, NO_NOISE)


def program_of(cell: SequenceCell, *, steps: bool = False) -> KernelProgram:
    """The kernel program of a cell that :func:`limitation` has nothing against; that of its single steps for a stream."""
    prepared = cpu.prepare_step(cell) if steps else cpu.prepare(cell)
    if prepared.program is None:
        raise ConfigError(f"the compiled engine cannot run {type(cell).__name__}: {prepared.objection}")
    return prepared.program


def pack(
    cell: SequenceCell,
    weights: Weights = "float32",
    *,
    steps: bool = False,
    parts: int = 1,
    instruction_set: str | None = None,
    plain: bool = False,
) -> PackedCell:
    """Read a cell's weights.

    Args:
        cell: one that :func:`limitation` has nothing against.
        weights: how they are kept.
        steps: for a stream, which is given its input step by step; else for :func:`run`, which is given hoisted values.
        parts: how many threads can share the units, at most.
        instruction_set: one that this machine has, instead of the best.
        plain: int8 products without the instructions made for them; the same numbers.
    """
    prepared, program = cpu.prepare_step(cell) if steps else cpu.prepare(cell), program_of(cell, steps=steps)
    with torch.no_grad():
        inputs = cpu.gather(prepared, [cell], torch.zeros(0, cell.input_size), [])
    weight, bias = _flat(inputs.weight), None if inputs.bias is None else _flat(inputs.bias)
    matrices, vectors = [_flat(matrix) for matrix in inputs.matrices], [_flat(vector) for vector in inputs.vectors]
    loaded = loaded_program(prepared.text).machine if instruction_set is None else native.load(program, instruction_set)
    kernels = native.kernels()
    described = kernels.CellWeights(
        features=cell.input_size,
        weight=weight,
        bias=bias,
        matrices=matrices,
        vectors=vectors,
    )
    parts = min(parts, most_threads())
    machine = kernels.PackedCell(program=loaded, weights=described, kind=weights, parts=parts, plain=plain)
    return PackedCell(program, machine)


def _flat(tensor: Tensor) -> Tensor:
    return tensor.resolve_neg().contiguous()


def most_threads() -> int:
    """How many threads can share a step, at most."""
    if not native.available():
        return 1
    most: int = native.kernels().limits()["threads"]
    return most


def native_stream(cells: Sequence[PackedCell], batch: int, *, residual: bool, threads: int, output: Any) -> Any:
    """A stack of packed cells with its state, zero at first.

    Args:
        cells: from the input up; a hoisted value of a cell can be its input only.
        batch: rows B.
        residual: add a layer's input to its output from the second layer on, where their widths agree.
        threads: at most so many share a step, where that pays.
        output: NumPy array (B, H) of float32, in which each step's result is built.
    """
    return native.kernels().Stream(
        cells=[cell.machine for cell in cells],
        batch=batch,
        residual=residual,
        threads=min(threads, most_threads()),
        array=output,
        tensor=torch.from_numpy(output),
    )


def run(
    cells: Sequence[PackedCell], x: Tensor, rows: PackedRows, leaves: Sequence[Tensor], initial: Sequence[Tensor]
) -> list[Tensor]:
    """Packed cells over packed rows, one for each direction.

    Args:
        cells: a forward one, and a backward one where the layer has both directions.
        x: (N, D) float32.
        rows: where the steps of the sequences are.
        leaves: hoisted values (N, size), direction by direction.
        initial: states (B, size), direction by direction; empty: zeros.
    Returns:
        the output (N, directions * H), then the final states (B, size), direction by direction.
    """
    program, width = cells[0].program, cells[0].program.states[0]
    output = x.new_empty(rows.total, len(cells) * width)
    finals = [x.new_empty(rows.batch, size) for _ in cells for size in program.states]
    x, leaves = _flat(x), [_flat(leaf) for leaf in leaves]
    initial = [_flat(state) for state in initial]
    states, hoisted = len(program.states), len(program.rows)
    kernels = native.kernels()
    described = [
        kernels.PackedDirection(
            output=kernels.Place(output, column=direction * width),
            leaves=share(leaves, hoisted, direction),
            initial=share(initial, states, direction),
            final=share(finals, states, direction),
        )
        for direction in range(len(cells))
    ]
    kernels.run_cells(
        cells=[cell.machine for cell in cells],
        x=kernels.Place(x),
        batch=native.batch(rows),
        directions=described,
        threads=torch.get_num_threads(),
    )
    return [output, *finals]
