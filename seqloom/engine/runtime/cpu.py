"""The cpu backend: any cell's step as a fused kernel of the compiled engine, forward, backward and with lengths.

The recurrence runs in float32. Under autocast it stays in float32: inputs of a shorter type are widened, the outputs are
float32. Gradients of gradients and ``torch.func`` run in torch's operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from seqloom.engine.contract import Noise, Ragged, SequenceCell, States, Work
from seqloom.engine.graph import Graph
from seqloom.engine.interpreter import apply
from seqloom.engine.lowering.form import KernelProgram
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime import native
from seqloom.engine.runtime.entrance import hides_operators

if TYPE_CHECKING:
    from seqloom.engine.runtime.loaded import Inputs

__all__ = ["Prepared", "drawback", "gather", "limitation", "prepare", "prepare_step", "run"]

# From here on the kernel's speed outweighs its call (measured from one row of 64 units to 32 rows of 256, two cores).
_LEAST_STEPS = 5


@dataclass(frozen=True, eq=False)
class Prepared:
    """A cell's graph lowered and loaded, or why it cannot be."""

    program: KernelProgram | None
    text: str
    objection: str | None
    pieces: tuple[tuple[str, tuple[str, ...], int, int], ...] = ()
    """(weight, biases, first row, rows) of the input product, consecutive blocks of one weight joined."""
    inner: tuple[int, ...] = ()
    """Graph nodes on the way to the hoisted values that are computed outside."""
    loaded: Any = None
    """What keeps the loaded program alive."""


def prepare(cell: SequenceCell) -> Prepared:
    """What the engine makes of a cell; once per graph, and before ``torch.compile`` traces a layer of it."""
    known: Prepared | None = cell.graph.lowered.get("cpu")
    if known is None:
        known = cell.graph.lowered["cpu"] = _prepare(cell.graph)
    return known


def prepare_step(cell: SequenceCell) -> Prepared:
    """What a stream runs: like :func:`prepare`, but that only the input and products of it are made before a step."""
    known: Prepared | None = cell.graph.lowered.get("step")
    if known is None:
        whole, nodes = prepare(cell), cell.graph.nodes
        hoisted = [] if whole.program is None else [leaf.node for leaf in whole.program.rows]
        computed = [node for node in hoisted if nodes[node].operation != "input"]
        known = _prepare(cell.graph.computed_within(computed)) if computed else whole
        cell.graph.lowered["step"] = known
    return known


def _prepare(graph: Graph) -> Prepared:
    from seqloom.engine.lowering import lowering
    from seqloom.engine.runtime import torch_library

    if graph.untraceable:
        return Prepared(None, "", graph.untraceable)
    if not native.available():
        return Prepared(None, "", "the compiled kernels are missing")
    try:
        program = lowering.lower(graph)
    except lowering.Unlowerable as error:
        return Prepared(None, "", str(error))
    pieces: list[tuple[str, tuple[str, ...], int, int]] = []
    for block in program.linear:
        last = pieces[-1] if pieces else None
        if last and last[:2] == (block.weight, block.biases) and last[2] + last[3] == block.offset:
            pieces[-1] = (*last[:3], last[3] + block.rows)
        else:
            pieces.append((block.weight, block.biases, block.offset, block.rows))
    wanted = {leaf.node for leaf in program.rows} | {node for node, _ in program.vectors}
    for node in reversed(graph.nodes):
        if node.index in wanted:
            wanted.update(part.index for part in node.inputs)
    text, loaded = torch_library.register(program)
    return Prepared(program, text, None, tuple(pieces), tuple(sorted(wanted)), loaded)


def limitation(cells: Sequence[SequenceCell], noise: Noise) -> str | None:
    """Why this backend cannot run a layer, or none where it can."""
    if noise.active:
        return "the compiled engine has no dropout_state and no zoneout"
    prepared = prepare(cells[0])
    if prepared.objection is not None:
        return prepared.objection
    for cell in cells:
        name = next(iter(cell.graph.declarations), "the layer")
        sample = cell.parameter(name) if cell.graph.declarations else getattr(cell, "sample", None)
        if sample is not None and (sample.dtype != torch.float32 or sample.device.type != "cpu"):
            return f"the compiled engine computes in float32 on CPU, {name} is {sample.dtype} on {sample.device}"
    if hides_operators():
        return "torch.func, forward-mode derivatives and torch.jit.trace see through torch's operators only"
    if len(cells) == 2 and cells[0].graph.surroundings.seen != cells[1].graph.surroundings.seen:
        return "the steps of the two directions differ"
    return None


