"""Gated units with one state."""

from __future__ import annotations

import numpy as np

from .arithmetic import Array, Values, bias, gates, oracle, sigmoid


@oracle("gru")
def gru(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    """Reset after the product, whose bias it scales too; z keeps the old state."""
    W, U, b = (gates(p, name, "rz") for name in ("weight_rz_x", "weight_rz_h", "bias_rz"))
    h, outputs = state["h"], []
    for x_t in x:
        r, z = (sigmoid(W[gate] @ x_t + U[gate] @ h + b[gate]) for gate in "rz")
        inner = p["weight_recurrent_h"] @ h + bias(p, "bias_recurrent")
        candidate = np.tanh(p["weight_n_x"] @ x_t + bias(p, "bias_n") + r * inner)
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("gru_before")
def gru_before(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    """Reset before the product."""
    W, U, b = (gates(p, name, "rz") for name in ("weight_rz_x", "weight_rz_h", "bias_rz"))
    h, outputs = state["h"], []
    for x_t in x:
        r, z = (sigmoid(W[gate] @ x_t + U[gate] @ h + b[gate]) for gate in "rz")
        candidate = np.tanh(p["weight_n_x"] @ x_t + p["weight_n_v2"] @ (r * h) + bias(p, "bias_n"))
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("mgu")
def mgu(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    """One gate for both."""
    h, outputs = state["h"], []
    for x_t in x:
        f = sigmoid(p["weight_f_x"] @ x_t + p["weight_f_h"] @ h + bias(p, "bias_f"))
        candidate = np.tanh(p["weight_n_x"] @ x_t + p["weight_n_v2"] @ (f * h) + bias(p, "bias_n"))
        h = (1 - f) * h + f * candidate
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("mut1")
def mut1(p: Values, x: Array, state: Values, literal: bool = False) -> tuple[Array, Values]:
    """The update gate sees x alone; the candidate adds tanh of (projected) x."""
    h, outputs = state["h"], []
    for x_t in x:
        z = sigmoid(p["weight_z_x"] @ x_t + bias(p, "bias_z"))
        r = sigmoid(p["weight_r_x"] @ x_t + p["weight_r_h"] @ h + bias(p, "bias_r"))
        seen = np.tanh(x_t if literal else p["weight_input_x"] @ x_t)
        h = np.tanh(p["weight_n_v1"] @ (r * h) + seen + bias(p, "bias_n")) * z + h * (1 - z)
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("mut2")
def mut2(p: Values, x: Array, state: Values, literal: bool = False) -> tuple[Array, Values]:
    """As printed, the reset gate adds the bare x."""
    h, outputs = state["h"], []
    for x_t in x:
        z = sigmoid(p["weight_z_x"] @ x_t + p["weight_z_h"] @ h + bias(p, "bias_z"))
        r = sigmoid((x_t if literal else p["weight_r_x"] @ x_t) + p["weight_r_h"] @ h + bias(p, "bias_r"))
        candidate = np.tanh(p["weight_n_v2"] @ (r * h) + p["weight_n_x"] @ x_t + bias(p, "bias_n"))
        h = candidate * z + h * (1 - z)
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("mut3")
def mut3(p: Values, x: Array, state: Values, literal: bool = False) -> tuple[Array, Values]:
    """The update gate sees tanh of the state; nothing in it needs equal sizes."""
    h, outputs = state["h"], []
    for x_t in x:
        z = sigmoid(p["weight_z_x"] @ x_t + p["weight_z_v2"] @ np.tanh(h) + bias(p, "bias_z"))
        r = sigmoid(p["weight_r_x"] @ x_t + p["weight_r_h"] @ h + bias(p, "bias_r"))
        candidate = np.tanh(p["weight_n_v2"] @ (r * h) + p["weight_n_x"] @ x_t + bias(p, "bias_n"))
        h = candidate * z + h * (1 - z)
        outputs.append(h)
    return np.array(outputs), {"h": h}
