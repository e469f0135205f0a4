"""What the configurations of many systems share. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass
from typing import Annotated, Literal

__all__ = ["FilesConfig", "PlainOptions"]


@dataclass(frozen=True)
class FilesConfig:
    """Which data train, choose and score; systems add how they are read.

    Args:
        train: training data.
        dev: data for early stopping and the choice of the best weights; none holds out the end of the training data.
        test: data that are scored once, at the end; none holds out ``held_out_test``, or else scores the dev data again.
        held_out: share of the training data, from their end, held out where there are no dev data.
        held_out_test: share of the training data, from their end, held out for the test where there are no test data.
        limit: use only the first examples of every file, for a dry run; none uses all.
        overfit: train and score on that many examples, which a sound model learns by heart; none switches it off.
    """

    train: str | None = None
    dev: str | None = None
    test: str | None = None
    held_out: float = 0.1
    held_out_test: float = 0.0
    limit: int | None = None
    overfit: int | None = None


@dataclass(frozen=True)
class PlainOptions:
    """How predictions are written, where there is only one way."""

    format: Annotated[Literal["plain"], "a line for each input"] = "plain"
    nbest: Annotated[int, "always 1: there is one answer"] = 1
