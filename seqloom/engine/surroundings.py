"""What a step reads besides its arguments while it is traced: its graph holds for as long as all of that is what it was.

A trace turns what a step reads of its cell, of its class and of its module into constants. Whatever can be compared is
noted here and looked at again; what cannot is refused, so that the cell runs on the plain loop, which reads it anew.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from threading import RLock
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor, nn

from seqloom.engine.vocabulary import VocabularyError

__all__ = ["TRACING", "Surroundings", "watching"]

TRACING = RLock()
"""Held while a step is traced, and while something is set that a step reads."""

Read: TypeAlias = Callable[[Any], Any]
"""From the cell to the present value of something that its step read."""

_MISSING = "nothing of that name"
_FIXED = (bool, int, float, complex, str, bytes, type(None), np.generic)
_ITSELF = (FunctionType, BuiltinFunctionType, type, ModuleType, Enum)
_DATA = (*_FIXED, list, tuple, dict, set, frozenset, np.ndarray, Tensor)
_MOST_ENTRIES, _MOST_LEVELS = 64, 4
# Attributes of a cell that are what they are from its construction on, and its own records.
_GIVEN = frozenset({"input_size", "hidden_size", "use_bias", "state", "state_sizes", "graph", "positive", "step"})
_OWN = frozenset({"_products", "_structures", "_acting", "_graphs"})
_KNOWN = frozenset({"seqloom", "torch", "numpy"}) | sys.stdlib_module_names


@dataclass
class Surroundings:
    """What the step of a cell read, by a name that a person would give it."""

    seen: dict[str, Any] = field(default_factory=dict)
    """What can be compared with what is there later."""
    readers: dict[str, Read] = field(default_factory=dict)
    """How to look at it again."""
    changing: tuple[str, ...] = ()
    """What may change without the cell being told: values of a class or a module, and inside containers."""
    lost: bool = False
    """Whether it was left in another process, so that the step is to be traced again."""
    _scanned: set[CodeType] = field(default_factory=set)
    _scratch: dict[str, bool] = field(default_factory=dict)
    """Attributes that the step sets for itself, and whether it has read them since."""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(Surroundings()), "lost": bool(self.seen)}

    def hold(self, cell: object, names: Iterable[str] | None = None) -> bool:
        """Whether all of it, or some of it, is what it was."""
        return all(
            _fingerprint(self.readers[name](cell)) == self.seen[name]
            for name in (self.seen if names is None else names)
        )

    def refuse(self, sentence: str) -> VocabularyError:
        """The error of a step whose graph would hold for nothing, so that nothing is to be looked at."""
        self.seen, self.readers, self.changing = {}, {}, ()
        return VocabularyError(sentence)

    def note(self, cell: object, name: str, value: object) -> None:
        """The step reads an attribute of its cell, or asks for one that is not there.

        Raises:
            VocabularyError: nobody could see it change.
        """
        if name in self._scratch:
            self._scratch[name] = True
            return
        described = getattr(type(cell), name, None)
        if isinstance(described, property):  # what it reads is noted of its own
            self.scan(cell, described.fget)
        elif isinstance(value, MethodType) and value.__self__ is cell:
            if not _is_known(value):
                self.scan(cell, value.__func__)
                self._keep(cell, f"self.{name}", lambda cell: getattr(getattr(cell, name, None), "__func__", None))
        else:
            owner = next((kind for kind in type(cell).__mro__ if name in vars(kind)), None)
            where = name in vars(cell) or (owner is not None and _is_known(owner))
            told = where and _is_fixed(value)
            self._keep(cell, f"self.{name}", lambda cell: getattr(cell, name, _MISSING), changing=not told)

    def put(self, name: str) -> None:
        """The step sets an attribute of its cell, which it may do for itself, within one step.

        Raises:
            VocabularyError: it had read it before.
        """
        if f"self.{name}" in self.seen:
            raise self.refuse(f"the step reads and sets self.{name}; make it a state")
        self._scratch.setdefault(name, False)

    def close(self, cell: object) -> None:
        """The step has ended.

        Raises:
            VocabularyError: it has changed something that stays.
        """
        if not self.hold(cell):
            raise self.refuse("the step changes what it reads besides its arguments; make it a state")
        for name, read in self._scratch.items():
            if not read:
                raise self.refuse(f"the step sets self.{name} and never reads it, and a compiled step sets nothing")

    def scan(self, cell: object, function: Any) -> None:
        """Note the numbers, texts and containers outside a function that it names, and those of what it calls."""
        if not isinstance(function, FunctionType) or _is_known(function) or function.__code__ in self._scanned:
            return
        self._scanned.add(function.__code__)
        codes = list(_codes(function.__code__))
        attributes, outside = {name for code in codes for name in code.co_names}, function.__globals__
        for name in {name for code in codes for name in _globals_of(code)} & outside.keys():
            self._look(cell, name, attributes, partial(_entry, outside, name))
        for name, around in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._look(cell, name, attributes, partial(_contents, around))
        for number, default in enumerate((*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())):
            if not _is_fixed(default):
                self._look(cell, f"default {number} of {function.__name__}", attributes, partial(_itself, default))
        self._look(cell, type(cell).__name__, attributes, type)

    def _look(self, cell: object, name: str, attributes: set[str], read: Read) -> None:
        value = read(cell)
        if isinstance(value, FunctionType):
            self.scan(cell, value)
        elif isinstance(value, (type, ModuleType)):
            for owner in getattr(value, "__mro__", (value,)):
                for inner in () if _is_known(owner) else attributes & vars(owner).keys() - _GIVEN:
                    if not isinstance(vars(owner)[inner], (property, type, ModuleType)):
                        self._look(cell, f"{name}.{inner}", attributes, partial(_attribute, value, inner))
        elif isinstance(value, _DATA) or (hasattr(value, "__dict__") and _fingerprint(value) is not None):
            self._keep(cell, name, read, changing=True)

    def _keep(self, cell: object, name: str, read: Read, *, changing: bool = False) -> None:
        if name in self.seen:
            return
        value = read(cell)
        found = _fingerprint(value)
        if found is None:
            raise self.refuse(
                f"the step reads {name}, a {type(value).__name__} whose changes nobody would see; make it a number, a short "
                "list or a parameter"
            )
        self.seen[name], self.readers[name] = found, read
        self.changing += (name,) * changing


def _is_fixed(value: Any) -> bool:
    return isinstance(value, (*_FIXED, *_ITSELF)) or (
        isinstance(value, (tuple, frozenset)) and all(map(_is_fixed, value))
    )


def _fingerprint(value: Any, level: int = 0) -> Any:
    """Something that is equal as long as a value is the same; none where there is no such thing."""
    kind = type(value)
    if isinstance(value, _FIXED):
        return kind, repr(value)  # by which 0.0 and -0.0 differ, and NaN is NaN
    if isinstance(value, _ITSELF):
        return "itself", value
    if level == _MOST_LEVELS:
        return None
    if isinstance(value, (Tensor, np.ndarray)):
        few = (value.numel() if isinstance(value, Tensor) else value.size) <= _MOST_ENTRIES
        return (kind, str(value.dtype), repr(value.tolist())) if few and str(value.dtype) != "object" else None
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else list(value)
    elif isinstance(value, dict):
        parts = [*value, *value.values()]
    elif isinstance(value, MethodType):
        parts = [value.__func__, id(value.__self__)]
    elif isinstance(value, partial):
        parts = [value.func, value.args, value.keywords]
    elif isinstance(value, nn.Module) or not hasattr(value, "__dict__"):
        return None
    else:
        parts = [id(value), vars(value)]
    prints = [_fingerprint(part, level + 1) for part in parts] if len(parts) <= _MOST_ENTRIES else [None]
    return None if None in prints else (kind, *prints)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _globals_of(code: CodeType) -> Iterator[str]:
    return (step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL")


def _entry(outside: dict[str, Any], name: str, cell: object) -> Any:
    return outside.get(name, _MISSING)


def _itself(value: Any, cell: object) -> Any:
    return value


def _attribute(owner: object, name: str, cell: object) -> Any:
    return getattr(owner, name, _MISSING)


def _contents(around: CellType, cell: object) -> Any:
    try:
        return around.cell_contents
    except ValueError:  # not assigned yet
        return _MISSING


def _is_known(value: Any) -> bool:
    """Whether something belongs to a library, whose values stay what they are."""
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
    return module.split(".")[0] in _KNOWN and module != "__main__"


_watcher: ContextVar[Surroundings | None] = ContextVar("watcher", default=None)
_watched: WeakKeyDictionary[type, type] = WeakKeyDictionary()


@contextmanager
def watching(cell: Any, surroundings: Surroundings) -> Iterator[None]:
    """While a step is traced, note what it reads of its cell.

    Raises:
        VocabularyError: it reads what cannot be looked at again, or changes what it reads.
    """
    kind, before = type(cell), dict(vars(cell))
    try:
        cell.__class__ = _watched.get(kind) or _watched.setdefault(kind, _watched_kind(kind))
    except TypeError:  # an object without attributes of its own
        yield
        return
    token = _watcher.set(surroundings)
    try:
        surroundings.scan(cell, kind.step)
        yield
    finally:
        _watcher.reset(token)
        cell.__class__ = kind
        for name in surroundings._scratch:
            vars(cell).pop(name, None)
        vars(cell).update({name: before[name] for name in surroundings._scratch if name in before})
    surroundings.close(cell)


def _watched_kind(kind: Any) -> type:
    def note(self: Any, name: str, value: Any) -> Any:
        surroundings = _watcher.get()
        if surroundings is not None and name not in _GIVEN and name not in _OWN and not name.startswith("__"):
            token = _watcher.set(None)  # what noting reads is not the step's
            try:
                surroundings.note(self, name, value)
            finally:
                _watcher.reset(token)
        return value

    def get(self: Any, name: str) -> Any:
        return note(self, name, kind.__getattribute__(self, name))

    def get_other(self: Any, name: str) -> Any:
        try:
            value = kind.__getattr__(self, name)
        except AttributeError:
            note(self, name, _MISSING)
            raise
        return note(self, name, value)

    def put(self: Any, name: str, value: Any) -> None:
        surroundings = _watcher.get()
        if surroundings is not None:
            surroundings.put(name)
        kind.__setattr__(self, name, value)

    own: dict[str, Any] = {"__getattribute__": get, "__setattr__": put, "__slots__": ()}
    own |= {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    if hasattr(kind, "__getattr__"):
        own["__getattr__"] = get_other
    watched: type = type(kind)(kind.__name__, (kind,), own)
    return watched
