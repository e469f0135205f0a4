"""From a text to its tokens, and to its sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from seqloom.data.documents.config import TokenConfig

__all__ = ["Token", "Tokeniser", "is_cjk"]

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af\U00020000-\U0003134f"
_WORD = rf"[^\W{_CJK}]+(?:['’][^\W{_CJK}]+)*"
_PATTERNS = {
    "auto": re.compile(rf"{_WORD}|[{_CJK}]|[^\w\s]"),
    "words": re.compile(r"\w+(?:['’]\w+)*|[^\w\s]"),
    "characters": re.compile(r"\S"),
}
# The same for texts of ASCII alone, which need no look at a class of characters for each of theirs.
_ASCII_WORDS = re.compile(r"[0-9A-Za-z_]+(?:'[0-9A-Za-z_]+)*|[^0-9A-Za-z_\s]", re.ASCII)
_SEPARATORS = str.maketrans(dict.fromkeys(range(28, 32), " "))  # white space to Unicode and not to re.ASCII
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_SOME_CJK = re.compile(f"[{_CJK}]")
# Behind the last mark of a sentence, with what closes it; a point within a number or a name is none.
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|(?<=[。！？…])[”’」』）]*(?![。！？…])|\n+")

Piece = TypeVar("Piece")


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the characters of the text that it is."""

    text: str
    start: int
    end: int


def is_cjk(text: str) -> bool:
    """Whether a text has Chinese, Japanese or Korean characters.

    >>> is_cjk("ok"), is_cjk("好 ok")
    (False, True)
    """
    return not text.isascii() and _SOME_CJK.search(text) is not None


class Tokeniser:
    """Cuts texts as a configuration says.

    >>> tokeniser = Tokeniser(TokenConfig())
    >>> tokeniser.words("It isn't bad.<br />好书!")
    ['it', "isn't", 'bad', '.', '好', '书', '!']
    >>> tokeniser.sentences("Good. It cost 3.50 in all!  Why? 好。坏。")
    [['good', '.'], ['it', 'cost', '3', '.', '50', 'in', 'all', '!'], ['why', '?'], ['好', '。'], ['坏', '。']]
    """

    def __init__(self, config: TokenConfig):
        self.config = config
        self._pattern = _PATTERNS[config.tokens]
        self._ascii = _ASCII_WORDS if config.tokens != "characters" else self._pattern

    def words(self, text: str) -> list[str]:
        """The tokens of a text, as many as are kept."""
        return self._kept(self._cut(self._folded(text)), self.config.longest)

    def spans(self, text: str) -> list[Token]:
        """The tokens of a text as they stand in it, as many as are kept: one for each of `words`."""
        return self._kept(list(self._found(self._blanked(text), 0)), self.config.longest)

    def sentences(self, text: str) -> list[list[str]]:
        """The tokens of each sentence that has some, as many sentences as are kept."""
        return self._divided(self._cut(piece) for _, piece in _pieces(self._folded(text)))

    def sentence_spans(self, text: str) -> list[list[Token]]:
        """The tokens of each sentence as they stand in the text: one for each of `sentences`."""
        return self._divided(list(self._found(piece, start)) for start, piece in _pieces(self._blanked(text)))

    def _cut(self, text: str) -> list[str]:
        found: list[str] = (self._ascii if text.isascii() else self._pattern).findall(text)
        return found

    def _found(self, text: str, start: int) -> Iterator[Token]:
        for one in (self._ascii if text.isascii() else self._pattern).finditer(text):
            yield Token(one.group(), start + one.start(), start + one.end())

    def _folded(self, text: str) -> str:
        config = self.config
        if config.breaks and "<" in text:
            text = _BREAK.sub("\n", text)
        if config.lowercase:
            # One capital letter, İ, becomes two characters, of which the second, alone, would be a token of its own.
            text = text.lower() if text.isascii() else text.replace("İ", "i").lower()
        if config.fold_digits:
            text = _DIGIT.sub("0", text)
        return text.translate(_SEPARATORS)

    def _blanked(self, text: str) -> str:
        """The text with a line break and blanks in the place of each of HTML, so that every character keeps its place."""
        if self.config.breaks and "<" in text:
            text = _BREAK.sub(lambda found: "\n".ljust(len(found.group())), text)
        return text.translate(_SEPARATORS)

    def _divided(self, sentences: Iterator[list[Piece]]) -> list[list[Piece]]:
        longest = self.config.longest_sentence
        found = [words[at : at + longest] for words in sentences for at in range(0, len(words), longest)]
        return self._kept(found, self.config.sentences)

    def _kept(self, items: list[Piece], longest: int) -> list[Piece]:
        if not longest or len(items) <= longest:
            return items
        if self.config.keep == "head":
            return items[:longest]
        if self.config.keep == "tail":
            return items[-longest:]
        return [*items[: longest - longest // 2], *items[len(items) - longest // 2 :]]


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Where each sentence begins, and the sentence."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        if end.end() > start:
            yield start, text[start : end.end()]
            start = end.end()
    yield start, text[start:]
