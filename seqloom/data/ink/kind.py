"""Ink as a kind of data: what the verb ``check`` takes and does for it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from seqloom.data.files import DAMAGE, STDIN, first_bytes
from seqloom.data.ink.config import INK_FORMATS, InkFormat, InkReading
from seqloom.errors import DataError

if TYPE_CHECKING:
    from seqloom.data.check_report import CheckReport

__all__ = ["InkCheck", "InkKind"]

_GLANCE = 4096
_STROKES = re.compile(r'"(?:strokes|drawing)"\s*:\s*\[')
_ENDINGS = (".inkml", ".dat", ".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class InkCheck:
    """Options of ``seqloom check`` for ink."""

    data: Annotated[Path, "the file or folder to check: UNIPEN, InkML, JSON strokes or an archive"]
    train: Annotated[Path | None, "training file to compare it with: shared writers, unknown classes"] = None
    as_: Annotated[InkFormat, "format of the files; auto recognises it"] = "auto"
    quality: Annotated[Literal["all", "good"], "whether characters that are marked as doubtful count"] = "all"
    label: Annotated[str, "key of the label in JSON, NPZ and InkML; auto knows the usual ones"] = "auto"
    group: Annotated[str, "key of the writer; auto knows the usual ones"] = "auto"
    limit: Annotated[int, "findings of a kind to list for each file"] = 10


class InkKind:
    """Characters written with a pen, in any of the formats that `read_ink` reads."""

    name: ClassVar[str] = "ink"
    formats: ClassVar[tuple[str, ...]] = INK_FORMATS
    check_options: ClassVar[type] = InkCheck

    def recognises(self, path: Path) -> bool:
        """Whether it is UNIPEN, InkML, JSON with strokes or drawings, an archive with pen_up, or a folder of such files."""
        if str(path) == STDIN:
            return False
        try:
            if path.is_dir():
                files = (one for one in sorted(path.glob("*")) + sorted(path.glob("*/*")) if one.suffix in _ENDINGS)
                first = next(files, None)
                return first is not None and first.is_file() and self.recognises(first)
            return _looks_like_ink(path)
        except (DataError, ValueError, *DAMAGE):
            return False

    def check(self, options: InkCheck) -> "CheckReport":
        """What the file, and the training file, hold and what is wrong with them."""
        from seqloom.data.ink.check import check

        reading = InkReading(format=options.as_, quality=options.quality, label=options.label, group=options.group)
        paths = {"data": options.data} if options.train is None else {"train": options.train, "data": options.data}
        return check({name: str(path) for name, path in paths.items()}, reading, options.limit)


def _looks_like_ink(path: Path) -> bool:
    from seqloom.data.archive_shapes import shapes_of
    from seqloom.data.ink.archive import holds_ink
    from seqloom.data.ink.unipen import looks_like_unipen
    from seqloom.data.labelled import split_part

    name = split_part(str(path))[0]
    if not Path(name).is_file():
        return False
    head, _ = first_bytes(name, _GLANCE)
    if head.startswith(b"PK"):
        return holds_ink(shapes_of(name))
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        return re.search(r"<ink[\s>]", text) is not None
    if text.startswith(("[", "{")):
        return _STROKES.search(text) is not None
    return "\0" not in text and looks_like_unipen(text)
