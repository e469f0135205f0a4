"""Documents of folders: one for each class, a file for each class, or a file for each part of a data set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from seqloom.data.class_folders import class_folders, files_in
from seqloom.data.files import open_text
from seqloom.data.labelled import Document, LabelledData, part_named
from seqloom.errors import DataError
from seqloom.outside import limit, raising

__all__ = ["class_files", "part_files", "read_class_files", "read_folder", "unpacked_name"]

_PACKINGS = (".gz", ".xz", ".bz2")
_TEXT_ENDINGS = ("txt", "text")
_TABLE_ENDINGS = ("csv", "tsv", "jsonl", "ndjson", "jsonlines", "txt", "text", "ft")
_NO_CLASSES = frozenset(
    (
        *(
            "csv",
            "tsv",
            "json",
            "jsonl",
            "ndjson",
            "jsonlines",
            "npz",
            "npy",
            "yaml",
            "yml",
            "md",
            "rst",
            "html",
            "xml",
            "zip",
        ),
        *(
            "tar",
            "toml",
            "py",
            "log",
            "pdf",
            "ts",
            "arff",
            "conll",
            "conllu",
            "label",
            "iob",
            "tags",
            "bio",
            "vocab",
            "bin",
        ),
        *("png", "jpg", "jpeg", "gif", "bmp", "wav", "flac", "mp3", "pt", "safetensors", "lst", "dic", "dict", "ctl"),
    )
)
_PART = re.compile(r"(?:.*[._-])?(?:train|dev|valid|val|test|eval)[a-z]?(?:ing|ation)?(?:[._-].*)?", re.IGNORECASE)
_UNLABELLED = frozenset(("unsup", "unlabeled", "unlabelled"))
_MOST_CLASSES = 1_000


class ClassFile(NamedTuple):
    """A file of texts of a class, one in each line."""

    part: str
    label: str
    file: Path


def unpacked_name(name: str) -> str:
    """A file's name without the ending of its packing."""
    return next((name.removesuffix(ending) for ending in _PACKINGS if name.endswith(ending)), name)


def class_files(path: str | Path) -> list[ClassFile]:
    """The files of a folder or a prefix that has one for each class, a text in each line; none where it has none.

    ``rt-polarity.pos`` and ``rt-polarity.neg``, of which ``DIR`` or ``DIR/rt-polarity`` is the path: the class is the ending.
    ``pos.txt`` and ``neg.txt``: it is the stem. ``train.pos``, ``train.neg``, ``test.pos``, ``test.neg``: of parts.
    """
    place = Path(path)
    is_folder = place.is_dir()
    folder, prefix = (place, "") if is_folder else (place.parent, place.name)
    if not folder.is_dir() or place.is_file():
        return []
    split = []
    for file in files_in(folder):
        stem, dot, ending = unpacked_name(file.name).rpartition(".")
        if dot and stem.lower() != "readme" and (is_folder or stem == prefix or prefix == ""):
            split.append((stem, ending, file))
    texts = [(stem, file) for stem, ending, file in split if ending.lower() in _TEXT_ENDINGS]
    texts = texts if len(texts) == len(split) else []
    if is_folder and len(texts) > 1 and not any(_PART.fullmatch(stem) for stem, _ in texts):
        return [ClassFile("", stem, file) for stem, file in texts]
    ended = [
        (stem, ending, file)
        for stem, ending, file in split
        if ending.lower() not in (*_TEXT_ENDINGS, *_NO_CLASSES) and "." not in stem and not _PART.fullmatch(ending)
    ]
    stems = {stem for stem, _, _ in ended}
    classes = [{ending for stem, ending, _ in ended if stem == one} for one in stems]
    if not classes or len(classes[0]) < 2 or any(one != classes[0] for one in classes):
        return []
    if len(stems) > 1 and not all(part_named(stem) for stem in stems):
        return []
    return [ClassFile(part_named(stem) if len(stems) > 1 else "", ending, file) for stem, ending, file in ended]


def part_files(place: Path) -> dict[str, Path]:
    """The files of a folder that are called after the parts of data, ``train.csv``, ``test.csv``; at least two."""
    found: dict[str, Path] = {}
    for file in files_in(place) if place.is_dir() else ():
        stem, _, ending = unpacked_name(file.name).rpartition(".")
        part = part_named(stem)
        if part and ending.lower() in _TABLE_ENDINGS:
            found.setdefault(part, file)
    return found if "train" in found and len(found) > 1 else {}


def read_class_files(files: list[ClassFile], encoding: str, part: str = "") -> LabelledData[Document]:
    """The texts of `class_files`; ``facts`` says where the ``classes`` are from. Raises DataError as reading files does."""
    examples: list[Document] = []
    parts: dict[str, list[int]] = {}
    for one in files:
        if part and one.part and one.part != part:
            continue
        start = len(examples)
        examples += [
            Document(text=line, target=one.label, where=f"{one.file}:{number}")
            for number, line in open_text(one.file, encoding, expected=f"texts of the class {one.label!r}")
            if line.strip()
        ]
        if one.part:
            parts.setdefault(one.part, []).extend(range(start, len(examples)))
    names = ", ".join(f"{one.label} ({one.file.name})" for one in files)
    return LabelledData(examples, {"format": "folder", "classes": f"a file each: {names}"}, parts)


def read_folder(place: Path, encoding: str, part: str = "") -> LabelledData[Document]:
    """The texts of `class_folders`, a file each.

    Raises:
        DataError: there are no such folders, they hold nothing, or a file is wrong.
    """
    folders = class_folders(place)
    if not folders:
        raise DataError(
            f"{place}: it has neither a folder nor a file for each class; expected such as {place}/pos and {place}/neg"
        )
    if part and "" not in folders:
        folders = {part: folders.get(part, [])}
    examples: list[Document] = []
    parts: dict[str, list[int]] = {}
    for name, classes in folders.items():
        if len(classes) > _MOST_CLASSES:
            raise DataError(
                f"{place}: {len(classes):,} folders; expected a folder for each class, at most {_MOST_CLASSES:,}"
            )
        start = len(examples)
        for folder in classes:
            label = None if folder.name in _UNLABELLED else folder.name
            examples += [
                Document(text=_whole(file, encoding), target=label, where=str(file)) for file in files_in(folder)
            ]
        if name:
            parts[name] = list(range(start, len(examples)))
    if not examples:
        raise DataError(
            f"{place}: its folders hold no files; expected a folder for each class with a text in each file"
        )
    names = ", ".join(sorted({folder.name for classes in folders.values() for folder in classes}))
    return LabelledData(examples, {"format": "folder", "classes": f"a folder each: {names}"}, parts)


def _whole(file: Path, encoding: str) -> str:
    most, lines, size = limit("LINE"), [], 0
    for _, line in open_text(file, encoding, expected=None):
        lines.append(line)
        size += len(line) + 1
        if size > most:
            raise DataError(f"{file}: more than {most:,} characters; expected one text in each file, {raising('LINE')}")
    return "\n".join(lines)
