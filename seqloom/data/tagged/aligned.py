"""Sentences in three files of equal length, as intent and slot data are distributed: tokens, tags, sentence labels.

Line n of ``PREFIX.seq.in`` holds tokens, of ``PREFIX.seq.out`` their tags, of ``PREFIX.label`` the sentence's label (Goo
et al. 2018). `seqloom.data.location.aligned_files` finds them, compressed or not.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from seqloom.data.files import open_text
from seqloom.data.location import aligned_files
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError

__all__ = ["read_aligned"]

_REMEDY = "the three files need one line for each sentence"


def read_aligned(prefix: str | Path, encoding: str = "utf-8") -> Iterator[Sentence]:
    """Sentences with tags and labels; lines that are empty in all three files are passed over.

    Their place in messages is that of the tags.

    Raises:
        DataError: one of the files is missing or ends before the others, a line has not one tag for each token, or a
            label is empty; names file and line.
    """
    files = aligned_files(prefix)
    if files is None:
        raise DataError(f"{prefix}: there are no files {prefix}.seq.in, {prefix}.seq.out and {prefix}.label")
    opened = [open_text(file, encoding, expected="one line for each sentence") for file in files]
    return _sentences(zip_longest(*opened), [str(file) for file in files])


def _sentences(rows: Iterator[tuple[tuple[int, str] | None, ...]], names: list[str]) -> Iterator[Sentence]:
    number = 0
    for number, row in enumerate(rows, start=1):
        given = [part[1] for part in row if part is not None]
        if len(given) < len(names):
            ended = next(name for name, part in zip(names, row, strict=True) if part is None)
            longer = next(name for name, part in zip(names, row, strict=True) if part is not None)
            raise DataError(f"{ended}:{number}: the file ends after {number - 1} lines, {longer} goes on; {_REMEDY}")
        tokens, tags, label = tuple(given[0].split()), tuple(given[1].split()), given[2].strip()
        if not tokens and not tags and not label:
            continue
        if len(tags) != len(tokens):
            counts = f"{len(tags)} {'tag' if len(tags) == 1 else 'tags'} for {len(tokens)}"
            raise DataError(f"{names[1]}:{number}: {counts} tokens in {names[0]}:{number}; expected a tag per token")
        if not label:
            raise DataError(f"{names[2]}:{number}: the label is empty; {_REMEDY}")
        yield Sentence(tokens, tags, line=number, source=names[1], label=label)
