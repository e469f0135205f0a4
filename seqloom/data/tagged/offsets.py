"""Where tokens stand in their text, counted in characters (code points) from 0."""

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["tokenize", "trimmed", "word_offsets"]


# The marks in numbers and in abbreviations of single letters part nothing.
# Bounded, since a match that fails at its end is tried again from the next mark.
_WITH_MARKS = re.compile(r"\d+(?:[.,]\d+){1,8}(?!\w)|(?:[^\W\d_]\.){2,8}(?!\w)")
_PICTURE = (
    r"[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u2bff\u3030\u303d\u3297\u3299"
    r"\U0001f000-\U0001faff]"
)
_STYLE = r"[\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]{0,16}"
_WHOLE = re.compile(
    "|".join(
        (
            r"(?P<address>(?:(?:https?|ftp|file)://|www\.)[^\s<>\"“”«»「」『』（）【】，。；！？、]{1,2000})",
            r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?!\w)",
            r"\d{4}-\d{2}-\d{2}(?!\w)",
            r"\d{1,3}(?:[\u00a0\u202f]\d{3}){1,8}(?:[.,]\d{1,20})?(?!\w)",
            r"\d{1,40}(?:[.,:'’/٫٬]\d{1,40}){1,12}(?!\w)",
            r"[\U0001f1e6-\U0001f1ff]{2}",
            r"[#*0-9]\ufe0f?\u20e3",
            rf"{_PICTURE}{_STYLE}(?:\u200d{_PICTURE}{_STYLE}){{0,9}}",
        )
    )
)
_CLOSING = ".,;:!?'*_~’"
# Marks that stand between the letters of one word: Catalan, Hebrew, Tibetan; the apostrophe of Cyrillic words.
_INSIDE = "\u00b7\u05f3\u05f4\u2027\u0f0b"
_APOSTROPHES = "'’"


def _whole(text: str, index: int) -> int:
    """Where the address, number or emoji that begins at a character ends, or that character where there is none."""
    found = _WHOLE.match(text, index)
    if found is None:
        return index
    if found["address"] is None:
        return found.end()
    address = found["address"].rstrip(_CLOSING)
    while address.endswith((")", "]")) and address.count("(["[address[-1] == "]"]) < address.count(address[-1]):
        address = address[:-1].rstrip(_CLOSING)
    return index + len(address)


def _joins(text: str, index: int) -> bool:
    """Whether a mark stands inside a word."""
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    if not (before and after) or not (unicodedata.category(before)[0] in "LM" and after.isalpha()):
        return False
    cyrillic = "\u0400" <= before <= "\u052f" and "\u0400" <= after <= "\u052f"
    return text[index] in _INSIDE or (cyrillic and text[index] in _APOSTROPHES)


def tokenize(text: str, whole: bool = False) -> list[tuple[int, int]]:
    """Offsets of words and punctuation marks: white space separates, each mark or symbol is a token of its own.

    Numbers such as 1,000.5 and abbreviations of single letters such as U.S. are one token. Text without spaces between
    words, such as Chinese, is better read as characters.

    Args:
        whole: addresses of pages and of mail, numbers and dates with separators, sequences of emoji, and words with
            marks inside as other scripts have them are one token each, too; so is a mark with its accents.

    >>> text = "don't stop at $1,000.5 (U.S.)."
    >>> [text[start:end] for start, end in tokenize(text)]
    ['don', "'", 't', 'stop', 'at', '$', '1,000.5', '(', 'U.S.', ')', '.']
    >>> text = "Ask a.b@c.org (https://d.org/x?y=1), 12:30 👩‍🔬"
    >>> [text[start:end] for start, end in tokenize(text, whole=True)]
    ['Ask', 'a.b@c.org', '(', 'https://d.org/x?y=1', ')', ',', '12:30', '👩‍🔬']
    """
    offsets: list[tuple[int, int]] = []
    is_open, index = False, 0
    while index < len(text):
        character = text[index]
        # A character of Chinese and the like ends no run, but an address may begin behind it.
        starts = not is_open or (character in "fhw" and not text[index - 1].isascii())
        if whole and starts and (end := _whole(text, index)) > index:
            offsets.append((index, end))
            index, is_open = end, False
            continue
        if not is_open and (match := _WITH_MARKS.match(text, index)):
            offsets.append(match.span())
            index = match.end()
            continue
        if character.isspace():
            is_open = False
        elif (
            whole
            and offsets
            and offsets[-1][1] == index
            and ((is_open and _joins(text, index)) or unicodedata.category(character)[0] == "M")
        ):
            offsets[-1] = (offsets[-1][0], index + 1)
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


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A place in a text without the white space at its ends.

    >>> trimmed("in  Rome ", 2, 9)
    (4, 8)
    """
    inside = text[start:end]
    return start + len(inside) - len(inside.lstrip()), max(end - len(inside) + len(inside.rstrip()), start)


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
