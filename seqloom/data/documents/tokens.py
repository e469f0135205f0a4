"""From a text to its tokens, and to its sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from seqloom.data.documents.config import TokenConfig

__all__ = ["Token", "Tokeniser"]

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af\U00020000-\U0003134f"
_WORD = rf"[^\W{_CJK}]+(?:['’][^\W{_CJK}]+)*"
_PATTERNS = {
    "auto": re.compile(rf"[{_CJK}]|{_WORD}|[^\w\s]"),
    "words": re.compile(r"\w+(?:['’]\w+)*|[^\w\s]"),
    "characters": re.compile(r"\S"),
}
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
# Behind the last mark of a sentence, with what closes it; a point within a number or a name is none.
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|(?<=[。！？…])[”’」』）]*|\n+")


@dataclass(frozen=True)
class Token:
    """A token and the characters of the text that it is."""

    text: str
    start: int
    end: int


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
        self._find = _PATTERNS[config.tokens].findall

    def words(self, text: str) -> list[str]:
        """The tokens of a text, as many as are kept."""
        return self._kept(self._find(self._folded(text)))

    def spans(self, text: str) -> list[Token]:
        """The tokens of a text as they stand in it, as many as are kept: one for each of `words`."""
        # Line breaks of HTML become as many blanks, so that every character keeps its place; small letters may be longer
        # than capital ones, so that these are left as they are.
        plain = _BREAK.sub(lambda found: " " * len(found.group()), text) if self.config.breaks else text
        pattern = _PATTERNS[self.config.tokens]
        found = [Token(one.group(), one.start(), one.end()) for one in pattern.finditer(plain)]
        return self._kept(found)

    def sentences(self, text: str) -> list[list[str]]:
        """The tokens of each sentence that has some, as many sentences as are kept."""
        found = []
        limit = self.config.sentences
        for piece in self._pieces(self._folded(text)):
            words = self._find(piece)
            for start in range(0, len(words), self.config.longest_sentence):
                found.append(words[start : start + self.config.longest_sentence])
                if limit and len(found) == limit:
                    return found
        return found

    def _folded(self, text: str) -> str:
        config = self.config
        if config.breaks and "<" in text:
            text = _BREAK.sub("\n", text)
        if config.lowercase:
            text = text.lower()
        return _DIGIT.sub("0", text) if config.fold_digits else text

    def _pieces(self, text: str) -> Iterator[str]:
        start = 0
        for end in _SENTENCE_END.finditer(text):
            yield text[start : end.end()]
            start = end.end()
        yield text[start:]

    def _kept(self, items: list[str] | list[Token]) -> list:  # type: ignore[type-arg]
        longest = self.config.longest
        if not longest or len(items) <= longest:
            return items
        if self.config.keep == "head":
            return items[:longest]
        if self.config.keep == "tail":
            return items[-longest:]
        first = longest - longest // 2
        return [*items[:first], *items[len(items) - longest // 2 :]]
