"""Depth beside the recurrence: networks between the input and a layer, and between a layer and its output."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.engine.runtime.backend import measure_lengths
from seqloom.errors import ConfigError
from seqloom.layers.dropout import dropout as drop
from seqloom.layers.options import check_choice, check_count, check_probability

__all__ = ["Activation", "DeepInput", "DeepOutput", "SequenceLayer"]

Activation = Literal["tanh", "relu", "gelu"]
_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": F.relu, "gelu": F.gelu}


class SequenceLayer(Protocol):
    """What can be wrapped: a module with the layers' contract, and its sizes."""

    input_size: int
    output_size: int

    def __call__(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]: ...


class _Wrapper(nn.Module):
    """A layer with a network before it or behind it, both applied to each step; the state is the layer's own."""

    input_size: int
    output_size: int

    def __init__(self, layer: SequenceLayer) -> None:
        super().__init__()
        if not isinstance(layer, nn.Module) or not getattr(layer, "batch_first", True):
            raise ConfigError(f"{type(self).__name__} takes a batch-first layer; this is {layer!r}")
        self.layer = layer

    def _before(self, x: Tensor) -> Tensor:
        return x

    def _behind(self, outputs: Tensor) -> Tensor:
        return outputs

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Run over whole sequences, or chunks of them: the layers' contract.

        Raises:
            ValueError: shapes that do not fit, or a length outside 0..T; names the row.
        """
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, T, D) with D = {self.input_size} features")
        ragged = measure_lengths(lengths, x)
        outputs, final = self.layer(self._before(x if ragged is None else ragged.clear(x)), state, lengths)
        outputs = self._behind(outputs)
        return (outputs if ragged is None else ragged.clear(outputs)), final

    def step(self, x: Tensor, state: Sequence[Tensor] | None = None) -> tuple[Tensor, Any]:
        """One time step of a stream: x (B, D) to output (B, output_size), and the state to pass with the next step.

        Raises:
            ConfigError: the layer cannot run step by step.
            ValueError: shapes that do not fit.
        """
        if x.dim() != 2 or x.shape[-1] != self.input_size:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, D) with D = {self.input_size} features")
        outputs, final = self.layer.step(self._before(x), state)  # type: ignore[operator]
        return self._behind(outputs), final

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> Any:
        """The layer's own."""
        return self.layer.initial_state(batch, like=like)  # type: ignore[operator]


class DeepInput(_Wrapper):
    """A layer that reads a network of each step instead of the step (Pascanu et al. 2013).

    The last layer of the network has the layer's input size, and a non-linearity like the others: a linear one would be
    part of the cell's own input matrix.

    Args:
        layer: any batch-first layer with the contract.
        input_size: features D of the input.
        sizes: units of the layers of the network before its last; none by default.
        activation: its non-linearity.
        dropout: probability of dropping a unit behind each of its layers.

    >>> from seqloom import Recurrent
    >>> deep = DeepInput(Recurrent("lstm", 8, 4), input_size=3, sizes=[16])
    >>> deep(torch.zeros(2, 5, 3))[0].shape
    torch.Size([2, 5, 4])

    Raises:
        ConfigError: an argument out of range, or a layer that is not batch-first.
    """

    def __init__(
        self,
        layer: SequenceLayer,
        input_size: int,
        sizes: Sequence[int] = (),
        *,
        activation: Activation = "tanh",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layer)
        self.input_size, self.output_size = check_count("input_size", input_size), layer.output_size
        self.network = _Network([input_size, *sizes, layer.input_size], activation, dropout, linear_end=False)

    def _before(self, x: Tensor) -> Tensor:
        result: Tensor = self.network(x)
        return result


class DeepOutput(_Wrapper):
    """A network of each output of a layer, whose last layer is linear (Pascanu et al. 2013).

    Args:
        layer: any batch-first layer with the contract.
        output_size: features of the result: classes, for scores.
        sizes: units of the non-linear layers of the network; none make it a linear output.
        activation: their non-linearity.
        dropout: probability of dropping a unit behind each of them.

    >>> from seqloom import Recurrent
    >>> deep = DeepOutput(Recurrent("rnn", 3, 4), output_size=10, sizes=[16])
    >>> deep(torch.zeros(2, 5, 3))[0].shape
    torch.Size([2, 5, 10])

    Raises:
        ConfigError: an argument out of range, or a layer that is not batch-first.
    """

    def __init__(
        self,
        layer: SequenceLayer,
        output_size: int,
        sizes: Sequence[int] = (),
        *,
        activation: Activation = "tanh",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layer)
        self.input_size, self.output_size = layer.input_size, check_count("output_size", output_size)
        self.network = _Network([layer.output_size, *sizes, output_size], activation, dropout, linear_end=True)

    def _behind(self, outputs: Tensor) -> Tensor:
        result: Tensor = self.network(outputs)
        return result


class _Network(nn.Module):
    """Linear layers of these sizes with non-linearities between, and behind the last one unless its end is linear."""

    def __init__(self, sizes: Sequence[int], activation: Activation, dropout: float, *, linear_end: bool) -> None:
        super().__init__()
        check_choice("activation", activation, tuple(_FUNCTIONS))
        for position, size in enumerate(sizes[1:-1]):
            check_count(f"sizes[{position}]", size)
        self.activation, self.dropout = activation, check_probability("dropout", dropout)
        self.layers = nn.ModuleList(nn.Linear(below, size) for below, size in itertools.pairwise(sizes))
        self.bent = len(self.layers) - linear_end

    def forward(self, x: Tensor) -> Tensor:
        for position, layer in enumerate(self.layers):
            x = layer(x)
            if position < self.bent:
                x = drop(_FUNCTIONS[self.activation](x), self.dropout, self.training)
        return x

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}"
