"""How a classifier bears what recordings suffer: endings that are missing, noise, lost frames (after Grushin et al. 2013)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from seqloom.data.labelled import Labelled, Series
from seqloom.systems.classifier.model import ClassifierModel
from seqloom.systems.evaluation import Figure

__all__ = ["early_decisions", "robustness"]

_MOST = 1000
"""Examples that are looked at, from all over the set."""
_SHARES = tuple(round(0.1 * tenth, 1) for tenth in range(1, 11))
_NOISE = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
_LOST = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


def early_decisions(model: ClassifierModel, examples: Sequence[Labelled]) -> Figure:
    """Accuracy against the share of each sequence that has been read."""
    few = _some(examples)
    targets = model.answer.targets(few)
    points = [
        (share, float((np.array(model.decide_part(few, share)).argmax(1) == targets).mean())) for share in _SHARES
    ]
    return Figure("early", "Early decisions", {"accuracy": points}, "share of each sequence that was read", "accuracy")


def robustness(model: ClassifierModel, examples: Sequence[Labelled], seed: int = 0) -> Figure:
    """Accuracy against noise, in units of each channel's deviation, and against the share of steps that are lost."""
    few = [one for one in _some(examples) if isinstance(one, Series)]
    deviation = np.nanstd(np.concatenate([one.values for one in few]), 0)

    def noisy(one: Series, strength: float, random: np.random.Generator) -> Series:
        noise = strength * deviation * random.standard_normal(one.values.shape)
        return replace(one, values=(one.values + noise).astype(np.float32))

    def thinned(one: Series, share: float, random: np.random.Generator) -> Series:
        kept = random.random(len(one.values)) >= share
        kept[0] |= not kept.any()
        return replace(one, values=one.values[kept])

    lines = {"noise, in deviations of its channel": _curve(model, few, _NOISE, noisy, seed)}
    if not getattr(model.inputs, "one_length", False):
        lines["share of the steps that are lost"] = _curve(model, few, _LOST, thinned, seed)
    return Figure("robustness", "Noise and lost steps", lines, "strength", "accuracy")


def _curve(
    model: ClassifierModel,
    examples: Sequence[Series],
    strengths: Sequence[float],
    change: Callable[[Series, float, np.random.Generator], Series],
    seed: int,
) -> list[tuple[float, float]]:
    targets, points = model.answer.targets(examples), []
    for strength in strengths:
        random = np.random.default_rng(seed)
        found = np.array(model.decide([change(one, strength, random) for one in examples]))
        points.append((strength, float((found.argmax(1) == targets).mean())))
    return points


def _some(examples: Sequence[Labelled]) -> list[Labelled]:
    if len(examples) <= _MOST:
        return list(examples)
    return [examples[index] for index in np.linspace(0, len(examples) - 1, _MOST).round().astype(int)]
