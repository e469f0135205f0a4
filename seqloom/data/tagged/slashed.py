"""Tagged text as ``word/tag word/tag``, one sentence per line: the format of the Brown corpus and of the People's Daily."""

from collections.abc import Iterable, Iterator, Sequence

from seqloom.data.tagged.columns import Lines
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError

__all__ = ["format_slashed", "slashed_sentences"]


def slashed_sentences(lines: Lines, source: str, *, with_tags: bool = True) -> Iterator[Sentence]:
    """Words and tags of each line; the last slash parts them, so that a word may hold slashes.

    Args:
        with_tags: false: the tags are left out, and a word may have none.

    Raises:
        DataError: a token without a slash, or with nothing on one side of it; names the line.
    """
    for number, line in lines:
        words, tags = [], []
        for token in line.split():
            word, _, tag = token.rpartition("/")
            if not with_tags and not (word and tag):
                word = token
            elif not word or not tag:
                raise DataError(
                    f"{source}:{number}: {token!r} is not a word and its tag; expected 'word/tag', as in '中国/ns'"
                )
            words.append(word)
            tags.append(tag)
        yield Sentence(tuple(words), tuple(tags) if with_tags else None, line=number, source=source, rows=(line,))


def format_slashed(sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> Iterator[str]:
    """One line for each sentence.

    >>> list(format_slashed([["我", "是"]], [["r", "v"]]))
    ['我/r 是/v']
    """
    for words, labels in zip(sentences, tags, strict=True):
        yield " ".join(f"{word}/{label}" for word, label in zip(words, labels, strict=True))
