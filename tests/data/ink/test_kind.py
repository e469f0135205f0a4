"""Ink as a kind of data: what it recognises, and what its check finds."""

import json

import numpy as np
import pytest

from seqloom.data import kinds
from seqloom.data.ink.kind import InkKind
from seqloom.errors import ConfigError

STROKES = [[[0, 0], [1, 2], [3, 1]]]


def lines(*characters):
    return "".join(json.dumps(one) + "\n" for one in characters)


def character(label="a", writer="w", strokes=STROKES, scale=1, shift=0):
    moved = [[[x * scale + shift, y * scale] for x, y in stroke] for stroke in strokes]
    return {"label": label, "writer": writer, "strokes": moved}


def checked(tmp_path, *characters, **options):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(*characters), encoding="utf-8")
    return kinds.check(path, **options)


def found(report):
    return [(one.severity, one.kind, one.where.rpartition(":")[2]) for one in report.findings]


def test_it_recognises_ink_and_nothing_else(tmp_path):
    flat = {"x": np.zeros(3), "y": np.zeros(3), "pen_up": np.ones(3), "offsets": np.array([0, 3])}
    np.savez(tmp_path / "ink.npz", **flat)
    np.savez(tmp_path / "moved.npz", dx=flat["x"], dy=flat["x"], pen_up=flat["pen_up"], offsets=flat["offsets"])
    np.savez(tmp_path / "series.npz", x=np.zeros((9, 2)), offsets=np.array([0, 9]), y=np.zeros(1))
    np.savez(tmp_path / "pairs.npz", train_x=np.zeros((4, 8, 2)), train_y=np.zeros(4))
    contents = {
        "a.jsonl": lines(character()),
        "b.json": json.dumps([{"drawing": [[[0], [1]]]}]),
        "c.inkml": "<?xml version='1.0'?><ink><trace>1 2</trace></ink>",
        "d.dat": ".VERSION 1.0\n.PEN_DOWN\n1 2\n",
        "tagged.jsonl": '{"tokens": ["a"], "tags": ["O"]}\n',
        "words.txt": ". is a full stop\n",
        "text.conll": ".\tO\n",
        "html.html": "<html></html>",
        "damaged.npz": "PK\x03\x04",
        "damaged.gz": "\x1f\x8b",
        "folder/x/1.json": json.dumps(character()),
        "texts/x.json": "[1, 2]",
    }
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="latin-1")
    names = [one.name for one in tmp_path.iterdir()]
    recognised = {name for name in (*names, "nothing", "ink.npz:test") if InkKind().recognises(tmp_path / name)}
    assert recognised == {"ink.npz", "ink.npz:test", "moved.npz", "a.jsonl", "b.json", "c.inkml", "d.dat", "folder"}
    assert not InkKind().recognises("-")


def test_the_check_finds_what_spoils_a_training(tmp_path):
    report = checked(
        tmp_path,
        *[character(shift=shift) for shift in range(6)],
        character(scale=100),
        character(strokes=[]),
        character(strokes=[[[5, 5], [5, 5]]]),
        {**character("b"), "quality": "?"},
    )
    assert set(found(report)) == {
        ("warning", "size", "7"),
        ("error", "empty", "8"),
        ("warning", "dot", "9"),
        ("warning", "contradictions", "10"),
        ("warning", "rare class", "10"),
        ("note", "doubtful", str(tmp_path / "a.jsonl")),
    }
    facts = dict(report.sections[0].facts)
    assert (facts["characters"], facts["classes"], facts["points of a character"]) == ("10", "2", "0 to 3, median 3")
    assert report.sections[0].distributions["class"] == {"a": 9, "b": 1}


def test_writers_and_classes_are_compared_between_parts_and_files(tmp_path):
    train = tmp_path / "train.jsonl"
    train.write_text(
        lines(*[character(label, writer, scale=k) for k, (label, writer) in enumerate(["aw", "av", "bv", "bv"], 1)])
    )
    report = checked(
        tmp_path,
        *[character(label, w, scale=k) for k, (label, w) in enumerate(["aw", "zu", "zu", "bu"], 5)],
        train=train,
    )
    assert {(severity, kind) for severity, kind, _ in found(report)} == {
        ("warning", "shared groups"),
        ("error", "unknown class"),
        ("warning", "rare class"),
    }
    message = next(one.message for one in report.findings if one.kind == "shared groups")
    assert message.startswith("1 of 2 writers of data are in train too (w): scores are those of known writers")
    split = [{**character("ab"[k % 2], scale=k + 1), "split": ("train", "test")[k // 4]} for k in range(8)]
    parts = checked(tmp_path, *split)
    assert [kind for _, kind, _ in found(parts)] == ["shared groups"]
    assert [one.title for one in parts.sections] == ["train", "test"]


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path):
    report = checked(tmp_path, {"strokes": [[[1]]]}, kind="ink")
    assert [one.severity for one in report.findings] == ["error"]
    assert "expected a list of points" in report.findings[0].message
    with pytest.raises(ConfigError, match="colour"):
        checked(tmp_path, character(), colour=1)


def test_clean_ink_has_no_findings(tmp_path):
    assert not checked(tmp_path, *[character("ab"[k % 2], scale=1 + k) for k in range(6)]).findings
