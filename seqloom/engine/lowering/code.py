"""Writing down the code of one stage."""

from __future__ import annotations

from dataclasses import dataclass, field

from seqloom.engine.lowering.form import Instruction, Op, Operand, Product, Segment, Stage
from seqloom.engine.lowering.values import Unlowerable, Value

__all__ = ["Code"]

_MOST_ACCUMULATORS, _MOST_OPERANDS, _MOST_INSTRUCTIONS = 64, 256, 8192


@dataclass
class Code:
    """The code of a stage over ``width`` units: values first, then what is written.

    So a store may overwrite what the same code has loaded.
    """

    width: int
    numbers: dict[int, int] = field(default_factory=dict)
    """Of each value's instruction, by the value's index."""
    instructions: list[Instruction] = field(default_factory=list)
    operands: dict[tuple[Operand, bool], int] = field(default_factory=dict)
    products: dict[tuple[Operand, int], list[tuple[int, tuple[Segment, ...]]]] = field(default_factory=dict)
    """By source and length: for each gate, the instruction that takes it and its segments."""

    def load(self, value: Value, operand: Operand) -> None:
        per_row = value.width < self.width
        self._emit(value, Instruction(Op.LOAD_ROW if per_row else Op.LOAD, self._operand(operand, per_row)))

    def accumulator(self, value: Value, source: Operand, length: int, gate: tuple[Segment, ...]) -> None:
        """Take an accumulator; its number is known after :meth:`stage`."""
        self.products.setdefault((source, length), []).append((len(self.instructions), gate))
        self._emit(value, Instruction(Op.ACCUMULATOR))

    def compute(self, value: Value) -> None:
        """An elementwise operation or a constant; its operands are there already."""
        if value.number is not None:
            self._emit(value, Instruction(Op.CONSTANT, value=value.number))
            return
        assert isinstance(value.operation, Op), value
        self._emit(value, Instruction(value.operation, *(self.numbers[part.index] for part in value.inputs)))

    def write(self, op: Op, operand: Operand, value: Value) -> None:
        where = self._operand(operand, op is Op.SUM_UNITS)
        self.instructions.append(Instruction(op, where, self.numbers[value.index]))

    def stage(self) -> Stage:
        """The stage; products of one source are one, and its gates are numbered on.

        Raises:
            Unlowerable: it is larger than the machine takes.
        """
        products: list[Product] = []
        code = list(self.instructions)
        first = 0
        for (source, _), gates in self.products.items():
            gates.sort(key=lambda gate: [(part.matrix, part.offset) for part in gate[1]])
            products.append(Product(source, first, tuple(segments for _, segments in gates)))
            for number, (position, _) in enumerate(gates, first):
                code[position] = Instruction(Op.ACCUMULATOR, number)
            first += len(gates)
        for count, most, what in (
            (first, _MOST_ACCUMULATORS, "accumulators"),
            (len(self.operands), _MOST_OPERANDS, "places in memory"),
            (len(code), _MOST_INSTRUCTIONS, "operations"),
        ):
            if count > most:
                raise Unlowerable(f"a stage of the step has {count} {what}, more than {most}")
        return Stage(self.width, tuple(products), tuple(operand for operand, _ in self.operands), tuple(code))

    def _emit(self, value: Value, instruction: Instruction) -> None:
        self.numbers[value.index] = len(self.instructions)
        self.instructions.append(instruction)

    def _operand(self, operand: Operand, per_row: bool) -> int:
        return self.operands.setdefault((operand, per_row), len(self.operands))
