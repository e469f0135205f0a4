"""The graph of a step, confirmed; and the parameters of a step that symbols cannot follow.

Such a step is run on tensors instead, and they declare themselves.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from seqloom.engine.graph import (
    Declaration,
    Graph,
    Role,
    StepError,
    Traceable,
    check_real,
    check_returned,
    trace,
    tracing,
)
from seqloom.engine.interpreter import apply
from seqloom.engine.surroundings import TRACING, Surroundings
from seqloom.engine.vocabulary import VocabularyError, located

__all__ = ["graph_of"]

# Rows of the batch, and what its values and the results of products are. A cell begins with states of zero, so the
# first two must pass; the others look for products behind a branch, and may be inputs that the cell never sees.
_TRIALS = ((2, 0.0), (3, 0.0), (2, 0.5), (2, -0.5))
_NECESSARY = 2
_MOST_UNITS = 2**16  # from here on a layer that nobody builds, but that a damaged file names, would take long
_warned: WeakSet[type] = WeakSet()


def graph_of(cell: Traceable) -> Graph:
    """The graph of a cell's step; where the step leaves the vocabulary, its declarations alone, and why.

    A graph is confirmed before it counts: a second trace gives the same one, and on tensors the step gives its numbers.
    Warns once per class of the latter, which run on the plain loop only.

    Raises:
        StepError: the step contradicts itself, or fails on tensors as well; names the line.
    """
    surroundings = Surroundings()
    # A step that draws must not change how its parameters are drawn; nor does another thread change what it reads.
    with TRACING, torch.random.fork_rng(devices=[]):
        try:
            graph = trace(cell, surroundings)
            with located(type(cell)):
                _confirm(cell, graph)
            return graph
        except VocabularyError as error:
            reason, graph = str(error), _declared(cell, error)
            graph.surroundings = surroundings
    if type(cell) not in _warned:
        _warned.add(type(cell))
        warnings.warn(f"{reason}. The cell runs on the plain loop, many times slower.", RuntimeWarning, stacklevel=3)
    return graph


@dataclass(eq=False)
class _Declaring(Graph):
    """Takes the place of the graph while a step runs on tensors. Results of products are the same number throughout."""

    value: float = 0.0
    names: dict[int, str] = field(default_factory=dict)
    """Of the input and the states, by identity."""
    changing: dict[int, Tensor] = field(default_factory=dict)
    """What depends on the state, by identity; held, so that no identity is used again."""

    def label(self, vector: Any, position: int) -> str:
        return self.names.get(id(vector), f"v{position}")

    def depends_on_state(self, symbol: Any) -> bool:
        return id(symbol) in self.changing

    def product(self, vector: Any, parameter: str, rows: int) -> Any:
        role: Role = "recurrent" if self.depends_on_state(vector) else "input"
        self.declare(Declaration(parameter, (rows, vector.shape[-1]), role))
        return F.linear(vector, torch.zeros(rows, vector.shape[-1]), torch.full((rows,), self.value))

    def parameter(self, name: str, size: int) -> Any:
        self.declare(Declaration(name, (size,), "vector"))
        return torch.full((size,), self.value)

    def block(self, vector: Any, position: int, size: int) -> Any:
        return vector.narrow(-1, position * size, size)


class _Following(TorchFunctionMode):
    """Notes which tensors are computed from the state."""

    def __init__(self, changing: dict[int, Tensor]) -> None:
        super().__init__()
        self.changing = changing

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(id(tensor) in self.changing for tensor in _tensors((args, kwargs))):
            changed = args[0] if getattr(func, "__name__", "") == "__setitem__" else result
            self.changing.update((id(tensor), tensor) for tensor in _tensors(changed))
        return result


@dataclass(eq=False)
class _Trial(_Declaring):
    """Takes the place of the graph while a step runs on tensors. A product depends on its vector and on its name."""

    given: dict[str, Tensor] = field(default_factory=dict)
    """The input and the states, by name; what shares their memory (``h.detach()``) goes by their name, too."""

    def label(self, vector: Any, position: int) -> str:
        for name, tensor in self.given.items():
            if vector.data_ptr() == tensor.data_ptr() and vector.shape == tensor.shape:
                return name
        return f"v{position}"

    def product(self, vector: Any, parameter: str, rows: int) -> Any:
        return _drawn(parameter, rows) + vector.mean(-1, keepdim=True)

    def parameter(self, name: str, size: int) -> Any:
        return _drawn(name, size)


def _drawn(name: str, *shape: int) -> Tensor:
    chance = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(shape, dtype=torch.float64, generator=chance)


def _confirm(cell: Traceable, graph: Graph) -> None:
    """Refuse a trace that is one of several, or that means something else than the step on tensors.

    Raises:
        VocabularyError: says which.
    """
    with torch.set_grad_enabled(not torch.is_grad_enabled()):
        again = trace(cell)
    if [*map(repr, again.nodes)] != [*map(repr, graph.nodes)] or [*map(repr, again.outputs)] != [
        *map(repr, graph.outputs)
    ]:
        raise graph.surroundings.refuse(
            "two traces of the step differ: it draws numbers, or asks whether gradients are recorded"
        )
    if torch._C._len_torch_dispatch_stack():  # tensors have no numbers there
        return
    if cell.input_size + sum(cell.state_sizes) > _MOST_UNITS:
        return
    trial = _Trial()
    with torch.device("cpu"), torch.inference_mode(False), torch.no_grad():
        names = ("x", *cell.state)
        given = [_drawn(name, 2, size) for name, size in zip(names, (cell.input_size, *cell.state_sizes), strict=True)]
        arguments = [value.clone() for value in given]
        trial.given = dict(zip(names, arguments, strict=True))
        with tracing(trial):
            found = cell.step(*arguments)
        wanted = _evaluate(graph, trial, given[0], dict(zip(cell.state, given[1:], strict=True)))
        for name, one, other in zip(cell.state, found if isinstance(found, tuple) else (found,), wanted, strict=True):
            if not torch.allclose(torch.as_tensor(one).double(), other, rtol=1e-6, atol=1e-9, equal_nan=True):
                raise VocabularyError(f"on tensors the step gives another {name} than its trace does")


def _evaluate(graph: Graph, trial: _Trial, x: Tensor, states: dict[str, Tensor]) -> list[Tensor]:
    values: dict[int, Any] = {}
    for node in graph.nodes:
        if node.operation == "product":
            values[node.index] = trial.product(values[node.inputs[0].index], node.attributes[0], node.size)
        elif node.operation == "parameter":
            values[node.index] = trial.parameter(node.attributes[0], node.size)
        else:
            values[node.index] = apply(node, values, x, states, lambda name: torch.empty(0))
    return [torch.as_tensor(values[symbol.index], dtype=torch.float64) for symbol in graph.outputs]


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (tuple, list, dict)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)


def _declared(cell: Traceable, reason: VocabularyError) -> Graph:
    graph = Graph(untraceable=str(reason))
    for number, (rows, value) in enumerate(_TRIALS):
        try:
            declaring = _run_on_tensors(cell, rows, value)
        except Exception as error:
            if isinstance(error, StepError) and not isinstance(error, VocabularyError):
                raise
            if number < _NECESSARY:
                raise _failing(reason, error.__cause__ or error) from error
            continue
        for declared in declaring.declarations.values():
            graph.declare(declared)
        for key, product in declaring.products.items():
            if graph.products.setdefault(key, product) != product:
                raise StepError(f"{reason}; two products have the key '{key}'; give one of them another name=")
    return graph


def _failing(reason: VocabularyError, error: BaseException) -> StepError:
    """The error of a step that is wrong on symbols and on tensors: once, where both say the same."""
    failure = (str(error).strip() or type(error).__name__).split("\n")[0]
    return StepError(
        f"{reason}" if failure in str(reason) else f"{reason}; on plain tensors it fails as well: {failure}"
    )


def _run_on_tensors(cell: Traceable, rows: int, value: float) -> Graph:
    graph = _Declaring(value=value)
    with (
        torch.device("cpu"),
        torch.inference_mode(False),
        torch.enable_grad(),
        located(type(cell)),
    ):
        x = torch.full((rows, cell.input_size), value)
        states = [torch.full((rows, size), value) for size in cell.state_sizes]
        graph.names = {id(x): "x", **{id(state): name for state, name in zip(states, cell.state, strict=True)}}
        graph.changing = {id(state): state for state in states}
        with tracing(graph), _Following(graph.changing):
            returned = cell.step(x, *states)
        for name, given in zip(("x", *cell.state), (x, *states), strict=True):
            if given._version:
                raise StepError(f"the step overwrites {name} in place, which belongs to the caller; make a new value")
    outputs = returned if isinstance(returned, tuple) else (returned,)
    fits = [isinstance(output, Tensor) and output.dim() == 2 and len(output) == rows for output in outputs]
    check_returned(cell, tuple(out.shape[-1] if fit else None for out, fit in zip(outputs, fits, strict=True)))
    check_real(cell, [output.is_floating_point() for output in outputs])
    return graph
