"""Scores of classes of trees: at the root, at all nodes, and between negative and positive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqloom.data.trees import Tree
from seqloom.data.trees.drawing import draw_text
from seqloom.data.vocabulary import IGNORED
from seqloom.systems.evaluation import Evaluation, Metric, Panel, Text, class_panels
from seqloom.systems.tree.encoding import label_ids
from seqloom.systems.tree.model import Analysis, TreeModel

__all__ = ["score"]

SENTIMENT = ("0", "1", "2", "3", "4")
_DRAWN = 5
_WIDEST = 20


def score(model: TreeModel, trees: Sequence[Tree], panels: bool = True) -> Evaluation:
    """Accuracy at the roots and at all labelled nodes; of five classes of sentiment also that of negative against positive.

    For the last, roots of label 2 are left out, and what decides are the probabilities of 0 and 1 against 3 and 4.
    """
    analyses = model.analyse(trees)
    roots = np.array([label_ids(tree, model.labels)[-1] for tree in trees])
    probabilities = np.array([analysis.probabilities[-1] for analysis in analyses]).reshape(
        len(trees), len(model.labels)
    )
    predicted = probabilities.argmax(1)
    metrics = [_accuracy("root_accuracy", "accuracy of the root", predicted == roots, roots != IGNORED)]
    metrics.append(_node_accuracy(model, analyses))
    if set(model.labels.entries) == set(SENTIMENT):
        order = [model.labels.entries.index(label) for label in SENTIMENT]
        negative, positive = probabilities[:, order[:2]].sum(1), probabilities[:, order[3:]].sum(1)
        is_positive = np.isin(roots, order[3:])
        counted = (roots != IGNORED) & (roots != order[2])
        right = (positive > negative) == is_positive
        metrics.append(_accuracy("binary_root_accuracy", "negative or positive", right, counted))
    if not panels:
        return Evaluation(metrics)
    known = roots != IGNORED
    counts = np.zeros((len(model.labels), len(model.labels)), dtype=int)
    np.add.at(counts, (roots[known], predicted[known]), 1)
    shown: list[Panel] = [*class_panels(model.labels.entries, counts), _drawn(model, trees, analyses)]
    return Evaluation(metrics, shown, main="root_accuracy")


def _accuracy(name: str, label: str, right: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Metric:
    ratios = np.stack([right & counted, counted], axis=1).astype(float)
    value = float((right & counted).sum() / counted.sum()) if counted.any() else float("nan")
    return Metric(name, value, label, compared=name, ratios=ratios)


def _node_accuracy(model: TreeModel, analyses: Sequence[Analysis]) -> Metric:
    """Of the nodes that have a label; NaN where a method has no classes for nodes, or finds trees of its own."""
    ratios = np.zeros((len(analyses), 2))
    comparable = True
    for row, analysis in enumerate(analyses):
        ids = label_ids(analysis.tree, model.labels)
        counted = ids != IGNORED
        comparable &= bool(counted.any()) and not np.isnan(analysis.probabilities[counted]).any()
        chosen = np.nan_to_num(analysis.probabilities, nan=-1.0).argmax(1)
        ratios[row] = (chosen[counted] == ids[counted]).sum(), counted.sum()
    good = comparable and ratios[:, 1].sum() > 0
    value = float(ratios[:, 0].sum() / ratios[:, 1].sum()) if good else float("nan")
    return Metric(
        "node_accuracy", value, "accuracy of all nodes", compared="node_accuracy", ratios=ratios if good else None
    )


def _drawn(model: TreeModel, trees: Sequence[Tree], analyses: Sequence[Analysis]) -> Text:
    """Some trees with their predicted labels: first those that are wrong at the root, with most certainty."""
    entries = model.labels.entries
    rows = []
    for tree, analysis in zip(trees, analyses, strict=True):
        labels = analysis.best(entries)
        if len(analysis.tree.tokens) <= _WIDEST:
            rows.append((labels[-1] == tree.label, -float(analysis.probabilities[-1].max()), tree, analysis, labels))
    rows.sort(key=lambda row: row[:2])
    pieces = [
        f"predicted {labels[-1]}, given {tree.label or 'none'}: {tree.text}\n\n{draw_text(analysis.tree, labels)}"
        for _, _, tree, analysis, labels in rows[:_DRAWN]
    ]
    return Text("trees", "Trees with predicted labels", "\n\n".join(pieces))
