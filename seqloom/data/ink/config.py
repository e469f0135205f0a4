"""What there is to choose about ink. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from seqloom.errors import ConfigError

__all__ = ["INK_FORMATS", "InkFormat", "InkReading", "PenAugmentation", "PenConfig"]

InkFormat: TypeAlias = Literal["auto", "unipen", "inkml", "json", "jsonl", "npz"]
INK_FORMATS: tuple[InkFormat, ...] = ("unipen", "inkml", "json", "jsonl", "npz")


@dataclass(frozen=True)
class InkReading:
    """How ink is read.

    Args:
        format: of the file: unipen, inkml, json (one character, or a list of them), jsonl (one in each line) or npz; auto looks.
        y_down: whether y grows downwards in the file, as on screens; auto is yes for JSON, InkML and objects in memory, and no
            for UNIPEN and NPZ. What is read always grows upwards.
        quality: whether characters that their collectors marked as doubtful (?) or bad are kept.
        label: key of the label in JSON, NPZ and InkML; auto knows the usual ones.
        group: key of who wrote it; auto knows the usual ones.
        time: whether the time of points is kept, where all have it.
        level: of UNIPEN files: the segments that are characters.
        encoding: of text files.
    """

    format: InkFormat = "auto"
    y_down: Literal["auto", "yes", "no"] = "auto"
    quality: Literal["all", "good"] = "all"
    label: str = "auto"
    group: str = "auto"
    time: Literal["auto", "no"] = "auto"
    level: str = "CHARACTER"
    encoding: str = "utf-8"


@dataclass(frozen=True)
class PenAugmentation:
    """How characters are changed in training, each time anew; 0 switches a change off.

    Args:
        rotation: largest angle in degrees.
        shear: largest horizontal shift of a point one unit above another.
        scale: largest change of width and of height, each as a share.
        elastic: deviation of a smooth local shift of the points, in sizes of the character.
        warp: largest share by which points are locally closer together or further apart.
        drop: share of the points that are left out; the ends of strokes stay.
        jitter: deviation of the shift of a whole stroke, in sizes of the character.
    """

    rotation: float = 12.0
    shear: float = 0.2
    scale: float = 0.15
    elastic: float = 0.02
    warp: float = 0.3
    drop: float = 0.05
    jitter: float = 0.02

    def __post_init__(self) -> None:
        for name, largest in (
            ("warp", 0.95),
            ("drop", 0.95),
            ("scale", 0.95),
            ("shear", 10),
            ("elastic", 1),
            ("jitter", 1),
        ):
            if not 0 <= getattr(self, name) <= largest:
                raise ConfigError(
                    f"augmentation: {name} is {getattr(self, name)}; expected a number from 0 to {largest}"
                )


@dataclass(frozen=True)
class PenConfig:
    """How the strokes of a pen become features.

    Args:
        features: full is dx, dy, cosine and sine of the direction, perhaps log(1 + speed), and pen_up; minimal is dx, dy, pen_up.
        position: whether x and y in the character's box are features too.
        curvature: whether the sine and cosine of the change of direction are features too.
        speed: whether speed is a feature; auto where the ink has time.
        resample: arc puts points at equal distances along a stroke, time at equal times, as many as arc; none leaves them.
        delta: distance of resampled points, in sizes of the character.
        augmentation: changes in training.
    """

    features: Literal["full", "minimal"] = "full"
    position: bool = False
    curvature: bool = False
    speed: Literal["auto", "no"] = "auto"
    resample: Literal["arc", "time", "none"] = "arc"
    delta: float = 0.05
    augmentation: PenAugmentation = field(default_factory=PenAugmentation)

    def __post_init__(self) -> None:
        if not 1e-4 <= self.delta <= 10:
            raise ConfigError(f"delta is {self.delta}; expected a distance such as 0.05, from 0.0001 to 10")
