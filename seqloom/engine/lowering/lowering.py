"""Lowering a traced step to a kernel program.

The step is cut into values of one block of units each (``blocks``), differentiated (``reverse``), given memory
(``memory``, ``columns``, ``saving``) and written down stage by stage (``stages``, ``code``).
"""

from __future__ import annotations

from seqloom.engine.graph import Graph
from seqloom.engine.lowering.blocks import cut
from seqloom.engine.lowering.description import describe
from seqloom.engine.lowering.form import (
    KernelProgram,
    Kind,
    Op,
    Operand,
    Product,
    RowLeaf,
    Segment,
    Stage,
    VectorGradient,
    WeightGradient,
)
from seqloom.engine.lowering.levels import Reading, Root, Setting
from seqloom.engine.lowering.memory import Arrays, Columns, Run, linear_blocks
from seqloom.engine.lowering.reverse import differentiate, reachable, source_of
from seqloom.engine.lowering.saving import choose_saved
from seqloom.engine.lowering.stages import schedule
from seqloom.engine.lowering.values import Node, Unlowerable, Value

__all__ = ["Unlowerable", "describe", "lower"]

_MOST, _MOST_COLUMNS = 256, 1 << 22


def lower(graph: Graph) -> KernelProgram:
    """The kernel program of a traced step; made once per graph, in a millisecond or two.

    Raises:
        Unlowerable: the step does not fit the machine's form; says why in one sentence.
    """
    if graph.untraceable:
        raise Unlowerable(graph.untraceable)
    known = graph.lowered.get("kernel")
    if isinstance(known, Unlowerable):
        raise known
    if known is None:
        try:
            known = graph.lowered["kernel"] = _checked(_Lowering(graph).program())
        except Unlowerable as error:
            graph.lowered["kernel"] = error
            raise
    program: KernelProgram = known
    return program


