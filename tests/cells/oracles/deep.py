"""Several layers inside one step."""

from __future__ import annotations

import numpy as np

from .arithmetic import Array, Values, bias, gates, oracle, sigmoid


def deep(p: Values, x: Array, state: Values, depth: int, shortcut: bool) -> tuple[Array, Values]:
    """``h_t = tanh(U_L tanh(... tanh(U_1 h + W x + b_1) ...) + b_L)``, with ``S_l h`` in the later layers or without."""
    h, outputs = state["h"], []
    for x_t in x:
        old = h
        h = np.tanh(p["weight_1_h"] @ old + p["weight_1_x"] @ x_t + bias(p, "bias_1"))
        for layer in range(2, depth + 1):
            short = p[f"weight_{layer}_h"] @ old if shortcut else 0.0
            h = np.tanh(p[f"weight_{layer}_v1"] @ h + short + bias(p, f"bias_{layer}"))
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("deep_transition")
def deep_transition(p: Values, x: Array, state: Values, depth: int = 2) -> tuple[Array, Values]:
    return deep(p, x, state, depth, shortcut=False)


@oracle("deep_transition_shortcut")
def deep_transition_shortcut(p: Values, x: Array, state: Values, depth: int = 2) -> tuple[Array, Values]:
    return deep(p, x, state, depth, shortcut=True)


@oracle("recurrent_highway")
def recurrent_highway(p: Values, x: Array, state: Values, depth: int = 2) -> tuple[Array, Values]:
    """``s_l = H_l T_l + s_{l-1} (1 - T_l)``; the first layer alone reads x."""
    s, outputs = state["h"], []
    for x_t in x:
        for layer in range(1, depth + 1):
            R = gates(p, f"weight_{layer}_{'h' if layer == 1 else 'v1'}", "HT")
            b = gates(p, f"bias_{layer}", "HT")
            a = {gate: R[gate] @ s + b[gate] for gate in "HT"}
            if layer == 1:
                W = gates(p, "weight_1_x", "HT")
                a = {gate: a[gate] + W[gate] @ x_t for gate in "HT"}
            carry = 1.0 - sigmoid(a["T"])
            s = np.tanh(a["H"]) * sigmoid(a["T"]) + s * carry
        outputs.append(s)
    return np.array(outputs), {"h": s}
