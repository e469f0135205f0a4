"""A person's mistakes: each is one sentence that says what was found, where, what was expected, and the remedy.

The command line prints the sentence and exits with status 2. Everything else that is raised is a bug and keeps its traceback.
"""

import difflib
from collections.abc import Iterable

__all__ = ["ConfigError", "DataError", "ModelError", "SeqloomError", "did_you_mean"]


class SeqloomError(Exception):
    """Something that a person gave cannot be used."""


class ConfigError(SeqloomError, ValueError):
    """A configuration file or an option is wrong."""


class DataError(SeqloomError, ValueError):
    """A data file is wrong; the message begins with ``file:line:`` where there is a line."""


class ModelError(SeqloomError, ValueError):
    """A model or run directory is damaged, foreign, or not what was asked for."""


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
