"""Trees as a kind of data: what the verb ``check`` takes and does for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from seqloom.data.files import DAMAGE, open_bytes
from seqloom.errors import DataError

if TYPE_CHECKING:
    from seqloom.data.check_report import CheckReport

__all__ = ["TreeCheck", "TreeKind"]

_GLANCE = 4096
_BRACKETS = re.compile(rb"\s*\(\s*[^\s()]*\s*(?:\(|[^\s()]+\s*\))")
_HEADS = re.compile(rb'\s*\{[^\n]*"heads"')


@dataclass(frozen=True)
class TreeCheck:
    """Options of ``seqloom check`` for trees."""

    data: Annotated[Path, "the file to check, compressed or not"]
    train: Annotated[Path | None, "training file to compare it with: shared sentences, unknown labels and words"] = None
    test: Annotated[Path | None, "test file to compare with it: the same, the other way round"] = None
    as_: Annotated[
        Literal["auto", "brackets", "conllu", "heads"], "format of the files; auto recognises it by the first line"
    ] = "auto"
    encoding: Annotated[str, "character encoding of the files"] = "utf-8"
    limit: Annotated[int, "findings of a kind to list for each file"] = 10


class TreeKind:
    """Trees over words: brackets, heads, and where it is named, CoNLL-U."""

    name: ClassVar[str] = "trees"
    formats: ClassVar[tuple[str, ...]] = ("brackets", "conllu", "heads")
    check_options: ClassVar[type] = TreeCheck

    def recognises(self, path: Path) -> bool:
        """Whether it begins with a tree in brackets or with JSON that has heads; CoNLL-U passes for tagged text."""
        try:
            if not path.is_file():
                return False
            stream, _ = open_bytes(path)
            with stream:
                head = stream.read(_GLANCE).removeprefix(b"\xef\xbb\xbf")
        except (DataError, *DAMAGE):
            return False
        return bool(_BRACKETS.match(head) or _HEADS.match(head))

    def check(self, options: TreeCheck) -> CheckReport:
        """The trees of the files, and what is worth a look."""
        from seqloom.data.trees.check import check

        splits = {"train": options.train, "data": options.data, "test": options.test}
        files = {split: path for split, path in splits.items() if path is not None}
        return check(files, options.as_, options.encoding, options.limit)
