"""``explain``: what runs a layer or a cell, why, and what was made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from seqloom.cells import registry
from seqloom.cells.cell import Cell
from seqloom.engine.codegen import compiler
from seqloom.engine.contract import Work
from seqloom.engine.graph import Graph
from seqloom.engine.lowering import lowering
from seqloom.engine.runtime import native
from seqloom.engine.runtime.backend import Choice, choose, measure_lengths
from seqloom.engine.runtime.cpu import prepare
from seqloom.errors import ConfigError
from seqloom.layers.recurrent import CellLike, Recurrent

__all__ = ["LayerExplanation", "explain"]

_SIZES = 16, 16
_PASSES = "forward, training", "forward, inference", "backward"
_KERNELS_MISSING = (
    "the compiled kernels are missing and torch does their work, more slowly; "
    "install a C++17 compiler and reinstall seqloom"
)


@dataclass(frozen=True)
class LayerExplanation:
    """What runs each layer and what a step of it costs; printing it gives the words."""

    choices: tuple[Choice, ...]
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def explain(
    target: Recurrent | CellLike, x: Tensor | None = None, lengths: Tensor | None = None, *, detail: bool | None = None
) -> LayerExplanation:
    """Which backend runs each layer, and why; with the operations and phases of a step.

    Args:
        target: a layer; or a cell, a class of cells or a registered name (the latter two with 16 inputs and 16 units).
        x: the choice may depend on the batch: what is said is said of this one, (B, T, D), or as the layer takes it, in
            the current gradient mode.
        lengths: (B,) those of its rows.
        detail: also the program that the compiled engine made of the step, stage by stage: what is multiplied, computed
            and kept, and what executes it. Of a cell by default, of a layer not.

    Raises:
        ConfigError: not something that can be explained.

    >>> print(explain(Recurrent("gru_before", 3, 4)))  # doctest: +ELLIPSIS
    layer 1, GRUBefore(3, 4), forward: cpu (the fastest for this cell)
      a step: 12 operations on the state in 2 phases; 3nm + 3m² + 3m = 96 parameters
    compiled engine: ..., 6 of 6 stages built in
    """
    if isinstance(target, Recurrent):
        values = x if x is None or target.batch_first else x.transpose(0, 1)
        titles, choices, firsts = _of_layer(target, _work(values, lengths))
    else:
        cell = _cell(target)
        titles, choices, firsts = [str(cell)], [choose([cell], work=_work(x, lengths))], [cell]
    detailed = detail if detail is not None else not isinstance(target, Recurrent)
    lines: list[str] = []
    for title, choice, first in zip(titles, choices, firsts, strict=True):
        lines += [f"{title}: {choice.backend} ({choice.reason})", f"  a step: {_cost(first)}"]
        if detailed:
            lines += [f"  {line}" for line in _details(first, choice)]
    if not detailed:
        lines += _in_short(firsts, choices)
    return LayerExplanation(tuple(choices), tuple(lines))


def _of_layer(layer: Recurrent, work: Work | None) -> tuple[list[str], list[Choice], list[Cell]]:
    directions = "both directions" if layer.bidirectional else "forward"
    cells = [layer.cells_of(position) for position in range(layer.layers)]
    titles = [f"layer {number}, {both[0]}, {directions}" for number, both in enumerate(cells, 1)]
    choices = [choose(both, layer.noise, layer.backend, work) for both in cells]
    return titles, choices, [both[0] for both in cells]


def _work(values: Tensor | None, lengths: Tensor | None) -> Work | None:
    return None if values is None else Work.of(values, measure_lengths(lengths, values))


def _cell(target: CellLike) -> Cell:
    if isinstance(target, Cell):
        return target
    cell_class = registry.get(target) if isinstance(target, str) else target
    if not (isinstance(cell_class, type) and issubclass(cell_class, Cell)):
        raise ConfigError(f"explain takes a Recurrent layer, a Cell, its class or its name; this is {target!r}")
    try:
        return cell_class(*_SIZES)
    except TypeError as error:
        raise ConfigError(f"{cell_class.__name__}{_SIZES} cannot be built: {error}; pass a cell instead") from error


def _cost(cell: Cell) -> str:
    formula = f"{cell.size} = " if getattr(cell, "size", None) else ""
    count = sum(parameter.numel() for parameter in cell.parameters())
    graph = cell.graph
    work = (
        "in torch's operations, one by one"
        if graph.untraceable
        else f"{graph.operations} operations on the state in {graph.phases} phase{'s' if graph.phases > 1 else ''}"
    )
    return f"{work}; {formula}{count} parameters"


def _in_short(cells: Sequence[Cell], choices: Sequence[Choice]) -> Iterator[str]:
    """A line about the compiled engine, where it runs a layer or is not there."""
    if not native.available():
        yield _KERNELS_MISSING
        return
    graphs = [cell.graph for cell, choice in zip(cells, choices, strict=True) if choice.backend == "cpu"]
    if graphs:
        counts = Counter(path for graph in graphs for of_pass in _paths(graph) for path in of_pass)
        stages = ", ".join(f"{number} of {counts.total()} stages {path}" for path, number in counts.items())
        yield f"compiled engine: {native.instruction_set()}, {stages}"


def _paths(graph: Graph) -> tuple[tuple[native.Path, ...], ...]:
    prepared = graph.lowered["cpu"]
    return native.paths(prepared.program, prepared.loaded.machine)


def _details(cell: Cell, choice: Choice) -> Iterator[str]:
    try:
        program = lowering.lower(cell.graph)
    except lowering.Unlowerable as error:
        if not cell.graph.untraceable:  # else the choice has said why
            yield f"no program for the compiled engine: {error}"
        return
    if not native.available():
        yield f"{_KERNELS_MISSING}; they would run this:"
    yield from lowering.describe(program)
    if native.available() and prepare(cell).objection is None:
        yield f"instruction set: {native.instruction_set()}"
        yield "elementwise code of each stage: compiled (built in, or here), or interpreted by the virtual machine"
        passes = _paths(cell.graph)
        for title, paths in zip(_PASSES, passes, strict=True):
            yield f"  {title}: {', '.join(f'{number}. {path}' for number, path in enumerate(paths, 1))}"
        if any("interpreted" in paths for paths in passes):
            yield f"  interpreted: {compiler.outlook()}"
    if choice.backend == "cpu":
        yield "gradients of gradients run in torch's operations, torch.func transforms on the plain loop"
