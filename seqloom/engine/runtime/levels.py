"""A program over rows that come in levels: a level is one step of a batch, and reads what the levels before it have made.

The memory of all rows is taken once; a level is a block of it. What the product of the input gives is the caller's: only
he knows where the rows of a level come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqloom.engine.contract import SequenceCell
from seqloom.engine.lowering.form import Pass
from seqloom.engine.runtime import cpu
from seqloom.engine.runtime.loaded import Inputs, LoadedProgram
from seqloom.engine.runtime.native import kernels

__all__ = ["LevelRun", "level_inputs", "level_program"]


def level_program(cell: SequenceCell) -> LoadedProgram | None:
    """The loaded program of a cell whose only product is that of its input; none where it is another cell, or has none.

    That the parameters are float32 on CPU is for the caller to see to.
    """
    lowered = cell.graph.lowered
    if "levels" not in lowered:
        prepared = cpu.prepare(cell)
        lowered["levels"] = prepared.loaded if _is_simple(prepared) else None
    loaded: LoadedProgram | None = lowered["levels"]
    return loaded


def _is_simple(prepared: cpu.Prepared) -> bool:
    program = prepared.program
    if prepared.objection is not None or program is None or len(prepared.pieces) != 1:
        return False
    alone = not (program.rows or program.matrices or program.vectors)
    return alone and program.linear_gradient == 0 and program.gradient == program.linear_width


def level_inputs(cell: SequenceCell, features: int) -> Inputs:
    """Weight (columns, D) and bias of the input product, differentiable."""
    return cpu.gather(cpu.prepare(cell), [cell], torch.empty(0, features), [])


class LevelRun:
    """The memory of a program over N rows in levels, and the machine on one level after the other.

    Args:
        loaded: the program.
        sizes: the rows of each level.
        first: rows of the states before those of the program.
        states: to be shared with another run; made here where they are not given.
        linear: to be taken over, and overwritten.
        save: whether a way back follows.

    Attributes:
        linear: (N, columns) the products of the input, for the caller to fill before a level is run.
        levels: the same, level by level.
        states: (first + N + 1, size) each, what the steps have made; the last row is zero, for what is not there.
        gradient: (N, columns) the gradients of ``linear``, once the way back is gone.
        gradients: the same, level by level.
    """

    def __init__(
        self,
        loaded: LoadedProgram,
        sizes: Sequence[int],
        *,
        first: int = 0,
        states: Sequence[Tensor] | None = None,
        linear: Tensor | None = None,
        save: bool,
    ) -> None:
        program, self._sizes, total = loaded.program, list(sizes), sum(sizes)
        self.save = save
        self._machine, self._kernels, self._threads = loaded.machine, kernels(), torch.get_num_threads()
        self.linear = torch.empty(total, program.linear_width) if linear is None else linear
        self.levels = self._cut(self.linear)
        if states is None:
            states = [torch.empty(first + total + 1, size) for size in program.states]
            for state in states:
                state[first + total] = 0.0
        self.states = states
        self._states = list(zip(*(self._cut(state.narrow(0, first, total)) for state in states), strict=True))
        kept = set(loaded.kept) if save else set()
        arrays = [torch.empty(total, array.width) if i in kept else None for i, array in enumerate(program.arrays)]
        blank = [None] * len(self._sizes)
        cut = [blank if array is None else self._cut(array) for array in arrays]
        self._arrays = list(zip(*cut, strict=True)) if cut else [()] * len(self._sizes)
        self.gradient = torch.empty(0)
        self.gradients: Sequence[Tensor] = ()

    def _cut(self, rows: Tensor) -> Sequence[Tensor]:
        return torch.split_with_sizes(rows, self._sizes)

    def forward(self, level: int, initial: Sequence[Tensor]) -> None:
        """The steps of a level, from the states (rows, size) in ``initial``."""
        self._run(Pass.FORWARD if self.save else Pass.INFERENCE, level, initial)

    def begin_backward(self) -> None:
        """Takes the memory of the way back."""
        self.gradient = torch.empty_like(self.linear)
        self.gradients = self._cut(self.gradient)

    def backward(
        self, level: int, initial: Sequence[Tensor], output_gradient: Tensor, carries: Sequence[Tensor]
    ) -> None:
        """The gradients of a level.

        Args:
            initial: as in `forward`.
            output_gradient: (rows, size) of the first state.
            carries: (rows, size) of every new state, the first one's beside ``output_gradient``; afterwards those of the
                states before.
        """
        place = self._kernels.Place
        self._run(
            Pass.BACKWARD,
            level,
            initial,
            output_gradient=place(output_gradient),
            gradient=place(self.gradients[level]),
            carries=list(carries),
            vector_gradients=[],
        )

    def _run(self, which: Pass, level: int, initial: Sequence[Tensor], **more: Any) -> None:
        machine = self._kernels
        state, new = machine.StateMemory, self._states[level]
        direction = machine.Direction(
            turned=False,
            linear=machine.Place(self.levels[level]),
            rows=[],
            vectors=[],
            matrices=[],
            states=[
                state(memory, column=0, history=True, initial=before, final=None)
                for memory, before in zip(new, initial, strict=True)
            ],
            arrays=list(self._arrays[level]),
            **more,
        )
        batch = machine.Batch(time=1, rows=self._sizes[level])
        self._machine.run(which=which.value, batch=batch, threads=self._threads, features=0, directions=[direction])
