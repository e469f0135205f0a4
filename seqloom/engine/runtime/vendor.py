"""The vendor backend: torch's fused kernels (cuDNN, oneDNN, native) for the cells that torch has.

A ragged batch runs packed where no gradient is wanted. Training on packed sequences takes slow paths, so there it runs
padded, in one of two ways that leave no trace of the padding:

- *freezing* (LSTM, GRU, rectified units): one more input column is 1 at padded steps, and its constant weights saturate
  the gates so that a padded step keeps the state (LSTM: i shut, f open; GRU: z open; ReLU: a state of zero). Both
  directions are then one call of the kernel, whose backward direction meets the padding first and ignores it.
- *turning*: each direction alone, the backward one on rows reversed within their lengths (tanh units, which have no
  gate to shut, and an LSTM whose backward direction begins with a state that somebody gave).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqloom.engine.contract import Noise, Ragged, SequenceCell, States, Work, zero_states
from seqloom.engine.runtime.entrance import is_transformed

__all__ = ["drawback", "limitation", "run"]

_SATURATION = 1e4
# Rows times units from which, in training on a CPU, leaving out the padding outweighs a loop in Python (measured on two
# cores at 40 steps of 192 features: the LSTM breaks even between 32 and 64 rows of 128 units, the others below 8).
_LEAST_RAGGED_WORK = {"lstm": 8192, "gru": 1024, "rnn_tanh": 1024, "rnn_relu": 1024}
# Per kernel: for each gate, in the order of the rows, what the padding column adds to it.
_FREEZE = {"lstm": (-1.0, 1.0, 0.0, 0.0), "gru": (0.0, 1.0, 0.0), "rnn_relu": (-1.0,)}


def limitation(cells: Sequence[SequenceCell], noise: Noise) -> str | None:
    """Why this backend cannot run a layer, or none where it can."""
    if cells[0].graph.untraceable:
        return cells[0].graph.untraceable
    kernels = {cell.vendor for cell in cells}
    if len(kernels) != 1 or None in kernels:
        return f"torch has no kernel for {type(cells[0]).__name__}"
    if noise.active:
        return "torch's kernels have no dropout_state and no zoneout"
    if is_transformed():
        return "torch.func and forward-mode derivatives see through the plain loop only"
    return None


def drawback(cells: Sequence[SequenceCell], work: Work) -> str | None:
    """Why another backend that can run the layer would run this work faster, or none."""
    least = _LEAST_RAGGED_WORK.get(str(cells[0].vendor), 0)
    if work.gradients and work.ragged and work.device == "cpu" and work.rows * cells[0].hidden_size >= least:
        return "training on rows that differ in length is faster where ended rows leave the batch"
    return None


def run(
    cells: Sequence[SequenceCell], x: Tensor, ragged: Ragged | None, initial: Sequence[States] | None, noise: Noise
) -> tuple[Tensor, list[States]]:
    """One layer; see :func:`seqloom.engine.runtime.backend.run_layer`."""
    states = [zero_states(cell, x) for cell in cells] if initial is None else list(initial)
    if ragged is None:
        return _call(cells, x, states, column=False)
    if not torch.is_grad_enabled() and bool(ragged.lengths.any()):
        return _packed(cells, x, ragged, states)
    kernel = str(cells[0].vendor)
    column = kernel in _FREEZE
    if column:
        padding = (~ragged.mask).unsqueeze(-1).to(x.dtype)
        x = torch.cat([x, padding], -1)
    # A GRU's gate holds any state. An LSTM's holds c, and h only where both are zero, as the padding of a fresh
    # backward direction is; so does a rectified unit that the column keeps at zero.
    if len(cells) == 1 or kernel == "gru" or (column and initial is None):
        outputs, final = _call(cells, x, states, column=column)
        final[0] = _last_step(kernel, outputs[..., : cells[0].hidden_size], final[0], states[0], ragged)
        return ragged.clear(outputs), final
    turned = [
        _turned(cell, x, ragged, state, column, back) for cell, state, back in zip(cells, states, (0, 1), strict=True)
    ]
    return ragged.clear(torch.cat([outputs for outputs, _ in turned], -1)), [final for _, final in turned]


def _packed(
    cells: Sequence[SequenceCell], x: Tensor, ragged: Ragged, states: Sequence[States]
) -> tuple[Tensor, list[States]]:
    rows = ragged.packed
    sorted_states = [tuple(rows.sort(state) for state in of_direction) for of_direction in states]
    counts = torch.tensor(rows.sizes[: rows.longest])  # on the host, as the kernels want it
    begun = [tuple(state[: rows.first] for state in of_direction) for of_direction in sorted_states]
    outputs, last = _call(cells, rows.pack(x), begun, column=False, counts=counts)
    final = [
        tuple(
            rows.unsort(torch.cat([new, old[rows.first :]]))  # rows without a step keep what they had
            for new, old in zip(after, before, strict=True)
        )
        for after, before in zip(last, sorted_states, strict=True)
    ]
    return rows.unpack(outputs), final


def _turned(
    cell: SequenceCell, x: Tensor, ragged: Ragged, states: States, column: bool, backward: int
) -> tuple[Tensor, States]:
    outputs, (final,) = _call([cell], ragged.reverse(x) if backward else x, [states], column=column)
    final = _last_step(str(cell.vendor), outputs, final, states, ragged)
    return ragged.reverse(outputs) if backward else outputs, final


def _last_step(kernel: str, outputs: Tensor, final: States, initial: States, ragged: Ragged) -> States:
    """The final state of a forward pass: h from each row's last step, unless the kernel held it there."""
    return final if kernel == "gru" else (ragged.last(outputs, initial[0]), *final[1:])


def _call(
    cells: Sequence[SequenceCell], x: Tensor, states: Sequence[States], *, column: bool, counts: Tensor | None = None
) -> tuple[Tensor, list[States]]:
    """The kernel on one or both directions: outputs (B, T, directions * H) and the states where it stopped.

    With the ``counts`` of a packed batch, x is (N, D) and the outputs (N, directions * H).
    """
    kernel = str(cells[0].vendor)
    weights: list[Tensor] = []
    for cell in cells:
        weight_ih, weight_hh, bias_ih, bias_hh = cell.vendor_weights()
        if column:
            weight_ih = torch.cat([weight_ih, _padding_weights(kernel, weight_ih, cell.hidden_size)], 1)
        weights += [weight_ih, weight_hh, *(bias for bias in (bias_ih, bias_hh) if bias is not None)]
    stacked = [torch.stack(of_directions) for of_directions in zip(*states, strict=True)]
    function = getattr(torch._VF, kernel)
    hx: Any = stacked if kernel == "lstm" else stacked[0]
    biased = len(weights) == 4 * len(cells)
    training = torch.is_grad_enabled() or torch._C._get_tracing_state() is not None  # one trace in both modes
    options = (weights, biased, 1, 0.0, training, len(cells) == 2)
    outputs, *final = function(x, hx, *options, True) if counts is None else function(x, counts, hx, *options)
    return outputs, [tuple(state[direction] for state in final) for direction in range(len(cells))]


def _padding_weights(kernel: str, like: Tensor, hidden_size: int) -> Tensor:
    gates = like.new_tensor(_FREEZE[kernel]) * _SATURATION
    return gates.repeat_interleave(hidden_size).unsqueeze(1)
