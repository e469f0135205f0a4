"""The base of every cell: one time step, written once, which also declares the parameters that it uses."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from threading import get_ident
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.cells.initial import Initialisation
from seqloom.cells.size import Formula, Size
from seqloom.cells.structure import Structure, as_matrices
from seqloom.engine.declaring import graph_of
from seqloom.engine.graph import Graph, StepError, Symbol, current_graph
from seqloom.engine.operations import as_short
from seqloom.engine.runtime.cpu import prepare
from seqloom.engine.surroundings import TRACING
from seqloom.errors import ConfigError

__all__ = ["Cell", "Vector", "VendorKernel"]

Vector: TypeAlias = Tensor
"""What a step computes with: tensors (B, H), or symbols that stand for them while the step is traced."""

VendorKernel = Literal["lstm", "gru", "rnn_tanh", "rnn_relu"]
_MATHEMATICS = ("step", "affine", "matvec", "vector", "structures")


_MOST_GRAPHS = 16
"""How many graphs a cell remembers whose step reads what changes."""


def _constant(name: str, position: int) -> str:
    return f"constant_{name}_{position}"


def _kept(constant: Tensor) -> Tensor:
    return constant.to(torch.get_default_dtype()) if constant.is_floating_point() else constant


def _caller() -> int:
    """Who calls a cell: a thread; a compiler records one call."""
    return 0 if torch.compiler.is_compiling() else get_ident()


@dataclass(frozen=True)
class _Acting:
    """What a cell acts with in one call, beside what it holds."""

    replaced: Mapping[str, Tensor] = field(default_factory=dict)
    mask: Tensor | None = None


@dataclass(frozen=True)
class _Product:
    """One call of ``affine``: its parameters, in the order of its vectors, and the blocks of rows that it returns."""

    weights: tuple[str, ...]
    recurrent: tuple[bool, ...]
    bias: str | None
    gates: str
    rows: int


class _PresentGraph:
    """Where a graph may change unseen, a cell has none in its dictionary, and this looks at it whenever it is asked for."""

    def __get__(self, cell: Cell | None, kind: type[Cell]) -> Any:
        return self if cell is None else cell._present_graph()


class Cell(nn.Module):
    """A recurrence: the names of its state and one method ``step(x, *state) -> new state``, in the same order.

    ``step`` takes x (B, D) and states (B, H) and uses ``affine``, ``matvec``, ``vector``, arithmetic and the functions
    of :mod:`seqloom.engine.operations`. It is run once on symbols when a cell is built, which declares every parameter
    it uses; nothing is declared twice. The first state is the output. A subclass with arguments of its own sets them
    before ``super().__init__`` (the step is traced there) and names them in :meth:`options`. Parameters that are not
    free (masked, block-diagonal, constant, ...) are named in :meth:`structures`.

    A step that uses anything else (a branch on what it computes, a function of torch) runs on the plain loop only, many
    times slower; a warning says so once and names the line.

    >>> from seqloom.engine.operations import tanh
    >>> class Leaky(Cell):
    ...     '''A leaky integrator of a tanh layer.'''
    ...     state = ("h",)
    ...     def step(self, x, h):
    ...         return 0.9 * h + 0.1 * tanh(self.affine(x, h))
    >>> {name: tuple(value.shape) for name, value in Leaky(3, 4).named_parameters()}
    {'weight_x': (4, 3), 'weight_h': (4, 4), 'bias': (4,)}

    Raises:
        ConfigError: sizes below 1; a step that contradicts itself (:class:`~seqloom.engine.graph.StepError`).
    """

    state: tuple[str, ...] = ("h",)
    """Names of the states; a cell whose options change them sets them before ``super().__init__``."""
    positive: ClassVar[tuple[str, ...]] = ()
    """States that are never negative, nor zero after the first step: normalisers, for which no test draws a sign."""
    size: ClassVar[Size | Formula | None] = None
    initial: Initialisation = Initialisation()
    vendor: ClassVar[VendorKernel | None] = None
    """The vendors' fused kernel that computes exactly this step, if there is one; see :meth:`vendor_weights`."""

    graph: Graph = cast(Graph, _PresentGraph())
    """The graph of the step, of what the step reads besides its arguments now."""

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__()
        for argument, value in (("input_size", input_size), ("hidden_size", hidden_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{type(self).__name__}: {argument} is {value!r}; expected an integer of at least 1")
        self.input_size, self.hidden_size, self.use_bias = input_size, hidden_size, bias
        self._acting: dict[int, _Acting] = {}
        self._structures = dict(self.structures())
        if any(constant.is_meta for structure in self._structures.values() for constant in structure.constants):
            with torch.device("cpu"):  # parameters may come later, from a file; what is computed must be there
                self._structures = dict(self.structures())
        self._graphs: list[Graph] = []
        self._take(graph_of(self))
        self._register()
        self.reset_parameters()

    def _register(self) -> None:
        """What is stored for the declared parameters."""
        foreign = self._structures.keys() - self.graph.declarations.keys()
        if foreign:
            known = ", ".join(self.graph.declarations)
            raise StepError(
                f"{type(self).__name__}.structures names {', '.join(sorted(foreign))}; the step has {known}"
            )
        if not self.graph.declarations:
            self.register_buffer("sample", torch.zeros(0), persistent=False)  # has the type, where no parameter has it
        for declared in self.graph.declarations.values():
            structure = self._structures.get(declared.name)
            for name, shape in self._stored(declared.name).items():
                if name not in self._parameters:
                    self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
            for position, value in enumerate(structure.constants if structure else ()):
                self.register_buffer(_constant(declared.name, position), _kept(value).clone(), persistent=False)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """What moves or converts the module; the constants, which no file holds, are what they were (``to_empty``)."""
        moved = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for name, structure in self._structures.items():
                for position, value in enumerate(structure.constants):
                    buffer = self._buffers[_constant(name, position)]
                    if buffer is not None and not buffer.is_meta:
                        buffer.copy_(_kept(value))
        return moved

    def __setattr__(self, name: str, value: Any) -> None:
        if not self._is_read(name):
            super().__setattr__(name, value)
            return
        with TRACING:
            before = dict(self.__dict__)
            super().__setattr__(name, value)
            try:
                self._trace_again()
            except StepError:
                self.__dict__.clear()
                self.__dict__.update(before)
                raise

    def __delattr__(self, name: str) -> None:
        with TRACING:
            super().__delattr__(name)
            if self._is_read(name):
                self._trace_again()

    def _is_read(self, name: str) -> bool:
        """Whether a step that is not being traced reads an attribute."""
        graphs = self.__dict__.get("_graphs", ())
        return any(f"self.{name}" in graph.surroundings.seen for graph in graphs) and current_graph() is None

    def _present_graph(self) -> Graph:
        graph = self._graphs[0]
        surroundings = graph.surroundings
        if not torch.compiler.is_compiling() and not surroundings.hold(self, surroundings.changing):
            return self._trace_again()
        return graph

    def _trace_again(self) -> Graph:
        """What the step reads besides its arguments has changed: the graph is that of what is there now."""
        known = next((graph for graph in self._graphs if graph.surroundings.hold(self)), None)
        if known is None:
            known, last = graph_of(self), self._graphs[0]
            foreign = known.declarations.items() - last.declarations.items()
            if foreign:
                names = ", ".join(sorted(name for name, _ in foreign))
                raise StepError(
                    f"{type(self).__name__}.step uses {names}, which it did not when the cell was built; compute it in every "
                    "step and choose between the results, by where(condition, a, b)"
                )
            self._take(known)
            if "cpu" in last.lowered:
                prepare(self)
        else:
            self._take(known)
        return known

    def _take(self, graph: Graph) -> None:
        self._graphs = [graph, *(other for other in self._graphs if other is not graph)][:_MOST_GRAPHS]
        self._products = cast(dict[str, _Product], graph.products)
        if graph.surroundings.changing:
            self.__dict__.pop("graph", None)
        else:
            self.__dict__["graph"] = graph

    def __getstate__(self) -> dict[str, Any]:
        """Without what calls that go on in other threads act with."""
        return {**self.__dict__, "_acting": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if "_graphs" not in state or self._graphs[0].surroundings.lost:
            self._graphs = []
            self._take(graph_of(self))

    def _stored(self, name: str) -> Mapping[str, tuple[int, ...]]:
        structure = self._structures.get(name)
        if structure is None or structure.stored is None:
            return {name: self.graph.declarations[name].shape}
        return structure.stored

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # A subclass that changes the mathematics must not inherit the claim that a vendor's kernel computes it.
        if "vendor" not in cls.__dict__ and any(name in cls.__dict__ for name in _MATHEMATICS):
            cls.vendor = None

    def step(self, *args: Any, **kwargs: Any) -> Any:
        """One time step: ``step(x, *state)`` returns the new states (a single value where there is one state)."""
        raise NotImplementedError(f"{type(self).__name__} has no step(self, x, {', '.join(self.state)})")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Units of each state; the first is the output's. All ``hidden_size`` unless a cell says otherwise."""
        return (self.hidden_size,) * len(self.state)

    def structures(self) -> Mapping[str, Structure]:
        """By declared name, the parameters that are computed from what is stored; see :mod:`seqloom.cells.structure`."""
        return {}

    def options(self) -> dict[str, Any]:
        """The constructor's further arguments, for building another cell of the same kind."""
        return {}

    def another(self, input_size: int) -> Cell:
        """A new cell of the same kind for another input size, freshly initialised."""
        return type(self)(input_size, self.hidden_size, bias=self.use_bias, **self.options())

    def affine(
        self, *vectors: Any, gates: str = "", name: str | None = None, bias: bool = True, size: int | None = None
    ) -> Any:
        """``W_1 v_1 + W_2 v_2 + ... + b``: a block of rows per letter of ``gates``, a single one without.

        The parameters are ``weight_<key>_<label>`` and ``bias_<key>``; the key is ``name``, or else the gates. A
        vector's label is ``x``, the state's name, or ``v1``, ``v2``, ... by position where it was computed in the step.

        Args:
            vectors: (B, any) values of the step.
            gates: a letter for each block, in the order of the rows.
            name: key of the parameters where the gates alone do not tell two calls apart; naming two calls alike shares
                their parameters.
            bias: whether to add one; never where the cell was built with ``bias=False``.
            size: rows of a block, ``hidden_size`` by default.
        """
        rows, key = size or self.hidden_size, gates if name is None else name
        graph = current_graph()
        if graph is not None:
            product = self._declare(graph, vectors, key, gates, name is not None, bias and self.use_bias, rows)
            total = self._symbolic(graph, product, vectors)
            blocks = [graph.block(total, position, rows) for position in range(len(gates) or 1)]
            return blocks[0] if len(blocks) == 1 else tuple(blocks)
        product = self._products.get(key) or self._missing(f"a product with the key '{key}'")
        offset = None if product.bias is None else self.parameter(product.bias)
        terms = [
            self._product(self._dropped(vector, recurrent), weight, None if position else offset)
            for position, (vector, weight, recurrent) in enumerate(
                zip(vectors, product.weights, product.recurrent, strict=True)
            )
        ]
        result = functools.reduce(torch.add, terms)
        return result if len(gates) < 2 else result.chunk(len(gates), -1)

    def _product(self, vector: Tensor, name: str, bias: Tensor | None) -> Tensor:
        weight = self.parameter(name)
        return F.linear(vector if vector.dtype is weight.dtype else as_short(vector, weight), weight, bias)

    def matvec(self, vector: Any, *, name: str, size: int | None = None) -> Any:
        """``W v`` without a bias, W (size or H, units of v)."""
        return self.affine(vector, name=name, bias=False, size=size)

    def vector(self, name: str, size: int | None = None) -> Any:
        """A learned vector (size or H,), the parameter ``vector_<name>``: a peephole, a decay, a gain."""
        graph = current_graph()
        full = f"vector_{name}"
        if graph is not None:
            return graph.parameter(full, size or self.hidden_size)
        return self.parameter(full) if full in self.graph.declarations else self._missing(f"the vector '{name}'")

    def parameter(self, name: str) -> Tensor:
        """A declared parameter: what :meth:`replaced_parameters` says, or what its structure makes of what is stored."""
        acting = self._acting.get(_caller()) if self._acting else None
        if acting is not None and name in acting.replaced:
            return acting.replaced[name]
        structure = self._structures.get(name)
        if structure is None:
            value: Tensor = getattr(self, name)
            return value
        constants = [_constant(name, position) for position in range(len(structure.constants))]
        return structure.compute(*(getattr(self, stored) for stored in (*self._stored(name), *constants)))

    @contextmanager
    def replaced_parameters(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """While it lasts, :meth:`parameter` answers with these tensors: noisy weights, dropped ones, normalised ones.

        Every backend takes its weights there, so they hold on all of them; gradients flow into whatever made them. They
        belong to the call: another thread that uses the cell meanwhile does not see them.
        """
        with self._act(lambda before: replace(before, replaced={**before.replaced, **values})):
            yield

    @contextmanager
    def _act(self, change: Callable[[_Acting], _Acting]) -> Iterator[None]:
        caller = _caller()
        before = self._acting.get(caller)
        self._acting[caller] = change(before or _Acting())
        try:
            yield
        finally:
            if before is None:
                del self._acting[caller]
            else:
                self._acting[caller] = before

    acting = replaced_parameters
    """The former name of :meth:`replaced_parameters`."""

    def cached_parameters(self) -> AbstractContextManager[None]:
        """While it lasts, parameters that are computed from others are not computed again in every step."""
        parametrised: Iterable[str] = self._modules.get("parametrizations") or ()  # type: ignore[assignment]
        return self.replaced_parameters({name: self.parameter(name) for name in (*self._structures, *parametrised)})

    def call_hooks(self, x: Tensor | None) -> None:
        """Run what was registered to run before a module: pruning, weight norm and spectral norm make the weights there.

        A layer calls it before it runs the cell, once for a sequence.

        Raises:
            ConfigError: a hook would change the input.
        """
        for number, hook in tuple(self._forward_pre_hooks.items()):
            named = number in self._forward_pre_hooks_with_kwargs
            call: Callable[..., Any] = hook
            changed = call(self, (x,), {}) if named else call(self, (x,))
            if changed is not None:
                raise ConfigError(
                    f"a hook on {type(self).__name__} changes its input, of which a cell has one in each step; register it on "
                    "the layer"
                )

    def _refuse_hook(self, *arguments: Any, **named: Any) -> NoReturn:
        raise ConfigError(
            f"a {type(self).__name__} is no module that is called, and a hook on it would never run; register it on the layer, "
            "or as a forward pre-hook, which runs before each sequence"
        )

    register_forward_hook = register_backward_hook = _refuse_hook
    register_full_backward_hook = register_full_backward_pre_hook = _refuse_hook

    def _missing(self, what: str) -> NoReturn:
        raise StepError(
            f"{type(self).__name__}.step uses {what}, which it did not when the cell was built; compute it in every "
            "step and choose between the results, by where(condition, a, b)"
        )

    def _declare(
        self, graph: Graph, vectors: tuple[Symbol, ...], key: str, gates: str, named: bool, bias: bool, rows: int
    ) -> _Product:
        if not vectors:
            raise StepError("a product of nothing; pass at least one vector of the step")
        labels = [graph.label(vector, position) for position, vector in enumerate(vectors, 1)]
        middle = f"_{key}" if key else ""
        product = _Product(
            weights=tuple(f"weight{middle}_{label}" for label in labels),
            recurrent=tuple(graph.depends_on_state(symbol) for symbol in vectors),
            bias=f"bias{middle}" if bias else None,
            gates=gates,
            rows=rows,
        )
        if graph.products.setdefault(key, product) is not product and not (named and graph.products[key] == product):
            raise StepError(f"two products have the key '{key}'; give one of them another name=")
        return product

    def _symbolic(self, graph: Graph, product: _Product, vectors: tuple[Symbol, ...]) -> Symbol:
        rows = product.rows * (len(product.gates) or 1)
        terms = [graph.product(vector, weight, rows) for vector, weight in zip(vectors, product.weights, strict=True)]
        if product.bias is not None:
            terms.insert(1, graph.parameter(product.bias, rows))
        return functools.reduce(operator.add, terms)

    @contextmanager
    def recurrent_mask(self, mask: Tensor | None) -> Iterator[None]:
        """Multiply what enters each recurrent product by ``mask`` (B, H): state dropout (Gal & Ghahramani 2016).

        The mask acts inside the products only: a state that is carried elementwise (an LSTM's c, the kept part of a
        GRU's h) would otherwise be scaled at every step and explode.
        """
        with self._act(lambda before: replace(before, mask=mask)):
            yield

    def _dropped(self, vector: Tensor, recurrent: bool) -> Tensor:
        acting = self._acting.get(_caller()) if self._acting else None
        mask = None if acting is None else acting.mask
        return vector * mask if recurrent and mask is not None and mask.shape == vector.shape else vector

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all parameters anew, as the class's ``initial`` says."""
        for product in self._products.values():
            gates = len(product.gates) or 1
            for name, recurrent in zip(product.weights, product.recurrent, strict=True):
                for stored in self._stored(name):
                    for block in as_matrices(self.get_parameter(stored), gates):
                        self.initial.fill(block, self.initial.recurrent if recurrent else self.initial.input)
            for name in self._stored(product.bias) if product.bias else ():
                for letter, block in zip(product.gates or " ", self.get_parameter(name).chunk(gates), strict=True):
                    block.fill_(self.initial.bias.get(letter, 0.0))
        for name, parameter in self.named_parameters():
            if name.startswith("vector_"):
                parameter.fill_(self.initial.vector.get(name.removeprefix("vector_"), 0.0))

    def vendor_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """``(weight_ih, weight_hh, bias_ih, bias_hh)`` of ``torch.nn``'s form of this cell, differentiable."""
        raise NotImplementedError(f"{type(self).__name__} has no form in torch.nn")

    def load_vendor_weights(
        self, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None
    ) -> None:
        """Take the values of ``torch.nn``'s form; its two biases are added where the cell has one."""
        raise NotImplementedError(f"{type(self).__name__} has no form in torch.nn")

    def extra_repr(self) -> str:
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *([] if self.use_bias else ["bias=False"])])
