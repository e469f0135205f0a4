"""Skeletons as a kind of data: what they are recognised by, and what their check finds."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from seqloom.data import kinds
from seqloom.data.skeleton.kind import SkeletonKind


def frames(count, joints=20, seed=0):
    return np.random.default_rng(seed).normal(size=(count, joints, 3)).astype(np.float32)


def archive(path, sequences, **arrays):
    offsets = np.cumsum([0, *map(len, sequences)])
    np.savez(path, xyz=np.concatenate(sequences), offsets=offsets, **arrays)
    return path


def found(report):
    return {(one.severity, one.kind, one.where.rpartition("[")[2].rstrip("]")) for one in report.findings}


def test_it_recognises_skeletons_and_nothing_else(tmp_path):
    archive(tmp_path / "a.npz", [frames(5)])
    np.savez(tmp_path / "b.npz", train_keypoints=np.zeros((2, 4, 17, 2)), train_label=np.zeros(2))
    np.savez(tmp_path / "pictures.npz", x=np.zeros((2, 28, 28, 3)))
    np.savez(tmp_path / "series.npz", x=np.zeros((9, 60)), offsets=np.array([0, 9]))
    np.savez(tmp_path / "ink.npz", train_x=np.zeros((9, 8, 2)))
    contents = {
        "a01_s01_e01_skeleton3D.txt": "1 2 3 4\n",
        "S001C001P001R001A001.skeleton": "1\n",
        "pose.json": json.dumps({"people": [{"pose_keypoints_2d": [1, 2, 3]}]}),
        "other.json": "[1]",
        "words.txt": "a skeleton\n",
        "damaged.npz": "PK\x03\x04",
        "folder/a01_s01_e01_skeleton.txt": "1 2 3 4\n",
        "texts/a.txt": "1 2 3 4\n",
    }
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    names = {one.name for one in tmp_path.iterdir()}
    recognised = {name for name in names if SkeletonKind().recognises(tmp_path / name)}
    assert recognised == {
        "a.npz",
        "b.npz",
        "a01_s01_e01_skeleton3D.txt",
        "S001C001P001R001A001.skeleton",
        "pose.json",
        "folder",
    }
    assert not SkeletonKind().recognises(tmp_path / "nothing")
    assert not SkeletonKind().recognises(Path("-"))


def test_the_check_finds_what_spoils_a_training(tmp_path):
    gaps = frames(10)
    gaps[:4] = 0
    still = np.repeat(frames(1), 8, axis=0)
    sequences = [
        frames(9),
        frames(9, seed=1),
        frames(9, seed=2) * 1000,
        gaps,
        still,
        np.zeros((6, 20, 3)),
        frames(3),
        frames(0),
    ]
    path = archive(tmp_path / "a.npz", sequences, label=list("aaaaaaab"), subject=np.zeros(8, int))
    report = kinds.check(path, skeleton="kinect20")
    assert found(report) == {
        ("warning", "size", "2"),
        ("warning", "missing joints", "3"),
        ("warning", "still", "4"),
        ("error", "corrupt", "5"),
        ("warning", "short", "6"),
        ("error", "empty", "7"),
        ("warning", "rare class", "7"),
    }
    facts = dict(report.sections[0].facts)
    assert (facts["sequences"], facts["skeleton"], facts["joints"]) == ("8", "kinect20", "20 of 3 coordinates")


def test_persons_and_joints_are_compared_between_files(tmp_path):
    train = archive(tmp_path / "train.npz", [frames(9), frames(8)], label=["a", "b"], subject=np.array([1, 2]))
    data = archive(tmp_path / "a.npz", [frames(9, 25)] * 2, label=["a", "c"], subject=np.array([2, 3]))
    report = kinds.check(data, train=train)
    assert {kind for _, kind, _ in found(report)} == {
        "joints",
        "shared groups",
        "unknown class",
        "rare class",
        "contradictions",
    }
    message = next(one.message for one in report.findings if one.kind == "joints")
    assert message == "unequal counts of joints: 20 in train and 25 in data; expected as many in all"


def test_unequal_joints_and_unknown_skeletons(tmp_path):
    folder = tmp_path / "clips"
    for index, joints in enumerate((25, 33)):
        (folder / f"{index}").mkdir(parents=True)
        people = {"people": [{"pose_keypoints_2d": [1, 2, 1] * joints}]}
        (folder / f"{index}" / "0.json").write_text(json.dumps(people), encoding="utf-8")
    (problem,) = kinds.check(folder, kind="skeletons").findings
    assert (problem.severity, "expected the same in all" in problem.message) == ("error", True)
    report = kinds.check(archive(tmp_path / "a.npz", [frames(9, 7)]))
    assert {kind for _, kind, _ in found(report)} == {"skeleton"}


@pytest.mark.skipif("SEQLOOM_DATA" not in os.environ, reason="SEQLOOM_DATA names no folder with msr_action3d")
def test_the_corrupt_sequence_of_msr_is_found():
    path = Path(os.environ["SEQLOOM_DATA"]) / "msr_action3d" / "msr_action3d.npz"
    assert ("note", "unused", str(path)) in found(kinds.check(path))
    assert kinds.check(path).is_usable
    assert ("error", "corrupt", "362") in found(kinds.check(path, unused=True))
