"""Long short-term memory with layer normalisation: over the whole stack of gates, or gate by gate."""

from __future__ import annotations

from typing import Any

import torch

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import layer_norm, sigmoid, split, tanh

__all__ = ["LayerNormLSTM", "LayerNormLSTMPerGate"]


@register("lstm_layer_norm")
class LayerNormLSTM(Cell):
    """Layer-normalised long short-term memory, over all gates at once (Ba, Kiros & Hinton 2016, eqs. 20-22).

    The state keeps the memory as it was before its normalisation. The shifts of the two products are the bias.
    """

    state = ("h", "c")
    size = Size(input=4, recurrent=4, vector=10, bias=4)
    initial = Initialisation(vector={"gain_x": 1.0, "gain_h": 1.0, "gain_c": 1.0, "bias_f": 1.0})

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        i, f, g, o = self.gates(x, h)
        if self.use_bias:
            i, f, g, o = (gate + self.vector(f"bias_{name}") for gate, name in zip((i, f, g, o), "ifgo", strict=True))
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(layer_norm(c, self.vector("gain_c"), self.vector("shift_c"))), c

    def gates(self, x: Vector, h: Vector) -> Any:
        """The normalised products i, f, g, o, without biases."""
        size = 4 * self.hidden_size
        from_x = layer_norm(self.matvec(x, name="ifgo", size=size), self.vector("gain_x", size))
        return split(
            from_x + layer_norm(self.matvec(h, name="recurrent_ifgo", size=size), self.vector("gain_h", size)), 4
        )

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        stacks = {"weight_ifgo_x": self.initial.input, "weight_recurrent_ifgo_h": self.initial.recurrent}
        for name, scheme in stacks.items():
            for gate in self.get_parameter(name).chunk(
                4
            ):  # a stack that the step multiplies as one, begun gate by gate all the same
                self.initial.fill(gate, scheme)


@register("lstm_layer_norm_per_gate")
class LayerNormLSTMPerGate(LayerNormLSTM):
    """Layer-normalised long short-term memory, gate by gate, as much code has it (after Ba, Kiros & Hinton 2016)."""

    def gates(self, x: Vector, h: Vector) -> Any:
        from_x = self.affine(x, gates="ifgo", bias=False)
        from_h = self.affine(h, gates="ifgo", name="recurrent_ifgo", bias=False)
        gain_x, gain_h = (split(self.vector(name, 4 * self.hidden_size), 4) for name in ("gain_x", "gain_h"))
        return [layer_norm(from_x[k], gain_x[k]) + layer_norm(from_h[k], gain_h[k]) for k in range(4)]
