"""Putting the engine's layers into a model that exists, and taking them out again."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from seqloom.engine.runtime.backend import check_backend
from seqloom.errors import ConfigError
from seqloom.nn.layers import GRU, LSTM, RNN, OnEngine

__all__ = ["Finding", "Report", "accelerate", "report", "restore"]

Model = TypeVar("Model", bound=nn.Module)

_PAIRS: tuple[tuple[type[nn.RNNBase], type[OnEngine]], ...] = ((nn.RNN, RNN), (nn.LSTM, LSTM), (nn.GRU, GRU))
_ON_ENGINE: dict[type, type[OnEngine]] = dict(_PAIRS)
_TORCHS_OWN: dict[type, type[nn.RNNBase]] = {ours: torchs for torchs, ours in _PAIRS}


@dataclass(frozen=True)
class Finding:
    """A recurrent module of a model: its name in the model, its class, and why it is not on the engine, if so."""

    name: str
    kind: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.name or '(the model itself)'}: {self.kind} {self.reason or 'runs on the engine'}"


@dataclass(frozen=True)
class Report:
    """The recurrent modules of a model, each once; printing it gives a line for each."""

    findings: tuple[Finding, ...]

    @property
    def swapped(self) -> tuple[str, ...]:
        """Names of the modules that run on the engine."""
        return tuple(finding.name for finding in self.findings if finding.reason is None)

    @property
    def left(self) -> dict[str, str]:
        """For the others: the reason, by name."""
        return {finding.name: finding.reason for finding in self.findings if finding.reason is not None}

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "no recurrent module"


def accelerate(model: Model, *, backend: str | None = None) -> Model:
    """Let every ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU`` of a model run on seqloom's engine, in place.

    The modules stay the same objects with the same parameters, so optimisers, hooks, names, shared modules and state
    dicts hold; calling it twice changes nothing. Modules that are not found in ``model.modules()`` stay as they are.

    Args:
        model: any module, or a single layer.
        backend: a backend for all of them, overruling ``SEQLOOM_BACKEND`` and the automatic choice.
    Returns:
        the model that was passed. :func:`report` says what runs on the engine and what not.
    Raises:
        ConfigError: not a module, or an unknown backend.

    >>> model = accelerate(nn.Sequential(nn.Embedding(10, 4), nn.LSTM(4, 8)))
    >>> print(report(model))
    1: LSTM runs on the engine
    """
    name = check_backend(backend)
    for module in _modules(model):
        if _is_recurrent(module) and _obstacle(module) is None:
            module.__class__ = _ON_ENGINE.get(type(module), type(module))
            if backend is not None:
                module.__dict__["backend"] = name
    swaps = report(model)
    if not swaps.swapped:
        warnings.warn(f"accelerate changed nothing in this {type(model).__name__}: {swaps}", stacklevel=2)
    return model


def restore(model: Model) -> Model:
    """Give every layer of :mod:`seqloom.nn` in a model back to torch, in place; the same objects and parameters.

    >>> type(restore(accelerate(nn.GRU(2, 3)))) is nn.GRU
    True
    """
    for module in _modules(model):
        if type(module) in _TORCHS_OWN:
            module.__class__ = _TORCHS_OWN[type(module)]
            for name in ("_engine_views", "backend"):
                module.__dict__.pop(name, None)
    return model


def report(model: nn.Module) -> Report:
    """Which recurrent modules of a model run on the engine, and why the others do not."""
    findings = []
    for name, module in model.named_modules():
        if _is_recurrent(module):
            waiting = None if isinstance(module, OnEngine) else "is torch's own; pass the model to seqloom.accelerate"
            findings.append(Finding(name, _kind(module), _obstacle(module) or waiting))
    return Report(tuple(findings))


def _modules(model: nn.Module) -> Iterator[nn.Module]:
    if not isinstance(model, nn.Module):
        raise ConfigError(f"model is a {type(model).__name__}; expected a torch.nn.Module")
    return model.modules()


def _kind(module: nn.Module) -> str:
    return str(getattr(module, "original_name", type(module).__name__))


def _is_recurrent(module: nn.Module) -> bool:
    """Whether a person would expect a module to be swapped: by its class, or by its name where torch replaced it."""
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return True
    names = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
    return _kind(module) in names and type(module).__module__.partition(".")[0] == "torch"


def _obstacle(module: nn.Module) -> str | None:
    """Why a recurrent module cannot be swapped, or none where it can or is."""
    if type(module) in _ON_ENGINE or isinstance(module, OnEngine):
        return None
    if hasattr(module, "original_name"):
        return "is compiled by TorchScript; accelerate the model before torch.jit.script or torch.jit.trace"
    if "quantiz" in type(module).__module__:
        return "is quantised by torch; accelerate the model that it was made from"
    if isinstance(module, nn.RNNCellBase):
        return "is a single step that the model's own loop calls; write the loop as one layer"
    if "parametrizations" in module._modules:
        return "is parametrised; accelerate the model before register_parametrization"
    return "is a subclass that may have a forward of its own; derive it from seqloom.nn instead"
