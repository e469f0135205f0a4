"""From raw text to the pieces that a segmenter works on, in a way that does not depend on how the text arrives.

A piece has no whitespace and ends after a sentence mark with the closing quotes that follow it. A piece longer than
``maximum_length`` is cut after the last comma within that length, or at the length itself. Every cut follows from what
stands to its left and from one character to its right, so a stream of chunks gives the pieces of the whole text.
"""

import re
from collections.abc import Iterator

__all__ = ["PieceStream", "fold_width", "pieces"]

_MARKS = "。！？；"
_CLOSERS = "”’」』）】》〉\"')\\]"
_PIECE = re.compile(rf"[^\s{_MARKS}]*[{_MARKS}]+[{_CLOSERS}]*|[^\s{_MARKS}]+")
_COMMAS = "，、：,:"

# Full-width ASCII to ASCII, character by character: lengths and offsets stay what they are, unlike under NFKC.
_FOLD = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {"\u3000": " "}
_WIDE = re.compile("[\uff01-\uff5e\u3000]")


def fold_width(text: str) -> str:
    """Full-width digits, letters and punctuation as half-width ones; never changes the length.

    >>> fold_width("ＣＰＵ８０％")
    'CPU80%'
    """
    # Few characters are full-width, and looking at those alone takes less than half the time of str.translate.
    return _WIDE.sub(lambda match: _FOLD[match[0]], text)


def _cuts(text: str, start: int, end: int, maximum_length: int) -> Iterator[tuple[int, int]]:
    while end - start > maximum_length:
        window = text[start : start + maximum_length]
        comma = max(window.rfind(mark) for mark in _COMMAS)
        cut = start + (comma + 1 if comma >= 0 else maximum_length)
        yield start, cut
        start = cut
    yield start, end


def pieces(text: str, maximum_length: int = 200) -> list[tuple[int, int]]:
    """Spans (start, end) of the pieces of a text; together they cover exactly its characters that are no whitespace.

    >>> pieces("你好！ 再见。”走")
    [(0, 3), (4, 8), (8, 9)]
    """
    return [span for match in _PIECE.finditer(text) for span in _cuts(text, match.start(), match.end(), maximum_length)]


class PieceStream:
    """The pieces of a text that arrives in chunks: the same pieces, each as soon as nothing can change it any more."""

    def __init__(self, maximum_length: int = 200) -> None:
        self.maximum_length = maximum_length
        self._pending = ""

    def push(self, chunk: str) -> list[str]:
        """Takes more text; returns the pieces that are complete now."""
        text = self._pending + chunk
        spans = pieces(text, self.maximum_length)
        # The piece at the end of the text may still grow, by a closing quote for example.
        keep = spans.pop()[0] if spans and spans[-1][1] == len(text) else len(text)
        self._pending = text[keep:]
        return [text[start:end] for start, end in spans]

    def close(self) -> list[str]:
        """Ends the text; returns what was still open."""
        text, self._pending = self._pending, ""
        return [text[start:end] for start, end in pieces(text, self.maximum_length)]