def drawback(cells: Sequence[SequenceCell], work: Work) -> str | None:
    """Why another backend that can run the layer would run this work faster, or none."""
    if torch.compiler.is_compiling():  # one graph for all lengths
        return None
    if work.steps < _LEAST_STEPS and not work.ragged and cells[0].vendor is not None:
        return "calling torch's kernel costs less than so few steps save"
    return None


def run(
    cells: Sequence[SequenceCell], x: Tensor, ragged: Ragged | None, initial: Sequence[States] | None, noise: Noise
) -> tuple[Tensor, list[States]]:
    """One layer; see :func:`seqloom.engine.runtime.backend.run_layer`."""
    if torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return run(cells, x, ragged, initial, noise)
    from seqloom.engine.runtime import torch_library

    x = x.float()
    rows = PackedRows(x.shape[1], x.shape[0]) if ragged is None else ragged.packed
    packed = rows.pack(x)
    prepared = prepare(cells[0])
    states: list[Tensor] = []
    if initial is not None:
        states = [rows.sort(state.float()) for of_direction in initial for state in of_direction]
    inputs = gather(prepared, cells, packed, states)
    tensors = (packed, inputs.weight, *inputs.rows, *inputs.vectors, *inputs.matrices, *states)
    biased = inputs.bias is not None and inputs.bias.requires_grad
    save = torch.is_grad_enabled() and (biased or any(tensor.requires_grad for tensor in tensors))
    output, *rest = torch_library.run(prepared.text, prepared.loaded, inputs, rows, directions=len(cells), save=save)
    count = len(cells[0].state_sizes)
    finals = [tuple(rows.unsort(state) for state in rest[d * count : (d + 1) * count]) for d in range(len(cells))]
    return rows.unpack(output), finals


def gather(prepared: Prepared, cells: Sequence[SequenceCell], packed: Tensor, initial: Sequence[Tensor]) -> Inputs:
    """The tensors of a run from the cells' parameters: what depends on neither state nor step is computed here."""
    from seqloom.engine.runtime.loaded import Inputs

    program = prepared.program
    assert program is not None
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    leaves: list[Tensor] = []
    vectors: list[Tensor] = []
    matrices: list[Tensor] = []
    biased = any(names for _, names, _, _ in prepared.pieces)
    for cell in cells:
        for name, names, first, count in prepared.pieces:
            weight = cell.parameter(name)
            weights.append(weight if len(weight) == count else weight.narrow(0, first, count))
            if biased:
                parts = [cell.parameter(bias) for bias in names]
                parts = [part if len(part) == count else part.narrow(0, first, count) for part in parts]
                biases.append(_total(parts) if parts else weight.new_zeros(count))
        values: dict[int, Any] = {}
        for index in prepared.inner:
            values[index] = apply(cell.graph.nodes[index], values, packed, {}, cell.parameter)
        leaves += [_as_rows(values[leaf.node], leaf.size, packed) for leaf in program.rows]
        vectors += [values[node] for node, _ in program.vectors]
        matrices += [cell.parameter(name) for name, _, _ in program.matrices]
    weight = _joined(weights) if weights else packed.new_empty(0, packed.shape[-1])
    return Inputs(packed, weight, _joined(biases) if biased else None, leaves, vectors, matrices, list(initial))


def _as_rows(value: Any, size: int, packed: Tensor) -> Tensor:
    result: Tensor = value
    return result.expand(packed.shape[0], size)


def _total(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = added(total, part)
    return total


def added(first: Tensor, second: Tensor) -> Tensor:
    """The sum of two tensors whose gradients have memory of their own: people change gradients in place.

    Those of ``first + second`` are one tensor.
    """
    return torch.addcmul(first, second, first.new_ones(())) if second.requires_grad else first + second


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
