"""The standard battery: what must hold for every cell, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from seqloom.cells import registry
from seqloom.cells.cell import Cell
from seqloom.engine.contract import NO_NOISE
from seqloom.engine.interpreter import evaluate
from seqloom.engine.runtime.backend import BACKENDS
from seqloom.errors import ConfigError
from seqloom.layers.check_calls import (
    check_gradient_memory,
    check_mapped,
    check_memory_later,
    check_nothing,
    check_sixteen_bits,
    check_threads,
)
from seqloom.layers.check_kernels import check_compiled, check_golden, check_state_dict, check_stream
from seqloom.layers.check_subject import (
    GARBAGE,
    HIDDEN,
    INPUT,
    CellCheckError,
    Subject,
    batch,
    gradients,
    random_state,
    require,
    require_near,
)
from seqloom.layers.check_ways import check_ways
from seqloom.layers.recurrent import Recurrent

__all__ = ["CHECKS", "CellCheckError", "check_cell"]


def check_cell(cell: str | type[Cell], **arguments: Any) -> None:
    """Put a cell through the standard battery; silence means that it passed.

    Gradients against finite differences, one call against two, padding that changes nothing, rows that do not mix, the
    size formula, shapes and types, streams, state dictionaries, the trace against the tensors, every backend against the
    reference, the compiled one in float32 too, all ways of running a step on zeros of both signs, infinities and NaN, calls
    that are mapped, shared by threads, in 16 bits, of no step, or of a layer whose memory came later, and the golden vectors
    of the cells that have some.

    Args:
        cell: a registered name or a class.
        arguments: further arguments of its constructor.
    Raises:
        CellCheckError: a check fails.

    >>> check_cell("lstm")
    """
    cell_class = registry.get(cell) if isinstance(cell, str) else cell
    if not (isinstance(cell_class, type) and issubclass(cell_class, Cell)):
        raise ConfigError(f"check_cell takes a name or a Cell class; this is {cell!r}")
    subject = Subject(cell_class, arguments)
    with torch.random.fork_rng(devices=[]):
        for check in CHECKS:
            torch.manual_seed(20)  # the same numbers whichever checks run before
            check(subject)


def check_gradients(subject: Subject, *, every_entry: bool = False) -> None:
    """The gradients of input, state and all parameters agree with finite differences in float64.

    Along a random direction of each, or entry by entry, which takes ten times as long.
    """
    layer = subject.layer()
    names = [name for name, _ in layer.named_parameters()]
    state = random_state(layer, 2)

    def outcome(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        initial, parameters = rest[: len(state)], dict(zip(names, rest[len(state) :], strict=True))
        outputs, final = torch.func.functional_call(layer, parameters, (x, initial))
        return (outputs, *final)

    x = torch.randn(2, 3, INPUT, dtype=torch.float64)
    inputs = tuple(value.detach().requires_grad_() for value in (x, *state, *layer.parameters()))
    try:
        torch.autograd.gradcheck(outcome, inputs, fast_mode=not every_entry)
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[0]
        raise CellCheckError(
            f"{subject.cell_class.__name__}: gradients and finite differences differ: {reason}"
        ) from error


def check_split(subject: Subject) -> None:
    """A sequence in two calls gives what one call gives, and so does one step after the other."""
    layer, (x, _) = subject.layer(), batch((7, 7))
    state = random_state(layer, 2)
    whole, final = layer(x, state)
    first, between = layer(x[:, :3], state)
    second, last = layer(x[:, 3:], between)
    require_near(subject, torch.cat([first, second], 1), whole, "outputs of two calls and of one")
    for name, value, wanted in zip(last._fields, last, final, strict=True):
        require_near(subject, value, wanted, f"final {name} of two calls and of one")
    steps = []
    for t in range(x.shape[1]):
        output, state = layer.step(x[:, t], state)
        steps.append(output)
    require_near(subject, torch.stack(steps, 1), whole, "outputs step by step and at once")


def check_padding(subject: Subject) -> None:
    """A ragged batch gives what each row gives alone; the padding's content is never seen and gets no gradient."""
    for bidirectional in (False, True):
        layer, (x, lengths) = subject.layer(bidirectional=bidirectional), batch()
        state = random_state(layer, len(lengths))
        padded = torch.arange(x.shape[1]) >= lengths.unsqueeze(1)
        x = x.masked_fill(padded.unsqueeze(-1), GARBAGE).requires_grad_()
        outputs, final = layer(x, state, lengths)
        require(subject, bool((outputs[padded] == 0).all()), "outputs in the padding are not zero")
        for row, length in enumerate(lengths.tolist()):
            rows = torch.tensor([row])
            alone, end = layer(x[row : row + 1, :length], state.select(rows))
            require_near(
                subject, outputs[row : row + 1, :length], alone, f"row of length {length} in a batch and alone"
            )
            for name, value, wanted in zip(end._fields, final.select(rows), end, strict=True):
                require_near(subject, value, wanted, f"final {name} of a row of length {length} in a batch and alone")
        (gradient,) = gradients(outputs.sum() + sum(field.sum() for field in final), [x])
        require(subject, bool((gradient[padded] == 0).all()), "a gradient reaches the padding")


