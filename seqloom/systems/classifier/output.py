"""Answers as lines: plain, JSON, or the input's own form with the answer added."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.labelled import Labelled
from seqloom.data.live import blocks
from seqloom.errors import ConfigError
from seqloom.systems.classifier.answers import Answer, Values
from seqloom.systems.classifier.config import PredictOptions
from seqloom.systems.classifier.model import AnyClassifier, ClassifierModel, decided

__all__ = ["REJECTED", "Decision", "Native", "decisions", "written"]

REJECTED = "?"
"""The answer where no class is probable enough."""

_DIGITS = 4
"""Of probabilities: more would depend on what is predicted together."""

_BLOCK = 512

Native = Callable[[Labelled, str, float | None], str]
"""The input's own form: of an example, its answer and the probability of that."""


@dataclass(frozen=True)
class Decision:
    """What was found for an input.

    Attributes:
        found: (K,) probabilities or values, (T, K) of stepwise values.
        step: after how many steps it was decided, where it was decided early.
    """

    example: Labelled
    found: NDArray[Any]
    step: int | None = None


def decisions(
    model: AnyClassifier,
    examples: Iterable[Labelled],
    options: PredictOptions,
    pauses: Callable[[], bool] | None = None,
) -> Iterator[Decision]:
    """What is found for each input, in their order.

    Raises:
        ConfigError: an option asks for what the model cannot do.
    """
    early = options.early
    if early and (not isinstance(model, ClassifierModel) or isinstance(model.answer, Values)):
        raise ConfigError("--early: only a network that answers with classes decides early; leave the option out")
    for block in blocks(examples, _BLOCK, pauses):
        if not early:
            yield from (Decision(one, found) for one, found in zip(block, model.decide(block), strict=True))
            continue
        assert isinstance(model, ClassifierModel)
        for one, found in zip(block, model.decide_early(block), strict=True):
            sure = np.flatnonzero(found.max(-1) >= early)
            step = int(sure[0]) if len(sure) else len(found) - 1
            yield Decision(one, found[step], step + 1)


def written(answer: Answer, found: Iterable[Decision], options: PredictOptions, native: Native) -> Iterator[str]:
    """A line for each decision."""
    if options.nbest > 1 and (isinstance(answer, Values) or options.format == "native"):
        raise ConfigError(f"--nbest: {options.nbest}; expected 1, as there is one answer to write")
    for decision in found:
        if options.format == "json":
            yield json.dumps(_record(answer, decision, options), ensure_ascii=False)
        elif options.format == "native":
            name, probability = _answered(answer, decision, options)
            yield native(decision.example, name, probability)
        else:
            yield _plain(answer, decision, options)


def _plain(answer: Answer, decision: Decision, options: PredictOptions) -> str:
    step = [] if decision.step is None else [str(decision.step)]
    if isinstance(answer, Values):
        rows = np.atleast_2d(decision.found)
        return "\t".join(" ".join(f"{value:.6g}" for value in row) for row in rows.tolist())
    if options.nbest > 1:
        return "\t".join(
            [f"{name} {probability:.{_DIGITS}f}" for name, probability in _best(answer, decision, options)]
        )
    return "\t".join([_answered(answer, decision, options)[0], *step])


def _record(answer: Answer, decision: Decision, options: PredictOptions) -> dict[str, Any]:
    if isinstance(answer, Values):
        found = [[round(value, 6) for value in row] for row in np.atleast_2d(decision.found).tolist()]
        return {"values": found if answer.stepwise else dict(zip(answer.names, found[0], strict=True))}
    name, probability = _answered(answer, decision, options)
    chosen: Any = decided(answer, decision.found) if answer.kind == "labels" else name
    likeliest = dict(_best(answer, decision, options)) if options.nbest > 1 else _all(answer, decision.found)
    step = {} if decision.step is None else {"steps": decision.step}
    return {"answer": chosen, "probability": probability, **step, "probabilities": likeliest}


def _answered(answer: Answer, decision: Decision, options: PredictOptions) -> tuple[str, float | None]:
    if isinstance(answer, Values):
        return " ".join(f"{value:.6g}" for value in np.atleast_2d(decision.found)[-1].tolist()), None
    probability = round(float(decision.found.max()), _DIGITS)
    if answer.kind == "labels":
        return ",".join(decided(answer, decision.found)), probability
    return (REJECTED if probability < options.reject else str(decided(answer, decision.found))), probability


def _best(answer: Answer, decision: Decision, options: PredictOptions) -> Sequence[tuple[str, float]]:
    order = np.argsort(-decision.found, kind="stable")[: options.nbest].tolist()
    return [(answer.names[index], round(float(decision.found[index]), _DIGITS)) for index in order]


def _all(answer: Answer, found: NDArray[Any]) -> dict[str, float]:
    return {name: round(float(value), _DIGITS) for name, value in zip(answer.names, found, strict=True)}
