"""Recurrences that are linear, or elementwise, in their state."""

from __future__ import annotations

import cmath
import math

import numpy as np

from .arithmetic import Array, Values, bias, gates, oracle, sigmoid, softplus


def positive(a: Array) -> Array:
    """q(v) = v + 0.5 from 0 on, the logistic function below."""
    return np.array([v + 0.5 if v >= 0 else 1.0 / (1.0 + math.exp(-v)) for v in a])


def log_scan(log_a: Array, log_b: Array, h: Array) -> Array:
    """``log h_t`` of all steps by one cumulative sum of logarithms and one cumulative sum of exponentials."""
    total = np.cumsum(log_a, 0)
    return total + np.logaddexp.accumulate(np.concatenate([np.log(h)[None], log_b - total]))[1:]


@oracle("mingru")
def mingru(p: Values, x: Array, state: Values, positive_candidate: bool = False) -> tuple[Array, Values]:
    W, b = gates(p, "weight_zh_x", "zh"), gates(p, "bias_zh", "zh")
    h, outputs = state["h"], []
    for x_t in x:
        z, v = sigmoid(W["z"] @ x_t + b["z"]), W["h"] @ x_t + b["h"]
        h = (1 - z) * h + z * (positive(v) if positive_candidate else v)
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("mingru")
def mingru_in_logarithms(p: Values, x: Array, state: Values, positive_candidate: bool = False) -> tuple[Array, Values]:
    """Where all is positive: the form that the paper runs in parallel."""
    if not positive_candidate or (state["h"] <= 0).any():
        return mingru(p, x, state, positive_candidate)
    W, b = gates(p, "weight_zh_x", "zh"), gates(p, "bias_zh", "zh")
    z, v = x @ W["z"].T + b["z"], x @ W["h"].T + b["h"]
    log_q = np.array([np.log(positive(row)) for row in v])
    h = np.exp(log_scan(-softplus(z), -softplus(-z) + log_q, state["h"]))
    return h, {"h": h[-1]}


@oracle("minlstm")
def minlstm(p: Values, x: Array, state: Values, positive_candidate: bool = False) -> tuple[Array, Values]:
    W, b = gates(p, "weight_fih_x", "fih"), gates(p, "bias_fih", "fih")
    h, outputs = state["h"], []
    for x_t in x:
        f, i, v = sigmoid(W["f"] @ x_t + b["f"]), sigmoid(W["i"] @ x_t + b["i"]), W["h"] @ x_t + b["h"]
        h = f / (f + i) * h + i / (f + i) * (positive(v) if positive_candidate else v)
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("minlstm")
def minlstm_in_logarithms(p: Values, x: Array, state: Values, positive_candidate: bool = False) -> tuple[Array, Values]:
    """``log f' = -softplus(softplus(-f) - softplus(-i))``, and ``log i'`` with the two exchanged."""
    if not positive_candidate or (state["h"] <= 0).any():
        return minlstm(p, x, state, positive_candidate)
    W, b = gates(p, "weight_fih_x", "fih"), gates(p, "bias_fih", "fih")
    f, i, v = (x @ W[gate].T + b[gate] for gate in "fih")
    between = softplus(-f) - softplus(-i)
    log_q = np.array([np.log(positive(row)) for row in v])
    h = np.exp(log_scan(-softplus(between), -softplus(-between) + log_q, state["h"]))
    return h, {"h": h[-1]}


@oracle("lru")
def lru(
    p: Values, x: Array, state: Values, literal: bool = False, smallest: float = 0, largest: float = 0, phase: float = 0
) -> tuple[Array, Values]:
    """Unit by unit in Python's complex numbers."""
    units = range(len(p["nu"]))
    eigenvalues = [cmath.exp(complex(-math.exp(p["nu"][k]), math.exp(p["theta"][k]))) for k in units]
    B = p["weight_b_re_x"] + 1j * p["weight_b_im_x"]
    C = p["weight_c_re_v1"] + 1j * p["weight_c_im_v1"]
    s = [complex(state["re"][k], state["im"][k]) for k in units]
    y, outputs = state["y"], []
    for x_t in x:
        s = [eigenvalues[k] * s[k] + math.exp(p["log_gamma"][k]) * complex(B[k] @ x_t) for k in units]
        skip = p["vector_d"] * x_t if literal else p["weight_d_x"] @ x_t
        y = (C @ np.array(s)).real + skip
        outputs.append(y)
    return np.array(outputs), {"y": y, "re": np.array(s).real, "im": np.array(s).imag}


