"""Convolutions over time that see no future, with a state, so that they stream: a part of the layers around them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqloom.engine.contract import Ragged
from seqloom.engine.runtime.backend import measure_lengths
from seqloom.layers.options import check_count
from seqloom.layers.state import State, make_state

__all__ = ["CausalConvolution", "last_steps"]


class CausalConvolution(nn.Module):
    """A 1-D convolution of each step and the ``width - 1`` before it: (B, T, D) to (B, T, output_size).

    The state is one field ``inputs`` (B, width - 1, D), the inputs of each row's last steps, oldest first.

    Args:
        input_size: features D of the input.
        output_size: of the output; as many as the input has, by default.
        width: steps that it sees, at least 1.
        depthwise: a filter of its own for each feature instead of a matrix per step.

    >>> convolution = CausalConvolution(2, 3, width=4)
    >>> outputs, state = convolution(torch.zeros(5, 7, 2))
    >>> outputs.shape, state.inputs.shape
    (torch.Size([5, 7, 3]), torch.Size([5, 3, 2]))

    Raises:
        ConfigError: a width below 1.
    """

    def __init__(self, input_size: int, output_size: int | None = None, *, width: int, depthwise: bool = False) -> None:
        super().__init__()
        self.width = check_count("width", width)
        self.input_size, self.output_size = input_size, output_size or input_size
        groups = input_size if depthwise else 1
        self.convolution = nn.Conv1d(input_size, self.output_size, width, groups=groups)

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences, or chunks of them: the layers' contract.

        Raises:
            ValueError: shapes that do not fit, or a length outside 0..T; names the row.
        """
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, T, D) with D = {self.input_size} features")
        (before,) = self.initial_state(len(x), like=x) if state is None else state
        expected = (len(x), self.width - 1, self.input_size)
        if before.shape != expected:
            raise ValueError(f"state.inputs has shape {tuple(before.shape)}; expected {expected}")
        ragged = measure_lengths(lengths, x)
        values = torch.cat([before, x if ragged is None else ragged.clear(x)], 1)
        if x.shape[1]:
            outputs = self.convolution(values.transpose(1, 2)).transpose(1, 2)
        else:
            outputs = x.new_zeros(len(x), 0, self.output_size)
        final = make_state(("inputs",), [last_steps(before, x, ragged)])
        return (outputs if ragged is None else ragged.clear(outputs)), final

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> State:
        """Zeros for ``batch`` rows, of the type and on the device of ``like`` or else of the parameters."""
        source = self.convolution.weight if like is None else like
        return make_state(("inputs",), [source.new_zeros(batch, self.width - 1, self.input_size)])


def last_steps(before: Tensor, x: Tensor, ragged: Ragged | None) -> Tensor:
    """The last steps of each row, oldest first: (B, N, D) where ``before`` (B, N, D) are those before x (B, T, D)."""
    count = before.shape[1]
    values = torch.cat([before, x], 1)
    if ragged is None:
        return values[:, values.shape[1] - count :]
    index = ragged.lengths.unsqueeze(1) + torch.arange(count, device=x.device)
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
