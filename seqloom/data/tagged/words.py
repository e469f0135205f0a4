"""Words as tags of their characters: B begin, M middle, E end, S single (Xue 2003)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BMES", "tags_to_words", "word_starts", "words_to_tags"]

BMES = "BMES"

_SHORT = ["", "S", *("B" + "M" * middle + "E" for middle in range(30))]


def words_to_tags(words: Iterable[str]) -> str:
    """The tags of the words' characters, one letter each.

    >>> words_to_tags(["我", "是", "中国人"])
    'SSBME'
    """
    return "".join([_SHORT[len(word)] if len(word) < len(_SHORT) else _long(len(word)) for word in words])


def tags_to_words(characters: Sequence[str], tags: Sequence[str]) -> list[str]:
    """The words that tags cut from a text; joined they are the text again, whatever the tags.

    Tags that contradict each other are repaired: M or E without an open word count as B or S, and a word that is not
    closed before B, S or the end is closed there.

    Args:
        characters: a text, or tokens where a token may be more than a character.
        tags: one of B, M, E, S for each.
    Raises:
        ValueError: another letter, or not one tag per character.

    >>> tags_to_words("我是中国人", "SSBME"), tags_to_words("甲乙丙", "MBE")
    (['我', '是', '中国人'], ['甲', '乙丙'])
    """
    if len(tags) != len(characters):
        raise ValueError(f"there are {len(tags)} tags for {len(characters)} characters")
    words: list[str] = []
    is_open = False
    start = 0
    for index, tag in enumerate(tags):
        if tag not in BMES or len(tag) != 1:
            raise ValueError(f"tags[{index}] is {tag!r}; expected one of B, M, E, S")
        if index and (tag in "BS" or not is_open):
            words.append("".join(characters[start:index]))
            start = index
        is_open = tag in "BM"
    if len(characters):
        words.append("".join(characters[start:]))
    return words


def word_starts(tags: NDArray[np.integer], sentence_starts: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Where words begin in many sentences laid end to end, with the same repair as `tags_to_words`, without a loop.

    Args:
        tags: (N,) indices into ``BMES``.
        sentence_starts: the index of the first character of each sentence that has one.
    Returns:
        (N,) true at the first character of each word.

    >>> import numpy as np
    >>> word_starts(np.array([3, 3, 0, 1, 2]), np.array([0])).astype(int).tolist()
    [1, 1, 1, 0, 0]
    """
    import numpy as np

    opens = np.array([True, False, False, True])  # B and S
    closes = np.array([False, False, True, True])  # E and S
    starts: NDArray[np.bool_] = opens[tags]
    starts[1:] |= closes[tags[:-1]]
    starts[sentence_starts] = True
    return starts


def _long(length: int) -> str:
    return "B" + "M" * (length - 2) + "E"
