"""What every method of word segmentation can do, whether it looks words up or runs a network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, runtime_checkable

from numpy.typing import NDArray

if TYPE_CHECKING:
    from seqloom.systems.tagger.segmentation.dictionary import Dictionary

__all__ = ["Arrays", "Settings", "StoredSegmenter", "WordSegmenter", "bound_texts"]

Arrays: TypeAlias = dict[str, NDArray[Any]]
Settings: TypeAlias = dict[str, Any]


@runtime_checkable
class WordSegmenter(Protocol):
    """Cuts texts into words: joined again, the words of a text are that text, whatever characters it holds."""

    def segment(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text; an empty text has none. Texts are meant to hold no whitespace."""
        ...

    def n_best(self, text: str, k: int) -> list[tuple[list[str], float]]:
        """Up to ``k`` readings of one text, best first, each with its score (higher is better).

        Methods that do not rank by a score return one reading; its score is minus its number of words.
        """
        ...

    def with_dictionary(self, dictionary: "Dictionary") -> "WordSegmenter":
        """The same method under these words: all of them where it looks words up, else the user's among them."""
        ...


@runtime_checkable
class StoredSegmenter(WordSegmenter, Protocol):
    """A method that is kept as arrays and settings; networks have weights and vocabularies of their own."""

    def state(self) -> tuple[Arrays, Settings]:
        """Everything needed to build the method again: arrays for safetensors, and settings for JSON."""
        ...

    @classmethod
    def from_state(cls, arrays: Arrays, settings: Settings) -> Self:
        """The method that `state` described."""
        ...


def bound_texts(texts: Sequence[str], limit: int) -> list[Sequence[str]]:
    """Consecutive blocks of texts of about ``limit`` characters, so that memory does not grow with the input.

    >>> bound_texts(["ab", "c", "def"], 3)
    [['ab', 'c'], ['def']]
    """
    blocks: list[Sequence[str]] = []
    first = size = 0
    for place, text in enumerate(texts):
        if size and size + len(text) > limit:
            blocks.append(texts[first:place])
            first, size = place, 0
        size += len(text)
    if first < len(texts):
        blocks.append(texts[first:])
    return blocks
