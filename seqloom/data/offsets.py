"""Where tokens stand in their text, counted in characters (code points) from 0."""

import unicodedata
from collections.abc import Sequence

__all__ = ["tokenize", "word_offsets"]


def tokenize(text: str) -> list[tuple[int, int]]:
    """Offsets of words and punctuation marks: white space separates, each mark or symbol is a token of its own.

    Text without spaces between words, such as Chinese, is better read as characters.

    >>> [("don't stop")[start:end] for start, end in tokenize("don't stop")]
    ['don', "'", 't', 'stop']
    """
    offsets: list[tuple[int, int]] = []
    is_open = False
    for index, character in enumerate(text):
        if character.isspace():
            is_open = False
        elif unicodedata.category(character)[0] in "PS":
            offsets.append((index, index + 1))
            is_open = False
        elif is_open:
            offsets[-1] = (offsets[-1][0], index + 1)
        else:
            offsets.append((index, index + 1))
            is_open = True
    return offsets


def word_offsets(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where words stand in their text, which may have white space between them.

    Raises:
        ValueError: the words do not spell the text.

    >>> word_offsets("a  bc", ["a", "bc"])
    [(0, 1), (3, 5)]
    """
    offsets, at = [], 0
    for word in words:
        while at < len(text) and not text.startswith(word, at) and text[at].isspace():
            at += 1
        if not text.startswith(word, at):
            raise ValueError(f"word {word!r} is not at character {at} of {text!r}")
        offsets.append((at, at + len(word)))
        at += len(word)
    if text[at:].strip():
        raise ValueError(f"no word covers {text[at:]!r} of {text!r}")
    return offsets
