"""Skeletons as a kind of data: what the verb ``check`` takes and does for them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from seqloom.data.files import DAMAGE, STDIN, first_bytes
from seqloom.data.skeleton.config import SKELETON_FORMATS, SkeletonFormat, SkeletonReading
from seqloom.errors import DataError

if TYPE_CHECKING:
    from seqloom.data.check_report import CheckReport

__all__ = ["SkeletonCheck", "SkeletonKind"]

_GLANCE = 4096
_KEYPOINTS = re.compile(r'"(?:pose_keypoints(?:_[23]d)?|pose_landmarks|pose_world_landmarks)"\s*:\s*\[')


@dataclass(frozen=True)
class SkeletonCheck:
    """Options of ``seqloom check`` for skeletons."""

    data: Annotated[Path, "the archive, file or folder to check: NPZ, MSR, NTU, or key points in JSON"]
    train: Annotated[Path | None, "training file to compare it with: shared persons, unknown classes"] = None
    as_: Annotated[SkeletonFormat, "format of the files; auto recognises it"] = "auto"
    skeleton: Annotated[str, "a preset such as kinect20, or a definition file; auto recognises a preset"] = "auto"
    label: Annotated[str, "key of the label in NPZ; auto knows the usual ones"] = "auto"
    group: Annotated[str, "key of the person in NPZ; auto knows the usual ones"] = "auto"
    unused: Annotated[bool, "whether sequences that a file marks as not used count"] = False
    limit: Annotated[int, "findings of a kind to list for each file"] = 10


class SkeletonKind:
    """Sequences of joints, in any of the formats that `read_skeletons` reads."""

    name: ClassVar[str] = "skeletons"
    formats: ClassVar[tuple[str, ...]] = SKELETON_FORMATS
    check_options: ClassVar[type] = SkeletonCheck

    def recognises(self, path: Path) -> bool:
        """Whether it is an archive of joints, an MSR or NTU file, key points in JSON, or a folder of such files."""
        if str(path) == STDIN:
            return False
        try:
            if path.is_dir():
                files = (one for depth in ("*", "*/*", "*/*/*") for one in sorted(path.glob(depth)) if one.is_file())
                first = next(files, None)
                return first is not None and self.recognises(first)
            return _looks_like_skeletons(path)
        except (DataError, ValueError, *DAMAGE):
            return False

    def check(self, options: SkeletonCheck) -> "CheckReport":
        """What the file, and the training file, hold and what is wrong with them.

        Raises:
            ConfigError: the skeleton that is named does not exist or is wrong.
        """
        from seqloom.data.skeleton.check import check

        reading = SkeletonReading(
            format=options.as_,
            skeleton=options.skeleton,
            label=options.label,
            group=options.group,
            unused=options.unused,
        )
        paths = {"data": options.data} if options.train is None else {"train": options.train, "data": options.data}
        return check({name: str(path) for name, path in paths.items()}, reading, options.limit)


def _looks_like_skeletons(path: Path) -> bool:
    from seqloom.data.archive_shapes import shapes_of
    from seqloom.data.labelled import split_part
    from seqloom.data.skeleton.reading import holds_skeletons
    from seqloom.data.skeleton.recording import MSR_NAME, NTU_NAME

    name = split_part(str(path))[0]
    if not Path(name).is_file():
        return False
    if MSR_NAME.fullmatch(Path(name).name) or NTU_NAME.fullmatch(Path(name).name):
        return True
    head, _ = first_bytes(name, _GLANCE)
    if head.startswith(b"PK"):
        return holds_skeletons(shapes_of(name))
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    return text.startswith(("[", "{")) and _KEYPOINTS.search(text) is not None
