"""A program over rows that come in levels: a level is one step of a batch, and reads what the levels before it have made.

The memory of all rows is taken once; a level is a block of it. What the product of the input gives is the caller's: only
he knows where the rows of a level come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqloom.engine.contract import NO_NOISE, SequenceCell
from seqloom.engine.lowering.form import Pass
from seqloom.engine.runtime import cpu
from seqloom.engine.runtime.loaded import Inputs, LoadedProgram
from seqloom.engine.runtime.native import kernels

__all__ = ["LevelRun", "level_inputs", "level_program"]


def level_program(cell: SequenceCell) -> LoadedProgram | None:
    """The loaded program of a cell whose only product is that of its input; none where it is another cell, or has none."""
    if cpu.limitation([cell], NO_NOISE) is not None:
        return None
    prepared = cpu.prepare(cell)
    program = prepared.program
    if len(prepared.pieces) != 1:
        return None
    simple = program is not None and not (program.rows or program.matrices or program.vectors)
    if not simple or program is None or program.linear_gradient != 0 or program.gradient != program.linear_width:
        return None
    loaded: LoadedProgram = prepared.loaded
    return loaded


def level_inputs(cell: SequenceCell, features: int) -> Inputs:
    """Weight (columns, D) and bias of the input product, differentiable."""
    return cpu.gather(cpu.prepare(cell), [cell], torch.empty(0, features), [])


class LevelRun:
    """The memory of a program over N rows in levels, and the machine on a block of them.

    Args:
        loaded: the program.
        total: N.
        first: rows are counted from here; the states have so many rows before those of the program.
        states: to be shared with another run; made here where they are not given.
        linear: to be taken over, and overwritten.
        save: whether a way back follows.

    Attributes:
        linear: (N, columns) the products of the input, for the caller to fill before a level is run.
        states: (first + N + 1, size) each, what the steps have made; the last row is zero, for what is not there.
        gradient: (N, columns) the gradients of ``linear``, once the way back is gone.
    """

    def __init__(
        self,
        loaded: LoadedProgram,
        total: int,
        *,
        first: int = 0,
        states: Sequence[Tensor] | None = None,
        linear: Tensor | None = None,
        save: bool,
    ) -> None:
        program = loaded.program
        self.loaded, self.first, self.save = loaded, first, save
        self.linear = torch.empty(total, program.linear_width) if linear is None else linear
        if states is None:
            states = [torch.empty(first + total + 1, size) for size in program.states]
            for state in states:
                state[first + total] = 0.0
        self.states = states
        kept = set(loaded.kept) if save else set()
        self.arrays = [torch.empty(total, array.width) if i in kept else None for i, array in enumerate(program.arrays)]
        self.gradient = torch.empty(0)

    def forward(self, start: int, stop: int, initial: Sequence[Tensor]) -> None:
        """The steps of the rows from ``start`` on, from the states (rows, size) in ``initial``."""
        which = Pass.FORWARD if self.save else Pass.INFERENCE
        self._run(which, start, stop, initial)

    def begin_backward(self) -> None:
        """Takes the memory of the way back."""
        self.gradient = torch.empty_like(self.linear)

    def backward(
        self, start: int, stop: int, initial: Sequence[Tensor], output_gradient: Tensor, carries: Sequence[Tensor]
    ) -> None:
        """The gradients of the rows from ``start`` on.

        Args:
            initial: as in `forward`.
            output_gradient: (rows, size) of the first state.
            carries: (rows, size) of every new state, the first one's beside ``output_gradient``; afterwards those of the
                states before.
        """
        place = kernels().Place(output_gradient)
        gradient = kernels().Place(self.gradient, row=start - self.first)
        more = {"output_gradient": place, "gradient": gradient, "carries": list(carries), "vector_gradients": []}
        self._run(Pass.BACKWARD, start, stop, initial, **more)

    def _run(self, which: Pass, start: int, stop: int, initial: Sequence[Tensor], **more: Any) -> None:
        machine = kernels()
        count, row = stop - start, start - self.first
        states = [
            machine.StateMemory(state[start:stop], column=0, history=True, initial=before, final=None)
            for state, before in zip(self.states, initial, strict=True)
        ]
        direction = machine.Direction(
            turned=False,
            linear=machine.Place(self.linear, row=row),
            rows=[],
            vectors=[],
            matrices=[],
            states=states,
            arrays=[None if array is None else array[row : row + count] for array in self.arrays],
            **more,
        )
        batch, threads = machine.Batch(time=1, rows=count), torch.get_num_threads()
        self.loaded.machine.run(which=which.value, batch=batch, threads=threads, features=0, directions=[direction])
