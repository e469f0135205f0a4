"""The extended LSTM: without its stabiliser, and the matrix memory in its three forms."""

from __future__ import annotations

import numpy as np

from .arithmetic import Array, Values, bias, gates, oracle, sigmoid


def log_gate(a: Array, kind: str) -> Array:
    """The logarithm of a forget gate."""
    return -np.logaddexp(0.0, -a) if kind == "sigmoid" else a


@oracle("slstm")
def slstm(
    p: Values, x: Array, state: Values, heads: int | None = None, forget: str = "sigmoid"
) -> tuple[Array, Values]:
    """``c = f c + e^i z``, ``n = f n + e^i``, ``h = o c / n`` in true size; the stabiliser comes in at the end alone."""
    letters, units = "zifo", len(state["h"])
    W, b, U = gates(p, "weight_zifo_x", letters), gates(p, "bias_zifo", letters), {}
    for position, gate in enumerate(letters):
        stored = p["weight_zifo_h"]
        if stored.ndim == 2:
            U[gate] = stored[position * units : (position + 1) * units]
            continue
        U[gate], width = np.zeros((units, units)), stored.shape[2]
        for head in range(stored.shape[1]):
            block = slice(head * width, (head + 1) * width)
            U[gate][block, block] = stored[position, head]
    h, c, n = state["h"], state["c"] * np.exp(state["m"]), state["n"] * np.exp(state["m"])
    written, forgot, outputs = [], [], []
    for x_t in x:
        z, i, f, o = (W[gate] @ x_t + U[gate] @ h + b[gate] for gate in letters)
        keep = sigmoid(f) if forget == "sigmoid" else np.exp(f)
        c = keep * c + np.exp(i) * np.tanh(z)
        n = keep * n + np.exp(i)
        h = sigmoid(o) * c / n
        outputs.append(h)
        written.append(i)
        forgot.append(np.log(keep))
    # The largest exponent of all that ever was added to n.
    terms = [i + sum(forgot[j + 1 :], np.zeros(units)) for j, i in enumerate(written)]
    carried = np.where(state["n"] > 0, state["m"] + sum(forgot, np.zeros(units)), -np.inf)
    m = np.max([*terms, carried], 0)
    return np.array(outputs), {"h": h, "c": c * np.exp(-m), "n": n * np.exp(-m), "m": m}


class Heads:
    """What x alone decides of a matrix LSTM: queries, scaled keys, values (T, heads, d), and the gates."""

    def __init__(self, p: Values, x: Array, forget: str) -> None:
        heads = p["weight_if_x"].shape[0] // 2
        width = p["weight_key_x"].shape[0] // heads
        self.q, k, self.v = (
            (x @ p[f"weight_{name}_x"].T).reshape(len(x), heads, width) for name in ("query", "key", "value")
        )
        self.k = k / np.sqrt(width)
        both = x @ p["weight_if_x"].T + bias(p, "bias_if")
        self.i, self.log_f = both[:, :heads], log_gate(both[:, heads:], forget)
        self.o = sigmoid(x @ p["weight_output_x"].T + bias(p, "bias_output"))
        self.heads, self.width = heads, width


@oracle("mlstm")
def mlstm(
    p: Values, x: Array, state: Values, heads: int | None = None, forget: str = "sigmoid"
) -> tuple[Array, Values]:
    """A matrix per head in true size: the denominator's constant is 1."""
    s, outputs = Heads(p, x, forget), np.zeros((len(x), len(state["h"])))
    C0, n0 = state["C"].reshape(s.heads, s.width, s.width), state["n"].reshape(s.heads, s.width)
    final: dict[str, list[Array]] = {"C": [], "n": [], "m": []}
    for head in range(s.heads):
        scale = np.exp(state["m"][head])
        C, n, m = C0[head] * scale, n0[head] * scale, state["m"][head]
        for t in range(len(x)):
            f, i, k, v, q = (np.exp(s.log_f[t, head]), np.exp(s.i[t, head]), s.k[t, head], s.v[t, head], s.q[t, head])
            C = f * C + i * np.outer(k, v)
            n = f * n + i * k
            place = slice(head * s.width, (head + 1) * s.width)
            outputs[t, place] = s.o[t, place] * (C.T @ q) / max(abs(n @ q), 1.0)
            m = max(s.log_f[t, head] + m, s.i[t, head])
        for name, value in (("C", C * np.exp(-m)), ("n", n * np.exp(-m)), ("m", np.array(m))):
            final[name].append(value.reshape(-1))
    return outputs, {"h": outputs[-1], **{name: np.concatenate(values) for name, values in final.items()}}


def parallel(s: Heads, head: int, C: Array, n: Array, m: float) -> tuple[Array, Array, Array, float]:
    """All steps at once: ``(S V) / max(|row sums of S|, e^-m)``, ``S = (Q K') D``, beside what the memory held before."""
    total = np.cumsum(s.log_f[:, head])
    time = len(total)
    exponent = np.array(
        [[total[t] - total[j] + s.i[j, head] if j <= t else -np.inf for j in range(time)] for t in range(time)]
    )
    before = total + m
    top = np.maximum(exponent.max(1), before)
    D, decay = np.exp(exponent - top[:, None]), np.exp(before - top)
    Q, K, V = s.q[:, head], s.k[:, head], s.v[:, head]
    S = (Q @ K.T) * D
    read = S @ V + decay[:, None] * (Q @ C)
    norm = np.maximum(np.abs(S.sum(1) + decay * (Q @ n)), np.exp(-top))
    C = decay[-1] * C + (K * D[-1][:, None]).T @ V
    n = decay[-1] * n + K.T @ D[-1]
    return read / norm[:, None], C, n, float(top[-1])


def in_chunks(p: Values, x: Array, state: Values, forget: str, size: int) -> tuple[Array, Values]:
    """The parallel form on chunks of so many steps, the memory going from each to the next."""
    heads = Heads(p, x[:1], forget).heads
    width = len(state["h"]) // heads
    C0, n0 = state["C"].reshape(heads, width, width), state["n"].reshape(heads, width)
    carried = [(C0[head], n0[head], float(state["m"][head])) for head in range(heads)]
    outputs = []
    for begin in range(0, len(x), size):
        s = Heads(p, x[begin : begin + size], forget)
        reads = []
        for head in range(heads):
            read, *rest = parallel(s, head, *carried[head])
            carried[head] = (rest[0], rest[1], rest[2])
            reads.append(read)
        outputs.append(s.o * np.concatenate(reads, 1))
    joined = np.concatenate(outputs)
    return joined, {
        "h": joined[-1],
        "C": np.concatenate([C.reshape(-1) for C, _, _ in carried]),
        "n": np.concatenate([n for _, n, _ in carried]),
        "m": np.array([m for _, _, m in carried]),
    }


@oracle("mlstm")
def mlstm_parallel(
    p: Values, x: Array, state: Values, heads: int | None = None, forget: str = "sigmoid"
) -> tuple[Array, Values]:
    return in_chunks(p, x, state, forget, len(x))


@oracle("mlstm")
def mlstm_chunkwise(
    p: Values, x: Array, state: Values, heads: int | None = None, forget: str = "sigmoid"
) -> tuple[Array, Values]:
    return in_chunks(p, x, state, forget, 4)
