"""Skeletons of any format, as labelled series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.archive_shapes import Shapes
from seqloom.data.archives import Section, read_sections
from seqloom.data.files import first_bytes
from seqloom.data.labelled import LabelledData, Series, of_part, part_named, split_part
from seqloom.data.skeleton.config import SkeletonFormat, SkeletonReading
from seqloom.data.skeleton.definition import Skeleton, fitting, skeleton_named
from seqloom.data.skeleton.recording import MSR_NAME, NTU_NAME, Recording, as_joints, read_keypoints, read_msr, read_ntu
from seqloom.data.source import Source
from seqloom.errors import DataError

__all__ = ["POSITIONS", "holds_skeletons", "read_skeletons", "skeleton_format"]

POSITIONS = ("xyz", "keypoints", "keypoint", "joints", "skeleton", "skeletons", "positions", "x", "X")
_LABELS = ("action", "label", "labels", "y", "target", "class")
_CONFIDENCE = ("conf", "confidence", "keypoint_score")
_GROUPS = ("subject", "subjects", "group", "groups", "user", "actor", "person")

_COORDINATES = ("x", "y", "z")
_MOST_JOINTS = 200
_GLANCE = 400  # frames from which the order of joints is seen
_PICKLE = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def read_skeletons(source: Any, reading: SkeletonReading | None = None, part: str = "") -> LabelledData[Series]:
    """Sequences of joints with their actions and who did them; series of J * C columns, those of a joint side by side.

    ``facts`` has ``format``, ``channels``, ``joints`` (their names), ``dimensions`` (C), ``skeleton`` (what `Skeleton.of` takes;
    none where no preset has as many joints and none is named) and ``unused`` (how many sequences were left out as such).

    Args:
        source: an archive; a file or a folder of MSR or NTU files or of key points in JSON, where a folder of class folders says
            the labels; or in memory a list of arrays (T, J, C), of (array, label), or an array (N, T, J, C).
        part: ``train``, ``dev`` or ``test`` of a file that holds several; also behind the name: ``actions.npz:test``.
    Raises:
        DataError: something is no skeleton, or the sequences have different joints; names where.
        ConfigError: the skeleton that is named does not exist or is wrong.
    """
    reading = reading or SkeletonReading()
    place, unused = Source.of(source), 0
    if not place.is_named:
        format: SkeletonFormat = "npz"
        recordings = list(_in_memory(place.place))
        kind = "objects"
    else:
        path, named = split_part(place.path())
        part = part or named
        kind = format = skeleton_format(path) if reading.format == "auto" else reading.format
        if format == "npz":
            recordings, unused = _archive(path, reading)
        else:
            recordings = list(_files(path, format))
    skeleton = _skeleton(recordings, reading, place.name)
    return of_part(
        _series(recordings, skeleton, reading, {"format": kind, "unused": unused}, place.name), part, place.name
    )


def _in_memory(value: Any) -> Iterator[Recording]:
    if isinstance(value, np.ndarray) and value.ndim == 3:
        value = [value]
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray | Iterator):
        raise DataError(f"the sequences are a {type(value).__name__}; expected a list of arrays (T, J, C)")
    for position, one in enumerate(value):
        where = f"input[{position}]"
        if isinstance(one, tuple) and len(one) == 2 and (one[1] is None or isinstance(one[1], str | int | np.integer)):
            yield Recording(as_joints(one[0], where), label=None if one[1] is None else str(one[1]), where=where)
        elif isinstance(one, Recording):
            yield replace(one, joints=as_joints(one.joints, where))
        else:
            yield Recording(as_joints(one, where), where=where)


def skeleton_format(path: str) -> SkeletonFormat:
    """The format of a file or of a folder's files, by their names and first bytes.

    Raises:
        DataError: it cannot be read, or is none of the formats.
    """
    if Path(path).is_dir():
        for file in sorted(Path(path).rglob("*")):
            found = _by_name(file)
            if found is not None:
                return found
        raise DataError(
            f"{path}: no file of skeletons; expected aXX_sXX_eXX_skeleton3D.txt, *.skeleton, or key points as *.json"
        )
    found = _by_name(Path(path))
    head, name = first_bytes(path, 64)
    if head.startswith(b"PK"):
        return "npz"
    if head.startswith(_PICKLE) or path.endswith((".pkl", ".pickle")):
        raise DataError(
            f"{name}: a pickle, which may run any program and is not read; convert it where you trust it: np.savez('a.npz', "
            "keypoints=(all frames, J, C), offsets=(first frame of each, and the end), label=..., subject=...)"
        )
    if found is not None:
        return found
    if head.lstrip()[:1] in (b"[", b"{"):
        return "keypoints"
    raise DataError(f"{name}: no archive, MSR, NTU or key points file; expected skeletons in one of these formats")


def _by_name(path: Path) -> SkeletonFormat | None:
    if MSR_NAME.fullmatch(path.name):
        return "msr"
    if NTU_NAME.fullmatch(path.name) or ".skeleton" in path.suffixes:
        return "ntu"
    return "keypoints" if path.suffix == ".json" else None


def _files(path: str, format: SkeletonFormat) -> Iterator[Recording]:
    folder = Path(path)
    if not folder.is_dir():
        yield (
            read_msr(path) if format == "msr" else read_ntu(path) if format == "ntu" else read_keypoints([folder], path)
        )
        return
    files = [one for one in sorted(folder.rglob("*")) if one.is_file() and _by_name(one) == format]
    if not files:
        raise DataError(f"{path}: no {format} files; expected a folder of them")
    if format != "keypoints":
        for file in files:
            found = read_msr(str(file)) if format == "msr" else read_ntu(str(file))
            yield found if found.label is not None or file.parent == folder else replace(found, label=file.parent.name)
        return
    # OpenPose writes a file for each frame into a folder for each sequence.
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folders.setdefault(file.parent, []).append(file)
    for one, frames in folders.items():
        label = one.parent.name if one != folder and one.parent != folder else None
        yield replace(read_keypoints(frames, str(one)), label=label)


def holds_skeletons(shapes: Shapes) -> bool:
    """Whether arrays of these shapes are surely skeletons: joints by name, or frames of joints one after another.

    Arrays (N, T, J, C) called x might be pictures.
    """
    bare = {
        name.partition("_")[2] if part_named(name.partition("_")[0]) else name: shape for name, shape in shapes.items()
    }
    name = _positions(bare)
    return name is not None and not (len(bare[name]) == 4 and name in ("x", "X"))


def _positions(shapes: Shapes) -> str | None:
    several = bool({"offsets", "lengths"} & shapes.keys())
    for name in POSITIONS:
        shape = shapes.get(name, ())
        if (
            ((len(shape) == 3 and several) or len(shape) == 4)
            and shape[-1] in (2, 3)
            and 5 <= shape[-2] <= _MOST_JOINTS
        ):
            return name
    return None


def _archive(path: str, reading: SkeletonReading) -> tuple[list[Recording], int]:
    recordings: list[Recording] = []
    unused = 0
    for section in read_sections(path):
        joints, offsets, confidence = _frames(section)
        count = len(offsets) - 1
        columns = [
            section.key(_LABELS, "" if reading.label == "auto" else reading.label),
            section.key(_GROUPS, "" if reading.group == "auto" else reading.group),
        ]
        labels, groups = (section.texts(key, count) if key else None for key in columns)
        parts = section.split(count)
        kept = list(range(count)) if reading.unused else section.kept(count).tolist()
        unused += count - len(kept)
        recordings += [
            Recording(
                joints[offsets[index] : offsets[index + 1]],
                None if confidence is None else confidence[offsets[index] : offsets[index + 1]],
                labels[index] if labels else None,
                groups[index] if groups else "",
                f"{section.name}[{index}]",
                parts[index],
            )
            for index in kept
        ]
    return recordings, unused


def _frames(section: Section) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[Any] | None]:
    """(N, J, C) one after another, offsets, and (N, J) how sure, where it is known."""
    arrays, path = section.arrays, section.name
    name = _positions({name: array.shape for name, array in arrays.items()})
    if name is None or arrays[name].dtype.kind not in "iuf":
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())[:200]
        raise DataError(
            f"{path}: the arrays are {shapes}; expected xyz or keypoints of the shape (frames, joints, 2 or 3) with offsets, "
            "or (sequences, frames, joints, 2 or 3)"
        )
    sequences = section.cut(name)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(one) for one in sequences], dtype=np.int64)])
    frames = np.concatenate(sequences) if sequences else arrays[name].reshape(0, *arrays[name].shape[-2:])
    sure = section.key(_CONFIDENCE)
    if not sure:
        return as_joints(frames, path), offsets, None
    if arrays[sure].dtype.kind not in "iuf" or arrays[sure].shape != arrays[name].shape[:-1]:
        raise DataError(f"{path}: {sure} has the shape {arrays[sure].shape}; expected {arrays[name].shape[:-1]}")
    confidence = np.concatenate(section.cut(sure)) if sequences else np.zeros(frames.shape[:2])
    return as_joints(frames, path), offsets, confidence


def _skeleton(recordings: Sequence[Recording], reading: SkeletonReading, name: str) -> Skeleton | None:
    counts = sorted({one.joints.shape[1:] for one in recordings if len(one.joints)})
    if len(counts) > 1:
        (first, *_), odd = counts, next(one for one in recordings if one.joints.shape[1:] == counts[-1])
        raise DataError(
            f"{odd.where or name}: joints and coordinates are {counts[-1]}, elsewhere {first}; expected the same in all sequences"
        )
    if reading.skeleton != "auto":
        skeleton = skeleton_named(reading.skeleton)
        if counts and counts[0][0] != len(skeleton.names):
            raise DataError(
                f"{name}: {counts[0][0]} joints, but {reading.skeleton} has {len(skeleton.names)}; name another skeleton"
            )
        return skeleton
    if not counts:
        return None
    longest = max(recordings, key=lambda one: len(one.joints))
    known = longest.joints[np.isfinite(longest.joints).all(axis=(1, 2)) & ~(longest.joints == 0).all(axis=(1, 2))]
    return fitting(known[:_GLANCE])


def _series(
    recordings: Sequence[Recording],
    skeleton: Skeleton | None,
    reading: SkeletonReading,
    facts: Mapping[str, Any],
    name: str,
) -> LabelledData[Series]:
    shape = next((one.joints.shape[1:] for one in recordings if len(one.joints)), (0, 3))
    joints = list(skeleton.names) if skeleton is not None else [f"joint{index}" for index in range(shape[0])]
    channels = [f"{joint}_{axis}" for joint in joints for axis in _COORDINATES[: shape[1]]]
    examples, parts = [], dict[str, list[int]]()
    for index, one in enumerate(recordings):
        values = (
            one.joints.reshape(len(one.joints), -1) if len(one.joints) else np.zeros((0, len(channels)), np.float32)
        )
        if reading.confidence > 0 and one.confidence is not None:
            unsure = np.repeat(one.confidence < reading.confidence, shape[1], axis=1)
            values = np.where(unsure, np.float32(np.nan), values)
        examples.append(Series(values=values, target=one.label, group=one.group, where=one.where))
        if one.part:
            parts.setdefault(one.part, []).append(index)
    return LabelledData(
        examples,
        {
            **facts,
            "channels": channels,
            "joints": joints,
            "dimensions": shape[1],
            "skeleton": skeleton.to_dict() if skeleton is not None else None,
        },
        parts,
    )
