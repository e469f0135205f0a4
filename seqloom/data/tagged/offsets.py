"""Where tokens stand in their text, counted in characters (code points) from 0."""

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["tokenize", "word_offsets"]


# The marks in numbers and in abbreviations of single letters part nothing.
# Bounded, since a match that fails at its end is tried again from the next mark.
_WITH_MARKS = re.compile(r"\d+(?:[.,]\d+){1,8}(?!\w)|(?:[^\W\d_]\.){2,8}(?!\w)")


def tokenize(text: str) -> list[tuple[int, int]]:
    """Offsets of words and punctuation marks: white space separates, each mark or symbol is a token of its own.

    Numbers such as 1,000.5 and abbreviations of single letters such as U.S. are one token. Text without spaces between
    words, such as Chinese, is better read as characters.

    >>> text = "don't stop at $1,000.5 (U.S.)."
    >>> [text[start:end] for start, end in tokenize(text)]
    ['don', "'", 't', 'stop', 'at', '$', '1,000.5', '(', 'U.S.', ')', '.']
    """
    offsets: list[tuple[int, int]] = []
    is_open, index = False, 0
    while index < len(text):
        character = text[index]
        if not is_open and (match := _WITH_MARKS.match(text, index)):
            offsets.append(match.span())
            index = match.end()
            continue
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
        index += 1
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
