"""The LSTM family."""

from __future__ import annotations

import numpy as np

from .arithmetic import Array, Values, gates, oracle, sigmoid


def long_short_term(
    p: Values, x: Array, state: Values, *, peepholes: bool = False, projection: Array | None = None
) -> tuple[Array, Values]:
    """Gates i, f, g, o; the peepholes of i and f read the old memory, that of o the new one."""
    W, U, b = (gates(p, name, "ifgo") for name in ("weight_ifgo_x", "weight_ifgo_h", "bias_ifgo"))
    peep = {gate: p[f"vector_{gate}"] if peepholes else 0.0 for gate in "ifo"}
    h, c, outputs = state["h"], state["c"], []
    for x_t in x:
        a = {gate: W[gate] @ x_t + U[gate] @ h + b[gate] for gate in "ifgo"}
        i, f = sigmoid(a["i"] + peep["i"] * c), sigmoid(a["f"] + peep["f"] * c)
        c = f * c + i * np.tanh(a["g"])
        h = sigmoid(a["o"] + peep["o"] * c) * np.tanh(c)
        h = h if projection is None else projection @ h
        outputs.append(h)
    return np.array(outputs), {"h": h, "c": c}


@oracle("lstm")
def lstm(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    return long_short_term(p, x, state)


@oracle("lstm_peephole")
def lstm_peephole(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    return long_short_term(p, x, state, peepholes=True)


@oracle("lstmp")
def lstmp(
    p: Values, x: Array, state: Values, projection_size: int = 0, peepholes: bool = False
) -> tuple[Array, Values]:
    return long_short_term(p, x, state, peepholes=peepholes, projection=p["weight_projection_v1"])


@oracle("lstm_1997")
def lstm_1997(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    """No forget gate: the memory only adds up."""
    W, U, b = (gates(p, name, "igo") for name in ("weight_igo_x", "weight_igo_h", "bias_igo"))
    h, c, outputs = state["h"], state["c"], []
    for x_t in x:
        i, g, o = (W[gate] @ x_t + U[gate] @ h + b[gate] for gate in "igo")
        c = c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), {"h": h, "c": c}


@oracle("cifg")
def cifg(p: Values, x: Array, state: Values, peepholes: bool = False) -> tuple[Array, Values]:
    """``i = 1 - f``."""
    W, U, b = (gates(p, name, "fgo") for name in ("weight_fgo_x", "weight_fgo_h", "bias_fgo"))
    peep = {gate: p[f"vector_{gate}"] if peepholes else 0.0 for gate in "fo"}
    h, c, outputs = state["h"], state["c"], []
    for x_t in x:
        f = sigmoid(W["f"] @ x_t + U["f"] @ h + b["f"] + peep["f"] * c)
        i = 1.0 - f
        g = np.tanh(W["g"] @ x_t + U["g"] @ h + b["g"])
        c = f * c + i * g
        h = sigmoid(W["o"] @ x_t + U["o"] @ h + b["o"] + peep["o"] * c) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), {"h": h, "c": c}


@oracle("lstm_multiplicative")
def lstm_multiplicative(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    """The gates read ``(W_m x) (U_m h)`` in the place of h."""
    W, U, b = (gates(p, name, "ifgo") for name in ("weight_ifgo_x", "weight_ifgo_v2", "bias_ifgo"))
    h, c, outputs = state["h"], state["c"], []
    for x_t in x:
        factor = (p["weight_factor_x"] @ x_t) * (p["weight_recurrent_h"] @ h)
        i, f, g, o = (W[gate] @ x_t + U[gate] @ factor + b[gate] for gate in "ifgo")
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), {"h": h, "c": c}


def normalise(a: Array) -> Array:
    """Minus the mean, divided by the standard deviation over the whole vector."""
    return (a - a.sum() / a.size) / np.sqrt(((a - a.sum() / a.size) ** 2).sum() / a.size + 1e-5)


def layer_normalised(p: Values, x: Array, state: Values, blocks: int) -> tuple[Array, Values]:
    """Both products normalised in so many blocks; the memory is normalised on its way out alone."""

    def scaled(a: Array, gain: Array) -> Array:
        return np.concatenate([normalise(block) for block in np.split(a, blocks)]) * gain

    offset = np.concatenate([p.get(f"vector_bias_{gate}", np.zeros_like(state["c"])) for gate in "ifgo"])
    h, c, outputs = state["h"], state["c"], []
    for x_t in x:
        from_x = scaled(p["weight_ifgo_x"] @ x_t, p["vector_gain_x"])
        from_h = scaled(p["weight_recurrent_ifgo_h"] @ h, p["vector_gain_h"])
        i, f, g, o = np.split(from_x + from_h + offset, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(normalise(c) * p["vector_gain_c"] + p["vector_shift_c"])
        outputs.append(h)
    return np.array(outputs), {"h": h, "c": c}


@oracle("lstm_layer_norm")
def lstm_layer_norm(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    return layer_normalised(p, x, state, 1)


@oracle("lstm_layer_norm_per_gate")
def lstm_layer_norm_per_gate(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    return layer_normalised(p, x, state, 4)
