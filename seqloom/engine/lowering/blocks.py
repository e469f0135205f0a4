"""From a traced step to values: vectors become blocks of units, and what does not depend on the state is taken out.

- ``W x`` on the input itself, with parameters that are added to it, is a part of the input product (LINEAR), and what
  is computed unit by unit from it stays in the step: it is cheaper there than in passes over memory outside.
- Anything else that depends on x alone is a row value (ROWS), on neither x nor state a vector (VECTOR); both are
  computed outside the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from seqloom.engine.graph import Graph, Symbol
from seqloom.engine.lowering.form import Op
from seqloom.engine.lowering.values import Node, Unlowerable, Value, Values

__all__ = ["CutStep", "Normal", "cut"]

_OPERATIONS = {
    "add": Op.ADD, "sub": Op.SUB, "mul": Op.MUL, "div": Op.DIV, "neg": Op.NEG, "less": Op.LESS,
    "less_equal": Op.LESS_EQUAL, "sigmoid": Op.SIGMOID, "tanh": Op.TANH, "relu": Op.RELU, "exp": Op.EXP, "log": Op.LOG,
    "softplus": Op.SOFTPLUS, "abs": Op.ABS, "sqrt": Op.SQRT, "minimum": Op.MINIMUM, "maximum": Op.MAXIMUM,
    "where": Op.WHERE,
}  # fmt: skip
_MOST_PIECES = 64


@dataclass(frozen=True)
class Normal:
    """A row normalisation: ``results`` are ``(pieces - mean) * inverse``, over ``units`` units in all."""

    pieces: tuple[Value, ...]
    results: tuple[Value, ...]
    inverse: Value
    units: int


@dataclass(eq=False)
class CutStep:
    """The values of a step.

    Attributes:
        states: for each state, the pieces of what it was before.
        outputs: for each state, the pieces of what it becomes.
    """

    graph: Graph
    values: Values = field(default_factory=Values)
    states: list[tuple[Value, ...]] = field(default_factory=list)
    outputs: list[tuple[Value, ...]] = field(default_factory=list)
    normals: list[Normal] = field(default_factory=list)
    matrices: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(rows, columns) of the recurrent matrices."""

    @property
    def sizes(self) -> list[int]:
        return [symbol.size for symbol in self.graph.outputs]


def cut(graph: Graph) -> CutStep:
    """The values of a graph.

    Raises:
        Unlowerable: its vectors are cut in too many pieces.
    """
    return _Cutting(graph).run()


