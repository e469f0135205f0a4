"""Who may call the machine: a call that is to be computed now, on tensors whose numbers lie in memory.

The machine reads and writes memory behind the dispatcher's back. What records a call (``torch.jit.trace``, ``make_fx``,
``torch.compile``), transforms it (``torch.func``, forward-mode derivatives) or stands for numbers that are elsewhere (fake
tensors, wrapper subclasses) would see nothing of that. Every entrance asks here, and takes the operator or the plain loop.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

__all__ = ["PLAIN", "all_plain", "hides_operators", "is_recorded", "is_transformed"]

PLAIN = frozenset((Tensor, nn.Parameter, nn.Buffer))
"""Types of tensors that have memory of their own; a subclass may have none."""


def is_recorded() -> bool:
    """Whether somebody writes down the operators of a call, or takes them over."""
    return (
        torch.compiler.is_compiling()  # first: the rest is nothing that a compiler could look into
        or torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack() != 0
    )


def is_transformed() -> bool:
    """Whether a call runs under ``torch.func`` or carries forward-mode derivatives."""
    return not torch.compiler.is_compiling() and (
        torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0
    )


def hides_operators() -> bool:
    """Whether a call is transformed, or traced by ``torch.jit``: an operator of our own would hide what it does.

    What ``torch.jit.trace`` writes down has gradients, goes to ONNX, and is compared with a second trace without gradients;
    so it is made of torch's own operators in every mode.
    """
    if torch.compiler.is_compiling():
        return False
    return is_transformed() or torch._C._get_tracing_state() is not None


def all_plain(tensors: Iterable[Tensor | None]) -> bool:
    """Whether each of some tensors has memory of its own; none is no tensor."""
    for tensor in tensors:
        if tensor is not None and (type(tensor) not in PLAIN or torch._C._functorch.is_legacy_batchedtensor(tensor)):
            return False
    return True
