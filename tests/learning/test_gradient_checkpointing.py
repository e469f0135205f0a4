import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.learning import checkpointed

from .sequences import INPUT, TIME, inputs, layer_of, random_state


class LiveMemory(TorchDispatchMode):
    """Counts the bytes of all storages that operations made and that still live, and remembers the most."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                key, size = storage._cdata, storage.nbytes()
                if key not in self.known:
                    self.known.add(key)
                    self.live += size
                    self.peak = max(self.peak, self.live)
                    weakref.finalize(storage, self.forget, key, size)
        return result

    def forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size


def outcome(run: Callable[[], tuple[Tensor, Any]], layer: Recurrent, x: Tensor, state: Any) -> list[Tensor]:
    outputs, final = run()
    loss = outputs.sin().sum() + sum(field.cos().sum() for field in final)
    leaves = [*layer.parameters(), x, *state]
    return [outputs, *final, *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("segments", [None, 1, 3, TIME, 2 * TIME])
@pytest.mark.parametrize("cell", ["lstm", "gru_before", "lstmp"])
def test_segments_give_what_the_layer_gives(cell: str, segments: int | None) -> None:
    layer, x, lengths = (
        layer_of(cell, 2, backend=None if cell == "lstm" else "reference"),
        inputs(3).requires_grad_(),
        torch.tensor([20, 0, 7]),
    )
    state = random_state(layer, 3)
    state = state._make(field.requires_grad_() for field in state)
    found = outcome(lambda: checkpointed(layer, x, state, lengths, segments), layer, x, state)
    wanted = outcome(lambda: layer(x, state, lengths), layer, x, state)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_noise_falls_in_the_second_pass_as_it_fell_in_the_first() -> None:
    """Zoneout alone is drawn step by step, so segments draw what the whole call draws; gradients agree bit for bit."""
    layer, x = layer_of("lstm", zoneout=0.4), inputs().requires_grad_()
    state, results = layer.initial_state(2), []
    state = state._make(field.requires_grad_() for field in state)
    for run in (lambda: checkpointed(layer, x, state, None, 4), lambda: layer(x, state)):
        torch.manual_seed(8)
        results.append(outcome(run, layer, x, state))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-13, rtol=1e-13)


def test_dropout_falls_in_the_second_pass_as_it_fell_in_the_first() -> None:
    layer, x = layer_of("gru", 2, dropout=0.5, dropout_input=0.5), inputs().requires_grad_()
    state = layer.initial_state(2)
    state = state._make(field.requires_grad_() for field in state)

    def plain() -> tuple[Tensor, Any]:
        first, middle = layer(x[:, :10], state)
        second, final = layer(x[:, 10:], middle)
        return torch.cat([first, second], 1), final

    results = []
    for run in (lambda: checkpointed(layer, x, state, None, 2), plain):
        torch.manual_seed(8)
        results.append(outcome(run, layer, x, state))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-13, rtol=1e-13)


def test_the_derived_backend_recomputes_too() -> None:
    layer, x = layer_of("lstmp", backend="derived"), inputs().requires_grad_()
    found = outcome(lambda: checkpointed(layer, x), layer, x, [])
    for one, other in zip(found, outcome(lambda: layer(x), layer, x, []), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_the_compiled_engine_recomputes_too() -> None:
    torch.manual_seed(3)
    layer, x = Recurrent("gru_before", INPUT, 8), torch.randn(4, 30, INPUT, requires_grad=True)
    found = outcome(lambda: checkpointed(layer, x), layer, x, [])
    for one, other in zip(found, outcome(lambda: layer(x), layer, x, []), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_memory_grows_with_the_root_of_the_steps() -> None:
    """The peak of a forward and a backward pass on the plain loop, above the outputs and their gradient."""
    layer = Recurrent("lstm", INPUT, 16, backend="reference")
    peaks = {}
    for time in (64, 256):
        x = torch.randn(4, time, INPUT)
        for name, run in (("plain", layer), ("segments", lambda x: checkpointed(layer, x))):
            with LiveMemory() as memory:
                outputs, _ = run(x)
                outputs[:, -1].sum().backward()
            peaks[name, time] = memory.peak - 2 * outputs.nbytes
            layer.zero_grad()
            del outputs
    assert peaks["plain", 256] > 3.5 * peaks["plain", 64]
    assert peaks["segments", 256] < 2.5 * peaks["segments", 64]
    assert peaks["segments", 256] < 0.25 * peaks["plain", 256]


def test_layers_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(ConfigError, match="bidirectional"):
        checkpointed(layer_of("rnn", bidirectional=True), inputs())
    with pytest.raises(ConfigError, match="dropout_state"):
        checkpointed(layer_of("rnn", dropout_state=0.1), inputs())
    checkpointed(layer_of("rnn", dropout_state=0.1).eval(), inputs())
    with pytest.raises(ConfigError, match="segments is 0"):
        checkpointed(layer_of("rnn"), inputs(), segments=0)
