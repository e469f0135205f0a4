"""The door to crfsuite, which the feature CRFs share: an optional library that trusts the bytes it is given."""

from typing import Any, Literal

from seqloom.errors import ModelError, SeqloomError

__all__ = ["Algorithm", "crfsuite", "open_model"]

Algorithm = Literal["lbfgs", "perceptron"]


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
    # crfsuite reads sizes and offsets from the header unchecked: a cut file must not reach it.
    if len(model) < 48 or model[:4] != b"lCRF" or int.from_bytes(model[4:8], "little") != len(model):
        raise ModelError(f"the feature CRF's {len(model)} bytes are not an intact crfsuite model; train it again")
    tagger = crfsuite().Tagger()
    tagger.open_inmemory(model)
    return tagger
