"""What the backward pass reads of the forward pass: from memory where it is there anyway, computed again, or saved."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from seqloom.engine.lowering.form import Op
from seqloom.engine.lowering.values import CHEAP, Node, Value

__all__ = ["choose_saved"]


def choose_saved(forward: Sequence[Value], backward: Sequence[Value], free: Collection[int]) -> list[Value]:
    """Forward values to be kept.

    A result of a transcendental function is kept rather than computed again, except where it is one of what is free;
    a sum or a product is computed again where that needs no more than what is kept or free, else kept itself. Values of
    width 1 can only be kept where they come out of a product.

    Args:
        forward: all values of the forward pass, inputs first.
        backward: all values that the backward pass reaches, inputs first.
        free: indices of what lies in memory in backward: states before and after, vectors, sums, sources of products.
    """
    inside = {value.index for value in forward}
    needed = _edge(backward, inside, free)
    kept: list[Value] = []
    # A value is out of reach where computing it again would need something that is not kept.
    out_of_reach: set[int] = set()
    for value in forward:
        if value.index in free or not _is_out_of_reach(value, out_of_reach, free):
            continue
        if value.index in needed and (value.width > 1 or value.operation is Node.PRODUCT):
            kept.append(value)
        else:
            out_of_reach.add(value.index)
    return kept


def _is_out_of_reach(value: Value, out_of_reach: set[int], free: Collection[int]) -> bool:
    if value.operation is Node.PRODUCT:
        return True
    if any(part.index in out_of_reach for part in value.inputs):
        return True
    if not value.elementwise or value.width == 1 or value.operation in CHEAP:
        return False
    if value.operation is Op.DIV and value.inputs[1].number is not None:
        return False
    return not all(part.index in free or part.number is not None for part in value.inputs)


def _edge(backward: Sequence[Value], inside: set[int], free: Collection[int]) -> set[int]:
    """Forward values that backward ones are computed from; for those of width 1, which cannot be kept, their inputs."""
    by_index = {value.index: value for value in backward}
    needed = {part.index for value in backward if value.index not in inside for part in value.inputs}
    needed &= inside
    for index in sorted(needed, reverse=True):
        waiting = [by_index[index]]
        while waiting:
            value = waiting.pop()
            if value.width == 1 and value.elementwise and value.index not in free:
                needed.update(part.index for part in value.inputs)
                waiting += value.inputs
    return needed
