"""Definitions of skeletons: presets, files, and what is wrong with them."""

import json

import numpy as np
import pytest
import yaml

from seqloom.data.skeleton.definition import Skeleton, fitting, preset, skeleton_named
from seqloom.data.skeleton.presets import PRESETS
from seqloom.errors import ConfigError

JOINTS = {
    "kinect20": 20,
    "msr20": 20,
    "kinect25": 25,
    "coco17": 17,
    "h36m17": 17,
    "hdm05_31": 31,
    "openpose25": 25,
    "mediapipe33": 33,
}
SMALL = {
    "names": ["root", "hip_left", "hip_right", "shoulder_left", "shoulder_right"],
    "parents": [None, "root", 0, "root", "root"],
    "parts": {"left": ["hip_left", 3], "right": ["hip_right", "shoulder_right"], "trunk": ["root"]},
}


@pytest.mark.parametrize("name", PRESETS)
def test_parts_are_disjoint_and_cover_every_joint(name):
    skeleton = preset(name)
    assert len(skeleton.names) == JOINTS[name] == len(skeleton.parents)
    assert list(skeleton.parts) == ["left_arm", "right_arm", "trunk", "left_leg", "right_leg"]
    assert sorted(joint for part in skeleton.parts.values() for joint in part) == list(range(JOINTS[name]))
    assert len(skeleton.bones) == JOINTS[name] - 1


@pytest.mark.parametrize("name", PRESETS)
def test_every_limb_has_its_mirror(name):
    skeleton = preset(name)
    mirror = skeleton.mirror
    assert [mirror[mirror[joint]] for joint in range(len(mirror))] == list(range(len(mirror)))
    for limb in ("arm", "leg"):
        left, right = skeleton.parts[f"left_{limb}"], skeleton.parts[f"right_{limb}"]
        assert {mirror[joint] for joint in left} == set(right)
    assert mirror[skeleton.hips[0]] == skeleton.hips[1]
    for joint, parent in skeleton.bones:
        assert skeleton.parents[mirror[joint]] == mirror[parent]


def test_a_definition_in_a_file_and_what_the_names_say(tmp_path):
    for name, text in (("a.yaml", yaml.safe_dump(SMALL)), ("a.json", json.dumps(SMALL))):
        (tmp_path / name).write_text(text, encoding="utf-8")
        skeleton = skeleton_named(str(tmp_path / name))
        assert (skeleton.parents, skeleton.hips, skeleton.origin) == ((-1, 0, 0, 0, 0), (1, 2), (1, 2))
        assert skeleton.torso == ((3, 4), (1, 2))
        assert skeleton.mirror == (0, 2, 1, 4, 3)
    assert Skeleton.of(json.loads(json.dumps(skeleton.to_dict()))) == skeleton


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"names": ["a", "a"]}, "names are 2; expected 1 to 1000, none of them twice"),
        ({"parents": [None]}, "1 parents for 5 names"),
        ({"parents": ["root", "root", "root", "root", "root"]}, "the parents of 'root' form a circle"),
        ({"parents": [None, "roots", 0, 0, 0]}, "'roots' is not a joint; did you mean 'root'"),
        ({"parents": [None, 9, 0, 0, 0]}, "'9' is not a joint"),
        ({"parts": {"all": [0, 1, 2]}}, "no part has shoulder_left, shoulder_right; expected each joint in one"),
        ({"parts": {**SMALL["parts"], "twice": ["root"]}}, "'root' is in trunk and in twice"),
        ({"parts": []}, "parts is a list"),
        ({"colour": 1}, "'colour' is not a key of a skeleton"),
        ({"hips": ["root"]}, "hips are 1 joints"),
        ({"torso": [["root"]]}, "torso has 1 ends"),
        (
            {"names": ["root", "b", "c", "d", "e"], "parts": {"all": [0, 1, 2, 3, 4]}},
            "no names say which joints are the hips",
        ),
    ],
)
def test_a_wrong_definition_is_one_sentence(change, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Skeleton.of({**SMALL, **change}, "my.yaml")


def test_unknown_names_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="'kinect2' is neither a preset nor a file; did you mean 'kinect25'"):
        skeleton_named("kinect2")
    (tmp_path / "a.yaml").write_text("names: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a.yaml:1: .*expected a skeleton"):
        skeleton_named(str(tmp_path / "a.yaml"))
    with pytest.raises(ConfigError, match="a skeleton is a mapping of names"):
        Skeleton.of([1], "x")


def body(name, frames=40):
    """A body of a preset that moves its limbs without changing their lengths."""
    skeleton = preset(name)
    random = np.random.default_rng(0)
    lengths = random.uniform(0.1, 0.4, len(skeleton.names))
    directions = (
        random.normal(size=(len(skeleton.names), 3))
        + random.normal(size=(frames, len(skeleton.names), 3)).cumsum(0) * 0.1
    )
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    places = np.zeros((frames, len(skeleton.names), 3))
    done = {joint for joint, parent in enumerate(skeleton.parents) if parent < 0}
    while len(done) < len(skeleton.names):
        for joint, parent in skeleton.bones:
            if parent in done and joint not in done:
                places[:, joint] = places[:, parent] + directions[:, joint] * lengths[joint]
                done.add(joint)
    return places


@pytest.mark.parametrize("name", [name for name, joints in JOINTS.items() if joints in (17, 20, 25)])
def test_the_order_of_joints_is_seen_in_the_lengths_of_the_bones(name):
    assert fitting(body(name)).name == name


def test_no_preset_has_seven_joints():
    assert fitting(np.ones((3, 7, 3))) is None
    assert fitting(np.ones((3, 31, 3))).name == "hdm05_31"
    assert fitting(np.zeros((0, 20, 3))).name == "kinect20"
