"""The graph of a step, executed node by node on tensors: what a graph means, and the check of a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn import functional as F

from seqloom.engine import operations
from seqloom.engine.graph import APPLY, Graph, Symbol

__all__ = ["apply", "evaluate"]


def evaluate(
    graph: Graph, x: Tensor, states: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """The new states of one step.

    Args:
        graph: of a traced step.
        x: (B, D) input of the step.
        states: by name, each (B, H).
        parameters: by declared name.
    """
    values: dict[int, Tensor | float] = {}
    for node in graph.nodes:
        values[node.index] = apply(node, values, x, states, parameters.__getitem__)
    return tuple(_tensor(values[symbol.index]) for symbol in graph.outputs)


def _tensor(value: Tensor | float) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"a vector was expected where the graph has the constant {value}")
    return value


def apply(
    node: Symbol,
    values: Mapping[int, Tensor | float],
    x: Tensor,
    states: Mapping[str, Tensor],
    parameter: Callable[[str], Tensor],
) -> Tensor | float:
    """The value of one node from those of the earlier ones."""
    operands = [values[part.index] for part in node.inputs]
    match node.operation:
        case "input":
            return x
        case "state":
            return states[node.attributes[0]]
        case "constant":
            return float(node.attributes[0])
        case "parameter":
            return parameter(node.attributes[0])
        case "product":
            vector, matrix = _tensor(operands[0]), parameter(node.attributes[0])
            return F.linear(operations.as_short(vector, matrix), matrix)
        case "block":
            return _tensor(operands[0]).narrow(-1, node.attributes[0] * node.size, node.size)
        case "layer_norm":
            return operations.layer_norm(operands[0], eps=node.attributes[0])  # type: ignore[no-any-return]
        case name if name in APPLY:
            return APPLY[name](*operands)  # type: ignore[no-any-return]
        case name:
            return getattr(operations, name)(*operands)  # type: ignore[no-any-return]
