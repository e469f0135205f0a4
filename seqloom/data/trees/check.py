"""Files of trees, with all that is wrong or odd about them said before a training starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from seqloom.data.check_report import CheckReport, Section
from seqloom.data.files import DAMAGE, STDIN
from seqloom.data.findings import Finding, finding_of, limited, line_findings
from seqloom.data.trees.formats import TreeFormat, read_trees
from seqloom.data.trees.tree import Tree
from seqloom.errors import ConfigError, DataError

__all__ = ["check"]

_DEEP = 100


def check(
    paths: Mapping[str, Path], format: TreeFormat = "auto", encoding: str = "utf-8", limit: int = 10
) -> CheckReport:
    """Checks files of trees, without stopping at the first trouble.

    Args:
        paths: file by split, of ``train``, ``data`` and ``test``; each is compared with the one before it.
        limit: how many findings of a kind to list for each file.
    Raises:
        ConfigError: the standard input, which can be read only once.
    """
    if any(str(path) == STDIN for path in paths.values()):
        raise ConfigError("check reads its files several times; give the names of files")
    findings: list[Finding] = []
    sections: list[Section] = []
    before: Sequence[Tree] | None = None
    for path in paths.values():
        trees: list[Tree] = []
        try:
            trees.extend(read_trees(path, format, encoding))
        except DataError as problem:
            findings.append(finding_of(problem, path))
        findings += _lines(path, encoding, limit)
        if not trees:
            continue
        sections.append(_section(path, trees))
        findings += limited(_alone(path, trees), limit)
        if before is not None:
            findings += limited(_compared(path, trees, before), limit)
        before = trees
    return CheckReport(tuple(findings), tuple(sections))


def _section(path: Path, trees: Sequence[Tree]) -> Section:
    nodes = sum(map(len, trees))
    words = [word for tree in trees for word in tree.sentence]
    facts = [
        ("trees", f"{len(trees):,}"),
        ("nodes", f"{nodes:,}"),
        ("words", f"{len(words):,}"),
        ("different words", f"{len(set(words)):,}"),
        ("longest sentence", f"{max(len(tree.tokens) for tree in trees):,} words"),
        ("deepest tree", f"{max(int(tree.heights[-1]) for tree in trees):,} levels below the root"),
        ("most children of a node", f"{max(tree.arity for tree in trees):,}"),
        ("words stand", "at the leaves" if all(tree.is_constituency for tree in trees) else "at inner nodes too"),
        ("unary nodes left out", f"{sum(tree.unary for tree in trees):,}"),
    ]
    labels = Counter(label for tree in trees for label in tree.labels if label)
    roots = Counter(tree.label for tree in trees if tree.label)
    distributions = {"label of a root": dict(sorted(roots.items())), "label of a node": dict(labels.most_common(50))}
    return Section(facts, distributions, str(path))


def _lines(path: Path, encoding: str, limit: int) -> list[Finding]:
    try:
        return list(limited(line_findings(path, encoding, False), limit))
    except (DataError, *DAMAGE):
        return []  # reading has said it


def _alone(path: Path, trees: Sequence[Tree]) -> Iterator[Finding]:
    unlabelled = [tree for tree in trees if not tree.label]
    if len(unlabelled) == len(trees):
        yield Finding("error", "labels", trees[0].where, "no tree has a label at its root; a training needs classes")
    else:
        for tree in unlabelled:
            yield Finding("warning", "labels", tree.where, "the root has no label; the sentence is not learned")
    inner = [tree for tree in trees if tree.label and not all(tree.labels)]
    missing = sum(not label for tree in inner for label in tree.labels)
    if missing:
        message = f"{missing:,} nodes of {len(inner):,} trees have no label; they are not learned, the first ones here"
        yield Finding("note", "labels of nodes", inner[0].where, message)
    unary = [tree for tree in trees if tree.unary]
    if unary:
        count = sum(tree.unary for tree in unary)
        where = f"in {len(unary):,} trees, the first ones here"
        message = f"{count:,} nodes have a single node below them {where}; each is left out, and its label kept"
        yield Finding("note", "unary nodes", unary[0].where, message)
    wide = [tree for tree in trees if tree.arity > 2 and tree.is_constituency]
    if wide:
        message = (
            f"{len(wide):,} trees have nodes with more than two children, the first one here; all methods but child_sum "
            "put further ones into new nodes"
        )
        yield Finding("note", "arity", wide[0].where, message)
    for tree in trees:
        if tree.heights[-1] > _DEEP:
            yield Finding("warning", "depth", tree.where, f"the tree is {tree.heights[-1]:,} levels deep; is it right?")
    counts = Counter(tree.label for tree in trees if tree.label)
    for tree in trees:
        if counts[tree.label] == 1:
            message = (
                f"the label {tree.label[:40]!r} stands at this root only; one example cannot be learned and scored"
            )
            yield Finding("warning", "rare class", tree.where, message)
    yield from _repeated(trees)


def _repeated(trees: Sequence[Tree]) -> Iterator[Finding]:
    seen: dict[tuple[str, ...], Tree] = {}
    for tree in trees:
        first = seen.setdefault(tree.sentence, tree)
        if first is tree:
            continue
        if first.label != tree.label:
            message = (
                f"the sentence stands at {first.where} too, with the label {first.label!r} instead of {tree.label!r}"
            )
            yield Finding("warning", "contradiction", tree.where, message)
        elif len(tree.tokens) > 2:
            yield Finding("note", "repeated", tree.where, f"the sentence stands at {first.where} too")


def _compared(path: Path, trees: Sequence[Tree], training: Sequence[Tree]) -> Iterator[Finding]:
    known = {tree.sentence: tree for tree in training}
    for tree in trees:
        first = known.get(tree.sentence)
        if first is not None:
            message = f"the sentence was trained on: it stands at {first.where}"
            yield Finding("warning", "in the training file", tree.where, message)
    labels = {label for tree in training for label in tree.labels}
    for tree in trees:
        strange = next((label for label in tree.labels if label and label not in labels), None)
        if strange is not None:
            message = f"the label {strange[:40]!r} does not occur in the training file"
            yield Finding("error", "foreign labels", tree.where, message)
    words = {word for tree in training for word in tree.sentence}
    tokens = [word for tree in trees for word in tree.sentence]
    unknown = sum(word not in words for word in tokens)
    share = f"{unknown:,} of {len(tokens):,} words ({100 * unknown / max(1, len(tokens)):.1f} %)"
    message = f"{share} do not occur in the training file"
    yield Finding("note", "unknown words", str(path), message)
