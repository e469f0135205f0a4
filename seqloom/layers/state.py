"""The state of a layer: a value, a named tuple with the cell's own names, handed in and handed back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from torch import Tensor
from torch.utils._pytree import _register_namedtuple as register_exported

__all__ = ["State", "make_state", "state_type"]


if TYPE_CHECKING:

    class _Base(tuple[Tensor, ...]):
        _fields: tuple[str, ...]

        @classmethod
        def _make(cls, values: Iterable[Tensor]) -> Self: ...

        def __getattr__(self, name: str) -> Tensor: ...
else:
    _Base = object


class State(_Base):
    """What every layer's state can do; the fields are (B, layers * directions, H), batch first.

    >>> import torch
    >>> state = state_type(("h", "c"))(torch.zeros(3, 1, 4), torch.ones(3, 1, 4))
    >>> state.select(torch.tensor([0, 2])).c.shape
    torch.Size([2, 1, 4])
    """

    __slots__ = ()

    def detach(self) -> Self:
        """The same values, cut from the graph that made them: what truncated backpropagation carries on."""
        return self._each(Tensor.detach)

    def select(self, rows: Tensor) -> Self:
        """The state of some rows of the batch: (N,) indices or a (B,) mask."""
        return self._each(lambda field: field[rows.to(field.device)])

    def reorder(self, rows: Tensor) -> Self:
        """The state with its rows in another order, repeated or dropped: ``rows[k]`` is where row k comes from."""
        return self._each(lambda field: field.index_select(0, rows.to(field.device)))

    def to(self, *arguments: Any, **named: Any) -> Self:
        """On another device or of another type; the arguments are those of :meth:`torch.Tensor.to`."""
        return self._each(lambda field: field.to(*arguments, **named))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        return self._make(change(field) for field in self)

    def __reduce__(self) -> tuple[Any, ...]:
        return make_state, (self._fields, tuple(self))


_types: dict[tuple[str, ...], type[State]] = {}


def state_type(names: tuple[str, ...]) -> type[State]:
    """The named tuple whose fields are ``names``; one type per tuple of names."""
    if names not in _types:
        fields = NamedTuple("State", [(name, Tensor) for name in names])  # type: ignore[misc]
        documented = {"__slots__": (), "__doc__": f"State of a layer: {', '.join(names)}."}
        _types[names] = type("State", (State, fields), documented)
        # By this name an exported program, which torch.export.save has written, knows what it returns.
        register_exported(_types[names], serialized_type_name=f"seqloom.State({', '.join(names)})")
    return _types[names]


def make_state(names: tuple[str, ...], values: Iterable[Tensor]) -> State:
    """A state with these names and values."""
    return state_type(names)._make(values)


# A process that only runs exported programs builds no layers; these are the states of nearly all of them.
for _names in (("h",), ("h", "c")):
    state_type(_names)