def _checked(program: KernelProgram) -> KernelProgram:
    """The program, if it is within what the machine reads; what a stage holds is checked as it is written."""
    passes = (program.forward, program.inference, program.backward)
    counts = {
        "stages": max(len(stages) for stages in passes),
        "states": len(program.states),
        "hoisted values": len(program.rows),
        "vectors": len(program.vectors),
        "recurrent matrices": len(program.matrices),
        "values in memory": max(len(program.arrays), len(program.temporaries)),
        "gradients of vectors": len(program.vector_gradients),
    }
    for what, number in counts.items():
        if number > _MOST:
            raise Unlowerable(f"the step has {number} {what}, more than {_MOST}")
    if max(program.linear_width, program.gradient) > _MOST_COLUMNS:
        raise Unlowerable(f"the step's gates have {program.gradient} units in all, more than {_MOST_COLUMNS}")
    return program


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.step = step = cut(graph)
        self.gradients = differentiate(step)
        self.forward = reachable([piece for pieces in step.outputs for piece in pieces])
        live = [value for value in self.forward if value.operation is Node.PRODUCT]
        self.matrices = list(dict.fromkeys(value.attributes[0] for value in live))
        self.columns = Columns(step, self.forward, self.gradients)
        self.rows = self._nodes(Node.ROWS)
        self.vectors = self._nodes(Node.VECTOR)
        run = self.columns.linear
        leaves = [value for value in self.forward if value.operation is Node.LINEAR]
        self.linear = leaves if run is None else [leaf for leaf, _, _ in run.blocks]
        self.arrays = Arrays(Kind.ARRAY)
        self.temporaries = Arrays(Kind.TEMPORARY)
        self.leaves: dict[int, Operand] = {}
        self.new_states: dict[int, Operand] = {}
        self._locate()

    def _nodes(self, kind: Node) -> list[int]:
        return list(dict.fromkeys(value.attributes[0] for value in self.forward if value.operation is kind))

    def _locate(self) -> None:
        """The places of what lies in memory before a pass."""
        column = 0
        for leaf in self.linear:
            self.leaves[leaf.index] = Operand(Kind.LINEAR, 0, column)
            column += leaf.width
        for value in self.step.values.everything:
            match value.operation:
                case Node.STATE:
                    self.leaves[value.index] = Operand(Kind.STATE, *value.attributes)
                case Node.ROWS if value.attributes[0] in self.rows:
                    self.leaves[value.index] = Operand(
                        Kind.ROWS, self.rows.index(value.attributes[0]), value.attributes[1]
                    )
                case Node.VECTOR if value.attributes[0] in self.vectors:
                    index = self.vectors.index(value.attributes[0])
                    self.leaves[value.index] = Operand(Kind.VECTOR, index, value.attributes[1])
        for state, pieces in enumerate(self.step.outputs):
            width = self.step.sizes[state] // len(pieces)
            for position, piece in enumerate(pieces):
                if piece.width == width:
                    self.new_states.setdefault(piece.index, Operand(Kind.NEW_STATE, state, position * width))

    def program(self) -> KernelProgram:
        sums, roots = self._backward_roots()
        backward_values = reachable([root.value for root in roots])
        pieces = {index for source in self.gradients.products if source[0] != -1 for index in source}
        free = {v.index for v in self.forward if v.operation in (Node.STATE, Node.VECTOR, Node.ROW_SUM)}
        saved = choose_saved(self.forward, backward_values, {*free, *self.new_states, *pieces})
        training = self._forward([(value, self.arrays.home(value)) for value in saved])
        inference = self._forward([])
        backward = self._backward(roots, backward_values, saved)
        weights = self._weight_gradients()
        linear = [(self.leaves[leaf.index].offset, leaf.width) for leaf in self.linear]
        arrays = self.arrays.settle(training, backward, [part.source for part in weights], linear)
        return KernelProgram(
            states=tuple(self.step.sizes),
            linear=tuple(linear_blocks(self.linear)),
            linear_gradient=-1 if self.columns.linear is None else self.columns.linear.first,
            rows=tuple(RowLeaf(node, self._size(node), self.columns.rows.get(node, -1)) for node in self.rows),
            vectors=tuple((node, self._size(node)) for node in self.vectors),
            matrices=tuple((name, *self.step.matrices[name]) for name in self.matrices),
            arrays=arrays,
            temporaries=tuple(self.temporaries.widths),
            gradient=self.columns.width,
            vector_gradients=tuple(sums),
            weight_gradients=tuple(weights),
            initial_gradients=tuple(self._initial_gradient(state) for state in range(len(self.step.sizes))),
            forward=training,
            inference=inference,
            backward=backward,
        )

    def _size(self, node: int) -> int:
        return self.step.graph.nodes[node].size

    def _forward(self, saves: list[tuple[Value, Operand]]) -> tuple[Stage, ...]:
        roots = []
        for state, pieces in enumerate(self.step.outputs):
            width = self.step.sizes[state] // len(pieces)
            for position, piece in enumerate(pieces):
                roots.append(_root(piece, width, Operand(Kind.NEW_STATE, state, position * width)))
        return schedule(Setting(roots, self.leaves, frozenset(), self._read_forward, self.arrays.home, saves))

    def _read_forward(self, product: Value) -> Reading:
        """What a recurrent product multiplies: a state, a new state, or an array of what the step computed."""
        pieces = product.inputs
        name, row, length = product.attributes
        gate = (Segment(self.matrices.index(name), False, row, length),)
        width = length // len(pieces)
        source = source_of(self.step, pieces)
        if source[0] == -1:
            return Reading(Operand(Kind.STATE, source[1]), length, gate)
        if pieces in self.step.outputs:
            place = Operand(Kind.NEW_STATE, self.step.outputs.index(pieces))
        else:
            place = self.arrays.of(source, length)
        stores = [(p, width, Operand(place.kind, place.index, k * width)) for k, p in enumerate(pieces)]
        return Reading(place, length, gate, tuple(stores))

    def _backward_roots(self) -> tuple[list[VectorGradient], list[Root]]:
        """What the backward pass writes: columns, sums over rows, and what it leaves to the step before."""
        roots = [_root(value, units, Operand(Kind.GRADIENT, 0, first)) for value, units, first in self.columns.stored]
        known = {leaf.index: gradient for leaf, gradient in self.gradients.leaves if leaf.operation is Node.STATE}
        zero = self.step.values.constant(0.0)
        for pieces in self.step.states:
            for piece in pieces:
                place = Operand(Kind.CARRY, *piece.attributes)
                roots.append(Root(known.get(piece.index, zero), piece.width, place))
        sums: list[VectorGradient] = []
        for leaf, gradient in self.gradients.leaves:
            if leaf.operation is Node.VECTOR:
                width = max(gradient.width, leaf.width)
                roots.append(Root(gradient, width, Operand(Kind.VECTOR_GRADIENT, len(sums)), Op.ADD_ROWS))
                vector = self.vectors.index(leaf.attributes[0])
                sums.append(VectorGradient(vector, leaf.attributes[1], width, total=width > leaf.width))
        return sums, roots

    def _backward(self, roots: list[Root], values: list[Value], saved: list[Value]) -> tuple[Stage, ...]:
        memory = {**self.new_states, **self.leaves}
        memory.update(
            (i, s) for i, s in self.new_states.items() if self.leaves.get(i, s).kind in (Kind.LINEAR, Kind.ROWS)
        )
        for source in self.gradients.products:
            if source[0] != -1:
                self._remember_pieces(source, memory)
        inside = {value.index for value in self.forward}
        carries = set()
        for value in values:
            if value.operation is Node.CARRY:
                memory[value.index] = Operand(Kind.CARRY, *value.attributes)
                carries.add(value.index)
            elif value.operation is Node.OUTPUT_GRADIENT:
                memory[value.index] = Operand(Kind.OUTPUT_GRADIENT, 0, *value.attributes)
            elif value.operation is Node.ROW_SUM and value.index in inside and value.index not in memory:
                memory[value.index] = self.arrays.home(value)
        for value in saved:
            memory[value.index] = self.arrays.home(value)
        return schedule(Setting(roots, memory, frozenset(carries), self._read_backward, self.temporaries.home))

    def _remember_pieces(self, source: tuple[int, ...], memory: dict[int, Operand]) -> None:
        """The source of a product is kept for the gradient of its matrix, so its pieces can be read."""
        product = self.gradients.products[source][0][0]
        for piece, width, operand in self._read_forward(product).stores:
            if piece.width == width:
                memory.setdefault(piece.index, operand)

    def _run(self, source: tuple[int, ...]) -> tuple[Run, int]:
        run = self.columns.sources[source]
        return run, sum(product.width for product, _, _ in run.blocks)

    def _read_backward(self, value: Value) -> Reading:
        """What a transposed product multiplies: gradients of this step, or of the step after."""
        (source,) = value.attributes
        run, length = self._run(source)
        gate = run.segments(self.matrices)
        if source[0] == -1:
            return Reading(Operand(Kind.LATER_GRADIENT, 0, run.first), length, gate)
        stores = [(g, product.width, Operand(Kind.GRADIENT, 0, column)) for product, g, column in run.blocks]
        return Reading(Operand(Kind.GRADIENT, 0, run.first), length, gate, tuple(stores))

    def _initial_gradient(self, state: int) -> tuple[Product, ...]:
        if (-1, state) not in self.columns.sources:
            return ()
        run, _ = self._run((-1, state))
        return (Product(Operand(Kind.LATER_GRADIENT, 0, run.first), 0, (run.segments(self.matrices),)),)

    def _weight_gradients(self) -> list[WeightGradient]:
        parts: list[WeightGradient] = []
        for run in self.columns.sources.values():
            for product, _, column in run.blocks:
                name, row, _ = product.attributes
                matrix = self.matrices.index(name)
                last = parts[-1] if parts else None
                source = self._read_forward(product).source
                if (
                    last
                    and (last.matrix, last.source) == (matrix, source)
                    and (last.offset + last.rows, last.column + last.rows) == (row, column)
                ):
                    parts[-1] = WeightGradient(matrix, last.offset, last.rows + product.width, last.column, source)
                else:
                    parts.append(WeightGradient(matrix, row, product.width, column, source))
        return parts


def _root(value: Value, width: int, operand: Operand) -> Root:
    """A store; it makes the value readable there where it is not a row's one number in all units."""
    return Root(value, width, operand, result=value.index if value.width == width else -1)
