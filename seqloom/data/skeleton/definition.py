"""What the joints of a skeleton are: names, parents, parts; presets, and definitions in files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.skeleton.presets import PRESETS
from seqloom.errors import ConfigError, did_you_mean
from seqloom.outside import UnreadableError, parse_yaml, read_text

__all__ = ["Skeleton", "fitting", "mirrored", "preset", "skeleton_named"]

_MOST = 1000  # joints
_SIDES = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))
_LETTERS = {"l": "r", "r": "l", "L": "R", "R": "L"}


@dataclass(frozen=True)
class Skeleton:
    """The joints of a body.

    Attributes:
        names: of the J joints.
        parents: index of each joint's parent; -1 of the root.
        parts: the joints of each part of the body; together all, none twice.
        origin: the joints of which the mean is the body's place.
        torso: the joints whose means are the upper and the lower end of the torso.
        hips: a joint at the left and one at the right side, between which the body's width lies.
        name: of the preset, or of the file.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    parts: Mapping[str, tuple[int, ...]]
    origin: tuple[int, ...]
    torso: tuple[tuple[int, ...], tuple[int, ...]]
    hips: tuple[int, int]
    name: str = ""

    @property
    def mirror(self) -> tuple[int, ...]:
        """(J,) which joint lies at the other side of the body; a joint in the middle is its own."""
        place = {name: index for index, name in enumerate(self.names)}
        return tuple(place[_other_side(name, place)] for index, name in enumerate(self.names))

    @property
    def bones(self) -> list[tuple[int, int]]:
        """Each joint with its parent."""
        return [(joint, parent) for joint, parent in enumerate(self.parents) if parent >= 0]

    def to_dict(self) -> dict[str, Any]:
        """As a definition file has it."""

        def named(joints: Sequence[int]) -> list[str]:
            return [self.names[joint] for joint in joints]

        return {
            "name": self.name,
            "names": list(self.names),
            "parents": [self.names[parent] if parent >= 0 else None for parent in self.parents],
            "parts": {part: named(joints) for part, joints in self.parts.items()},
            "origin": named(self.origin),
            "torso": [named(joints) for joints in self.torso],
            "hips": named(self.hips),
        }

    @classmethod
    def of(cls, value: Any, name: str = "") -> Skeleton:
        """The skeleton of a definition: ``names``, ``parents``, ``parts``; ``origin``, ``torso`` and ``hips`` where the names do
        not say them. Joints are named or counted from 0.

        Raises:
            ConfigError: something is missing, unknown, or does not fit.
        """
        return _Definition(value, name).skeleton()


class _Definition:
    def __init__(self, value: Any, name: str) -> None:
        if not isinstance(value, Mapping) or not {"names", "parents", "parts"} <= value.keys():
            raise ConfigError(
                f"{name}: a skeleton is a mapping of names, parents, parts, perhaps origin, torso and hips"
            )
        unknown = value.keys() - {"names", "parents", "parts", "origin", "torso", "hips", "name"}
        if unknown:
            raise ConfigError(
                f"{name}: {min(map(str, unknown))!r} is not a key of a skeleton; known are names, parents, parts, "
                "origin, torso, hips"
            )
        self._value, self._name = value, name or str(value.get("name", "skeleton"))
        self._names = tuple(map(str, self._list(value["names"], "names")))
        if not 1 <= len(self._names) <= _MOST or len(set(self._names)) < len(self._names):
            raise ConfigError(f"{name}: names are {len(self._names)}; expected 1 to {_MOST}, none of them twice")

    def skeleton(self) -> Skeleton:
        value = self._value
        parents = tuple(
            -1 if one is None or one == -1 else self._joint(one) for one in self._list(value["parents"], "parents")
        )
        if len(parents) != len(self._names):
            raise ConfigError(
                f"{self._name}: {len(parents)} parents for {len(self._names)} names; expected one for each"
            )
        self._check_tree(parents)
        if not isinstance(value["parts"], Mapping):
            raise ConfigError(
                f"{self._name}: parts is a {type(value['parts']).__name__}; expected lists of joints by name"
            )
        parts = {str(part): self._joints(joints, part) for part, joints in value["parts"].items()}
        self._check_parts(parts)
        hips = self._joints(value["hips"], "hips") if "hips" in value else self._hips()
        if len(hips) != 2:
            raise ConfigError(
                f"{self._name}: hips are {len(hips)} joints; expected one at the left and one at the right"
            )
        origin = self._joints(value["origin"], "origin") if "origin" in value else hips
        ends = self._list(value["torso"], "torso") if "torso" in value else [self._shoulders(hips), list(origin)]
        if len(ends) != 2:
            raise ConfigError(f"{self._name}: torso has {len(ends)} ends; expected two lists of joints")
        upper, lower = (self._joints(one, "torso") for one in ends)
        return Skeleton(self._names, parents, parts, origin, (upper, lower), (hips[0], hips[1]), self._name)

    def _list(self, value: Any, key: Any) -> Sequence[Any]:
        if not isinstance(value, list | tuple) or not value:
            raise ConfigError(f"{self._name}: {key} is {str(value)[:40]!r}; expected a list")
        return value

    def _joint(self, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self._names):
            return value
        if value in self._names:
            return self._names.index(value)
        raise ConfigError(
            f"{self._name}: {str(value)[:40]!r} is not a joint{did_you_mean(str(value)[:40], self._names)}"
        )

    def _joints(self, value: Any, key: Any) -> tuple[int, ...]:
        return tuple(self._joint(one) for one in self._list(value, key))

    def _check_tree(self, parents: Sequence[int]) -> None:
        for joint in range(len(parents)):
            at, steps = joint, 0
            while at >= 0:
                at, steps = parents[at], steps + 1
                if steps > len(parents):
                    raise ConfigError(
                        f"{self._name}: the parents of {self._names[joint]!r} form a circle; expected a tree"
                    )

    def _check_parts(self, parts: Mapping[str, Sequence[int]]) -> None:
        seen: dict[int, str] = {}
        for part, joints in parts.items():
            for joint in joints:
                if joint in seen:
                    raise ConfigError(
                        f"{self._name}: {self._names[joint]!r} is in {seen[joint]} and in {part}; expected one part"
                    )
                seen[joint] = part
        left = [name for index, name in enumerate(self._names) if index not in seen]
        if left:
            raise ConfigError(f"{self._name}: no part has {', '.join(left)[:100]}; expected each joint in one")

    def _sided(self, word: str) -> tuple[int, ...]:
        """A joint at the left and one at the right, by their names; none where there are not both."""
        for index, name in enumerate(self._names):
            other = _other_side(name, self._names)
            if word in name.lower() and other != name and re.search(r"left|^l|l$", name.lower()):
                return index, self._names.index(other)
        return ()

    def _hips(self) -> tuple[int, ...]:
        found = self._sided("hip")
        if not found:
            raise ConfigError(f"{self._name}: no names say which joints are the hips; add hips: [left, right]")
        return found

    def _shoulders(self, hips: Sequence[int]) -> list[int]:
        found = self._sided("shoulder")
        if not found:
            raise ConfigError(
                f"{self._name}: no names say which joints are the shoulders; add torso: [[upper], [lower]]"
            )
        return list(found)


