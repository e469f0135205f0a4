"""Files of trees: brackets, CoNLL-U, JSON lines of heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from seqloom.data.files import open_text
from seqloom.data.tagged.conllu import FIELDS, conllu_sentences
from seqloom.data.trees.brackets import EXPECTED, parse_brackets
from seqloom.data.trees.shapes import from_heads
from seqloom.data.trees.tree import Tree
from seqloom.errors import DataError
from seqloom.outside import UnreadableError, parse_json

__all__ = ["TreeFormat", "read_trees", "recognised_format", "trees_of_lines"]

TreeFormat = Literal["auto", "brackets", "conllu", "heads"]
Lines = Iterator[tuple[int, str]]

_HEAD, _RELATION = FIELDS.index("head"), FIELDS.index("deprel")
_GLANCE = 1000


def read_trees(path: str | Path, format: TreeFormat = "auto", encoding: str = "utf-8") -> Iterator[Tree]:
    """The trees of a file.

    Args:
        format: ``brackets``: one tree behind the other, as in the Penn Treebank and in SST. ``conllu``: dependency trees of
            the heads of CoNLL-U, labelled with their relations. ``heads``: a JSON object in each line, with ``words``,
            ``heads`` (the number of each word's head from 1, 0 of the root) and perhaps ``labels``.
    Raises:
        DataError: the file is missing or damaged, or a tree is wrong; names the line.
    """
    name = "<stdin>" if str(path) == "-" else str(path)
    yield from trees_of_lines(open_text(path, encoding, expected=EXPECTED), name, format)


def trees_of_lines(lines: Lines, source: str, format: TreeFormat = "auto") -> Iterator[Tree]:
    """As `read_trees`, from numbered lines.

    Raises:
        DataError: there is no tree, or one is wrong; names the line.
    """
    if format == "auto":
        head = []
        for number, line in lines:
            head.append((number, line))
            if (line.strip() and not line.startswith("#")) or len(head) == _GLANCE:
                break
        format = recognised_format([line for _, line in head]) or "brackets"
        lines = chain(head, lines)
    count = 0
    for tree in _READERS[format](lines, source):
        count += 1
        yield tree
    if not count:
        raise DataError(f"{source} has no trees; expected {EXPECTED}")


def recognised_format(lines: list[str]) -> TreeFormat | None:
    """The format of which some first lines are, or none."""
    for line in lines:
        text = line.strip()
        if text.startswith("("):
            return "brackets"
        if text.startswith("{") and '"heads"' in text:
            return "heads"
        if text and not text.startswith("#"):
            columns = text.split("\t")
            return "conllu" if len(columns) == len(FIELDS) and columns[0][:1].isdecimal() else None
    return None


def _of_conllu(lines: Lines, source: str) -> Iterator[Tree]:
    for sentence in conllu_sentences(lines, source, tag="deprel", with_tags=False):
        rows = [sentence.rows[row].split("\t") for row in sentence.token_rows]
        heads = []
        for number, row in enumerate(rows):
            text = row[_HEAD]
            if not (text.isdecimal() and text.isascii() and len(text) < 10):
                raise DataError(
                    f"{sentence.where(number)}: the head is {text[:40]!r}; expected a number, 0 of the root"
                )
            heads.append(int(text))
        relations = [row[_RELATION] for row in rows]
        labels = [] if set(relations) == {"_"} else ["" if name == "_" else name for name in relations]
        yield from_heads(list(sentence.tokens), heads, labels, sentence.where())


def _of_heads(lines: Lines, source: str) -> Iterator[Tree]:
    for number, line in lines:
        if not line.strip():
            continue
        where = f"{source}:{number}"
        try:
            value = parse_json(line)
        except UnreadableError as error:
            raise DataError(f"{where}: not JSON ({error.reason}); expected an object with words and heads") from None
        if not isinstance(value, dict):
            raise DataError(f"{where}: a {type(value).__name__}; expected an object with words and heads")
        words, heads = _list(value, "words", str, where), _list(value, "heads", int, where)
        labels = _list(value, "labels", str, where) if value.get("labels") is not None else []
        if labels and len(labels) != len(words):
            raise DataError(f"{where}: {len(labels)} labels for {len(words)} words; expected one for each of them")
        if not all(word.strip() for word in words):
            raise DataError(f"{where}: a word is empty; expected one for each node")
        yield from_heads(words, heads, labels, where)


def _list(value: dict[str, Any], key: str, kind: type, where: str) -> list[Any]:
    found = value.get(key)
    good = isinstance(found, list) and all(isinstance(one, kind) and not isinstance(one, bool) for one in found)
    if not good:
        what = "strings" if kind is str else "whole numbers"
        raise DataError(f"{where}: {key!r} is {str(found)[:40]!r}; expected a list of {what}")
    return list(found or [])


_READERS: Mapping[str, Callable[[Lines, str], Iterator[Tree]]] = {
    "brackets": parse_brackets,
    "conllu": _of_conllu,
    "heads": _of_heads,
}
