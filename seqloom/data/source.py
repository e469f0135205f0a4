"""Where data come from: a file, a folder, a prefix of several files, standard input, or objects in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqloom.data.files import STDIN, checksum, open_text
from seqloom.data.live import LiveInput
from seqloom.errors import DataError

__all__ = ["Source", "listed"]


def listed(inputs: Any, fits: Callable[[Any], bool], expected: str) -> list[Any]:
    """What a model's ``predict`` was given, as a list.

    Args:
        fits: whether an input can be predicted.
        expected: what an input has to be.
    Raises:
        DataError: there is no list of inputs, or one of them is another thing; names which.

    >>> listed([[0.5], None], lambda row: isinstance(row, list), "a list of numbers")
    Traceback (most recent call last):
    ...
    seqloom.errors.DataError: input[1] is a NoneType; expected a list of numbers
    """
    if isinstance(inputs, str | bytes) or not isinstance(inputs, Iterable):
        raise DataError(f"the inputs are a {type(inputs).__name__}; expected a list, of which each is {expected}")
    items = list(inputs)
    for position, item in enumerate(items):
        if not fits(item):
            raise DataError(f"input[{position}] is a {type(item).__name__}; expected {expected}")
    return items


@dataclass(frozen=True)
class Source:
    """A place that data are read from; what they are is the business of the reader that gets it.

    Attributes:
        place: a path as a person wrote it, ``-`` for standard input, or any Python objects.
        encoding: of text.
    """

    place: Any
    encoding: str = "utf-8"

    @classmethod
    def of(cls, place: Any, encoding: str = "utf-8") -> Source:
        """The place itself where it is a source already."""
        return place if isinstance(place, cls) else cls(place, encoding)

    @property
    def is_named(self) -> bool:
        """Whether it is a path or standard input rather than objects."""
        return isinstance(self.place, str | Path)

    @property
    def name(self) -> str:
        """As messages call it."""
        if not self.is_named:
            return "<objects>"
        return "<stdin>" if str(self.place) == STDIN else str(self.place)

    def path(self) -> str:
        """The path, for readers that know what lies there.

        Raises:
            DataError: the source is objects.
        """
        if not self.is_named:
            raise DataError(f"objects of type {type(self.place).__name__} were given where a path is expected")
        return str(self.place)

    def live(self) -> LiveInput | None:
        """The standard input, where it comes through a pipe or from a terminal and may pause."""
        return LiveInput.standard() if self.is_named and str(self.place) == STDIN else None

    def lines(self, live: LiveInput | None = None) -> Iterator[str]:
        """Lines of text: those of the file, decompressed and decoded, or strings that were given.

        Args:
            live: what `live` gave, to be read in its pauses.

        Raises:
            DataError: the file cannot be read, or what was given are not strings; names which.
        """
        if self.is_named:
            yield from (text for _, text in open_text(self.path(), self.encoding, expected=None, live=live))
            return
        for position, text in enumerate(self.place):
            if not isinstance(text, str):
                raise DataError(f"input[{position}] is a {type(text).__name__}; expected a text")
            yield text

    def described(self) -> dict[str, Any]:
        """What a model keeps of its data: file and checksum, or how many objects."""
        if self.is_named:
            return {"file": self.path(), "sha256": checksum(self.path())}
        return {"objects": len(self.place)}