def _other_side(name: str, names: Collection[str]) -> str:
    """The joint at the other side of the body, by its name: ``hip_left``, ``LeftHip``, ``lfemur``, ``hipL``; else the same."""
    swapped = [name.replace(*sides) for one in _SIDES for sides in (one, one[::-1]) if sides[0] in name]
    if name[:1] in _LETTERS:
        swapped.append(_LETTERS[name[0]] + name[1:])
    if name[-1:] in _LETTERS:
        swapped.append(name[:-1] + _LETTERS[name[-1]])
    return next((one for one in swapped if one in names), name)


def preset(name: str) -> Skeleton:
    """One of the usual skeletons.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in PRESETS:
        raise ConfigError(f"skeleton: {name!r} is neither a preset nor a file{did_you_mean(name, PRESETS)}")
    return Skeleton.of(PRESETS[name], name)


def skeleton_named(name: str) -> Skeleton:
    """The preset, or the definition in a YAML or JSON file.

    Raises:
        ConfigError: there is none, or what the file holds is no skeleton; names what is wrong.
    """
    if name in PRESETS or not Path(name).is_file():
        return preset(name)
    try:
        value = parse_yaml(read_text(Path(name), "YAML"))  # YAML has JSON in it
    except UnreadableError as error:
        raise ConfigError(
            f"{name}{f':{error.line}' if error.line else ''}: {error.reason}; expected a skeleton"
        ) from None
    return Skeleton.of(value, name)


def fitting(positions: NDArray[Any]) -> Skeleton | None:
    """The preset under which the bones of (N, J, C) frames keep their lengths best; none where no preset has J joints.

    The frames are of one person where that is known. One of a few hundred frames is enough.
    """
    candidates = [preset(name) for name, one in PRESETS.items() if len(one["names"]) == positions.shape[1]]
    if len(candidates) < 2 or len(positions) == 0:
        return candidates[0] if candidates else None
    return min(candidates, key=lambda one: _stretch(positions.astype(np.float64), one))


def _stretch(positions: NDArray[np.float64], skeleton: Skeleton) -> float:
    """How much the bones change their lengths, as a mean share of their lengths, and lie apart, in sizes of the body."""
    joints, parents = map(list, zip(*skeleton.bones, strict=True))
    lengths = np.linalg.norm(positions[:, joints] - positions[:, parents], axis=-1)
    size = np.linalg.norm(np.ptp(positions, axis=1), axis=-1)
    size = np.where(size > 0, size, 1.0)
    middle = np.median(lengths, axis=0)
    change = np.abs(lengths - middle).mean(axis=0) / np.maximum(middle, 1e-9)
    return float(np.nan_to_num(change.mean() + (lengths / size[:, None]).mean(), nan=1e9))


def mirrored(values: NDArray[np.float32], skeleton: Skeleton) -> NDArray[np.float32]:
    """(T, J * C) seen in a mirror: left and right joints change places, and x its sign."""
    joints = values.reshape(len(values), len(skeleton.names), -1)[:, list(skeleton.mirror)].copy()
    joints[..., 0] *= -1
    return joints.reshape(values.shape)
