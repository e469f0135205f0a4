"""Images from folders, archives of arrays and memory; an image is a series whose steps are its rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqloom.data.archives import GROUPS, LABELS, VALUES, Section, is_archive, read_sections
from seqloom.data.class_folders import class_folders, files_in
from seqloom.data.images.config import ImageReading
from seqloom.data.labelled import LabelledData, Series
from seqloom.data.labelled_findings import class_counts
from seqloom.data.source import Source
from seqloom.errors import DataError
from seqloom.outside import limit, raising

__all__ = ["ENDINGS", "IMAGES", "Found", "found_images", "open_image", "read_images"]

IMAGES = (*VALUES, "image", "images", "pixels")
"""What the array of the images is called, where a person does not say."""
ENDINGS = (".png", ".pgm", ".bmp", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp")

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow turns colours to grey
_NO_IMAGES = "expected a folder of images for each class, or an .npz file with images (N, H, W)"

Pixels = NDArray[Any]


class Found(NamedTuple):
    """An image, and what is said of it."""

    pixels: Pixels
    label: str | None
    group: str
    part: str
    where: str


def read_images(source: Source, reading: ImageReading, part: str = "") -> LabelledData[Series]:
    """The images of a source, as grey values as they are stored; ``facts`` has ``height``, ``width``, ``images``, ``labels``.

    The values of all are one array, of which those of each are a part. 60,000 images of 28 x 28 take 190 MB.

    Args:
        part: the only part that is wanted, of a source that has some.
    Raises:
        DataError: the source is wrong, or its images differ in size; names the image.
    """
    found = [one for one in found_images(source, reading) if not part or not one.part or one.part == part]
    if not found:
        raise DataError(f"{source.name} holds no images{f' of the part {part}' if part else ''}; {_NO_IMAGES}")
    height, width = found[0].pixels.shape
    for one in found:
        if one.pixels.shape != (height, width):
            here, there = "{} x {}".format(*one.pixels.shape), f"{height} x {width}"
            raise DataError(f"{one.where}: the image has {here} pixels, the first one {there}; set height and width")
    if len(found) * height * width * 4 > limit("ARCHIVE"):
        raise DataError(
            f"{source.name}: {len(found):,} images of {height} x {width} pixels are too many; {raising('ARCHIVE')}"
        )
    values = np.empty((len(found), height, width), np.float32)
    parts: dict[str, list[int]] = {}
    examples = []
    for index, one in enumerate(found):
        values[index] = one.pixels
        examples.append(Series(values=values[index], target=one.label, group=one.group, where=one.where))
        if one.part:
            parts.setdefault(one.part, []).append(index)
    form = "objects" if not source.is_named else "npz" if is_archive(source.path()) else "folder"
    sizes = {"height": height, "width": width, "images": len(found), "labels": class_counts(examples)}
    return LabelledData(examples, {"format": form, **sizes}, parts)


def found_images(source: Source, reading: ImageReading) -> Iterator[Found]:
    """The images of a source one by one, of whatever sizes; (H, W) each. Raises as `read_images`."""
    if not source.is_named:
        images = _objects(source.place)
    elif Path(source.path()).is_dir():
        images = _folder(Path(source.path()))
    elif is_archive(source.path()):
        images = _archive(source.path(), reading)
    elif Path(source.path()).exists():
        raise DataError(f"{source.name}: neither a folder nor an .npz file; {_NO_IMAGES}")
    else:
        raise DataError(f"{source.name}: there is no such file or folder; {_NO_IMAGES}")
    for one in images:
        yield one._replace(pixels=_scaled(one.pixels, reading))


def open_image(file: Path) -> Pixels:
    """(H, W) grey values of an image file, 0 to 255; what is transparent is white.

    Raises:
        DataError: it is no image, damaged, or larger than the limit ``IMAGE``.
    """
    try:
        from PIL import Image
    except ImportError:
        raise DataError(f"{file}: Pillow is not installed; install it with: pip install pillow") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file) as image:
                width, height = image.size
                if width * height > limit("IMAGE"):
                    most = f"{limit('IMAGE'):,} pixels; {raising('IMAGE')}"
                    raise DataError(f"{file}: the image has {height} x {width} pixels, more than {most}")
                if image.mode.startswith("I;16") or image.mode == "I":
                    return (np.asarray(image).astype(np.float32) / 257).clip(0, 255)
                if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
                    over = image.convert("RGBA")
                    white = Image.new("RGBA", image.size, "white")
                    return np.asarray(Image.alpha_composite(white, over).convert("L"))
                return np.asarray(image.convert("L"))
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        reason = str(error).split("\n", 1)[0][:200] or type(error).__name__
        raise DataError(f"{file}: cannot be read as an image ({reason}); save it again") from None


def _folder(place: Path) -> Iterator[Found]:
    for part, folders in class_folders(place).items():
        for folder in folders:
            for file in files_in(folder):
                if file.suffix.lower() in ENDINGS:
                    yield Found(open_image(file), folder.name, "", part, str(file))


def _archive(path: str, reading: ImageReading) -> Iterator[Found]:
    for section in read_sections(path):
        key = section.key(IMAGES, reading.images)
        if not key:
            continue
        images = _grey(section.arrays[key], f"{section.name}: {key}")
        count = len(images)
        labels = _texts(section, LABELS, reading.label, count)
        groups = _texts(section, GROUPS, reading.group, count) if reading.group else None
        parts = section.split(count)
        for index in section.kept(count).tolist():
            label = labels[index] if labels else None
            group = groups[index] if groups else ""
            yield Found(images[index], label, group, parts[index], f"{section.name}[{index}]")


def _texts(section: Section, candidates: Sequence[str], chosen: str, count: int) -> list[str] | None:
    key = section.key(candidates, chosen)
    return section.texts(key, count) if key else None


def _grey(images: Pixels, where: str) -> Pixels:
    """(N, H, W) of (N, H, W), (N, H, W, colours) or (N, pixels) of square images."""
    if images.dtype.kind not in "uifb":
        raise DataError(f"{where} is of the type {images.dtype}; expected grey values")
    if images.ndim == 2:
        side = int(np.sqrt(images.shape[1]))
        if side * side != images.shape[1]:
            raise DataError(f"{where}: {images.shape[1]} pixels are no square image; expected (N, H, W)")
        images = images.reshape(-1, side, side)
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim == 4 and images.shape[3] in (3, 4):
        images = np.stack([one[..., :3].astype(np.float32) @ _LUMA for one in images])
    if images.ndim != 3 or not images.shape[1] or not images.shape[2]:
        raise DataError(f"{where} has the shape {images.shape}; expected images (N, H, W)")
    if images.shape[1] * images.shape[2] > limit("IMAGE"):
        raise DataError(f"{where}: images of {images.shape[1]} x {images.shape[2]} pixels; {raising('IMAGE')}")
    if images.dtype.kind == "f" and not all(np.isfinite(one).all() for one in images):
        raise DataError(f"{where} has values that are no numbers; expected grey values")
    return images


def _objects(given: Any) -> Iterator[Found]:
    """Images (N, H, W), such ones with their classes, or a list of images, (image, class) pairs or series."""
    if isinstance(given, tuple) and len(given) == 2 and getattr(given[0], "ndim", 0) in (3, 4):
        images, labels = given
        if len(images) != len(labels):
            raise DataError(f"there are {len(images)} images and {len(labels)} classes; expected one for each")
        given = zip(images, labels, strict=True)
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise DataError(f"the images are a {type(given).__name__}; expected a list, of which each is an image (H, W)")
    for position, item in enumerate(given):
        where = f"input[{position}]"
        if isinstance(item, Series):
            label = item.target if isinstance(item.target, str) else None
            yield Found(item.values, label, item.group, "", item.where or where)
            continue
        pixels, label = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        try:
            array = np.asarray(pixels)
        except (TypeError, ValueError, OverflowError):
            array = np.zeros(0, object)
        if array.ndim not in (2, 3) or array.dtype.kind not in "uifb":
            raise DataError(f"{where} is a {type(pixels).__name__}; expected an image, (H, W) or (H, W, 3)")
        yield Found(_grey(array[None], where)[0], None if label is None else str(label), "", "", where)


def _scaled(pixels: Pixels, reading: ImageReading) -> Pixels:
    height, width = reading.height or pixels.shape[0], reading.width or pixels.shape[1]
    if (height, width) == pixels.shape:
        return pixels
    return _averaged(_averaged(pixels.astype(np.float32), height).T, width).T


def _averaged(pixels: Pixels, size: int) -> Pixels:
    """Rows scaled to so many: each is the mean of those that it covers, by the share that it covers (area averaging)."""
    edges = np.linspace(0, len(pixels), size + 1)
    summed = np.concatenate([np.zeros((1, pixels.shape[1]), np.float64), np.cumsum(pixels, 0, dtype=np.float64)])
    below = np.minimum(edges.astype(np.int64), len(pixels) - 1)
    at = summed[below] + (edges - below)[:, None] * pixels[below]
    averaged: Pixels = (np.diff(at, axis=0) * (size / len(pixels))).astype(np.float32)
    return averaged
