"""The expression graph of one step: what a cell computes, as data.

A cell's ``step`` is run once on :class:`Symbol` values; every operation becomes a node of a hash-consed :class:`Graph`,
so that equal expressions are one node and the graph is in topological order by construction. The graph declares the
cell's parameters, says in ``explain`` what a step costs, and is what a compiled engine lowers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Literal, Protocol, TypeAlias

from seqloom.engine.surroundings import Surroundings, watching
from seqloom.engine.vocabulary import VOCABULARY, StepError, VocabularyError, instead_of, located

__all__ = [
    "VOCABULARY",
    "Declaration",
    "Graph",
    "Role",
    "StepError",
    "Symbol",
    "Traceable",
    "check_real",
    "check_returned",
    "current_graph",
    "trace",
    "tracing",
]

SOURCES = frozenset({"input", "state", "constant", "parameter"})
_OVERWRITABLE = frozenset({"add", "sub", "mul", "div", "neg", "product"})  # no gradient needs what they gave
_FREE = SOURCES | {"block"}  # nodes that cost no arithmetic


Role: TypeAlias = Literal["input", "recurrent", "vector"]
Kind: TypeAlias = Literal["real", "whole", "truth"]
"""What numbers a value has on tensors: those of the layer, int64, or bool, which torch computes with in ways of their own."""

_LARGEST_WHOLE = 2**24  # the largest up to which float32 has every whole number
_LARGEST_INTEGER = 2**63
_COMPARISONS = frozenset({"less", "less_equal"})
_ALIKE = frozenset({"add", "sub", "mul", "minimum", "maximum", "neg", "abs", "relu", "block"})
_NO_TRUTHS = {"sub": "-", "neg": "-", **{name: name for name in ("abs", "relu", "softplus", "layer_norm", "product")}}
_NO_WHOLE = frozenset({"softplus", "layer_norm", "product"})


class Traceable(Protocol):
    """What :func:`trace` needs of a cell."""

    @property
    def input_size(self) -> int: ...
    @property
    def state(self) -> tuple[str, ...]: ...
    @property
    def state_sizes(self) -> tuple[int, ...]: ...
    def step(self, *args: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True)
class Declaration:
    """A parameter that a step uses: its shape, and whether it multiplies something that depends on the state."""

    name: str
    shape: tuple[int, ...]
    role: Role


def _binary(operation: str) -> Any:
    def method(self: Symbol, other: object) -> Symbol:
        return self.graph.elementwise(operation, self, other)

    return method


def _reflected(operation: str) -> Any:
    def method(self: Symbol, other: object) -> Symbol:
        return self.graph.elementwise(operation, other, self)

    return method


_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


def _in_place(operation: str) -> Any:
    def method(self: Symbol, other: object) -> Symbol:
        return self.graph.overwrite(operation, self, other)

    return method


def _refused(sentence: str) -> Any:
    def method(self: Symbol, *others: object) -> Any:
        raise VocabularyError(sentence)

    return method


@dataclass(frozen=True, eq=False, repr=False)
class Symbol:
    """One node: an operation on earlier nodes, giving a vector of ``size`` numbers per row (1: the same for all units).

    Symbols are compared by identity; within a graph, equal expressions are the same symbol.
    """

    graph: Graph
    index: int
    operation: str
    inputs: tuple[Symbol, ...]
    size: int
    attributes: tuple[Any, ...] = ()

    __add__, __radd__ = _binary("add"), _reflected("add")
    __sub__, __rsub__ = _binary("sub"), _reflected("sub")
    __mul__, __rmul__ = _binary("mul"), _reflected("mul")
    __truediv__, __rtruediv__ = _binary("div"), _reflected("div")
    __lt__, __le__ = _binary("less"), _binary("less_equal")
    __gt__, __ge__ = _reflected("less"), _reflected("less_equal")

    __iadd__, __isub__, __imul__, __itruediv__ = _in_place("add"), _in_place("sub"), _in_place("mul"), _in_place("div")

    def __eq__(self, other: object) -> bool:
        """Identity, for those who look at a graph; a step would take it for a comparison of units."""
        if current_graph() is self.graph and self is not other:
            raise VocabularyError("== is not in a step's vocabulary; write (a <= b) * (b <= a)")
        return self is other

    def __ne__(self, other: object) -> bool:
        if current_graph() is self.graph:
            raise VocabularyError("!= is not in a step's vocabulary; write (a < b) + (b < a)")
        return self is not other

    __hash__ = object.__hash__
    __array_ufunc__ = None  # NumPy leaves arithmetic to the symbol

    def __neg__(self) -> Symbol:
        return self.graph.elementwise("neg", self)

    __bool__ = _refused("a step cannot branch on a value that it computes; write where(condition, a, b)")
    __float__ = __int__ = __index__ = _refused(
        "a value of the step differs from row to row and is no single number; keep it a vector"
    )
    __pow__ = __rpow__ = _refused("a power is not in a step's vocabulary; write v * v, sqrt(v) or exp(p * log(v))")
    __matmul__ = __rmatmul__ = _refused(
        "a product with @ declares no parameters; write self.affine(v) or self.matvec(v, name=...)"
    )
    __getitem__ = _refused(
        "units cannot be picked from a value of the step; let affine give blocks of them by gates=, or write split(v, parts)"
    )

    def __iter__(self) -> Iterator[Symbol]:
        # On tensors this would run over the rows of the batch: never what is meant.
        raise StepError("a value of the step cannot be unpacked; affine gives as many values as gates= has letters")

    @classmethod
    def __torch_function__(cls, function: Callable[..., Any], types: object, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", str(function)).strip("_")
        raise VocabularyError(f"torch's {name} is not in a step's vocabulary; {instead_of(name)}")

    def __repr__(self) -> str:
        written = [*(f"%{node.index}" for node in self.inputs), *map(str, self.attributes)]
        return f"%{self.index} = {self.operation}({', '.join(written)}) [{self.size}]"


@dataclass(eq=False)
class Graph:
    """The nodes of one step in topological order, its outputs (the new states) and the parameters it declares."""

    nodes: list[Symbol] = field(default_factory=list)
    outputs: tuple[Symbol, ...] = ()
    declarations: dict[str, Declaration] = field(default_factory=dict)
    products: dict[str, object] = field(default_factory=dict, repr=False)
    """What the cell said about each of its products, by key; the cell's own record, not read here."""
    program: Any = field(default=None, repr=False)
    """What a backend lowered the graph to; kept here so that all cells that share a graph share it."""
    lowered: dict[str, Any] = field(default_factory=dict, repr=False)
    """The same, by backend."""
    surroundings: Surroundings = field(default_factory=Surroundings, repr=False)
    """What the step read besides its arguments: the graph holds as long as it is what it was."""
    overwritten: set[int] = field(default_factory=set, repr=False)
    """Nodes whose value the step has overwritten in place."""
    untraceable: str | None = None
    """Why there are declarations only, for a step that leaves the vocabulary: begins with the line that does."""
    _known: dict[tuple[Any, ...], Symbol] = field(default_factory=dict, repr=False)
    _recurrent: set[int] = field(default_factory=set, repr=False)
    _kinds: dict[int, tuple[Kind, float]] = field(default_factory=dict, repr=False)
    """Of the values that are not real, with a bound of their size."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "program": None, "lowered": {}}  # made again where it is wanted

    def __deepcopy__(self, memo: object) -> Graph:
        return self  # a finished graph never changes, so copies of a cell share it

    def node(self, operation: str, inputs: Sequence[Symbol], size: int, attributes: tuple[Any, ...] = ()) -> Symbol:
        """The node with these contents: the existing one, or a new one at the end."""
        # 0.0 and -0.0 are equal numbers and are not the same.
        told_apart: tuple[Any, ...] = tuple(map(repr, attributes)) if operation == "constant" else attributes
        key = (operation, tuple(symbol.index for symbol in inputs), size, told_apart)
        for symbol in inputs if self.overwritten else ():
            self._refuse_overwritten(symbol)
        if key not in self._known:
            kind, bound = self._kind_of(operation, inputs, attributes)
            symbol = Symbol(self, len(self.nodes), operation, tuple(inputs), size, attributes)
            self.nodes.append(symbol)
            self._known[key] = symbol
            if kind != "real":
                self._kinds[symbol.index] = kind, bound
            if operation == "state" or any(part.index in self._recurrent for part in inputs):
                self._recurrent.add(symbol.index)
        return self._known[key]

    def kind(self, symbol: Symbol) -> Kind:
        """What numbers a value has on tensors."""
        return self._kinds.get(symbol.index, ("real", math.inf))[0]

    def _kind_of(self, operation: str, inputs: Sequence[Symbol], attributes: tuple[Any, ...]) -> tuple[Kind, float]:
        """What torch would make of a node, and how large it may be.

        Raises:
            VocabularyError: torch refuses it, or would count further than float32 can.
        """
        if operation == "constant" and isinstance(attributes[0], int):
            return "whole", abs(attributes[0])
        if operation in _COMPARISONS:
            return "truth", 1
        known = [self._kinds.get(part.index, ("real", math.inf)) for part in inputs]
        kinds = {kind for kind, _ in known}
        if operation in _NO_TRUTHS and "truth" in kinds:
            raise VocabularyError(
                f"{_NO_TRUTHS[operation]} of a comparison, which is true or false and no number; "
                "write where(condition, 1.0, 0.0)"
            )
        if operation in _NO_WHOLE and "whole" in kinds:
            raise VocabularyError(f"{operation} of whole numbers; write them with a decimal point, as 1.0")
        if operation == "where":
            known = known[1:]
        elif operation not in _ALIKE:
            return "real", math.inf
        if not known or any(kind == "real" for kind, _ in known):
            return "real", math.inf
        if all(kind == "truth" for kind, _ in known):
            return "truth", 1
        sizes = [size for _, size in known]
        bound = math.prod(sizes) if operation == "mul" else sum(sizes) if operation in ("add", "sub") else max(sizes)
        if bound > _LARGEST_WHOLE:
            raise VocabularyError(
                f"whole numbers up to {bound}, more than float32 can count; write them with a decimal point, as 1.0"
            )
        return "whole", bound

    def overwrite(self, operation: str, symbol: Symbol, other: object) -> Symbol:
        """``symbol += other`` and its like: on tensors it changes a value in place, which a graph cannot.

        Raises:
            StepError: the value belongs to the caller, or is a parameter.
            VocabularyError: it has been used already, or may be needed by a gradient.
        """
        sign, whole = f"{_SIGNS[operation]}=", symbol
        while whole.operation == "block":
            whole = whole.inputs[0]
        if whole.operation in SOURCES:
            what = {"input": "the input", "state": "a state", "parameter": "a parameter"}[whole.operation]
            raise StepError(f"{sign} overwrites {what} in place; write v = v {sign[0]} ..., which makes a new value")
        used = any(part.index == symbol.index for node in self.nodes for part in node.inputs)
        if used or symbol.operation not in _OVERWRITABLE:
            raise VocabularyError(
                f"{sign} overwrites a value in place; write v = v {sign[0]} ..., which makes a new one"
            )
        result = self.elementwise(operation, symbol, other)
        if result.size != symbol.size:
            raise VocabularyError(f"{sign} of {symbol.size} and {result.size} units; write v = v {sign[0]} ...")
        self.overwritten.add(symbol.index)
        return result

    def _refuse_overwritten(self, symbol: Symbol) -> None:
        while symbol.operation == "block":
            symbol = symbol.inputs[0]
        if symbol.index in self.overwritten:
            raise VocabularyError(
                "a value is used that was overwritten in place; write v = v + ... instead of v += ..."
            )

    def depends_on_state(self, symbol: Symbol) -> bool:
        """Whether the value changes with the state; what does not is computed for all time steps at once."""
        return symbol.index in self._recurrent

    def computed_within(self, nodes: Iterable[int]) -> Graph:
        """The same graph, but that these nodes, and what leads to them from the input, count as depending on the state.

        They are then computed in each step rather than for all steps at once, which a stream cannot do. The input itself
        and products of it stay outside.
        """
        within, on_input = set(nodes), set[int]()
        for node in self.nodes:
            if node.operation == "input" or any(part.index in on_input for part in node.inputs):
                on_input.add(node.index)
        for node in reversed(self.nodes):
            if node.index in within:
                within.update(part.index for part in node.inputs if part.index in on_input and not _is_linear(part))
        return replace(self, program=None, lowered={}, _recurrent=self._recurrent | within)

    def label(self, vector: Symbol, position: int) -> str:
        """What a vector of a product is called: ``x``, the name of a state, or where it stands among the vectors."""
        return str(vector.attributes[0]) if vector.operation in ("input", "state") else f"v{position}"

    def constant(self, value: object, *, whole: bool = False) -> Symbol:
        """A number, an integer as such only among whole numbers; anything else that meets a symbol is refused."""
        value = as_number(value)
        if isinstance(value, Symbol):
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise VocabularyError(
                f"a {type(value).__name__} meets a value of the step; expected a number or a value of the step "
                "(declare a learned vector with self.vector(name))"
            )
        if isinstance(value, int) and (abs(value) >= _LARGEST_INTEGER or int(float(value)) != value):
            # torch takes none of more than 64 bits, and rounds others once, which two roundings are not.
            raise VocabularyError(f"the integer {_shortened(value)} is no float; write one, as 1e20")
        return self.node("constant", (), 1, (value if whole and isinstance(value, int) else float(value),))

    def elementwise(self, operation: str, *operands: object, attributes: tuple[Any, ...] = ()) -> Symbol:
        """An operation unit by unit; operands have one common size, or size 1."""
        operands = tuple(map(as_number, operands))
        numbers = operands[1:] if operation == "where" else operands
        whole = all(not isinstance(v, float) and (not isinstance(v, Symbol) or self.kind(v) != "real") for v in numbers)
        symbols = [self.constant(operand, whole=whole) for operand in operands]
        sizes = {symbol.size for symbol in symbols} - {1}
        if len(sizes) > 1:
            units = " and ".join(str(symbol.size) for symbol in symbols)
            raise StepError(f"{operation} of vectors of {units} units; expected equal sizes")
        return self.node(operation, symbols, sizes.pop() if sizes else 1, attributes)

    def product(self, vector: Symbol, parameter: str, rows: int) -> Symbol:
        """``W v`` with W (rows, size of v), declared under the given name."""
        role: Role = "recurrent" if self.depends_on_state(vector) else "input"
        self.declare(Declaration(parameter, (rows, vector.size), role))
        return self.node("product", (vector,), rows, (parameter,))

    def parameter(self, name: str, size: int) -> Symbol:
        """A learned vector, the same for all rows and steps."""
        self.declare(Declaration(name, (size,), "vector"))
        return self.node("parameter", (), size, (name,))

    def block(self, vector: Symbol, position: int, size: int) -> Symbol:
        """Units ``position * size`` to ``(position + 1) * size`` of a vector."""
        return vector if vector.size == size else self.node("block", (vector,), size, (position,))

    def declare(self, new: Declaration) -> None:
        """Note a parameter that the step uses.

        Raises:
            StepError: it was used with another shape.
        """
        old = self.declarations.setdefault(new.name, new)
        if old.shape != new.shape:
            raise StepError(f"{new.name} is used with shape {new.shape} and with shape {old.shape}; give one a name=")

    @property
    def operations(self) -> int:
        """How many nodes do arithmetic in every step (what does not depend on the state is done once for all steps)."""
        return sum(node.operation not in _FREE and self.depends_on_state(node) for node in self.nodes)

    @property
    def phases(self) -> int:
        """How many times in a step all units must wait for each other: chained recurrent products and reductions."""
        level: dict[int, int] = {}
        for node in self.nodes:
            before = max((level[part.index] for part in node.inputs), default=0)
            waits = node.operation in ("product", "layer_norm") and self.depends_on_state(node)
            level[node.index] = before + waits
        return max(1, *level.values()) if level else 1

    def __str__(self) -> str:
        results = ", ".join(f"%{symbol.index}" for symbol in self.outputs)
        return "\n".join([*map(repr, self.nodes), f"return {results}"])


def _is_linear(node: Symbol) -> bool:
    """The input, or one product of it."""
    return node.operation == "input" or (node.operation == "product" and node.inputs[0].operation == "input")


_tracing: ContextVar[Graph | None] = ContextVar("tracing", default=None)


def current_graph() -> Graph | None:
    """The graph that is being traced, or none when steps act on tensors."""
    return _tracing.get()


@contextmanager
def tracing(graph: Graph) -> Iterator[None]:
    """While it lasts, products and vectors of a step declare themselves to the graph."""
    token = _tracing.set(graph)
    try:
        yield
    finally:
        _tracing.reset(token)


def trace(cell: Traceable, surroundings: Surroundings | None = None) -> Graph:
    """The graph of ``cell.step``, by running it once on symbols.

    Raises:
        StepError: the step leaves the vocabulary, or returns something else than its states; names the line.
    """
    graph = Graph(surroundings=Surroundings() if surroundings is None else surroundings)
    arguments = [graph.node("input", (), cell.input_size, ("x",))]
    arguments += [graph.node("state", (), n, (name,)) for name, n in zip(cell.state, cell.state_sizes, strict=True)]
    with located(type(cell)), tracing(graph), watching(cell, graph.surroundings):
        returned = cell.step(*arguments)
        graph.outputs = returned if isinstance(returned, tuple) else (returned,)
        for value in graph.outputs:
            if isinstance(value, Symbol):
                graph._refuse_overwritten(value)
    check_returned(cell, tuple(value.size if isinstance(value, Symbol) else None for value in graph.outputs))
    check_real(cell, [graph.kind(value) == "real" for value in graph.outputs])
    return graph


def check_returned(cell: Traceable, sizes: tuple[int | None, ...]) -> None:
    """Refuse what is not the new states.

    Raises:
        StepError: the sizes of what a step returned, none for what is no vector, are not those of the states.
    """
    if sizes != cell.state_sizes:
        wanted = ", ".join(f"{name} of {size}" for name, size in zip(cell.state, cell.state_sizes, strict=True))
        raise StepError(
            f"{type(cell).__name__}.step returned {len(sizes)} values of sizes {sizes}; expected the new states "
            f"in the order of `state`: {wanted} units"
        )


def check_real(cell: Traceable, real: Sequence[bool]) -> None:
    """Refuse new states that are no real numbers.

    Raises:
        StepError: one is a comparison or a whole number.
    """
    for name, right in zip(cell.state, real, strict=True):
        if not right:
            raise StepError(
                f"{type(cell).__name__}.step: the new {name} is no real number but a comparison, a whole or a complex one; write "
                "where(condition, 1.0, 0.0), or numbers with a decimal point"
            )


def as_number(value: Any) -> Any:
    """A number of NumPy as Python's own, as torch takes it in arithmetic; anything else as it is."""
    return value.item() if isinstance(value, Real) and hasattr(value, "item") else value


def _shortened(value: int) -> str:
    """An integer, whatever its length (Python refuses to print thousands of digits)."""
    bits = value.bit_length()
    return str(value) if bits <= 256 else f"of {bits} bits"


APPLY: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "neg": operator.neg,
    "less": operator.lt, "less_equal": operator.le,
}  # fmt: skip
"""What the arithmetic nodes mean; the named ones are functions of :mod:`seqloom.engine.operations`."""
