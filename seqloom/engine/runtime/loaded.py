"""A program that is loaded into the machine, and the tensors that it is run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from seqloom.engine.lowering.form import KernelProgram, Kind, Op
from seqloom.engine.runtime import native

__all__ = ["Inputs", "LoadedProgram", "share"]

ROWS_INSIDE = 16
"""Rows of a batch from which the input product is computed inside the kernel."""


@dataclass(frozen=True, eq=False)
class LoadedProgram:
    """A program that is loaded into the machine."""

    program: KernelProgram
    machine: Any = field(repr=False)

    @classmethod
    def of(cls, program: KernelProgram) -> LoadedProgram:
        return cls(program, native.load(program))

    @cached_property
    def sizes(self) -> dict[str, list[tuple[int, ...]]]:
        """The shapes of a direction's tensors in :class:`Inputs`, but for the packed rows and the batch's."""
        return {
            "rows": [(leaf.size,) for leaf in self.program.rows],
            "vectors": [(size,) for _, size in self.program.vectors],
            "matrices": [(height, length) for _, height, length in self.program.matrices],
            "initial": [(size,) for size in self.program.states],
        }

    @cached_property
    def widths(self) -> tuple[int, int, int]:
        """Columns of the input product of none, one and two directions."""
        width = self.program.linear_width
        return 0, width, 2 * width

    @cached_property
    def kept(self) -> list[int]:
        """Arrays that training keeps in memory of their own."""
        return [i for i, array in enumerate(self.program.arrays) if array.kept and array.linear < 0]

    @cached_property
    def recomputes_linear(self) -> bool:
        """Whether the backward pass reads the input product, which must then be kept."""
        return any(operand.kind == Kind.LINEAR for stage in self.program.backward for operand in stage.operands)

    @cached_property
    def overwrites_linear(self) -> bool:
        """Whether training keeps arrays where the input product lay."""
        return any(array.kept and array.linear >= 0 for array in self.program.arrays)

    @cached_property
    def spreads_linear(self) -> bool:
        """Whether a stage takes one number of the input product for all its units, which must then lie in memory."""
        return any(
            code.op == Op.LOAD_ROW and stage.operands[code.a].kind == Kind.LINEAR
            for stage in (*self.program.forward, *self.program.inference)
            for code in stage.code
        )

    def multiplies_inside(self, batch: int, save: bool) -> bool:
        """Whether the input product is computed step by step inside the kernel instead of before it.

        That spares writing and reading it; but each step then reads the input's weights, too, which only many rows
        make worthwhile.
        """
        if batch < ROWS_INSIDE or self.program.linear_width == 0 or self.spreads_linear:
            return False
        return not (save and self.recomputes_linear)

    def linear_columns(self, batch: int) -> int:
        """Columns of a direction's linear buffer in training."""
        unused = self.multiplies_inside(batch, save=True) and not self.overwrites_linear
        return 0 if unused else self.program.linear_width

    def states_of(self, direction: int) -> range:
        """Positions of a direction's states in a list of all directions' states."""
        count = len(self.program.states)
        return range(direction * count, (direction + 1) * count)


@dataclass(frozen=True, eq=False)
class Inputs:
    """The tensors of a run; lists are direction by direction.

    Args:
        x: (N, D) packed rows.
        weight: (columns of all directions, D) of the input product.
        bias: (columns of all directions,), or none.
        rows: hoisted values, (N, size) each.
        vectors: (size,) each.
        matrices: recurrent.
        initial: (B, size) each, in the order of the packed rows; empty: zeros.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    rows: Sequence[Tensor]
    vectors: Sequence[Tensor]
    matrices: Sequence[Tensor]
    initial: Sequence[Tensor]


def share(tensors: Sequence[Tensor], count: int, direction: int) -> Sequence[Tensor]:
    """What belongs to one direction of a list of all directions' tensors, ``count`` of each."""
    return tensors[direction * count : (direction + 1) * count]
