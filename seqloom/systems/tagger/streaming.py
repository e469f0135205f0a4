"""Work on sentences as they come, a bounded number at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

__all__ = ["BLOCK", "blocks", "by_block"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# Sentences handed on together: enough for batches of like length, few enough for output to flow.
BLOCK = 2000


def blocks(items: Iterable[Item], size: int = BLOCK) -> Iterator[list[Item]]:
    """Consecutive lists of up to ``size`` items.

    >>> list(blocks("abc", 2))
    [['a', 'b'], ['c']]
    """
    source = iter(items)
    while block := list(islice(source, size)):
        yield block


def by_block(items: Iterable[Item], work: Callable[[Sequence[Item]], Iterable[Result]]) -> Iterator[Result]:
    """The results for all items, of which no more than a block is ever held."""
    for block in blocks(items):
        yield from work(block)
