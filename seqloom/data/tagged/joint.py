"""Words and their parts of speech as tags of characters: ``B-NN M-NN E-NN S-NN``, so that one tagger finds both.

Each tag is a word's BMES letter with the word's tag behind it (Ng & Low 2004), which is the scheme ``bmes`` with a span
for each word: its transitions, its detection and its span F1 are those of segmentation and tagging together.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from seqloom.data.tagged.columns import format_columns
from seqloom.data.tagged.comments import with_label
from seqloom.data.tagged.conllu import format_conllu
from seqloom.data.tagged.schemes import SCHEMES, spans_from
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.tagged.slashed import format_slashed
from seqloom.data.tagged.words import words_to_tags
from seqloom.errors import DataError

__all__ = ["character_sentence", "format_joint", "joint_tags", "joint_words", "word_sentence"]

_SPAN_TAG = re.compile(r"[BIESMLU]-.+")


def joint_tags(words: Iterable[str], tags: Iterable[str]) -> list[str]:
    """One tag for each character of the words.

    >>> joint_tags(["我", "中国人"], ["PN", "NN"])
    ['S-PN', 'B-NN', 'M-NN', 'E-NN']
    """
    joined: list[str] = []
    for word, tag in zip(words, tags, strict=True):
        joined += _spelled(len(word), tag)
    return joined


def joint_words(characters: Sequence[str], tags: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that joint tags cut from a text, and the tag of each: the inverse of `joint_tags`.

    Tags that contradict each other are read as the spans of every scheme are: a word goes on while letter and tag do.

    Raises:
        ValueError: not one tag per character, or a character's tag says nothing about its word.

    >>> joint_words("我中国人", ["S-PN", "B-NN", "M-NN", "E-NN"])
    (['我', '中国人'], ['PN', 'NN'])
    """
    if len(tags) != len(characters):
        raise ValueError(f"there are {len(tags)} tags for {len(characters)} characters")
    if "O" in tags:
        raise ValueError(f"tags[{tags.index('O')}] is 'O'; expected the place in a word and its tag, such as 'B-NN'")
    spans = spans_from(tags, SCHEMES["bmes"])
    return ["".join(characters[start:end]) for start, end, _ in spans], [label for _, _, label in spans]


def character_sentence(sentence: Sentence) -> Sentence:
    """A sentence of words as one of characters with joint tags; one of characters stays as it is.

    Each character keeps the line, the place and the space behind it that its word has.

    Raises:
        DataError: the tags spell spans, so that they are no tags of words; names the line.

    >>> character_sentence(Sentence(("中国", "人"), ("NR", "NN"))).tags
    ('B-NR', 'E-NR', 'S-NN')
    """
    if isinstance(sentence.tokens, str):
        return sentence
    words = sentence.tokens
    for index, tag in enumerate(sentence.tags or ()):
        if _SPAN_TAG.fullmatch(tag):
            raise DataError(
                f"{sentence.where(index)}: tag {tag!r} spells a span and is no tag of a word such as 'NN'; "
                f"leave the option tokens at 'words'"
            )
    sizes = [len(word) for word in words]
    rows, spaces, places = sentence.token_rows, sentence.space_after, sentence.offsets
    return Sentence(
        "".join(words),
        tuple(joint_tags(words, sentence.tags)) if sentence.tags is not None else None,
        line=sentence.line,
        source=sentence.source,
        document=sentence.document,
        rows=sentence.rows,
        token_rows=tuple(row for row, size in zip(rows, sizes, strict=True) for _ in range(size)) if rows else (),
        offsets=tuple((at, at + 1) for start, end in places for at in range(start, end))
        if places is not None and sentence.surface is None
        else None,
        space_after=_spread(spaces, sizes) if spaces is not None else None,
        label=sentence.label,
    )


def word_sentence(sentence: Sentence, tags: Sequence[str]) -> Sentence:
    """The words and tags that joint tags of a sentence's characters spell.

    >>> words = word_sentence(Sentence("中国人"), ["B-NR", "E-NR", "S-NN"])
    >>> words.tokens, words.tags
    (('中国', '人'), ('NR', 'NN'))
    """
    words, labels = joint_words(sentence.tokens, tags)
    spaces = None
    if sentence.space_after is not None:
        ends = [end for _, end, _ in spans_from(tags, SCHEMES["bmes"])]
        spaces = tuple(sentence.space_after[end - 1] for end in ends)
    return Sentence(
        tuple(words),
        tuple(labels),
        line=sentence.line,
        source=sentence.source,
        document=sentence.document,
        space_after=spaces,
        label=sentence.label,
    )


def format_joint(
    sentences: Iterable[Sentence], tags: Iterable[Sequence[str]], format: str, *, tag: str = "upos"
) -> Iterator[str]:
    """The words that joint tags spell, with their tags, in the format of the input.

    Where words are lines (columns, CoNLL-U), the lines before a sentence's first word are kept; the other columns are
    not, because the words that they speak of are others now. Everything else is written as ``word/tag``.

    >>> list(format_joint([Sentence("中国人")], [["B-NR", "E-NR", "S-NN"]], "slashed"))
    ['中国/NR 人/NN']
    """
    for sentence, chosen in zip(sentences, tags, strict=True):
        words = word_sentence(sentence, chosen)
        names = words.tags or ()
        if format not in ("columns", "conllu"):
            yield from format_slashed([words.tokens], [names])
            continue
        before = sentence.rows[: sentence.token_rows[0]] if sentence.token_rows else ()
        kept = [row for row in before if format == "columns" or row.startswith("#")]
        yield from with_label(kept, sentence.label, len(kept))
        bare = Sentence(words.tokens, space_after=words.space_after)
        yield from format_conllu([bare], [names], tag=tag) if format == "conllu" else format_columns([bare], [names])


@lru_cache(maxsize=4096)
def _spelled(length: int, tag: str) -> tuple[str, ...]:
    return tuple(SCHEMES["bmes"].tag(letter, tag) for letter in words_to_tags([" " * length]))


def _spread(spaces: Sequence[bool], sizes: Sequence[int]) -> tuple[bool, ...]:
    """For each character whether a space follows it: only a word's last one can have it."""
    return tuple(
        space and place == size for space, size in zip(spaces, sizes, strict=True) for place in range(1, size + 1)
    )
