"""What a step may say, and what is said to one that says something else."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from seqloom.errors import ConfigError

__all__ = ["VOCABULARY", "StepError", "VocabularyError", "instead_of", "located"]

VOCABULARY = (
    "sigmoid", "tanh", "relu", "exp", "log", "softplus", "abs", "sqrt", "minimum", "maximum", "where", "layer_norm",
    "split",
)  # fmt: skip

_INSTEAD = {
    **dict.fromkeys(("clamp", "clip", "hardtanh"), "write minimum(maximum(v, low), high)"),
    **dict.fromkeys(("pow", "square"), "write v * v, sqrt(v) or exp(p * log(v))"),
    **dict.fromkeys(
        ("matmul", "mm", "linear", "bilinear", "einsum"), "write self.affine(v) or self.matvec(v, name=...)"
    ),
    **dict.fromkeys(("cat", "concat", "concatenate", "hstack"), "pass the vectors one by one to self.affine(a, b)"),
    **dict.fromkeys(
        ("chunk", "narrow", "getitem"), "let affine give blocks of units by gates=, or write split(vector, parts)"
    ),
    **dict.fromkeys(("dropout", "rand_like", "bernoulli"), "set dropout_state or zoneout of the layer"),
    **dict.fromkeys(("silu", "swish"), "write v * sigmoid(v)"),
    "gelu": "write v * sigmoid(1.702 * v), which is near to it",
    "leaky_relu": "write maximum(v, slope * v)",
    "elu": "write where(v > 0, v, exp(minimum(v, 0)) - 1)",
    "logsigmoid": "write -softplus(-v)",
    "reciprocal": "write 1 / v",
    "rsqrt": "write 1 / sqrt(v)",
    **dict.fromkeys(
        ("add", "radd", "sub", "rsub", "mul", "rmul", "div", "rdiv", "truediv", "rtruediv"),
        "write + - * / between values of the step, numbers and self.vector(name)",
    ),
}


class StepError(ConfigError):
    """A cell's ``step`` leaves the vocabulary or contradicts itself; the message names the line of ``step``."""


class VocabularyError(StepError):
    """A step says something that symbols do not understand; on tensors it may be right."""


def instead_of(name: str) -> str:
    """What to write instead of a function or a method of torch.

    >>> instead_of("clamp_")
    'write minimum(maximum(v, low), high)'
    """
    name = name.strip("_")
    if name in VOCABULARY:
        return f"write {name}(...) from seqloom.engine.operations"
    return _INSTEAD.get(name) or f"write it with affine, matvec, vector, arithmetic, {', '.join(VOCABULARY)}"


@contextmanager
def located(cell_class: type) -> Iterator[None]:
    """Turn what goes wrong on symbols into one sentence that begins with the line of ``step`` where it did.

    Raises:
        VocabularyError: on tensors, the step may be right.
        StepError: it is wrong.
    """
    try:
        yield
    except NotImplementedError:
        raise
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
        where = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
        kind = (
            StepError if isinstance(error, ConfigError) and not isinstance(error, VocabularyError) else VocabularyError
        )
        raise kind(f"{where}{cell_class.__name__}.step: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    text = str(error)
    if isinstance(error, AttributeError) and error.name and type(error.obj).__name__ == "Symbol":
        return f"a value of the step has no attribute '{error.name}'; {instead_of(error.name)}"
    if isinstance(error, TypeError) and "Symbol" in text:
        return f"{text} (a Symbol is a value of the step); {instead_of('')}"
    return text


def _is_machinery(filename: str) -> bool:
    parts = filename.replace(os.sep, "/").split("/")
    if parts[-3:-1] == ["seqloom", "engine"] or parts[-3:] == ["seqloom", "cells", "cell.py"]:
        return True
    return "site-packages" in parts and parts[parts.index("site-packages") + 1] in ("torch", "numpy")
