"""What the layers with a memory share: a loop over steps that holds the state of rows which have ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seqloom.engine.runtime.backend import measure_lengths
from seqloom.layers.state import State, state_type

__all__ = ["check_input", "check_state", "masked_softmax", "run_steps"]


def run_steps(
    step: Callable[[Tensor, State], tuple[Tensor, State]],
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    output_size: int,
) -> tuple[Tensor, State]:
    """Take all steps of x (B, T, D): outputs (B, T, output_size), zero in the padding, and each row's own last state."""
    ragged = measure_lengths(lengths, x)
    inputs, outputs = x if ragged is None else ragged.clear(x), []
    shortest, longest = (x.shape[1],) * 2
    if ragged is not None:
        shortest, longest = (int(bound) for bound in ragged.lengths.aminmax())
    for t in range(longest):
        output, new = step(inputs[:, t], state)
        if ragged is not None and t >= shortest:
            valid = ragged.mask[:, t]
            output = output.masked_fill(~valid.unsqueeze(1), 0.0)
            new = new._make(
                torch.where(valid.view(-1, *[1] * (value.dim() - 1)), value, old)
                for value, old in zip(new, state, strict=True)
            )
        state = new
        outputs.append(output)
    padding = x.new_zeros(len(x), output_size)
    outputs += [padding] * (x.shape[1] - longest)
    return torch.stack(outputs, 1) if outputs else x.new_zeros(len(x), 0, output_size), state


def check_input(x: Tensor, input_size: int) -> None:
    """Refuse what is not (B, T, D).

    Raises:
        ValueError: another shape.
    """
    if x.dim() != 3 or x.shape[-1] != input_size:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, T, D) with D = {input_size} features")


def check_state(state: Sequence[Tensor], like: State, free: Sequence[str] = ()) -> State:
    """The state with the names and shapes of ``like``; in the fields that are ``free``, dimension 1 is any.

    Raises:
        ValueError: another number of fields, or another shape; names the field.
    """
    names = like._fields
    if isinstance(state, Tensor) or len(state) != len(names):
        raise ValueError(f"state has {len(state)} fields; expected {len(names)}: {', '.join(names)}")
    for name, field, wanted in zip(names, state, like, strict=True):
        expected = list(wanted.shape)
        if name in free and field.dim() > 1:
            expected[1] = field.shape[1]
        if list(field.shape) != expected:
            raise ValueError(f"state.{name} has shape {tuple(field.shape)}; expected {tuple(expected)}")
    return state_type(names)._make(state)


def masked_softmax(scores: Tensor, valid: Tensor) -> Tensor:
    """Softmax over the last dimension among the valid positions; zeros, not NaN, where there is none.

    >>> masked_softmax(torch.zeros(2, 3), torch.tensor([[True, False, True], [False, False, False]]))
    tensor([[0.5000, 0.0000, 0.5000],
            [0.0000, 0.0000, 0.0000]])
    """
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~valid, lowest).softmax(-1).masked_fill(~valid, 0.0)
