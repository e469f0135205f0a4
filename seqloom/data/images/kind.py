"""Images as a kind of data: what the verb ``check`` takes and does for them."""

import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from seqloom.data.files import DAMAGE, STDIN
from seqloom.data.images.config import ImageReading
from seqloom.errors import ConfigError, DataError
from seqloom.outside import MISFITS

if TYPE_CHECKING:
    from seqloom.data.check_report import CheckReport, Section
    from seqloom.data.findings import Finding
    from seqloom.data.images.read import Found
    from seqloom.data.labelled import Labelled

__all__ = ["ImageCheck", "ImageKind", "check"]

_MOST_FILES = 3
_SMALLEST, _CHANNELS = 4, 4


@dataclass(frozen=True)
class ImageCheck:
    """Options of ``seqloom check`` for images."""

    data: Annotated[Path, "a folder of images for each class, or an .npz file with images (N, H, W)"]
    dev: Annotated[Path | None, "development data, compared with it: shared images, unknown classes, shared groups"] = (
        None
    )
    test: Annotated[Path | None, "test data, compared with both"] = None
    images: Annotated[str, "array of the images in an archive, without train_; empty finds it"] = ""
    label: Annotated[str, "array of the classes; empty finds it"] = ""
    group: Annotated[str, "array of who or what an image is from"] = ""
    limit: Annotated[int, "findings of a kind to list for each file"] = 10


class ImageKind:
    """Images with classes, as `seqloom.data.images.read.read_images` reads them."""

    name: ClassVar[str] = "images"
    formats: ClassVar[tuple[str, ...]] = ()
    check_options: ClassVar[type] = ImageCheck

    def recognises(self, path: Path) -> bool:
        """Whether it is folders of image files, or an archive with an array of the shape and type of images."""
        try:
            return _are_image_folders(path) if path.is_dir() else _is_image_archive(path)
        except (*DAMAGE, *MISFITS, SyntaxError, zipfile.BadZipFile):  # whatever a damaged archive leads to
            return False

    def check(self, options: ImageCheck) -> "CheckReport":
        """What the data hold and what is wrong with them."""
        named = {"data": options.data, "dev": options.dev, "test": options.test}
        reading = ImageReading(images=options.images, label=options.label, group=options.group)
        return check({split: path for split, path in named.items() if path is not None}, reading, options.limit)


def _are_image_folders(path: Path) -> bool:
    from seqloom.data.class_folders import class_folders, files_in
    from seqloom.data.images.read import ENDINGS

    folders = [folder for found in class_folders(path).values() for folder in found]
    if len(folders) < 2:
        return False
    firsts = [next(iter(files_in(folder)), None) for folder in folders[:_MOST_FILES]]
    return all(first is not None and first.suffix.lower() in ENDINGS for first in firsts)


def _is_image_archive(path: Path) -> bool:
    """By the headers of its arrays alone: grey values are bytes, which the steps of series hardly ever are."""
    from numpy.lib import format as arrays

    from seqloom.data.archives import is_archive
    from seqloom.data.images.read import IMAGES
    from seqloom.data.labelled import part_named

    if not is_archive(path):
        return False
    found = []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            prefix, _, rest = name.partition("_")
            name = (rest or IMAGES[0]) if part_named(prefix) else name
            if name in ("offsets", "lengths"):
                return False
            if name in IMAGES:
                with archive.open(entry) as stream:
                    version = arrays.read_magic(stream)
                    read = arrays.read_array_header_1_0 if version == (1, 0) else arrays.read_array_header_2_0
                    shape, _, dtype = read(stream)
                of_image = len(shape) == 3 or (len(shape) == 4 and shape[3] <= _CHANNELS)
                found.append(dtype == "uint8" and of_image and min(shape[1:3]) >= _SMALLEST)
    return bool(found) and all(found)


