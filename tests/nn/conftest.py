"""Pairs of torch's own layer and seqloom's, with the same numbers; and the proof that the engine ran."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import seqloom.nn

Twins = Callable[..., tuple[nn.RNNBase, nn.RNNBase]]


@pytest.fixture
def twins() -> Twins:
    """Builds torch's own layer and seqloom's from one seed, in double precision unless told otherwise."""

    def build(kind: str, *sizes: int, seed: int = 0, **options: Any) -> tuple[nn.RNNBase, nn.RNNBase]:
        options.setdefault("dtype", torch.float64)
        pair = []
        for room in (nn, seqloom.nn):
            torch.manual_seed(seed)
            pair.append(getattr(room, kind)(*sizes, **options))
        return pair[0], pair[1]

    return build


@pytest.fixture
def engine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reaches torch's own forward through a layer of seqloom fails; torch's own layers still work."""
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        monkeypatch.setattr(kind, "forward", _guarded(kind.forward))


def _guarded(forward: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: nn.RNNBase, *arguments: Any) -> Any:
        assert not isinstance(self, seqloom.nn.layers.OnEngine), "torch's own forward ran instead of the engine"
        return forward(self, *arguments)

    return guarded


@pytest.fixture
def flat() -> Callable[[Any], list[Tensor]]:
    """All tensors of a result: the output (a packed one's data), then the states."""

    def flatten(result: Any) -> list[Tensor]:
        if isinstance(result, Tensor):
            return [result]
        if isinstance(result, nn.utils.rnn.PackedSequence):
            return [result.data]
        return [tensor for part in result for tensor in flatten(part)]

    return flatten
