"""The way through a forest whose nodes have their children side by side, in their order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqloom.layers.tree.cells import NodeCell
from seqloom.layers.tree.forest import Forest
from seqloom.layers.tree.passes import TreePass

__all__ = ["NaryPass"]


class NaryPass(TreePass):
    """Children in their order, side by side.

    Args:
        arity: places for children.
        bilinear: (m, N m, N m) symmetric forms whose values are the second state of the step, or none.
    """

    def __init__(self, node: NodeCell, forest: Forest, arity: int, bilinear: Tensor | None = None) -> None:
        super().__init__(node, forest)
        self.arity, self.bilinear = arity, bilinear
        self.remembers = len(node.state) > 1 and bilinear is None
        self.places = forest.places(arity)
        self.inner = self.total - self.leaves

    @property
    def kept_states(self) -> int:
        return 2 if self.remembers else 1

    def tensors(self, words: Tensor) -> list[Tensor | None]:
        return [*super().tensors(words), *([] if self.bilinear is None else [self.bilinear])]

    def prepare(self, *more: Tensor) -> None:
        self.memories = [self.by_level(torch.empty(self.inner, self.size)) for _ in self.run.states[1:]]
        self.places_of_children = [self.by_level(numbers) for numbers in (self.places.children, *self.places.by_child)]
        self.children_rows = [rows.view(-1, self.size) for rows in self.rows]
        if more:
            self.forms = more[0].flatten(0, 1)  # (m * N m, N m), symmetric
            self.products = self.by_level(torch.empty(self.inner, len(self.forms)))

    def gather(self, level: int) -> None:
        outputs, *others = self.run.states
        all_children, *each = self.places_of_children
        torch.index_select(outputs, 0, all_children[level].flatten(), out=self.children_rows[level])
        if self.remembers:
            for memory, children in zip(self.memories, each, strict=True):
                torch.index_select(others[0], 0, children[level], out=memory[level])
        elif self.bilinear is not None:
            x, products = self.rows[level], self.products[level]
            torch.mm(x, self.forms.t(), out=products)
            values = products.view(-1, self.size, x.shape[1]) @ x.unsqueeze(2)
            self.memories[0][level].copy_(values.squeeze(2))

    def initial(self, level: int) -> list[Tensor]:
        if level == 0:
            return self.zeros[:1] * len(self.run.states)
        return [self.zeros[level], *(memory[level] for memory in self.memories)]

    def prepare_backward(self) -> None:
        places, sizes = self.inner * self.arity, self.sizes
        self.d_x = torch.empty(places + 1, self.size)
        self.d_x[places] = 0.0
        self.d_rows = self.by_level(self.d_x[:places].view(self.inner, -1))
        self.slots = torch.split_with_sizes(self.places.slot, sizes)
        if self.remembers:
            self.d_memories = torch.zeros(places + 1, self.size)
            each = self.d_memories[:places].view(self.arity, self.inner, self.size).unbind(0)
            self.d_each = [self.by_level(rows) for rows in each]
            self.memory_slots = torch.split_with_sizes(self.places.slot_by_child, sizes)
        if self.bilinear is not None:
            self.d_values = torch.empty(self.inner, self.size)
            self.d_values_by_level = self.by_level(self.d_values)

    def arrived(self, level: int) -> list[Tensor]:
        gradient = self.d_x.index_select(0, self.slots[level])
        if not self.remembers:
            return [gradient, *(torch.zeros_like(gradient) for _ in self.run.states[1:])]
        carry = self.d_memories.index_select(0, self.memory_slots[level])
        # Further memories have their gradients where they are to be; a leaf has none.
        others = [rows[level] for rows in self.d_each[1:]] if level else [torch.zeros_like(carry)] * (self.arity - 1)
        return [gradient, carry, *others]

    def scatter(self, level: int, carries: Sequence[Tensor]) -> None:
        d_rows = self.d_rows[level]
        torch.mm(self.flow(level), self.weight, out=d_rows)
        if self.remembers:
            self.d_each[0][level].copy_(carries[0])
        elif self.bilinear is not None:
            self.d_values_by_level[level].copy_(carries[0])
            products = self.products[level].view(len(d_rows), self.size, -1)
            d_rows.add_((carries[0].unsqueeze(1) @ products).squeeze(1), alpha=2.0)

    def more_gradients(self) -> list[Tensor | None]:
        if self.bilinear is None:
            return []
        outer = (self.d_values.unsqueeze(2) * self.x.unsqueeze(1)).flatten(1)  # (N, m * N m)
        return [(outer.t() @ self.x).view(self.size, *[self.x.shape[1]] * 2)]
