"""What there is to choose about reading series. No torch here: the command line reads this to print its help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from seqloom.errors import ConfigError

__all__ = ["SERIES_FORMATS", "SeriesFormat", "SeriesReading"]

SeriesFormat: TypeAlias = Literal["auto", "ts", "arff", "npz", "csv", "folder"]
SERIES_FORMATS: tuple[SeriesFormat, ...] = ("ts", "arff", "npz", "csv", "folder")


@dataclass(frozen=True)
class SeriesReading:
    """How series are read.

    Args:
        format: ``ts`` and ``arff`` as the UEA archive has them; ``npz`` with all series in one array; ``csv`` with a row for each
            step; ``folder`` with a folder of CSV files for each class; ``auto`` goes by the name.
        label: array or column of the class; empty takes a usual name, ``none`` takes none.
        group: array or column of who or what made a series; empty takes a usual name, ``none`` takes none.
        targets: arrays or columns of the real values to predict, in the place of a class.
        target_per: whether a target belongs to a ``series`` or to each ``step``; ``auto`` looks whether it changes.
        channels: channels to keep, by name or number from 0, in this order; none given keeps all.
        values: of ``npz``, the array of the series; empty takes a usual name.
        case: of ``csv``, the column that says to which series a row belongs; empty takes a usual name, ``none`` makes the file
            one series.
        time: of ``csv`` and ``folder``, the column of the time; empty takes a usual name, ``none`` takes none.
        time_unit: of numbers in that column; ``auto`` judges by their size and says what it took.
        rate: steps in a second; 0 takes what the file says, if it does.
        trim: leave out the steps at the end of a series at which all channels are missing.
        encoding: of text files.
    """

    format: SeriesFormat = "auto"
    label: str = ""
    group: str = ""
    targets: tuple[str, ...] = ()
    target_per: Literal["auto", "series", "step"] = "auto"
    channels: tuple[str, ...] = ()
    values: str = ""
    case: str = ""
    time: str = ""
    time_unit: Literal["auto", "s", "ms", "us", "ns"] = "auto"
    rate: float = 0.0
    trim: bool = True
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if not 0 <= self.rate < float("inf"):
            raise ConfigError(f"rate is {self.rate}; expected steps in a second, or 0 for what the file says")
        if len(set(self.channels)) < len(self.channels):
            raise ConfigError(f"channels names one twice: {', '.join(self.channels)}")
