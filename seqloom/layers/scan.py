"""Linear recurrences whose coefficients do not depend on the state: s_t = a_t * s_{t-1} + b_t, in three forms."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

__all__ = ["ScanMethod", "linear_scan", "log_linear_scan"]

ScanMethod = Literal["auto", "loop", "prefix", "log"]


def linear_scan(a: Tensor, b: Tensor, initial: Tensor | None = None, *, method: ScanMethod = "auto") -> Tensor:
    """All states of ``s_t = a_t * s_{t-1} + b_t``, elementwise, real or complex; differentiable as often as one likes.

    * ``loop``: T steps, each over (B, H). On a CPU the fastest where B * H is large or T is small.
    * ``prefix``: pairs of steps are composed, ``(a2, b2) o (a1, b1) = (a2 a1, a2 b1 + b2)``, which halves T, until one
      is left (Blelloch 1990): 2 log2(T) operations over whole tensors, about 3 T products of (B, H) in all.
    * ``log``: two cumulative sums of logarithms (Heinsen 2023); for positive a, b and initial only. Its error grows with
      ``|sum of log a|``: in float32 about 1e-4 after 1000 steps of a near 1/2.
    * ``auto``: ``prefix`` or ``loop``, whichever is faster.

    On one thread of a CPU, float32, milliseconds of loop / prefix / log: 5.7 / 0.4 / 3.3 at (B, T, H) = (1, 1024, 64);
    0.6 / 1.9 / 29 at (32, 128, 128); 26 / 52 / 505 at (32, 1024, 256). So ``log`` is for coefficients that are known as
    logarithms and would underflow, rather than for speed; see :func:`log_linear_scan`.

    The backward pass is the same recurrence from the last step to the first and keeps the states alone, O(B T H).

    Args:
        a: (B, T, H), or anything that broadcasts to it: (H,) for a constant decay.
        b: (B, T, H); T may be 0.
        initial: s_0, (B, H); zeros by default.
        method: the form; all agree to rounding.
    Returns:
        (B, T, H) the states s_1 .. s_T. To hold a state through padding, put ``a = 1`` and ``b = 0`` there.
    Raises:
        ValueError: shapes that do not fit, an unknown method, or ``log`` of complex numbers.

    >>> linear_scan(torch.tensor([0.5]), torch.ones(1, 3, 1), torch.ones(1, 1)).flatten()
    tensor([1.5000, 1.7500, 1.8750])
    """
    if b.dim() != 3:
        raise ValueError(f"b has shape {tuple(b.shape)}; expected (B, T, H)")
    if initial is not None and initial.shape != (b.shape[0], b.shape[2]):
        raise ValueError(f"initial has shape {tuple(initial.shape)}; expected {(b.shape[0], b.shape[2])}")
    if method not in ("auto", "loop", "prefix", "log"):
        raise ValueError(f"method is {method!r}; expected 'auto', 'loop', 'prefix' or 'log'")
    if method == "log" and (a.is_complex() or b.is_complex()):
        raise ValueError("the log method takes positive real numbers; these are complex, so choose 'prefix' or 'loop'")
    kind = torch.promote_types(a.dtype, b.dtype)
    try:
        expanded = a.to(kind).expand(b.shape)
    except RuntimeError:
        raise ValueError(f"a has shape {tuple(a.shape)}; expected {tuple(b.shape)} or what broadcasts to it") from None
    if b.shape[1] == 0:
        return b.to(kind)
    start = None if initial is None else initial.to(kind)
    chosen = _fastest(b) if method == "auto" else method
    return _Scan.apply(expanded, b.to(kind), start, chosen)  # type: ignore[no-any-return, no-untyped-call]


def log_linear_scan(log_a: Tensor, log_b: Tensor, log_initial: Tensor | None = None) -> Tensor:
    """Logarithms of the states of a positive linear recurrence, from logarithms (Heinsen 2023).

    ``A_t = sum of log a_1 .. log a_t``; ``log s_t = A_t + logcumsumexp(log b_t - A_t)``, the initial state as ``b_0``.
    Products of many small numbers do not underflow here, and keep their gradients.

    Args:
        log_a: (B, T, H).
        log_b: (B, T, H).
        log_initial: (B, H); no state before the first step by default.
    Returns:
        (B, T, H) log s_1 .. log s_T.

    >>> log_linear_scan(torch.full((1, 3, 1), -200.0), torch.full((1, 3, 1), -400.0)).flatten()
    tensor([-400., -400., -400.])
    """
    total = log_a.cumsum(1)
    terms = log_b - total
    if log_initial is None:
        return total + terms.logcumsumexp(1)
    return total + torch.cat([log_initial.unsqueeze(1), terms], 1).logcumsumexp(1)[:, 1:]


def _fastest(b: Tensor) -> ScanMethod:
    batch, time, units = b.shape
    return "prefix" if b.device.type != "cpu" or (batch * units <= 2048 and time >= 64) else "loop"


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(a: Tensor, b: Tensor, initial: Tensor | None, method: ScanMethod) -> Tensor:
        if method == "log":
            return log_linear_scan(a.log(), b.log(), None if initial is None else initial.log()).exp()
        start = b.new_zeros(b.shape[0], b.shape[2]) if initial is None else initial
        if method == "loop":
            return _loop(a, b, start)
        return _prefix(a, torch.cat([torch.addcmul(b[:, :1], a[:, :1], start.unsqueeze(1)), b[:, 1:]], 1))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        a, _, initial, method = inputs
        ctx.method = "prefix" if method == "log" else method  # gradients have signs
        ctx.save_for_backward(a, initial, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        a, initial, states = ctx.saved_tensors
        later = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], 1).conj()
        of_b = linear_scan(later.flip(1), gradient.flip(1), method=ctx.method).flip(1)
        before = torch.zeros_like(states[:, :1]) if initial is None else initial.unsqueeze(1)
        of_a = of_b * torch.cat([before, states[:, :-1]], 1).conj()
        return of_a, of_b, None if initial is None else of_b[:, 0] * a[:, 0].conj(), None


def _loop(a: Tensor, b: Tensor, state: Tensor) -> Tensor:
    states = torch.empty_like(b, memory_format=torch.contiguous_format)
    for factor, term, place in zip(a.unbind(1), b.unbind(1), states.unbind(1), strict=True):
        state = torch.addcmul(term, factor, state, out=place)
    return states


def _prefix(a: Tensor, b: Tensor) -> Tensor:
    """States from a zero state: those of every second step by the recurrence of the pairs, the others from them."""
    time = b.shape[1]
    if time == 1:
        return b
    even, odd = slice(0, time // 2 * 2, 2), slice(1, None, 2)
    pairs = _prefix(a[:, odd] * a[:, even], torch.addcmul(b[:, odd], a[:, odd], b[:, even]))
    states = torch.empty_like(b, memory_format=torch.contiguous_format)
    states[:, 0] = b[:, 0]
    states[:, odd] = pairs
    states[:, 2::2] = torch.addcmul(b[:, 2::2], a[:, 2::2], pairs[:, : (time - 1) // 2])
    return states
