"""Methods without a network: fitted, scored and stored like the others, and looked for before a training needs them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seqloom.errors import ConfigError, did_you_mean
from seqloom.systems.contract import Splits
from seqloom.systems.saved import SavedModel

__all__ = ["Baseline", "ProgressCallback", "check_baselines", "fit_baseline"]

ProgressCallback = Callable[[int, int], None]
"""Called now and then by a method that takes minutes: the iteration, and the last one there can be."""


@dataclass(frozen=True)
class Baseline:
    """A method without a network.

    Attributes:
        fit: makes a model of a configuration and its data.
        needs: the optional library that it cannot do without, as it is imported.
        install: what installs that library.
    """

    fit: Callable[[Any, Splits[Any], ProgressCallback], SavedModel]
    needs: str = ""
    install: str = 'pip install "seqloom[baselines]"'


def check_baselines(names: Sequence[str], known: dict[str, Baseline]) -> None:
    """Looks, before a training, whether the methods that will be fitted after it can run.

    Raises:
        ConfigError: there is no such method, or its library is not installed.
    """
    for name in names:
        if name not in known:
            raise ConfigError(f"baselines: {name!r} is not a method without a network{did_you_mean(name, known)}")
        needs = known[name].needs
        if needs and importlib.util.find_spec(needs) is None:
            raise ConfigError(
                f"the method {name!r} needs {needs}, which is not installed: {known[name].install}; "
                "or leave the method out"
            )


def fit_baseline(name: str, method: Baseline, config: Any, splits: Splits[Any], examples: str) -> SavedModel:
    """Fits a method, and says on the standard error stream how far it is."""
    print(f"fitting {name} on {len(splits.train):,} {examples}", file=sys.stderr, flush=True)

    def progress(iteration: int, last: int) -> None:
        if iteration % 10 == 0:
            print(f"{name}: iteration {iteration} of at most {last}", file=sys.stderr, flush=True)

    return method.fit(config, splits, progress)
