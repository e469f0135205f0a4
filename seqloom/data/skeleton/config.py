"""What there is to choose about skeletons. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from seqloom.errors import ConfigError

__all__ = ["SKELETON_FORMATS", "SkeletonAugmentation", "SkeletonConfig", "SkeletonFormat", "SkeletonReading"]

SkeletonFormat: TypeAlias = Literal["auto", "npz", "msr", "ntu", "keypoints"]
SKELETON_FORMATS: tuple[SkeletonFormat, ...] = ("npz", "msr", "ntu", "keypoints")


@dataclass(frozen=True)
class SkeletonReading:
    """How skeletons are read.

    Args:
        format: npz, msr (a01_s01_e01_skeleton3D.txt), ntu (.skeleton) or keypoints (JSON of OpenPose or MediaPipe); auto looks.
        skeleton: a preset (kinect20, msr20, kinect25, coco17, h36m17, hdm05_31, openpose25, mediapipe33) or a definition file in
            YAML or JSON; auto takes the preset under which the bones keep their lengths best.
        label: key of the label in NPZ; auto knows the usual ones.
        group: key of the person in NPZ; auto knows the usual ones.
        unused: whether sequences that a file marks as not used are kept.
        confidence: joints of which the recording is less sure than this count as missing.
    """

    format: SkeletonFormat = "auto"
    skeleton: str = "auto"
    label: str = "auto"
    group: str = "auto"
    unused: bool = False
    confidence: float = 0.0


@dataclass(frozen=True)
class SkeletonAugmentation:
    """How sequences are changed in training, each time anew; 0 switches a change off.

    Args:
        yaw: largest turn about the vertical axis, in degrees.
        scale: largest change of size, as a share.
        tempo: largest change of the number of frames, as a share.
        warp: largest share by which a sequence is locally faster or slower.
        jitter: deviation of noise on each coordinate, in torso lengths, or in units of the data where size is left.
        drop: share of the frames that are left out.
    """

    yaw: float = 15.0
    scale: float = 0.1
    tempo: float = 0.15
    warp: float = 0.3
    jitter: float = 0.01
    drop: float = 0.05

    def __post_init__(self) -> None:
        for name, largest in (
            ("yaw", 180),
            ("scale", 0.95),
            ("tempo", 0.95),
            ("warp", 0.95),
            ("jitter", 10),
            ("drop", 0.95),
        ):
            if not 0 <= getattr(self, name) <= largest:
                raise ConfigError(
                    f"augmentation: {name} is {getattr(self, name)}; expected a number from 0 to {largest}"
                )


@dataclass(frozen=True)
class SkeletonConfig:
    """How skeletons become features.

    Args:
        fill: whether missing joints (all zero, or no numbers) are interpolated over time.
        origin: the middle of the hips of each frame, or of the first one, which keeps where the body goes; none leaves all.
        smooth: whether coordinates are smoothed over 5 frames (Savitzky-Golay, quadratic).
        thin: every how many frames one is kept.
        size: torso divides by the length of the torso; none leaves the units of the data.
        facing: the body turned about the vertical axis so that its hips lie along x: by the hips of the whole series, or in each
            frame; none leaves it.
        up: the vertical axis.
        velocities: whether the differences between frames are features too.
        standardise: by one deviation for all coordinates, which keeps the body's proportions, by one for each, or not at all.
        augmentation: changes in training.
    """

    fill: bool = True
    origin: Literal["frame", "first", "none"] = "frame"
    smooth: bool = True
    thin: int = 1
    size: Literal["torso", "none"] = "torso"
    facing: Literal["series", "frame", "none"] = "none"
    up: Literal["y", "z"] = "y"
    velocities: bool = False
    standardise: Literal["global", "channel", "none"] = "global"
    augmentation: SkeletonAugmentation = field(default_factory=SkeletonAugmentation)

    def __post_init__(self) -> None:
        if not 1 <= self.thin <= 1000:
            raise ConfigError(f"thin is {self.thin}; expected every how many frames one is kept, from 1 to 1000")
