"""A classifier at work on what comes: the answer after each step of a sequence, or to each piece of an endless recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqloom.data.cutting import EnergyCut, PenCut
from seqloom.data.labelled import Series
from seqloom.errors import ConfigError, DataError
from seqloom.layers.encoder_stream import EncoderStream
from seqloom.layers.read_outs.simple import Running
from seqloom.systems.classifier.answers import Answer
from seqloom.systems.classifier.inputs import VectorInputs
from seqloom.systems.classifier.model import VectorClassifier, decided

__all__ = ["ClassifierStream", "PieceStream", "Recognised", "open_stream"]


@dataclass(frozen=True)
class Recognised:
    """What was found in a piece of a recording.

    Attributes:
        answer: as `predict` gives it; ``?`` where no class is probable enough.
        probability: of the class.
        start, end: its first step, and the one behind its last.
    """

    answer: Any
    probability: float
    start: int
    end: int


def open_stream(model: VectorClassifier, cut: EnergyCut | PenCut | None = None, reject: float = 0.0) -> Any:
    """A stream at its start: over one sequence, or with ``cut`` over a recording without an end.

    Args:
        cut: where pieces begin and end.
        reject: answer ``?`` to a piece where no class is at least that probable.
    """
    return ClassifierStream(model) if cut is None else PieceStream(model, cut, reject)


class ClassifierStream:
    """One sequence as it comes.

    A model whose encoder reads forwards only answers after each step what it would answer if the sequence ended there. One
    that needs the end - a bidirectional encoder, features such as resampling, learnable pooling - answers at `close`. A missing
    value is taken to be the last one that its channel had.
    """

    def __init__(self, model: VectorClassifier):
        self._model = model
        inputs = model.inputs
        assert isinstance(inputs, VectorInputs)
        self._inputs = inputs
        self._waits = model.config.bidirectional or not inputs.features.stepwise
        self._kept: list[np.ndarray[Any, Any]] = []
        self._seen: Running = None
        self._last: np.ndarray[Any, Any] | None = None
        self._encoder: EncoderStream | None = None
        if not self._waits:
            try:
                self._encoder = EncoderStream(model.network.encoder)
                width: Any = model.network.encoder.output_size
                self._scored(torch.zeros(1, width), None)
            except ConfigError:
                self._waits = True

    def push(self, chunk: Any) -> list[Any]:
        """Takes (n, D) more steps; the answer after each of them, or nothing where the model needs the end.

        Raises:
            DataError: these are no such steps.
        """
        steps = _steps(chunk, self._inputs.size)
        if not len(steps):
            return []
        if self._waits:
            self._kept.append(steps)
            return []
        return [decided(self._model.answer, row) for row in self._decided(steps)]

    def close(self) -> list[Any]:
        """Ends the sequence: the answer, where the model needs the end."""
        if not self._kept:
            return []
        whole, self._kept = np.concatenate(self._kept), []
        return [decided(self._model.answer, self._model.decide([Series(values=whole)])[0])]

    def probabilities(self, chunk: Any) -> np.ndarray[Any, Any]:
        """As `push`, (n, K) probabilities or values after each step.

        Raises:
            ConfigError: the model needs the end of the sequence.
        """
        if self._waits:
            raise ConfigError("this model needs the end of a sequence; train one with model.bidirectional false")
        steps = _steps(chunk, self._inputs.size)
        return self._decided(steps) if len(steps) else np.zeros((0, self._model.answer.size), np.float32)

    def _decided(self, steps: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        assert self._encoder is not None
        flat, _ = self._inputs.features.apply(self._held(steps), np.array([0, len(steps)]))
        with torch.no_grad():
            encoded = self._encoder.push(torch.from_numpy(np.ascontiguousarray(flat)))
            scores, self._seen = self._scored(encoded, self._seen)
            found: np.ndarray[Any, Any] = self._model.answer.decide(scores).numpy()
        return found

    def _held(self, steps: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if not np.isnan(steps).any():
            self._last = steps[-1:]
            return steps
        before = np.full((1, steps.shape[1]), np.nan, np.float32) if self._last is None else self._last
        whole = np.concatenate([before, steps])
        known = np.maximum.accumulate(np.where(np.isnan(whole), 0, np.arange(len(whole))[:, None]), axis=0)
        held = np.take_along_axis(whole, known, 0)
        self._last = held[-1:]
        return held[1:]

    def _scored(self, encoded: Tensor, seen: Running) -> tuple[Tensor, Running]:
        return self._model.network.head.push(encoded, seen)


class PieceStream:
    """A recording without an end, in bounded memory: pieces are cut out of it, and each is answered as if it stood alone."""

    def __init__(self, model: VectorClassifier, cut: EnergyCut | PenCut, reject: float = 0.0):
        self._model, self._cutter, self._reject = model, cut.cutter(), reject
        assert isinstance(model.inputs, VectorInputs)
        self._size = model.inputs.size

    def push(self, chunk: Any) -> list[Recognised]:
        """Takes (n, D) more steps; what was found in the pieces that ended in them.

        Raises:
            DataError: these are no such steps.
        """
        return [self._recognised(piece) for piece in self._cutter.push(_steps(chunk, self._size))]

    def close(self) -> list[Recognised]:
        """Ends the recording: what was found in the piece that was still open."""
        return [self._recognised(piece) for piece in self._cutter.close()]

    def _recognised(self, piece: Any) -> Recognised:
        answer: Answer = self._model.answer
        found = self._model.decide([Series(values=piece.values)])[0]
        probability = float(found.max()) if answer.kind != "values" else 1.0
        rejected = answer.kind == "class" and probability < self._reject
        return Recognised("?" if rejected else decided(answer, found), probability, piece.start, piece.end)


def _steps(chunk: Any, size: int) -> np.ndarray[Any, Any]:
    """(n, D) float32 of a chunk."""
    try:
        steps = np.asarray(chunk, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"a chunk is a {type(chunk).__name__}; expected steps of {size} numbers each") from None
    if not steps.size:
        return np.zeros((0, size), np.float32)
    if steps.ndim == 1 and len(steps) == size:
        steps = steps[None]
    if steps.ndim != 2 or steps.shape[1] != size:
        raise DataError(f"a chunk has the shape {steps.shape}; expected (n, {size})")
    return steps