def check_permutation(subject: Subject) -> None:
    """Rows in another order give the same results in that order: rows do not mix."""
    layer, (x, lengths) = subject.layer(), batch()
    order = torch.tensor([1, 2, 0, 3])  # commutes with no reversal, swap or shift of the rows
    state = random_state(layer, len(lengths))
    outputs, final = layer(x, state, lengths)
    moved, end = layer(x[order], state.reorder(order), lengths[order])
    require_near(subject, moved, outputs[order], "outputs of permuted rows")
    for name, value, wanted in zip(final._fields, end, final.reorder(order), strict=True):
        require_near(subject, value, wanted, f"final {name} of permuted rows")


def check_size(subject: Subject) -> None:
    """The number of parameters is what the cell's formula says, with and without biases."""
    if subject.cell_class.size is None or subject.arguments:  # the formula is that of the default arguments
        return
    for bias in (True, False):
        count = sum(parameter.numel() for parameter in subject.cell(bias=bias).parameters())
        wanted = subject.cell_class.size.count(INPUT, HIDDEN, bias=bias)
        formula = f"{subject.cell_class.size} with bias={bias}"
        require(subject, count == wanted, f"{count} parameters, expected {wanted} ({formula})")


def check_shapes(subject: Subject) -> None:
    """Shapes and types come out as they went in, for one step, one row, no step and no row."""
    for dtype in (torch.float32, torch.float64):
        layer = subject.layer().to(dtype)
        for rows, time in ((1, 1), (2, 3), (2, 0), (0, 3)):
            outputs, final = layer(torch.randn(rows, time, INPUT, dtype=dtype))
            require(subject, outputs.shape == (rows, time, layer.output_size), f"outputs are {tuple(outputs.shape)}")
            require(subject, outputs.dtype == dtype, f"outputs are {outputs.dtype}, expected {dtype}")
            for name, field, zero in zip(final._fields, final, layer.initial_state(rows), strict=True):
                require(subject, field.shape == zero.shape, f"final {name} is {tuple(field.shape)}")
                require(subject, field.dtype == dtype, f"final {name} is {field.dtype}, expected {dtype}")


def check_trace(subject: Subject) -> None:
    """The traced graph, where there is one, evaluated node by node gives what ``step`` gives on tensors."""
    layer = subject.layer()
    cell = next(cell for cell in layer.cells if isinstance(cell, Cell))
    if cell.graph.untraceable:
        return
    x = torch.randn(2, INPUT, dtype=torch.float64)
    states = [field[:, 0] for field in random_state(layer, 2)]
    returned = cell.step(x, *states)
    values = returned if isinstance(returned, tuple) else (returned,)
    traced = evaluate(
        cell.graph,
        x,
        dict(zip(cell.state, states, strict=True)),
        {name: cell.parameter(name) for name in cell.graph.declarations},
    )
    for name, value, wanted in zip(cell.state, traced, values, strict=True):
        require_near(subject, value, wanted, f"new {name} of the trace and of the tensors")


def check_backends(subject: Subject) -> None:
    """Every backend that takes the cell gives the reference's outputs, states and gradients."""
    for bidirectional in (False, True):
        layer, (x, lengths) = subject.layer(bidirectional=bidirectional), batch()
        x.requires_grad_()
        cells = [cell for cell in layer.cells if isinstance(cell, Cell)]
        able = [name for name, backend in BACKENDS.items() if backend.limitation(cells, NO_NOISE) is None]
        for state in (None, random_state(layer, len(lengths))):
            for given in (None, lengths):
                _compare_backends(subject, layer, able, (x, state, given))


def _compare_backends(subject: Subject, layer: Recurrent, able: list[str], arguments: tuple[Any, ...]) -> None:
    def outcome(backend: str) -> Iterator[tuple[str, Tensor]]:
        layer.backend = backend
        outputs, final = layer(*arguments)
        yield "outputs", outputs
        yield from ((f"final {name}", field) for name, field in zip(final._fields, final, strict=True))
        loss = outputs.sin().sum() + sum((field.cos()).sum() for field in final)
        leaves = {"x": arguments[0], **dict(layer.named_parameters())}
        found = gradients(loss, list(leaves.values()))
        yield from ((f"gradient of {name}", gradient) for name, gradient in zip(leaves, found, strict=True))

    wanted = dict(outcome("reference"))
    for backend in able:
        for what, value in outcome(backend):
            require_near(subject, value, wanted[what], f"{what} on the {backend} backend", 1e-10)
        with torch.no_grad():  # a backend may take another path where nobody asks for gradients
            outputs, final = layer(*arguments)
        require_near(subject, outputs, wanted["outputs"], f"outputs without gradients on the {backend} backend", 1e-10)
        for name, field in zip(final._fields, final, strict=True):
            require_near(subject, field, wanted[f"final {name}"], f"{name} without gradients on {backend}", 1e-10)


CHECKS: tuple[Callable[[Subject], None], ...] = (
    check_size,
    check_shapes,
    check_trace,
    check_split,
    check_permutation,
    check_padding,
    check_gradients,
    check_backends,
    check_compiled,
    check_stream,
    check_ways,
    check_state_dict,
    check_memory_later,
    check_mapped,
    check_threads,
    check_sixteen_bits,
    check_nothing,
    check_gradient_memory,
    check_golden,
)
