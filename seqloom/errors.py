"""A person's mistakes: each is one sentence that says what was found, where, what was expected, and the remedy.

The command line prints the sentence and exits with status 2. Everything else that is raised is a bug and keeps its traceback.
"""

import difflib
import errno
import os
import re
from collections.abc import Iterable

__all__ = ["ConfigError", "DataError", "ModelError", "PlaceError", "SeqloomError", "did_you_mean", "machine_problem"]


class SeqloomError(Exception):
    """Something that a person gave cannot be used."""


class ConfigError(SeqloomError, ValueError):
    """A configuration file or an option is wrong."""


class DataError(SeqloomError, ValueError):
    """A data file is wrong; the message begins with ``file:line:`` where there is a line."""


class ModelError(SeqloomError, ValueError):
    """A model or run directory is damaged, foreign, or not what was asked for."""


class PlaceError(SeqloomError):
    """A place cannot be written or read any more: a full disk, a device that fails, a folder that became read-only."""


_REFUSALS = (
    *("EIO", "ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE"),
    *("ENXIO", "ENODEV", "ESTALE", "ENOTCONN", "ETIMEDOUT"),
)
_OF_THE_MACHINE = {getattr(errno, name) for name in _REFUSALS if hasattr(errno, name)}
# safetensors writes from Rust, whose errors come as text.
_FROM_RUST = re.compile(r"\(os error (\d+)\)")


def machine_problem(error: BaseException) -> str | None:
    """What the machine says, and of which file, where an error is its refusal to write or read; else None.

    >>> machine_problem(OSError(errno.ENOSPC, "No space left on device", "runs/a/metrics.jsonl"))
    'No space left on device (runs/a/metrics.jsonl)'
    """
    if isinstance(error, OSError):
        number, file = error.errno, error.filename
    else:
        told = _FROM_RUST.search(str(error)) if type(error).__name__ == "SafetensorError" else None
        number, file = int(told[1]) if told else None, None
    if number is None or number not in _OF_THE_MACHINE:
        return None
    return os.strerror(number) + (f" ({file})" if isinstance(file, str) and file else "")


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The end of a sentence: the nearest of the choices, or all of them where none is near.

    >>> did_you_mean("lstmm", ["gru", "lstm"])
    "; did you mean 'lstm'?"
    >>> did_you_mean("zzz", ["gru", "lstm"])
    '; known are gru, lstm'
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(known)}"
