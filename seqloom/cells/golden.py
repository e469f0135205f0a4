"""Golden vectors: what cells compute from given numbers, found by an independent program in float64 (8 digits).

Every parameter of an item, in the listed order, is filled with ``0.5 sin(100 j + k)``, j = 1, 2, ... and k its element in
row-major order from 0; the input is (5, 3), filled from 1; four units; the state begins as zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seqloom.cells.cell import Cell

__all__ = ["GOLDEN", "Golden", "fill", "golden_cell", "golden_input"]


@dataclass(frozen=True)
class Golden:
    """One item.

    Args:
        parameters: ``name`` or ``name:gate``, in the order of the filling; ``-`` is a place that nothing takes.
        states: the final states, by name.
        ones: parameters that are 1 in the item.
        options: further arguments of the cell.
    """

    parameters: str
    states: Mapping[str, tuple[float, ...]]
    ones: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def fill(shape: tuple[int, ...], start: float) -> Tensor:
    """``0.5 sin(start + k)`` in float64.

    >>> fill((2,), 1.0)
    tensor([0.4207, 0.4546], dtype=torch.float64)
    """
    count = math.prod(shape)
    return torch.tensor([0.5 * math.sin(start + k) for k in range(count)], dtype=torch.float64).reshape(shape)


def golden_input() -> Tensor:
    """(1, 5, 3)."""
    return fill((1, 5, 3), 1.0)


@torch.no_grad()
def golden_cell(cell_class: type[Cell], golden: Golden) -> Cell:
    """The cell with the item's parameters; those that it does not name are zero."""
    cell = cell_class(3, 4, **golden.options).double()
    for name, parameter in cell.named_parameters():
        parameter.fill_(1.0 if name in golden.ones else 0.0)
    for position, place in enumerate(golden.parameters.split(), 1):
        name, _, gate = place.partition(":")
        if name == "-":
            continue
        target: Tensor = cell.get_parameter(name)
        if gate:
            gates = next(key for key in name.split("_") if gate in key and key not in ("weight", "bias"))
            target = target.chunk(len(gates))[gates.index(gate)]
        target.copy_(fill(tuple(target.shape), 100.0 * position))
    return cell


def _gates(gates: str, key: str) -> str:
    """W, U, b of each gate of a stack."""
    return " ".join(f"weight_{key}_x:{gate} weight_{key}_h:{gate} bias_{key}:{gate}" for gate in gates)


_LSTM = _gates("ifgo", "ifgo")
_GRU = "weight_rz_x:z weight_rz_h:z bias_rz:z weight_rz_x:r weight_rz_h:r bias_rz:r"
_MUT_R = "weight_r_x weight_r_h bias_r"
_NORMALISED = " ".join(f"weight_ifgo_x:{gate} weight_recurrent_ifgo_h:{gate} vector_bias_{gate}" for gate in "ifgo")

GOLDEN: dict[str, Golden] = {
    "rnn": Golden("weight_x weight_h bias", {"h": (0.12189756, -0.42776318, -0.07616038, 0.73928342)}),
    "lstm": Golden(
        _LSTM,
        {
            "h": (0.18734892, 0.09401614, -0.19412926, -0.12282254),
            "c": (0.33007508, 0.20740625, -0.26867622, -0.30405323),
        },
    ),
    "lstm_peephole": Golden(
        f"{_LSTM} vector_i vector_f vector_o",
        {
            "h": (0.15478619, 0.09507280, -0.17836621, -0.10937487),
            "c": (0.28792417, 0.21549873, -0.25026969, -0.29212682),
        },
    ),
    "cifg": Golden(
        f"- - - {_gates('fgo', 'fgo')}",
        {
            "h": (0.28104677, 0.10417781, -0.24041494, -0.09445664),
            "c": (0.51800083, 0.23390773, -0.33491840, -0.23177329),
        },
    ),
    "lstmp": Golden(
        f"{_LSTM} weight_projection_v1",
        {"h": (-0.16370938, -0.03622646), "c": (0.24704261, 0.27856686, -0.19664785, -0.62871823)},
        options={"projection_size": 2},
    ),
    "lstm_layer_norm": Golden(
        _NORMALISED,
        {
            "h": (-0.19760524, 0.04686098, 0.74169474, -0.09245383),
            "c": (-0.29687462, -0.16476354, 0.20232052, -0.47903172),
        },
        ones=("vector_gain_x", "vector_gain_h", "vector_gain_c"),
    ),
    "gru_before": Golden(
        f"{_GRU} weight_n_x weight_n_v2 bias_n", {"h": (0.52027233, 0.31184986, -0.28879168, -0.22749936)}
    ),
    "gru": Golden(
        f"{_GRU} weight_n_x weight_recurrent_h bias_n bias_recurrent",
        {"h": (0.62063075, 0.51373248, -0.24171727, -0.29118941)},
    ),
    "mut1": Golden(
        f"weight_z_x - bias_z {_MUT_R} weight_input_x weight_n_v1 bias_n",
        {"h": (0.47706618, 0.26075496, -0.32680212, -0.24588668)},
    ),
    "mut2": Golden(
        f"weight_z_x weight_z_h bias_z {_MUT_R} weight_n_x weight_n_v2 bias_n",
        {"h": (0.44603070, 0.26806646, -0.33363813, -0.26197894)},
    ),
    "mut3": Golden(
        f"weight_z_x weight_z_v2 bias_z {_MUT_R} weight_n_x weight_n_v2 bias_n",
        {"h": (0.44708796, 0.26779660, -0.33337344, -0.26138271)},
    ),
    "mgu": Golden(
        "weight_f_x weight_f_h bias_f weight_n_x weight_n_v2 bias_n",
        {"h": (0.00961497, -0.25672830, -0.54624276, 0.19759360)},
    ),
    "indrnn": Golden("weight_x vector_u bias", {"h": (0.0, 0.0, 0.42271531, 0.85137497)}),
    "mingru": Golden(
        "weight_zh_x:z bias_zh:z weight_zh_x:h bias_zh:h", {"h": (-0.46280075, -0.38336140, -0.18812863, 0.50907628)}
    ),
    "minlstm": Golden(
        "weight_fih_x:f bias_fih:f weight_fih_x:i bias_fih:i weight_fih_x:h bias_fih:h",
        {"h": (-0.05248990, -0.21707823, -0.50663027, 0.06471490)},
    ),
    "clockwork": Golden(
        "weight_x weight_h bias",
        {"h": (0.20967518, -0.52404233, 0.17629328, 0.65203789)},
        options={"periods": (1, 2)},
    ),
}
"""By registered name."""
