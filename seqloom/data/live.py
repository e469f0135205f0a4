"""Input as it comes: a pipe or a terminal whose pauses can be seen, so that what has come is answered in them."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from seqloom.outside import limit

__all__ = ["BLOCK", "LiveInput", "blocks"]

Item = TypeVar("Item")

BLOCK = 2000
"""Inputs handed on together: enough for batches of like length, few enough for output to flow."""

_CHUNK = 1 << 16


class LiveInput:
    """The lines of a pipe or terminal, and whether the next one is yet to come.

    It reads the descriptor itself: the buffer of ``sys.stdin`` does not tell what it holds.

    >>> end, start = os.pipe()
    >>> _, live = os.write(start, b"a\\nb"), LiveInput(end)
    >>> live.pauses(0.0), next(iter(live)), live.pauses(0.0)
    (False, b'a\\n', True)
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []
        self._ended = False

    @classmethod
    def standard(cls) -> LiveInput | None:
        """The standard input, where it is a pipe or a terminal; None where it is a file or cannot be waited for."""
        try:
            descriptor = sys.stdin.fileno()
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        except (OSError, ValueError, AttributeError):
            return None
        return None if is_file or os.name != "posix" else cls(descriptor)

    def pauses(self, seconds: float = 0.05) -> bool:
        """Whether no whole line is there and none comes within some seconds; never at the end of the input."""
        while not self._lines and not self._ended:
            if not select.select([self.descriptor], [], [], seconds)[0]:
                return True
            self._read()
        return False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            while not self._lines and not self._ended:
                if not select.select([self.descriptor], [], [], 0)[0]:
                    sys.stdout.flush()  # before a wait of unknown length
                self._read()
            if not self._lines:
                return
            yield self._lines.popleft()

    def _read(self) -> None:
        data = os.read(self.descriptor, _CHUNK)
        if not data:
            self._ended = True
            if rest := b"".join(self._rest):
                self._lines.append(rest)
            self._rest = []
            return
        *whole, rest = data.split(b"\n")
        if whole:
            whole[0] = b"".join([*self._rest, whole[0]])
            self._rest = []
        self._lines += [line + b"\n" for line in whole]
        if rest:
            self._rest.append(rest)
        if sum(map(len, self._rest)) > limit("LINE"):  # handed on as it is, to be refused
            self._lines.append(b"".join(self._rest))
            self._rest = []

    def __enter__(self) -> LiveInput:
        return self

    def __exit__(self, *details: object) -> None: ...


def blocks(items: Iterable[Item], size: int = BLOCK, pauses: Callable[[], bool] | None = None) -> Iterator[list[Item]]:
    """Consecutive lists of up to ``size`` items.

    Args:
        pauses: whether the next item is yet to come: what there is then makes a list.

    >>> list(blocks("abc", 2))
    [['a', 'b'], ['c']]
    """
    source = iter(items)
    if pauses is None:
        while block := list(islice(source, size)):
            yield block
        return
    block = []
    for item in source:
        block.append(item)
        if len(block) == size or pauses():
            yield block
            block = []
    if block:
        yield block
