"""The neural Turing machine: a recurrent cell with heads that read and write a memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.errors import ConfigError
from seqloom.layers.memory.addressing import content_weights, interpolate, sharpen, shift
from seqloom.layers.memory.steps import check_input, check_state, run_steps
from seqloom.layers.options import CellLike, build_cell, check_count
from seqloom.layers.recurrent import Recurrent
from seqloom.layers.state import State, make_state

__all__ = ["NeuralTuringMachine", "Tape"]

_MEMORY_FIELDS = ("memory", "read_weights", "write_weights", "reads")


@dataclass(frozen=True)
class Tape:
    """The sizes of a neural Turing machine's memory.

    Args:
        slots: N.
        width: numbers W in a slot.
        read_heads: at least 1.
        write_heads: at least 1.
        reach: how many slots a head can move in a step, in either direction.
    Raises:
        ConfigError: a number out of range.
    """

    slots: int = 128
    width: int = 20
    read_heads: int = 1
    write_heads: int = 1
    reach: int = 1

    def __post_init__(self) -> None:
        for name in ("slots", "width", "read_heads", "write_heads"):
            check_count(name, getattr(self, name))
        if check_count("reach", self.reach, 0) * 2 + 1 > self.slots:
            raise ConfigError(f"reach is {self.reach} but a memory of {self.slots} slots has no {2 * self.reach + 1}")

    @property
    def heads(self) -> int:
        """Of both kinds."""
        return self.read_heads + self.write_heads


class NeuralTuringMachine(nn.Module):
    """A controller with an addressable memory, whose size is apart from its parameters' (Graves, Wayne & Danihelka 2014).

    In each step the controller reads ``[x_t; reads of t-1]``; from its output each head gets a key, a strength
    ``softplus``, a gate ``sigmoid``, a distribution of offsets and a power ``1 + softplus``, and moves by content, then
    by place (:mod:`seqloom.layers.memory.addressing`). The write heads erase and then add,
    ``M[j] = M[j] * (1 - w[j] e) + w[j] a``; the read heads read what is there then. Outputs are ``[h_t; reads of t]``.

    The state has the controller's own fields (B, 1, H), ``memory`` (B, N, W), ``read_weights`` and ``write_weights``
    (B, heads, N), and ``reads`` (B, read heads * W). It begins with 1e-6 in all of the memory and the heads at slot 0.

    Train it with clipped gradients (the paper: values within 10, RMSprop at 1e-4).

    Args:
        cell: of the controller: a name, a class, or an instance, like which one with a wider input is built.
        input_size: features D of the input.
        hidden_size: units H of the controller.
        tape: the sizes of the memory.

    >>> machine = NeuralTuringMachine("lstm", 9, 32, tape=Tape(slots=16, width=8))
    >>> outputs, state = machine(torch.zeros(2, 5, 9))
    >>> outputs.shape, state.memory.shape, state.read_weights.shape
    (torch.Size([2, 5, 40]), torch.Size([2, 16, 8]), torch.Size([2, 1, 16]))

    Raises:
        ConfigError: an unknown cell or a size out of range.
    """

    def __init__(
        self,
        cell: CellLike,
        input_size: int | None = None,
        hidden_size: int | None = None,
        *,
        tape: Tape | None = None,
    ) -> None:
        super().__init__()
        self.tape = tape or Tape()
        pattern = build_cell(cell, input_size, hidden_size, True)
        taken = [name for name in pattern.state if name in _MEMORY_FIELDS]
        if taken:
            raise ConfigError(f"the cell has a state {taken[0]!r}, a name of the machine's own; call it otherwise")
        read = self.tape.read_heads * self.tape.width
        self.input_size, units = pattern.input_size, pattern.state_sizes[0]
        self.output_size = units + read
        self.controller = Recurrent(pattern.another(self.input_size + read))
        self._emitted = self.tape.width + 3 + 2 * self.tape.reach + 1  # key; strength, gate and power; offsets
        self.addresses = nn.Linear(units, self.tape.heads * self._emitted)
        self.writings = nn.Linear(units, self.tape.write_heads * 2 * self.tape.width)
        self._own = pattern.state

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences, or chunks of them.

        Args:
            x: (B, T, D).
            state: what a former call returned; a blank memory by default.
            lengths: (B,) integers in 0..T; whole rows by default.
        Returns:
            outputs (B, T, H + read heads * W), exactly zero past a row's length, and the state after each row's own last
            step.
        Raises:
            ValueError: shapes that do not fit, or a length outside 0..T; names the row.
        """
        check_input(x, self.input_size)
        return run_steps(self._step, x, self._begin(state, x), lengths, self.output_size)

    def step(self, x: Tensor, state: Sequence[Tensor] | None = None) -> tuple[Tensor, State]:
        """One time step of a stream: x (B, D) to (B, output_size), and the state to pass with the next step."""
        check_input(x.unsqueeze(1), self.input_size)
        return self._step(x, self._begin(state, x))

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> State:
        """A blank memory for ``batch`` rows, of the type and on the device of ``like`` or else of the parameters."""
        tape, own = self.tape, self.controller.initial_state(batch, like=like)
        memory = own[0].new_full((batch, tape.slots, tape.width), 1e-6)
        weights = own[0].new_zeros(batch, tape.heads, tape.slots)
        weights[..., 0] = 1.0
        reading, writing = torch.split(weights, [tape.read_heads, tape.write_heads], 1)
        reads = own[0].new_zeros(batch, tape.read_heads * tape.width)
        return make_state((*self._own, *_MEMORY_FIELDS), [*own, memory, reading, writing, reads])

    def _begin(self, state: Sequence[Tensor] | None, x: Tensor) -> State:
        blank = self.initial_state(len(x), like=x)
        return blank if state is None else check_state(state, blank)

    def _step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        *own, memory, reading, writing, reads = state
        output, new = self.controller.step(torch.cat([x, reads], -1), make_state(self._own, own))
        heads = self.addresses(output).view(len(x), self.tape.heads, self._emitted)
        reader, writer = torch.split(heads, [self.tape.read_heads, self.tape.write_heads], 1)
        writing = self._address(memory, writing, writer)
        memory = self._write(memory, writing, self.writings(output))
        reading = self._address(memory, reading, reader)
        reads = torch.bmm(reading, memory).flatten(1)
        return torch.cat([output, reads], -1), make_state(state._fields, [*new, memory, reading, writing, reads])

    def _address(self, memory: Tensor, before: Tensor, heads: Tensor) -> Tensor:
        """New weights (B, heads, N) from the old and from what the controller emits for each head (B, heads, ...)."""
        width = self.tape.width
        keys, scalars, offsets = torch.split(heads, [width, 3, 2 * self.tape.reach + 1], -1)
        strength, gate, power = scalars.unbind(-1)
        content = content_weights(memory, keys, F.softplus(strength))
        moved = shift(interpolate(content, before, gate.sigmoid()), offsets.softmax(-1))
        return sharpen(moved, 1.0 + F.softplus(power))

    def _write(self, memory: Tensor, weights: Tensor, emitted: Tensor) -> Tensor:
        """The memory after all heads have erased and then all have added, in any order of the heads."""
        erase, add = emitted.view(len(emitted), self.tape.write_heads, 2, self.tape.width).unbind(2)
        # The product over the heads of what each leaves of a number.
        left = (1.0 - weights.unsqueeze(-1) * erase.sigmoid().unsqueeze(2)).prod(1)
        return memory * left + torch.bmm(weights.mT, add)

    def extra_repr(self) -> str:
        return f"{self.input_size}, tape={self.tape}"
