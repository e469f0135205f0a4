"""Cells whose weights are kept in fewer bits: what quantized layers are made of."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from seqloom.engine.contract import SequenceCell
from seqloom.engine.interpreter import evaluate
from seqloom.engine.runtime.packed import Weights
from seqloom.errors import ConfigError
from seqloom.layers.stack import CellStack

__all__ = ["CompressedCell", "compress"]


class CompressedCell(nn.Module):
    """A cell's weights in fewer bits, as plain tensors of its state dictionary.

    Each product's matrix (R, C) is a tensor of its name: bfloat16, or int8 beside ``<name>_scale`` (R,), with which its
    rows are multiplied. Biases and vectors stay as they are.

    Raises:
        ConfigError: the cell has no graph.
    """

    vendor = None

    def __init__(self, cell: SequenceCell, weights: Weights) -> None:
        super().__init__()
        if cell.graph.untraceable:
            raise ConfigError(f"{type(cell).__name__} has no graph to quantize: {cell.graph.untraceable}")
        self.kind, self.graph, self.state, self.state_sizes = (
            type(cell).__name__, cell.graph, cell.state, cell.state_sizes,
        )  # fmt: skip
        self.input_size, self.hidden_size = cell.input_size, cell.hidden_size
        for name, declared in cell.graph.declarations.items():
            value = cell.parameter(name).detach()
            if declared.role == "vector":
                self.register_buffer(name, value.clone())
            elif weights == "bfloat16":
                self.register_buffer(name, value.to(torch.bfloat16))
            else:
                scale = value.abs().amax(1) / 127
                whole = (value / scale.unsqueeze(1)).nan_to_num().round().clamp(-127, 127)
                self.register_buffer(name, whole.to(torch.int8))
                self.register_buffer(f"{name}_scale", scale)

    def parameter(self, name: str) -> Tensor:
        """A parameter of the cell, with the numbers that its bits stand for."""
        value: Tensor = getattr(self, name)
        if value.dtype == torch.int8:
            scale: Tensor = getattr(self, f"{name}_scale")
            return value.to(scale.dtype) * scale.unsqueeze(1)
        return value.float() if value.dtype == torch.bfloat16 else value

    def step(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """One time step, through the graph of the cell that it was made from."""
        parameters = {name: self.parameter(name) for name in self.graph.declarations}
        return evaluate(self.graph, x, dict(zip(self.state, states, strict=True)), parameters)

    def cached_parameters(self) -> AbstractContextManager[None]:
        return nullcontext()

    def recurrent_mask(self, mask: Tensor | None) -> AbstractContextManager[None]:
        return nullcontext()

    def vendor_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        raise NotImplementedError(f"a compressed {self.kind} has no form in torch.nn")

    def extra_repr(self) -> str:
        return f"{self.kind}, {self.input_size}, {self.hidden_size}"


def compress(stack: CellStack, weights: Weights) -> nn.ModuleList:
    """The cells of a stack with the weights that they are evaluated with, a normalisation included, in fewer bits."""
    cells = []
    for layer in range(stack.layers):
        with stack.effective_weights(layer):
            cells += [CompressedCell(cell, weights) for cell in stack.cells_of(layer)]
    return nn.ModuleList(cells)
