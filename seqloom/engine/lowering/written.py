"""Kernel programs as text: what an operator in an exported graph, or a model's file, carries."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from seqloom.engine.lowering.form import KernelProgram
from seqloom.errors import ModelError

__all__ = ["read", "write"]

Value = TypeVar("Value")


def write(program: KernelProgram) -> str:
    """A program as printable text of about a kilobyte."""
    plain = json.dumps(_plain(program), separators=(",", ":"))
    return base64.b64encode(zlib.compress(plain.encode(), 9)).decode()


def read(text: str) -> KernelProgram:
    """The program that :func:`write` wrote. Reading never executes anything; the C++ machine checks the contents.

    Raises:
        ModelError: the text is not a kernel program.
    """
    try:
        plain = json.loads(zlib.decompress(base64.b64decode(text, validate=True)))
        program: KernelProgram = _value(plain, KernelProgram)
    except (ValueError, TypeError, KeyError, IndexError, zlib.error) as error:
        raise ModelError(
            f"the text of a kernel program cannot be read ({error}); the model's file is damaged"
        ) from error
    return program


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return [_plain(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, IntEnum) else value


@cache
def _types(kind: type) -> list[Any]:
    hints = get_type_hints(kind)
    return [hints[field.name] for field in fields(kind)]


def _value(plain: Any, kind: Any) -> Any:
    if is_dataclass(kind):
        make: Any = kind
        return make(*(_value(part, of) for part, of in zip(plain, _types(make), strict=True)))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if len(parts) == 2 and parts[1] is Ellipsis:
            return tuple(_value(part, parts[0]) for part in plain)
        return tuple(_value(part, of) for part, of in zip(plain, parts, strict=True))
    if isinstance(kind, UnionType):
        raise TypeError(f"{kind} has no plain form")
    if kind is float:
        return float(plain)
    if type(plain) is not (int if issubclass(kind, IntEnum) else kind):
        raise TypeError(f"{plain!r} where a {kind.__name__} is expected")
    return kind(plain)
