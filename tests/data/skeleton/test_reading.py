"""Skeletons read from each format, and what is refused."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from seqloom.data.skeleton.config import SkeletonConfig, SkeletonReading
from seqloom.data.skeleton.definition import Skeleton
from seqloom.data.skeleton.features import SkeletonFeatures
from seqloom.data.skeleton.reading import read_skeletons, skeleton_format
from seqloom.errors import DataError


def frames(count, joints=20, seed=0):
    return np.random.default_rng(seed).normal(size=(count, joints, 3)).astype(np.float32)


def archive(tmp_path, **arrays):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    return str(path)


FLAT = {
    "xyz": frames(9),
    "conf": np.tile(np.linspace(0, 1, 20), (9, 1)),
    "offsets": np.array([0, 4, 9, 9]),
    "action": np.array([3, 1, 2]),
    "subject": np.array([7, 8, 9]),
    "used": np.array([True, True, False]),
    "split": np.array([0, 2, 2]),
}


def test_an_archive_of_frames_one_after_another(tmp_path):
    path = archive(tmp_path, **FLAT)
    data = read_skeletons(path, SkeletonReading(skeleton="kinect20"))
    assert [(one.target, one.group, one.where) for one in data.examples] == [
        ("3", "7", f"{path}[0]"),
        ("1", "8", f"{path}[1]"),
    ]
    assert (data.facts["format"], data.facts["unused"], data.facts["dimensions"]) == ("npz", 1, 3)
    assert data.facts["channels"][:4] == ["hip_centre_x", "hip_centre_y", "hip_centre_z", "spine_x"]
    assert data.parts == {"train": [0], "test": [1]}
    np.testing.assert_array_equal(data.examples[1].values, FLAT["xyz"][4:].reshape(5, 60))
    whole = read_skeletons(path, SkeletonReading(unused=True))
    assert [len(one.values) for one in whole.examples] == [4, 5, 0]
    assert [one.target for one in read_skeletons(f"{path}:test").examples] == ["1"]
    sure = read_skeletons(path, SkeletonReading(confidence=0.5)).examples[0].values.reshape(-1, 20, 3)
    assert np.isnan(sure).all(axis=(0, 2)).tolist() == [True] * 10 + [False] * 10


def test_an_archive_of_equally_long_sequences(tmp_path):
    keypoints = frames(12, 17).reshape(3, 4, 17, 3)[..., :2]
    path = archive(tmp_path, train_keypoints=keypoints, train_lengths=[4, 2, 0], train_label=["a", "b", "a"])
    data = read_skeletons(path, SkeletonReading(skeleton="coco17"))
    assert [one.values.shape for one in data.examples] == [(4, 34), (2, 34), (0, 34)]
    assert (data.parts, data.facts["dimensions"]) == ({"train": [0, 1, 2]}, 2)
    assert data.facts["joints"][0] == "nose"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"xyz": frames(9).reshape(9, 60)},
            r"expected xyz or keypoints of the shape \(frames, joints, 2 or 3\) with offsets",
        ),
        ({"xyz": frames(9) * 1e20}, "frame 0, joint 0: .* is no place; expected numbers up to 1e"),
        ({"offsets": np.array([0, 99])}, "the offsets go from 0 to 99"),
        ({"conf": np.zeros((9, 3))}, r"conf has the shape \(9, 3\); expected \(9, 20\)"),
        ({"subject": np.zeros(5)}, r"subject has the shape \(5,\)"),
        ({"used": np.ones(5, bool)}, r"used has the shape \(5,\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, change, complaint):
    with pytest.raises(DataError, match=complaint):
        read_skeletons(archive(tmp_path, **{**FLAT, **change}))


def test_another_skeleton_than_the_data_have_is_refused(tmp_path):
    with pytest.raises(DataError, match="20 joints, but coco17 has 17; name another skeleton"):
        read_skeletons(archive(tmp_path, **FLAT), SkeletonReading(skeleton="coco17"))
    seven = read_skeletons([frames(3, 7)])
    assert seven.facts["skeleton"] is None
    assert seven.facts["joints"] == [f"joint{index}" for index in range(7)]


def msr(array):
    return "".join(f"{x:.6f} {y:.6f} {z:.6f} 1.0\n" for frame in array for x, y, z in frame)


def test_msr_files_say_action_and_subject_in_their_names(tmp_path):
    (tmp_path / "a02_s10_e01_skeleton3D.txt").write_text(msr(frames(3)), encoding="utf-8")
    (tmp_path / "a20_s01_e03_skeleton3D.txt").write_text(msr(frames(2)), encoding="utf-8")
    data = read_skeletons(tmp_path)
    assert [(one.target, one.group, len(one.values)) for one in data.examples] == [("2", "10", 3), ("20", "1", 2)]
    assert data.facts["format"] == "msr"
    np.testing.assert_allclose(data.examples[0].values, frames(3).reshape(3, 60), atol=1e-6)
    one = tmp_path / "a02_s10_e01_skeleton3D.txt"
    for text, complaint in [
        (msr(frames(3))[:-30], r"txt:60: .* expected x y z confidence|no whole number of frames"),
        ("1 2 3\n", "txt:1: 3 numbers; expected x y z confidence"),
        ("1 2 3 x\n", "txt:1: '1 2 3 x'; expected x y z confidence"),
        ("1 2 3 4\n", "1 lines are no whole number of frames; expected 20 for each frame"),
        ("", "is empty|expected lines"),
    ]:
        one.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=complaint):
            read_skeletons(one)


def ntu(bodies):
    """Bodies by frame: a list for each frame of (identity, (25, 3))."""
    lines = [str(len(bodies))]
    for frame in bodies:
        lines.append(str(len(frame)))
        for identity, joints in frame:
            lines += [f"{identity} 0 1 1 0 0 1 0.1 0.2 2", "25"]
            lines += [f"{x:.6f} {y:.6f} {z:.6f} 1 2 3 4 5 6 7 8 2" for x, y, z in joints]
    return "\n".join(lines) + "\n"


def test_of_several_bodies_the_one_that_moves_is_read(tmp_path):
    moving, still = frames(4, 25), np.ones((4, 25, 3))
    bodies = [
        [("72057", still[0])],
        [("9", moving[1]), ("72057", still[1])],
        [],
        [("9", moving[3]), ("72057", still[3])],
    ]
    path = tmp_path / "S001C002P003R002A043.skeleton"
    path.write_text(ntu(bodies), encoding="utf-8")
    (one,) = read_skeletons(path).examples
    assert (one.target, one.group) == ("43", "3")
    expected = [moving[1], np.zeros((25, 3)), moving[3]]
    np.testing.assert_allclose(one.values.reshape(3, 25, 3), expected, atol=1e-5)
    for text, complaint in [
        (ntu(bodies)[:500], "cut short|more of a joint"),
        (ntu(bodies).replace("25\n", "24\n"), "a body of 24 joints in frame 0; expected 25"),
        ("x\n", ":1: 'x'; expected the number of frames, at most 1,000,000"),
        ("99999999\n", ":1: '99999999'; expected the number of frames"),
        ("1\n999\n", ":2: '999'; expected the number of bodies, at most 64"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=complaint):
            read_skeletons(path)


def test_frames_of_openpose_in_a_folder_and_landmarks_in_a_file(tmp_path):
    first = np.column_stack([frames(1, 25)[0][:, :2], np.ones(25)])
    unsure = np.column_stack([frames(1, 25, 1)[0][:, :2], np.full(25, 0.1)])
    people = [{"people": [{"pose_keypoints_2d": one.ravel().tolist()} for one in (unsure, first)]}, {"people": []}]
    folder = tmp_path / "wave" / "clip1"
    folder.mkdir(parents=True)
    for index, one in enumerate(people):
        (folder / f"{index:012d}_keypoints.json").write_text(json.dumps(one), encoding="utf-8")
    (one,) = read_skeletons(tmp_path).examples
    assert one.target == "wave"
    np.testing.assert_allclose(one.values.reshape(2, 25, 2), [first[:, :2], np.zeros((25, 2))], atol=1e-6)
    landmarks = [[{"x": 0.1, "y": 0.2, "z": 0.3, "visibility": 0.5}] * 33] * 3
    for value in (landmarks, [{"pose_landmarks": one} for one in landmarks], [[one] for one in landmarks]):
        file = tmp_path / "pose.json"
        file.write_text(json.dumps(value), encoding="utf-8")
        data = read_skeletons(file)
        assert data.examples[0].values.shape == (3, 99)
        assert data.facts["joints"][-1] == "foot_right"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"people": []}, "no frame has a person in it"),
        ({"persons": []}, "the keys are persons; expected people"),
        ({"people": [{"pose_keypoints_2d": [1, 2]}]}, "pose_keypoints_2d has 2 numbers; expected 3 for each joint"),
        ({"people": [{"pose_keypoints_2d": ["a", 2, 3]}]}, "some coordinates are no numbers"),
        ([{"x": 1, "y": 2}, 3], "is no landmark"),
        ([[{"x": 1, "y": 2}], [{"x": 1, "y": 2}] * 2], "frames of 1 and 2 joints; expected as many in all"),
        ("text", "the value is a str"),
    ],
)
def test_other_json_is_refused(tmp_path, value, complaint):
    (tmp_path / "a.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(DataError, match=complaint):
        read_skeletons(tmp_path / "a.json")


def test_a_pickle_is_refused_with_the_way_out(tmp_path):
    for name in ("ntu60.pkl", "renamed"):
        (tmp_path / name).write_bytes(pickle.dumps([{"keypoint": 1}]))
        with pytest.raises(DataError, match=r"a pickle, which may run any program .* np.savez\('a.npz', keypoints="):
            read_skeletons(tmp_path / name)


def test_objects_in_memory():
    sequences = [frames(3), frames(5)]
    assert [len(one.values) for one in read_skeletons(sequences).examples] == [3, 5]
    assert [one.target for one in read_skeletons([(sequences[0], "a"), (sequences[1], 2)]).examples] == ["a", "2"]
    assert [len(one.values) for one in read_skeletons(np.zeros((2, 4, 20, 3))).examples] == [4, 4]
    assert [len(one.values) for one in read_skeletons(sequences[0]).examples] == [3]
    assert read_skeletons([]).examples == []
    for given, complaint in [
        ({1: 2}, "the sequences are a dict"),
        ([np.zeros((2, 3))], r"input\[0\]: the shape is \(2, 3\)"),
        ([[[["a"]]]], r"input\[0\]: the frames are not all lists"),
        ([frames(2), frames(2, 17)], r"input\[\d\]: joints and coordinates are .* expected the same in all"),
    ]:
        with pytest.raises(DataError, match=complaint):
            read_skeletons(given)


def test_other_files_are_no_skeletons(tmp_path):
    (tmp_path / "a.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(DataError, match="no archive, MSR, NTU or key points file"):
        skeleton_format(str(tmp_path / "a.txt"))
    with pytest.raises(DataError, match="no file of skeletons"):
        skeleton_format(str(tmp_path))


DATA = Path(os.environ.get("SEQLOOM_DATA", ""))


@pytest.fixture(scope="module")
def actions():
    if "SEQLOOM_DATA" not in os.environ:
        pytest.skip("SEQLOOM_DATA names no folder with msr_action3d")
    return read_skeletons(DATA / "msr_action3d" / "msr_action3d.npz")


def test_msr_actions_are_counted_as_published(actions):
    assert len(actions.examples) == 557
    assert actions.facts["unused"] == 10
    train = [one for one in actions.examples if int(one.group) % 2]
    assert (len(train), len(actions.examples) - len(train)) == (284, 273)
    assert {one.target for one in actions.examples} == {str(action) for action in range(1, 21)}


def test_the_joints_of_msr_are_where_their_names_say(actions):
    """Heights and sides of a standing body; the right arm moves in a wave with one arm, the right foot in a kick."""
    skeleton = Skeleton.of(actions.facts["skeleton"])
    assert skeleton.name == "msr20"
    place = {name: index for index, name in enumerate(skeleton.names)}
    joints = np.concatenate([one.values for one in actions.examples]).reshape(-1, 20, 3)
    joints = joints[(joints != 0).any(axis=(1, 2))]
    height = np.median(joints[:, :, 1], axis=0)
    chain = ["head", "shoulder_centre", "spine", "hip_centre", "knee_left", "ankle_left", "foot_left"]
    assert (np.diff(height[[place[name] for name in chain]]) < 0).all()
    across = np.median(joints[:, :, 0], axis=0)
    for pair in ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "foot"):
        assert across[place[f"{pair}_left"]] < across[place[f"{pair}_right"]]
    for action, limb in (("1", "hand"), ("7", "hand"), ("17", "elbow"), ("14", "foot"), ("15", "knee")):
        moved = [0.0, 0.0]
        for one in actions.examples:
            if one.target == action:
                sequence = one.values.reshape(-1, 20, 3)
                sequence = sequence - sequence[:, place["hip_centre"], None]
                for side, name in enumerate(("left", "right")):
                    moved[side] += np.abs(np.diff(sequence[:, place[f"{limb}_{name}"]], axis=0)).sum()
        assert moved[1] > 1.5 * moved[0], action
    # A bone keeps its length in a sequence; the same joints with other parents do not.
    lengths = {joint: np.linalg.norm(joints[:, joint] - joints[:, parent], axis=-1) for joint, parent in skeleton.bones}
    limbs = [
        place[f"{name}_{side}"]
        for name in ("elbow", "wrist", "hand", "knee", "ankle", "foot")
        for side in ("left", "right")
    ]
    assert all(lengths[joint].std() < 0.2 * lengths[joint].mean() for joint in limbs)


def test_all_of_msr_becomes_features_without_nan(actions):
    flat = np.concatenate([one.values for one in actions.examples])
    offsets = np.cumsum([0, *(len(one.values) for one in actions.examples)])
    features = SkeletonFeatures(
        SkeletonConfig(thin=2, facing="series"), skeleton=Skeleton.of(actions.facts["skeleton"])
    )
    features.fit(flat, offsets)
    for random in (None, np.random.default_rng(0)):
        found, _ = features.apply(flat, offsets, random)
        assert np.isfinite(found).all()
        assert 0.9 < found.std() < 1.2
