"""One sentence as every reader hands it on and every writer takes it back."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Sentence"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """Tokens, their tags where the file has them, and all that is needed to write the file back with other tags.

    Attributes:
        tokens: words, or one plain ``str`` where each character is a token.
        tags: one tag per token, or ``None`` where the file has none.
        line: the line of the first token, from 1 (0 where the sentence comes from no file).
        source: the file's name as it was given.
        document: counts ``-DOCSTART-`` lines and ``# newdoc`` comments before the sentence.
        rows: the file's own lines for this sentence, with comments, unknown columns and the blank line after it.
        token_rows: for each token the index of its line in ``rows``; empty where the sentence is one line.
        offsets: for each token its first and last-plus-one character in the sentence's text, where the file says so.
        space_after: for each token whether a space follows it in the text, where the file says so.
        surface: the text, where its file says it and the tokens alone do not spell it: ``al`` of the words ``a`` and ``el``.
        tabs: of rows of columns, whether each tab separates two rather than runs of spaces and tabs.
        label: of the whole sentence, such as the intent of a request, where the file has one; writers put it back.
    """

    tokens: Sequence[str]
    tags: tuple[str, ...] | None = None
    line: int = 0
    source: str = ""
    document: int = 0
    rows: tuple[str, ...] = ()
    token_rows: tuple[int, ...] = ()
    offsets: tuple[tuple[int, int], ...] | None = None
    space_after: tuple[bool, ...] | None = None
    label: str | None = None
    tabs: bool | None = None
    surface: str | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def where(self, token: int | None = None) -> str:
        """``file:line`` of the sentence, or of one of its tokens, as messages begin.

        >>> Sentence(["a", "b"], line=7, source="x.conll", rows=("a O", "b O"), token_rows=(0, 1)).where(1)
        'x.conll:8'
        """
        line = self.line
        if token is not None and self.token_rows:
            line += self.token_rows[token] - self.token_rows[0]
        return f"{self.source or '<memory>'}:{line}"

    @property
    def text(self) -> str:
        """The sentence as a string: characters joined, words with the spaces that the file states, else one each.

        >>> Sentence(["do", "n't"], space_after=(False, True)).text
        "don't"
        """
        if self.surface is not None:
            return self.surface
        if isinstance(self.tokens, str):
            return self.tokens
        if self.space_after is None:
            return " ".join(self.tokens)
        ends = [" " if space else "" for space in self.space_after]
        return "".join(token + end for token, end in zip(self.tokens, ends, strict=True)).rstrip(" ")
