"""How good a classifier is: accuracy and F1 of classes, average precision of several, explained variance of real values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.labelled import Labelled
from seqloom.scores.counts import class_counts, ratio
from seqloom.systems.classifier.answers import Answer, Classes, Labels, Values
from seqloom.systems.classifier.gap import global_average_precision
from seqloom.systems.classifier.inputs import VectorInputs
from seqloom.systems.classifier.model import AnyClassifier, ClassifierModel
from seqloom.systems.classifier.robustness import early_decisions, robustness
from seqloom.systems.evaluation import Column, Evaluation, Figure, Metric, Panel, Table, class_panels

__all__ = ["errors", "main_metric", "score"]

_LEAST = 1e-12
_WORST = 50


def main_metric(answer: Answer) -> str:
    """What chooses the best model of a training."""
    return {Classes: "accuracy", Labels: "micro_f1", Values: "r2"}[type(answer)]


def score(model: AnyClassifier, examples: Sequence[Labelled], *, panels: bool = True) -> Evaluation:
    """The scores of a model on examples.

    Args:
        panels: whether a report will show more than the numbers.
    Raises:
        DataError: an example has no answer, or one that the model does not know; names its place.
    """
    targets, found = model.answer.targets(examples), model.decide(examples)
    if isinstance(model.answer, Classes):
        return _of_classes(model, examples, targets, np.array(found), panels)
    if isinstance(model.answer, Labels):
        return _of_labels(model.answer, targets, np.array(found))
    assert isinstance(model.answer, Values)
    return _of_values(model.answer, targets, np.concatenate([one.reshape(-1, model.answer.size) for one in found]))


def errors(model: AnyClassifier, examples: Sequence[Labelled]) -> list[dict[str, Any]]:
    """The examples that get a wrong class, those first of which the model is surest."""
    if not isinstance(model.answer, Classes):
        return []
    return _wrong(model.answer, examples, model.answer.targets(examples), np.array(model.decide(examples)))


def _of_classes(
    model: AnyClassifier, examples: Sequence[Labelled], targets: NDArray[Any], found: NDArray[Any], panels: bool
) -> Evaluation:
    names = model.answer.names
    predicted, rows = found.argmax(1), np.arange(len(targets))
    right = predicted == targets
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (targets, predicted), 1)
    present = [one.f1 for one in class_counts(names, counts).values() if one.support]
    ratios = np.stack([right, np.ones_like(right)], 1).astype(np.float64)
    nats = float(-np.log(np.maximum(found[rows, targets], _LEAST)).mean())
    metrics = [
        Metric("accuracy", float(right.mean()), compared="accuracy", ratios=ratios),
        Metric("macro_f1", float(np.mean(present)), "macro F1", compared="macro_f1"),
        Metric("log_loss", nats, "log loss", better="lower", compared="log_loss"),
    ]
    if not panels:
        return Evaluation(metrics)
    shown: list[Panel] = list(class_panels(names, counts))
    shown.append(_answered(found.max(1), right))
    if isinstance(model, ClassifierModel):
        shown.append(early_decisions(model, examples))
        if isinstance(model.inputs, VectorInputs):
            shown.append(robustness(model, examples))
    wrong = _wrong(model.answer, examples, targets, found)[:_WORST]
    columns = (Column("where", "where", "text"), Column("gold", "is", "text"), Column("predicted", "taken for", "text"))
    shown.append(Table("errors", "Surest mistakes", wrong, (*columns, Column("probability", "probability", "bar"))))
    return Evaluation(metrics, shown)


def _wrong(
    answer: Answer, examples: Sequence[Labelled], targets: NDArray[Any], found: NDArray[Any]
) -> list[dict[str, Any]]:
    predicted, sure = found.argmax(1), found.max(1)
    order = [index for index in np.argsort(-sure, kind="stable").tolist() if predicted[index] != targets[index]]
    return [
        {
            "where": examples[index].where or f"example {index}",
            "gold": answer.names[targets[index]],
            "predicted": answer.names[predicted[index]],
            "probability": round(float(sure[index]), 4),
            **({"text": text[:300]} if (text := getattr(examples[index], "text", "")) else {}),
        }
        for index in order
    ]


def _answered(sure: NDArray[Any], right: NDArray[Any]) -> Figure:
    """Accuracy on the share of the examples of which a model is surest: what rejecting the others brings."""
    ordered = right[np.argsort(-sure, kind="stable")]
    accuracy = ordered.cumsum() / np.arange(1, len(ordered) + 1)
    places = sorted({max(1, round(len(ordered) * share / 50)) for share in range(1, 51)})
    points = [(place / len(ordered), float(accuracy[place - 1])) for place in places]
    return Figure(
        "answered",
        "Accuracy where the least sure are rejected",
        {"accuracy": points},
        "share of the inputs that are answered",
        "accuracy",
    )


def _of_labels(answer: Answer, targets: NDArray[Any], found: NDArray[Any]) -> Evaluation:
    predicted, gold = found >= 0.5, targets >= 0.5
    hits, taken, there = (predicted & gold).sum(0), predicted.sum(0), gold.sum(0)
    f1 = [ratio(2.0 * hit, float(one + other)) for hit, one, other in zip(hits, taken, there, strict=True)]
    both = np.stack([2.0 * (predicted & gold).sum(1), predicted.sum(1) + gold.sum(1)], 1).astype(np.float64)
    micro = ratio(float(both[:, 0].sum()), float(both[:, 1].sum()))
    gap = global_average_precision(found, gold)
    exact = float((predicted == gold).all(1).mean())
    metrics = [
        Metric("micro_f1", micro, "micro F1", compared="micro_f1", ratios=both),
        Metric(
            "macro_f1",
            float(np.mean([one for one, count in zip(f1, there, strict=True) if count] or [0.0])),
            "macro F1",
        ),
        Metric("gap20", gap, "GAP@20", compared="gap20"),
        Metric("exact", exact, "all labels right", compared="exact"),
    ]
    rows = [
        {
            "class": name,
            "f1": f1[index],
            "precision": ratio(float(hits[index]), float(taken[index])),
            "recall": ratio(float(hits[index]), float(there[index])),
            "support": int(there[index]),
        }
        for index, name in enumerate(answer.names)
    ]
    columns = (
        Column("class", "class", "text"),
        Column("f1", "F1", "bar"),
        Column("precision", "precision"),
        Column("recall", "recall"),
        Column("support", "in the test"),
    )
    return Evaluation(metrics, [Table("by_class", "By class", rows, columns)])


def _of_values(answer: Values, targets: NDArray[Any], found: NDArray[Any]) -> Evaluation:
    """Targets come in units of their deviation, and are compared in their own."""
    gold = targets.astype(np.float64) * answer.deviation + answer.mean
    residuals = found - gold
    squared, spread = (residuals**2).sum(0), ((gold - gold.mean(0)) ** 2).sum(0)
    r2 = [1 - ratio(float(error), float(all_), empty=1.0) for error, all_ in zip(squared, spread, strict=True)]
    mae, rmse = np.abs(residuals).mean(0), np.sqrt((residuals**2).mean(0))
    metrics = [
        Metric("r2", float(np.mean(r2)), "R2", compared="r2"),
        Metric("mae", float(mae.mean()), "mean absolute error", better="lower", compared="mae"),
        Metric("rmse", float(rmse.mean()), "root of the mean squared error", better="lower", compared="rmse"),
    ]
    rows = [
        {"value": name, "r2": r2[index], "mae": float(mae[index]), "rmse": float(rmse[index])}
        for index, name in enumerate(answer.names)
    ]
    columns = (
        Column("value", "value", "text"),
        Column("r2", "R2", "bar"),
        Column("mae", "MAE"),
        Column("rmse", "RMSE"),
    )
    few = np.unique(np.linspace(0, len(gold) - 1, min(len(gold), 400)).astype(int))
    lines = {
        name: sorted(zip(gold[few, index].tolist(), residuals[few, index].tolist(), strict=True))
        for index, name in enumerate(answer.names[:6])
    }
    residual = Figure("residuals", "Residuals", lines, "true value", "predicted less true")
    return Evaluation(metrics, [Table("by_value", "By value", rows, columns), residual])
