"""One sequence as the readers of the formats hand it over, and the formats that are text: MSR, NTU, OpenPose, MediaPipe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.files import open_text
from seqloom.errors import DataError
from seqloom.outside import UnreadableError, parse_json, read_text

__all__ = ["MSR_NAME", "NTU_NAME", "Recording", "as_joints", "read_keypoints", "read_msr", "read_ntu"]

_MSR_JOINTS, _NTU_JOINTS = 20, 25
_MOST_BODIES, _MOST_FRAMES = 64, 1_000_000
_LARGEST = 1e9  # of a coordinate, whatever its unit
MSR_NAME = re.compile(
    r"a(?P<label>\d+)_s(?P<group>\d+)_e(?P<trial>\d+)_skeleton(?:3D)?\.txt(?:\.(?:gz|xz|bz2))?", re.IGNORECASE
)
NTU_NAME = re.compile(r"S\d+C\d+P(?P<group>\d+)R\d+A(?P<label>\d+)\.skeleton(?:\.(?:gz|xz|bz2))?", re.IGNORECASE)
_OPENPOSE_KEYS = ("pose_keypoints_3d", "pose_keypoints_2d", "pose_keypoints")


@dataclass(frozen=True)
class Recording:
    """A sequence.

    Attributes:
        joints: (T, J, C).
        confidence: (T, J), where the recording says how sure it is.
    """

    joints: NDArray[Any]
    confidence: NDArray[Any] | None = None
    label: str | None = None
    group: str = ""
    where: str = ""
    part: str = ""


def as_joints(value: Any, where: str) -> NDArray[np.float32]:
    """(T, J, 2 or 3) of an array, or of lists of frames, each a list of joints.

    Raises:
        DataError: it is another thing, or a number is beyond all bodies.
    """
    expected = "expected frames of joints of 2 or 3 coordinates, (T, J, C)"
    try:
        joints = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"{where}: the frames are not all lists of as many joints; {expected}") from None
    if joints.ndim != 3 or joints.shape[2] not in (2, 3) or not joints.shape[1]:
        raise DataError(f"{where}: the shape is {joints.shape}; {expected}")
    wrong = np.abs(joints) > _LARGEST  # no number is a missing joint, and allowed
    if wrong.any():
        frame, joint, _ = np.argwhere(wrong)[0].tolist()
        raise DataError(
            f"{where}, frame {frame}, joint {joint}: {joints[frame, joint].tolist()} is no place; "
            f"expected numbers up to {_LARGEST:g}"
        )
    return joints.astype(np.float32)


def _numbers(text: str, where: str, expected: str) -> list[float]:
    try:
        return [float(one) for one in text.split()]
    except ValueError:
        raise DataError(f"{where}: {text.strip()[:60]!r}; expected {expected}") from None


def read_msr(path: str) -> Recording:
    """``a01_s01_e01_skeleton3D.txt``: a line of x, y, z and confidence for each of 20 joints, frame after frame.

    Raises:
        DataError: a line has other than four numbers, or the last frame has too few.
    """
    rows = []
    for number, line in open_text(path, expected="lines of x y z confidence, 20 for each frame"):
        if line.strip():
            where = f"{path}:{number}"
            row = _numbers(line, where, "x y z confidence")
            if len(row) != 4:
                raise DataError(f"{where}: {len(row)} numbers; expected x y z confidence")
            rows.append(row)
    if len(rows) % _MSR_JOINTS:
        raise DataError(
            f"{path}: {len(rows)} lines are no whole number of frames; expected {_MSR_JOINTS} for each frame"
        )
    array = np.array(rows, np.float64).reshape(-1, _MSR_JOINTS, 4)
    match = MSR_NAME.fullmatch(Path(path).name)
    label, group = (match["label"].lstrip("0"), match["group"].lstrip("0")) if match else (None, "")
    return Recording(as_joints(array[:, :, :3], path), array[:, :, 3], label, group, path)


def read_ntu(path: str) -> Recording:
    """``S001C001P001R001A001.skeleton`` of NTU RGB+D: of several bodies the one that moves most.

    Raises:
        DataError: the lines are not those of the format; names the line.
    """
    lines = open_text(path, expected="the number of frames, and then the bodies of each")

    def next_line(expected: str) -> tuple[str, str]:
        for number, line in lines:
            if line.strip():
                return line, f"{path}:{number}"
        raise DataError(f"{path}: ends before {expected}; it is cut short")

    def count(expected: str, most: int) -> int:
        line, where = next_line(expected)
        if not line.strip().isdecimal() or len(line.strip()) > 9 or int(line) > most:
            raise DataError(f"{where}: {line.strip()[:40]!r}; expected {expected}, at most {most:,}")
        return int(line)

    bodies: dict[str, dict[int, list[list[float]]]] = {}
    frames = count("the number of frames", _MOST_FRAMES)
    for frame in range(frames):
        for _ in range(count("the number of bodies", _MOST_BODIES)):
            identity = next_line("a body")[0].split()[0]
            joints = count("the number of joints", 1000)
            if joints != _NTU_JOINTS:
                raise DataError(f"{path}: a body of {joints} joints in frame {frame}; expected {_NTU_JOINTS}")
            rows = []
            for _ in range(joints):
                line, where = next_line("a joint")
                row = _numbers(line, where, "x y z and more of a joint")
                if len(row) < 3:
                    raise DataError(f"{where}: {len(row)} numbers; expected x y z and more of a joint")
                rows.append(row[:3])
            if identity not in bodies and len(bodies) >= _MOST_BODIES:
                raise DataError(f"{path}: more than {_MOST_BODIES} bodies; expected fewer")
            bodies.setdefault(identity, {})[frame] = rows
    match = NTU_NAME.fullmatch(Path(path).name)
    label, group = (match["label"].lstrip("0"), match["group"].lstrip("0")) if match else (None, "")
    best = max(bodies.values(), key=_movement, default={})
    return Recording(as_joints(_body(best), path), None, label, group, path)


def _body(frames: Mapping[int, Sequence[Sequence[float]]]) -> NDArray[np.float64]:
    """(T, J, 3) from the first frame with the body to the last one; between them it may be missing."""
    first = min(frames, default=0)
    joints = np.zeros((max(frames, default=-1) - first + 1, _NTU_JOINTS, 3))
    for frame, rows in frames.items():
        joints[frame - first] = rows
    return joints


def _movement(frames: Mapping[int, Sequence[Sequence[float]]]) -> float:
    joints = np.nan_to_num(np.clip(np.array(list(frames.values())), -_LARGEST, _LARGEST))
    return float(joints.var(axis=0).sum() * len(joints))


def read_keypoints(paths: Sequence[Path], where: str) -> Recording:
    """JSON of OpenPose, a file for each frame in the order of their names, or of MediaPipe; or one file with a list of frames.

    Of several people in a frame the one whose joints are surest is taken. Frames without anybody have missing joints.

    Raises:
        DataError: a file is no JSON, or holds no key points; names it.
    """
    frames: list[NDArray[np.float64] | None] = []
    for path in paths:
        try:
            value = parse_json(read_text(path, "JSON"))
        except UnreadableError as error:
            raise DataError(
                f"{path}{f':{error.line}' if error.line else ''}: {error.reason}; expected key points"
            ) from None
        several = isinstance(value, list) and bool(value) and not _is_landmark(value[0])
        for index, one in enumerate(value if several else [value]):
            frames.append(_frame(one, f"{path}[{index}]" if several else str(path)))
    known = [frame for frame in frames if frame is not None]
    shapes = {frame.shape for frame in known}
    if len(shapes) > 1:
        raise DataError(
            f"{where}: frames of {' and '.join(str(shape[0]) for shape in sorted(shapes))} joints; expected as many in all"
        )
    shape = shapes.pop() if shapes else (0, 3)
    if not known:
        raise DataError(f"{where}: no frame has a person in it; expected pose_keypoints_2d or landmarks")
    array = np.stack([np.zeros(shape) if frame is None else frame for frame in frames])
    return Recording(as_joints(array[:, :, :-1], where), array[:, :, -1], where=where)


def _is_landmark(value: Any) -> bool:
    return isinstance(value, Mapping) and "x" in value and "y" in value


def _frame(value: Any, where: str) -> NDArray[np.float64] | None:
    """(J, C + 1): coordinates and how sure they are; none where nobody is seen."""
    expected = "expected people with pose_keypoints_2d, or a list of landmarks with x, y, z"
    if isinstance(value, Mapping) and isinstance(value.get("people"), list):
        people = [one for one in (_person(person, where) for person in value["people"]) if one is not None]
        return max(people, key=lambda one: float(one[:, -1].sum()), default=None)
    if isinstance(value, Mapping):
        named = next(
            (value[key] for key in ("pose_world_landmarks", "pose_landmarks", "landmarks") if value.get(key)), None
        )
        if named is None and not {"pose_world_landmarks", "pose_landmarks", "landmarks"} & value.keys():
            raise DataError(f"{where}: the keys are {', '.join(map(str, value))[:80]}; {expected}")
        value = named or []
    if not isinstance(value, list):
        raise DataError(f"{where}: the value is a {type(value).__name__}; {expected}")
    if value and isinstance(value[0], list):  # a list of people
        value = value[0]
    if not value:
        return None
    if not all(_is_landmark(one) for one in value):
        raise DataError(f"{where}: {str(value[0])[:60]} is no landmark; {expected}")
    rows = [[one["x"], one["y"], one.get("z", 0.0), one.get("visibility", 1.0)] for one in value]
    return _floats(rows, where, expected)


def _person(person: Any, where: str) -> NDArray[np.float64] | None:
    key = next((key for key in _OPENPOSE_KEYS if isinstance(person, Mapping) and person.get(key)), None)
    if key is None:
        return None
    width = 4 if key.endswith("3d") else 3
    flat = _floats(person[key], where, f"a list of {width} numbers for each joint")
    if flat.ndim != 1 or len(flat) % width:
        raise DataError(f"{where}: {key} has {flat.size} numbers; expected {width} for each joint")
    return flat.reshape(-1, width)


def _floats(value: Any, where: str, expected: str) -> NDArray[np.float64]:
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"{where}: some coordinates are no numbers; {expected}") from None
