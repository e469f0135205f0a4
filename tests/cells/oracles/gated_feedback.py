"""Gated feedback: every layer's old state reaches every layer through a number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arithmetic import Array, Values, bias, gates, oracle, sigmoid


def label(layer: int) -> str:
    """The first layer reads x, another what the one below has just computed."""
    return "x" if layer == 1 else "v1"


def feedback(p: Values, j: int, below: Array, old: list[Array]) -> Any:
    """``sum_i g(i, j) U(i, j) h_i``, each g one number."""
    total: Any = 0.0
    for i, h_i in enumerate(old, 1):
        exponent = float(p[f"weight_gate{i}_{j}_{label(j)}"][0] @ below)
        for k, h_k in enumerate(old, 1):
            exponent += float(p[f"weight_gate{i}_{j}_h{k}"][0] @ h_k)
        g = 1.0 / (1.0 + math.exp(-exponent))
        total = total + g * (p[f"weight_{i}_{j}_h{i}"] @ h_i)
    return total


def final(layers: int, **kept: list[Array]) -> Values:
    return {f"{name}{j}": values[j - 1] for name, values in kept.items() for j in range(1, layers + 1)}


@oracle("gated_feedback_rnn")
def gated_feedback_rnn(p: Values, x: Array, state: Values, layers: int = 2) -> tuple[Array, Values]:
    h, outputs = [state[f"h{j}"] for j in range(1, layers + 1)], []
    for x_t in x:
        old, below = list(h), x_t
        for j in range(1, layers + 1):
            a = p[f"weight_layer{j}_{label(j)}"] @ below + bias(p, f"bias_layer{j}")
            below = h[j - 1] = np.tanh(a + feedback(p, j, below, old))
        outputs.append(below)
    return np.array(outputs), final(layers, h=h)


@oracle("gated_feedback_lstm")
def gated_feedback_lstm(p: Values, x: Array, state: Values, layers: int = 2) -> tuple[Array, Values]:
    """The candidate alone has feedback; i, f and o see their own layer's old state."""
    h, c = ([state[f"{name}{j}"] for j in range(1, layers + 1)] for name in "hc")
    outputs = []
    for x_t in x:
        old, below = list(h), x_t
        for j in range(1, layers + 1):
            W, U = gates(p, f"weight_layer{j}_{label(j)}", "ifo"), gates(p, f"weight_layer{j}_h{j}", "ifo")
            b = gates(p, f"bias_layer{j}", "ifo")
            i, f, o = (sigmoid(W[gate] @ below + U[gate] @ old[j - 1] + b[gate]) for gate in "ifo")
            a = p[f"weight_candidate{j}_{label(j)}"] @ below + bias(p, f"bias_candidate{j}")
            c[j - 1] = f * c[j - 1] + i * np.tanh(a + feedback(p, j, below, old))
            below = h[j - 1] = o * np.tanh(c[j - 1])
        outputs.append(below)
    return np.array(outputs), final(layers, h=h, c=c)


@oracle("gated_feedback_gru")
def gated_feedback_gru(p: Values, x: Array, state: Values, layers: int = 2) -> tuple[Array, Values]:
    """The reset gate scales all of the feedback; z keeps the old state."""
    h, outputs = [state[f"h{j}"] for j in range(1, layers + 1)], []
    for x_t in x:
        old, below = list(h), x_t
        for j in range(1, layers + 1):
            W, U = gates(p, f"weight_layer{j}_{label(j)}", "rz"), gates(p, f"weight_layer{j}_h{j}", "rz")
            b = gates(p, f"bias_layer{j}", "rz")
            r, z = (sigmoid(W[gate] @ below + U[gate] @ old[j - 1] + b[gate]) for gate in "rz")
            a = p[f"weight_candidate{j}_{label(j)}"] @ below + bias(p, f"bias_candidate{j}")
            candidate = np.tanh(a + r * feedback(p, j, below, old))
            below = h[j - 1] = z * old[j - 1] + (1 - z) * candidate
        outputs.append(below)
    return np.array(outputs), final(layers, h=h)
