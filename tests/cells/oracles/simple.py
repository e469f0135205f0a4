"""Simple recurrent networks, additive ones, and those of several time scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arithmetic import Array, Values, bias, oracle, sigmoid


def relu(a: Array) -> Array:
    """max(a, 0)."""
    return np.where(a > 0, a, 0.0)


def elman(p: Values, x: Array, state: Values, phi: Any) -> tuple[Array, Values]:
    """``h_t = phi(W x_t + U h_{t-1} + b)``."""
    h, outputs = state["h"], []
    for x_t in x:
        h = phi(p["weight_x"] @ x_t + p["weight_h"] @ h + bias(p, "bias"))
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("rnn")
def rnn(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    return elman(p, x, state, np.tanh)


@oracle("rnn_relu")
def rnn_relu(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    return elman(p, x, state, relu)


@oracle("rnn_sigmoid")
def rnn_sigmoid(p: Values, x: Array, state: Values) -> tuple[Array, Values]:
    return elman(p, x, state, sigmoid)


@oracle("irnn")
def irnn(p: Values, x: Array, state: Values, scale: float = 1.0) -> tuple[Array, Values]:
    return elman(p, x, state, relu)


@oracle("jordan")
def jordan(
    p: Values, x: Array, state: Values, output_size: int = 0, decay: float = 0.5, output: str = "sigmoid"
) -> tuple[Array, Values]:
    """``s_t = decay s_{t-1} + y_{t-1}``; the memory of outputs feeds the hidden units."""
    squash = {"sigmoid": sigmoid, "tanh": np.tanh, "identity": np.asarray}[output]
    y, s, outputs = state["y"], state["s"], []
    for x_t in x:
        s = decay * s + y
        h = np.tanh(p["weight_hidden_x"] @ x_t + p["weight_hidden_v2"] @ s + bias(p, "bias_hidden"))
        y = squash(p["weight_output_v1"] @ h + bias(p, "bias_output"))
        outputs.append(y)
    return np.array(outputs), {"y": y, "s": s}


@oracle("additive")
def additive(p: Values, x: Array, state: Values, step_size: float = 0.1) -> tuple[Array, Values]:
    """An Euler step of ``h' = tanh(W x + U h + b)``."""
    h, outputs = state["h"], []
    for x_t in x:
        h = h + step_size * np.tanh(p["weight_x"] @ x_t + p["weight_h"] @ h + bias(p, "bias"))
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("antisymmetric")
def antisymmetric(
    p: Values, x: Array, state: Values, step_size: float = 0.1, damping: float = 0.01
) -> tuple[Array, Values]:
    """The same with ``U - U' - damping I``, entry by entry."""
    u, units = p["weight_h"], len(p["weight_h"])
    skew = np.array([[u[i, j] - u[j, i] - (damping if i == j else 0.0) for j in range(units)] for i in range(units)])
    return additive({**p, "weight_h": skew}, x, state, step_size)


@oracle("indrnn")
def indrnn(
    p: Values, x: Array, state: Values, activation: str = "relu", longest: int = 1000, long_memory: bool = False
) -> tuple[Array, Values]:
    """A weight of its own for each unit, within ``+- 2^(1 / longest)``."""
    phi = {"relu": relu, "tanh": np.tanh}[activation]
    bound = 2.0 ** (1.0 / longest)
    u = np.clip(p["vector_u"], -bound, bound)
    h, outputs = state["h"], []
    for x_t in x:
        h = phi(p["weight_x"] @ x_t + u * h + bias(p, "bias"))
        outputs.append(h)
    return np.array(outputs), {"h": h}


@oracle("scrn")
def scrn(p: Values, x: Array, state: Values, context_size: int = 0, decay: float = 0.95) -> tuple[Array, Values]:
    """``s_t = (1 - a) B x_t + a s_{t-1}``, ``h_t = sigmoid(P s_t + A x_t + R h_{t-1} + b)``."""
    h, s, outputs = state["h"], state["s"], []
    for x_t in x:
        s = (1 - decay) * (p["weight_context_x"] @ x_t) + decay * s
        a = p["weight_fast_v3"] @ s + p["weight_fast_x"] @ x_t + p["weight_fast_h"] @ h + bias(p, "bias_fast")
        h = sigmoid(a)
        outputs.append(h)
    return np.array(outputs), {"h": h, "s": s}


@oracle("clockwork")
def clockwork(p: Values, x: Array, state: Values, periods: tuple[int, ...] = (1, 2, 4, 8)) -> tuple[Array, Values]:
    """Group by group: it computes where its period divides the step, and reads the groups that are not faster."""
    h, first = state["h"], np.rint(state["phase"]).astype(int)
    periods = periods[: len(h)]
    groups = list(zip(periods, np.array_split(np.arange(len(h)), len(periods)), strict=True))
    offset = np.broadcast_to(bias(p, "bias"), h.shape)
    outputs = []
    for t, x_t in enumerate(x):
        new = h.copy()
        for period, units in groups:
            if (t + first[units[0]]) % period == 0:
                a = p["weight_x"][units] @ x_t + offset[units]
                for other, read in groups:
                    if other >= period:
                        a = a + p["weight_h"][np.ix_(units, read)] @ h[read]
                new[units] = np.tanh(a)
        h = new
        outputs.append(h)
    phase = np.concatenate([(len(x) + first[units]) % period for period, units in groups])
    return np.array(outputs), {"h": h, "phase": phase.astype(float)}
