"""Predictions for texts and trees, in the form that was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from seqloom.data.source import Source
from seqloom.data.trees import Tree, format_brackets
from seqloom.data.trees.drawing import draw_svg, draw_text
from seqloom.data.trees.formats import recognised_format, trees_of_lines
from seqloom.errors import ConfigError
from seqloom.systems.tree.config import PredictOptions
from seqloom.systems.tree.model import Analysis, TreeModel

__all__ = ["predict"]

_TOGETHER = 64
"""Trees that are computed at once."""


def predict(model: TreeModel, source: Source, options: PredictOptions) -> Iterator[str]:
    """A line, or a drawing, for each text or tree; an empty line stays one.

    Raises:
        ConfigError: more answers are asked for than the form has room for.
        DataError: a line is no tree; names it.
    """
    if options.nbest < 1 or (options.nbest > 1 and options.format != "plain"):
        raise ConfigError(f"--nbest {options.nbest} needs --format plain and a number from 1 up")
    trees = iter(inputs(model, source, options.read_as))
    while some := list(islice(trees, 1 if source.live() is not None else _TOGETHER)):
        analyses = iter(model.analyse([tree for tree in some if tree is not None]))
        for tree in some:
            yield "" if tree is None else written(model, next(analyses), options)


def inputs(model: TreeModel, source: Source, read_as: str = "auto") -> Iterator[Tree | None]:
    """The trees of a source; of lines of text those that are made, which is said on the standard error stream once."""
    lines = enumerate(source.lines(source.live()), start=1)
    head: list[tuple[int, str]] = []
    if read_as != "text":
        for number, line in lines:
            head.append((number, line))
            if line.strip() and not line.startswith("#"):
                break
    format = recognised_format([line for _, line in head]) if read_as != "text" else None
    rest: Iterator[tuple[int, str]] = iter([*head])
    every = _chained(rest, lines)
    if format in ("conllu", "heads"):
        yield from trees_of_lines(every, source.name, format)
        return
    said = model.makes_trees
    for first, text in _whole(every, read_as):
        where = f"{source.name}:{first}"
        if not text.strip(" \t\r\n"):
            yield None
        elif read_as == "trees" or (read_as == "auto" and text.lstrip().startswith("(")):
            yield from trees_of_lines(iter([(first, text)]), source.name, "brackets")
        else:
            if not said:
                shape = "halves of halves" if model.data.shape == "balanced" else "each word beside all that follow"
                print(f"{where}: no tree is given; made from the words: {shape}", file=sys.stderr)
                said = True
            yield model.tree_of(text.strip().split(" ") if text.lstrip().startswith("(") else text, where)


def _chained(first: Iterable[tuple[int, str]], then: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield from first
    yield from then


def _whole(lines: Iterable[tuple[int, str]], read_as: str) -> Iterator[tuple[int, str]]:
    """Lines, those of a tree over several lines as one."""
    kept: list[str] = []
    first = depth = 0
    for number, line in lines:
        if not kept and (read_as == "text" or not line.lstrip().startswith("(")):
            yield number, line
            continue
        first = first or number
        kept.append(line)
        depth += line.count("(") - line.count(")")
        if depth <= 0:
            yield first, "\n".join(kept)
            kept, first, depth = [], 0, 0
    if kept:
        yield first, "\n".join(kept)


def written(model: TreeModel, analysis: Analysis, options: PredictOptions) -> str:
    """One prediction."""
    entries = model.labels.entries
    labels = analysis.best(entries)
    root = analysis.probabilities[-1]
    match options.format:
        case "plain" if options.nbest == 1:
            return labels[-1]
        case "plain":
            best = np.argsort(-root, kind="stable")[: options.nbest]
            return "\t".join(f"{entries[label]} {root[label]:.4f}" for label in best)
        case "native":
            return _native(analysis, labels)
        case "json":
            return json.dumps(_record(analysis, labels, entries), ensure_ascii=False)
        case "terminal":
            colours = _colours(analysis, entries) if sys.stdout.isatty() else None
            return f"{draw_text(analysis.tree, labels, colours)}\n"
        case _:
            return draw_svg(analysis.tree, labels, _colours(analysis, entries))


def _native(analysis: Analysis, labels: list[str]) -> str:
    """Brackets, or JSON with words and heads where words are not at the leaves alone."""
    tree = analysis.tree
    if tree.is_constituency:
        return format_brackets(tree, labels)
    place = {node: number for number, node in enumerate(tree.tokens, start=1)}
    heads = [place.get(int(tree.parents[node]), 0) for node in tree.tokens]
    record = {"words": list(tree.sentence), "heads": heads, "labels": [labels[node] for node in tree.tokens]}
    return json.dumps(record, ensure_ascii=False)


def _record(analysis: Analysis, labels: list[str], entries: list[str]) -> dict[str, object]:
    tree = analysis.tree
    nodes = []
    for node, row in enumerate(analysis.probabilities):
        known = labels[node] or None
        distribution = {name: round(float(p), 6) for name, p in zip(entries, row, strict=True)} if known else None
        nodes.append(
            {
                "parent": int(tree.parents[node]),
                "word": tree.words[node] or None,
                "label": known,
                "probabilities": distribution,
            }
        )
    return {"text": tree.text, "label": labels[-1], "nodes": nodes}


def _colours(analysis: Analysis, entries: list[str]) -> list[float]:
    """Of each node the expected class, from 0 to 1 in the order of the sorted names."""
    order = sorted(range(len(entries)), key=lambda index: entries[index])
    values = np.empty(len(entries))
    values[order] = np.linspace(0, 1, len(entries)) if len(entries) > 1 else 0.5
    return [float(row @ values) for row in analysis.probabilities]
