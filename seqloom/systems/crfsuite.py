"""The door to crfsuite, which the feature CRFs share: an optional library that trusts the bytes it is given."""

import hashlib
import math
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqloom.errors import ConfigError, ModelError, SeqloomError

__all__ = ["Algorithm", "FeatureCrfConfig", "crfsuite", "open_model", "train_model"]

Algorithm = Literal["lbfgs", "perceptron"]


@dataclass(frozen=True)
class FeatureCrfConfig:
    """Settings of a feature CRF.

    Args:
        algorithm: how the feature CRF is trained: as an averaged perceptron, or by L-BFGS in ten times the time.
        c2: strength of its L2 penalty under L-BFGS.
        iterations: of its training; L-BFGS needs 100 to 200, the perceptron about 10.
    """

    algorithm: Algorithm = "perceptron"
    c2: float = 0.5
    iterations: int = 10


def crfsuite() -> Any:
    """The module ``pycrfsuite``.

    Raises:
        SeqloomError: it is not installed.
    """
    try:
        import pycrfsuite  # type: ignore[import-untyped]
    except ImportError as error:
        raise SeqloomError('the feature CRF needs sklearn-crfsuite: pip install "seqloom[baselines]"') from error
    return pycrfsuite


def open_model(model: bytes) -> Any:
    """A crfsuite tagger of the bytes of a ``.crfsuite`` file.

    Raises:
        ModelError: the bytes are no crfsuite model.
        SeqloomError: crfsuite is not installed.
    """
    # crfsuite reads sizes and offsets unchecked: neither a cut file nor one with another byte must reach it.
    size = int.from_bytes(model[4:8], "little")
    seal = model[size:]
    if len(model) < max(48, size) or model[:4] != b"lCRF" or seal not in (b"", _seal(model[:size])):
        raise ModelError(f"the feature CRF's {len(model)} bytes are not an intact crfsuite model; train it again")
    tagger = crfsuite().Tagger()
    tagger.open_inmemory(model)  # which the caller keeps: crfsuite makes no copy, and passes over the seal
    return tagger


def _seal(model: bytes) -> bytes:
    """What stands behind a model's bytes; models of before have none."""
    return b"SHA-256 " + hashlib.sha256(model).digest()


def train_model(
    sequences: Iterable[tuple[Any, Sequence[str]]],
    *,
    c2: float,
    iterations: int,
    algorithm: Algorithm,
    minimum_frequency: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """The bytes of a model trained on sequences, which are handed to crfsuite one by one.

    Args:
        sequences: of each the features of its items, and their labels; none of them empty.
        c2: strength of the L2 penalty of L-BFGS, typically 0.1 to 1.
        iterations: at most so many; L-BFGS takes 100 to 200 to converge, the perceptron about 10.
        algorithm: ``lbfgs``, maximum likelihood under the penalty, or ``perceptron``, the averaged structured perceptron
            (Collins 2002), which takes a tenth of the time and knows no penalty. Its scores are no log-probabilities by
            their training, so what it calls a probability is not calibrated.
        minimum_frequency: features that occur less often are dropped; 2 halves the model and costs little.
        progress: called with the number of each iteration, and the last that there can be.
    Raises:
        ConfigError: an argument is out of range.
        SeqloomError: crfsuite is not installed.
    """
    if not (c2 >= 0 and math.isfinite(c2)):
        raise ConfigError(f"c2 is {c2}; expected a number from 0 up")
    if iterations < 1:
        raise ConfigError(f"iterations is {iterations}; expected at least 1")
    library = crfsuite()

    class Trainer(library.Trainer):  # type: ignore[name-defined]
        def message(self, message: str) -> None:
            iteration = re.search(r"Iteration #(\d+)", message)
            if progress is not None and iteration:
                progress(int(iteration.group(1)), iterations)

    trainer = Trainer(algorithm="lbfgs", verbose=False)
    shared = {"max_iterations": iterations, "feature.minfreq": minimum_frequency}
    trainer.select("ap" if algorithm == "perceptron" else "lbfgs")
    trainer.set_params(shared if algorithm == "perceptron" else {**shared, "c1": 0.0, "c2": c2})
    for features, labels in sequences:
        trainer.append(features, labels)
    with tempfile.TemporaryDirectory(prefix="seqloom-") as folder:
        path = Path(folder) / "model.crfsuite"
        trainer.train(str(path))
        model = path.read_bytes()
        return model + _seal(model)