@oracle("lru")
def lru_in_real_blocks(
    p: Values, x: Array, state: Values, literal: bool = False, smallest: float = 0, largest: float = 0, phase: float = 0
) -> tuple[Array, Values]:
    """A dense real recurrence of twice the size, with a 2 x 2 rotation and shrinkage for each unit."""
    units = len(p["nu"])
    A, B, C = np.zeros((2 * units, 2 * units)), np.zeros((2 * units, x.shape[1])), np.zeros((units, 2 * units))
    for k in range(units):
        radius, angle, pair = math.exp(-math.exp(p["nu"][k])), math.exp(p["theta"][k]), slice(2 * k, 2 * k + 2)
        rotation = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        A[pair, pair] = radius * np.array(rotation)
        B[pair] = np.exp(p["log_gamma"][k]) * np.stack([p["weight_b_re_x"][k], p["weight_b_im_x"][k]])
        C[:, pair] = np.stack([p["weight_c_re_v1"][:, k], -p["weight_c_im_v1"][:, k]], 1)
    D = np.diag(p["vector_d"]) if literal else p["weight_d_x"]
    s, outputs = np.stack([state["re"], state["im"]], 1).reshape(-1), []
    for x_t in x:
        s = A @ s + B @ x_t
        outputs.append(C @ s + D @ x_t)
    return np.array(outputs), {"y": outputs[-1], "re": s[0::2], "im": s[1::2]}


@oracle("rg_lru")
def rg_lru(p: Values, x: Array, state: Values, heads: int | None = None, literal: bool = False) -> tuple[Array, Values]:
    """``a = exp(-8 r softplus(decay))``; the first step of a sequence forgets nothing and scales nothing."""
    stored = p["weight_ri_x" if literal else "weight_ri_v1"]
    b, width = gates(p, "bias_ri", "ri"), stored.shape[2]
    units = stored.shape[1] * width
    dense = {gate: np.zeros((units, units)) for gate in "ri"}
    for position, gate in enumerate("ri"):
        for head in range(stored.shape[1]):
            block = slice(head * width, (head + 1) * width)
            dense[gate][block, block] = stored[position, head]
    h, started, outputs = state["h"], bool(state["started"][0]), []
    for x_t in x:
        u = x_t if literal else p["weight_input_x"] @ x_t
        r, i = (sigmoid(dense[gate] @ u + b[gate]) for gate in "ri")
        a = np.exp(-8.0 * r * np.log1p(np.exp(p["vector_decay"])))
        h = a * h + np.sqrt(1.0 - a**2) * (i * u) if started else i * u
        started = True
        outputs.append(h)
    return np.array(outputs), {"h": h, "started": np.ones(1)}


@oracle("qrnn")
def qrnn(p: Values, x: Array, state: Values, window: int = 2, pooling: str = "fo") -> tuple[Array, Values]:
    """One convolution per gate, unit and feature over the sequence with the inputs before it; then pooling."""
    letters = f"z{pooling}"
    padded = np.array([*(state[f"x{lag}"] for lag in range(window - 1, 0, -1)), *x])
    lags = [p[f"weight_{letters}_x{lag or ''}"] for lag in range(window)]
    kernel = np.stack(lags, -1)  # (G m, n, window), the present first
    convolved = np.zeros((len(x), kernel.shape[0]))
    for row in range(kernel.shape[0]):
        for feature in range(x.shape[1]):
            convolved[:, row] += np.convolve(padded[:, feature], kernel[row, feature], "valid")
    activations = dict(zip(letters, np.split(convolved + bias(p, f"bias_{letters}"), len(letters), 1), strict=True))
    Z, F = np.tanh(activations["z"]), sigmoid(activations["f"])
    I = sigmoid(activations["i"]) if "i" in pooling else 1.0 - F  # noqa: E741
    c, outputs = state["h" if pooling == "f" else "c"], []
    for t in range(len(x)):
        c = F[t] * c + I[t] * Z[t]
        outputs.append(sigmoid(activations["o"][t]) * c if "o" in pooling else c)
    final = {"h": outputs[-1], **({"c": c} if "o" in pooling else {})}
    return np.array(outputs), {**final, **{f"x{lag}": padded[-lag] for lag in range(1, window)}}


@oracle("sru")
def sru(p: Values, x: Array, state: Values, highway_bias: float = 0.0, literal: bool = False) -> tuple[Array, Values]:
    """Both gates see the old memory, each unit its own; what the highway carries is scaled."""
    W, b = gates(p, "weight_fr_x", "fr"), gates(p, "bias_fr", "fr")
    alpha = math.sqrt(1.0 + 2.0 * math.exp(highway_bias))
    h, c, outputs = state["h"], state["c"], []
    for x_t in x:
        f, r = (sigmoid(W[gate] @ x_t + p[f"vector_{gate}"] * c + b[gate]) for gate in "fr")
        c = f * c + (1 - f) * (p["weight_candidate_x"] @ x_t)
        h = r * c + (1 - r) * (alpha * (x_t if literal else p["weight_highway_x"] @ x_t))
        outputs.append(h)
    return np.array(outputs), {"h": h, "c": c}