def check(paths: Mapping[str, str | Path], reading: ImageReading, limit: int = 10) -> "CheckReport":
    """Check the images of a training, without stopping at the first trouble.

    Args:
        paths: folder or archive by split; ``data`` is what the others are compared with.
        limit: how many findings of a kind to list for each of them.
    Raises:
        ConfigError: the standard input.
    """
    from seqloom.data.check_report import CheckReport
    from seqloom.data.findings import finding_of, limited
    from seqloom.data.images.read import found_images
    from seqloom.data.labelled import split_part
    from seqloom.data.labelled_findings import class_findings, compared_findings, repetition_findings
    from seqloom.data.source import Source

    if any(str(path) == STDIN for path in paths.values()):
        raise ConfigError("images are no text that standard input could hold; give the names of files")
    findings: list[Finding] = []
    sections: list[Section] = []
    splits: dict[str, Sequence[Labelled]] = {}
    for split, path in paths.items():
        place, wanted = split_part(str(path))
        parts: dict[str, list[Found]] = {}
        try:
            for one in found_images(Source.of(place), reading):
                if not wanted or one.part in ("", wanted):
                    parts.setdefault(one.part, []).append(one)
        except DataError as problem:
            findings.append(finding_of(problem, path))
        for part, images in parts.items():
            title = split if not part or wanted else part if split == "data" else f"{split}: {part}"
            splits[title] = [_reduced(one) for one in images]
            sections.append(_section(title, images, splits[title], place))
            findings += limited(_pixel_findings(title, images), limit)
    ordered = dict(sorted(splits.items(), key=lambda item: not item[0].endswith("train")))
    for split, examples in ordered.items():
        findings += limited(class_findings(split, examples), limit)
        findings += limited(repetition_findings(split, examples, _pixels), limit)
    findings += limited(compared_findings(ordered, _pixels), limit)
    return CheckReport(tuple(findings), tuple(sections))


def _reduced(one: "Found") -> "Labelled":
    """What is compared of an image: its pixels as a digest, which is all that has to be kept."""
    import hashlib

    import numpy as np

    from seqloom.data.labelled import Labelled

    pixels = np.ascontiguousarray(one.pixels)
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16, person=str(pixels.shape).encode()[:16]).digest()
    return Labelled(target=one.label, group=one.group, where=one.where, record=digest)


def _pixels(one: "Labelled") -> Any:
    return one.record


def _section(title: str, images: Sequence["Found"], examples: Sequence["Labelled"], path: str) -> "Section":
    from seqloom.data.check_report import Section
    from seqloom.data.files import checksum
    from seqloom.data.labelled_findings import class_counts

    sizes = Counter(one.pixels.shape for one in images)
    shown = ", ".join(f"{height} x {width}" for (height, width), _ in sizes.most_common(3))
    more = f" and {len(sizes) - 3:,} others" if len(sizes) > 3 else ""
    lowest, highest = min(one.pixels.min() for one in images), max(one.pixels.max() for one in images)
    rows = [
        ("file", path),
        ("images", f"{len(images):,}"),
        ("pixels", shown + more),
        ("values", f"{lowest} to {highest}"),
    ]
    groups = {one.group for one in images if one.group}
    rows += [("groups", f"{len(groups):,}")] if groups else []
    rows += [("sha256", checksum(path))] if Path(path).is_file() else []
    return Section(rows, {"class": class_counts(examples)}, title)


def _pixel_findings(split: str, images: Sequence["Found"]) -> Iterator["Finding"]:
    from seqloom.data.findings import Finding

    sizes = Counter(one.pixels.shape for one in images)
    usual = sizes.most_common(1)[0][0]
    for one in images:
        if one.pixels.shape != usual:
            height, width = one.pixels.shape
            message = f"{split}: {height} x {width} pixels, most have {usual[0]} x {usual[1]}; set height and width"
            yield Finding("error", "sizes", one.where, message)
        if one.pixels.min() == one.pixels.max():
            message = f"{split}: all pixels of the image are {one.pixels.flat[0]}"
            yield Finding("warning", "constant image", one.where, message)
