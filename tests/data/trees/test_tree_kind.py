import gzip

import pytest

import seqloom
from seqloom.data import kinds
from seqloom.data.trees.kind import TreeKind
from seqloom.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    def written(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def kinds_of(report):
    return {(finding.severity, finding.kind) for finding in report.findings}


def test_trees_are_told_from_tagged_text(file, tmp_path):
    known = kinds.checkable()
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf (3 (2 a) (4 b))\n"))
    for path in (
        file("a", "(3 (2 a) (4 b))\n"),
        file("b", "( (S (A a)\n"),
        file("c", '{"words": [], "heads": []}\n'),
        packed,
    ):
        assert kinds.choose(known, path).name == "trees"
    for path in (file("d", "(\tO\na\tO\n"), file("e", "a O\n"), file("f", ""), file("g", '{"text": "x"}\n')):
        assert not TreeKind().recognises(path)
    assert not TreeKind().recognises(tmp_path / "nothing")
    assert not TreeKind().recognises(tmp_path)


def test_a_check_counts_nodes_and_labels(file):
    report = seqloom.check(file("a", "(3 (2 a) (3 (2 (2 b)) (3 c)))\n(3 (2 d) (2 e))\n"))
    section = report.sections[0]
    assert dict(section.facts)["nodes"] == "8"
    assert dict(section.facts)["unary nodes left out"] == "1"
    assert section.distributions["label of a root"] == {"3": 2}
    assert kinds_of(report) == {("note", "unary nodes")}


def test_what_is_odd_is_found_with_its_place(file):
    train = file(
        "train", "(3 (2 a) (2 b))\n(1 (2 a) (2 b))\n(3 (2 c) (3 (2 d) (2 e)))\n(3 (2 c) (3 (2 d) (2 e)))\n(0 x)\n"
    )
    test = file("test", "(3 (2 a) (2 b))\n(7 (2 z) (2 y))\n")
    report = seqloom.check(train, test=test)
    found = kinds_of(report)
    assert ("warning", "contradiction") in found
    assert ("note", "repeated") in found
    assert ("warning", "rare class") in found
    assert ("warning", "in the training file") in found
    assert ("error", "foreign labels") in found
    assert ("note", "unknown words") in found
    places = {finding.kind: finding.where for finding in report.findings}
    assert places["in the training file"] == f"{test}:1"
    assert places["foreign labels"] == f"{test}:2"


def test_missing_labels_and_broken_files_are_found(file):
    unlabelled = seqloom.check(file("a", '{"words": ["a"], "heads": [0]}\n'))
    assert kinds_of(unlabelled) == {("error", "labels")}
    some = seqloom.check(file("b", "(3 (2 a) (3 b))\n((2 a) (3 c))\n(3 (a) (3 c))\n"))
    assert ("error", "reading") in kinds_of(some)
    assert not some.is_usable
    some = seqloom.check(file("b", '{"words": ["a"], "heads": [0], "labels": ["1"]}\n{"words": ["a"], "heads": [0]}\n'))
    assert ("warning", "labels") in kinds_of(some)


def test_a_check_needs_a_name(file):
    with pytest.raises(ConfigError, match="give the names of files"):
        seqloom.check("-", kind="trees")