@dataclass
class _Cutting:
    graph: Graph

    def __post_init__(self) -> None:
        self.step = CutStep(self.graph)
        self.values = self.step.values
        self.pieces: dict[int, tuple[Value, ...]] = {}
        self.uses: dict[int, int] = {}
        self.on_input: set[int] = set()
        self.inline: set[int] = set()
        self.truths: set[int] = set()
        self.terms: dict[int, list[Symbol]] = {}
        self.position: dict[str, int] = {}
        self._classify()
        self.granules = _granules(self.graph)

    def run(self) -> CutStep:
        graph, step = self.graph, self.step
        states = [node for node in graph.nodes if node.operation == "state"]
        self.position = {str(node.attributes[0]): k for k, node in enumerate(states)}
        for node in states:
            step.states.append(self._leaf(Node.STATE, node, self.position[str(node.attributes[0])]))
            self.pieces[node.index] = step.states[-1]
        wanted = self._wanted()
        for node in graph.nodes:
            if node.index in wanted and node.operation != "state":
                self.pieces[node.index] = self._cut(node)
        step.outputs = [self.pieces[symbol.index] for symbol in graph.outputs]
        return step

    def _classify(self) -> None:
        for node in self.graph.nodes:
            parts = [part.index for part in node.inputs]
            operation = node.operation
            if operation == "input" or any(part in self.on_input for part in parts):
                self.on_input.add(node.index)
            if self.graph.kind(node) == "truth":
                self.truths.add(node.index)
            fits = operation in _OPERATIONS or operation == "block"
            simple = all(part in self.inline or part not in self.on_input for part in parts)
            if (fits and simple) or (operation == "product" and node.inputs[0].operation == "input"):
                self.inline.add(node.index)
        live = {symbol.index for symbol in self.graph.outputs}
        for index in live:
            self.uses[index] = 2  # what leaves the step is nobody's own
        for node in reversed(self.graph.nodes):
            if node.index in live:
                for part in node.inputs:
                    live.add(part.index)
                    self.uses[part.index] = self.uses.get(part.index, 0) + 1

    def _outside(self, node: Symbol) -> Node | None:
        """Whether a node is computed outside the step, and as what; truth values, which are no numbers, never are."""
        if self.graph.depends_on_state(node) or node.operation == "constant" or node.index in self.truths:
            return None
        if node.index not in self.on_input:
            return Node.VECTOR
        return None if node.index in self.inline else Node.ROWS

    def _wanted(self) -> set[int]:
        """Nodes of which pieces are made: what stays in the step, and the edge of what does not."""
        wanted = {symbol.index for symbol in self.graph.outputs}
        for node in reversed(self.graph.nodes):
            if node.index not in wanted or self._outside(node) is not None:
                continue
            if node.operation == "add" and node.index not in self.truths:
                self.terms[node.index] = self._terms(node)
                wanted.update(term.index for term in self.terms[node.index])
            elif not self._on_input_itself(node):
                wanted.update(part.index for part in node.inputs)
        return wanted

    def _terms(self, node: Symbol) -> list[Symbol]:
        """The terms of a sum, those of sums that only it uses among them."""
        terms: list[Symbol] = []
        waiting = [*node.inputs[::-1]]
        while waiting:
            term = waiting.pop()
            own = term.operation == "add" and self.uses[term.index] == 1 and term.index not in self.truths
            if own and term.size == node.size and self._outside(term) is None:
                waiting += term.inputs[::-1]
            else:
                terms.append(term)
        return terms

    def _on_input_itself(self, node: Symbol) -> bool:
        return node.operation == "product" and node.inputs[0].operation == "input"

    def _cut(self, node: Symbol) -> tuple[Value, ...]:
        outside = self._outside(node)
        if outside is not None:
            return self._leaf(outside, node, node.index)
        if node.index in self.terms:
            return self._sum(node)
        match node.operation:
            case "constant":
                return (self.values.constant(node.attributes[0]),)
            case "product" if self._on_input_itself(node):
                return self._linear(node, ())
            case "product":
                return self._product(node)
            case "block":
                parent, first = node.inputs[0], node.attributes[0] * node.size
                granule = self.granules[parent.index]
                return self.pieces[parent.index][first // granule : (first + node.size) // granule]
            case "layer_norm":
                return self._normal(node)
            case name:
                operation = Op.MAXIMUM if name == "add" else _OPERATIONS[name]  # the sum of truth values is "or"
                return self._each(node, operation)

    def _each(self, node: Symbol, operation: Op) -> tuple[Value, ...]:
        return tuple(
            self.values.apply(operation, *(self._piece(part, node, k) for part in node.inputs))
            for k in range(node.size // self.granules[node.index])
        )

    def _piece(self, part: Symbol, of: Symbol, position: int) -> Value:
        return self.pieces[part.index][position if part.size == of.size else 0]

    def _leaf(self, kind: Node, node: Symbol, number: int) -> tuple[Value, ...]:
        granule = self.granules[node.index]
        return tuple(self.values.make(kind, (), granule, number, first) for first in range(0, node.size, granule))

    def _linear(self, node: Symbol, biases: tuple[str, ...]) -> tuple[Value, ...]:
        granule, name = self.granules[node.index], node.attributes[0]
        return tuple(
            self.values.make(Node.LINEAR, (), granule, name, biases, first) for first in range(0, node.size, granule)
        )

    def _product(self, node: Symbol) -> tuple[Value, ...]:
        source, name = node.inputs[0], node.attributes[0]
        self.step.matrices[name] = (node.size, source.size)
        granule = self.granules[node.index]
        return tuple(
            self.values.make(Node.PRODUCT, self.pieces[source.index], granule, name, first, source.size)
            for first in range(0, node.size, granule)
        )

    def _sum(self, node: Symbol) -> tuple[Value, ...]:
        """Parameters that are added to an input product become its biases."""
        terms, pieces = self.terms[node.index], [*self.terms[node.index]]
        own = [t for t in terms if self._on_input_itself(t) and self.uses[t.index] == 1 and t.size == node.size]
        cut: dict[int, tuple[Value, ...]] = {}
        if own:
            parameters = [t for t in terms if t.operation == "parameter" and t.size == node.size]
            cut[own[0].index] = self._linear(own[0], tuple(t.attributes[0] for t in parameters))
            pieces = [own[0], *(t for t in terms if t is not own[0] and t not in parameters)]
        pieces.sort(key=lambda term: term.operation not in ("product", "block"))  # what is in memory or an accumulator
        return tuple(
            self.values.total(cut[t.index][k] if t.index in cut else self._piece(t, node, k) for t in pieces)
            for k in range(node.size // self.granules[node.index])
        )

    def _normal(self, node: Symbol) -> tuple[Value, ...]:
        values, pieces, units = self.values, self.pieces[node.inputs[0].index], node.size
        width = units // len(pieces)
        mean = values.scaled(values.row_sum(values.total(pieces), width), 1.0 / units)
        centred = [values.sub(piece, mean) for piece in pieces]
        squares = values.row_sum(values.total(values.mul(d, d) for d in centred), width)
        deviation = values.apply(
            Op.SQRT, values.add(values.scaled(squares, 1.0 / units), values.constant(*node.attributes))
        )
        inverse = values.apply(Op.RECIPROCAL, deviation)
        results = tuple(values.mul(d, inverse) for d in centred)
        if len({result.index for result in results}) < len(results):
            raise Unlowerable("layer_norm of a vector in which a block occurs twice is not in the machine's form")
        self.step.normals.append(Normal(pieces, results, inverse, units))
        return results


def _granules(graph: Graph) -> list[int]:
    """For each node, how many units its pieces have: a vector that is used in blocks is one piece per block.

    Vectors that meet unit by unit are cut alike; so are a state before the step and after it.
    """
    head = list(range(len(graph.nodes)))
    granule = [node.size for node in graph.nodes]

    def find(index: int) -> int:
        while head[index] != index:
            head[index] = head[head[index]]
            index = head[index]
        return index

    def join(first: int, second: int) -> None:
        a, b = find(first), find(second)
        head[b] = a
        granule[a] = math.gcd(granule[a], granule[b])

    for node in graph.nodes:
        for part in node.inputs:
            if node.operation == "block" and node.size == 1:
                granule[find(part.index)] = 1
            elif node.operation == "block" or (node.operation != "product" and part.size == node.size > 1):
                join(node.index, part.index)
    states = [node for node in graph.nodes if node.operation == "state"]
    for before, after in zip(states, graph.outputs, strict=True):
        if before.size > 1:
            join(before.index, after.index)
    granules = [granule[find(index)] for index in range(len(graph.nodes))]
    for node, size in zip(graph.nodes, granules, strict=True):
        if node.size > _MOST_PIECES * size:
            raise Unlowerable(
                f"a vector of {node.size} units is cut in {node.size // size} pieces, more than {_MOST_PIECES}"
            )
    return granules
