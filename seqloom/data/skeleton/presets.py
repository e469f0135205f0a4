"""The skeletons that sensors and pose estimators have, in the order of their files.

kinect20 and kinect25 are the orders of the two Kinect SDKs (25 also NTU RGB+D); msr20 that of the MSR Action3D files; coco17 and
h36m17 those of COCO and Human3.6M as pose estimators write them; hdm05_31 the bones of the ASF files of HDM05, each for its
far end; openpose25 BODY_25; mediapipe33 the pose landmarks of MediaPipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["PRESETS"]


def _preset(joints: str, parts: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """A definition.

    Args:
        joints: ``name:parent`` of each, in order; the root has none.
        parts: the joints of each part.
    """
    pairs = [one.partition(":") for one in joints.split()]
    return {
        "names": [name for name, _, _ in pairs],
        "parents": [parent or None for _, _, parent in pairs],
        "parts": {part: names.split() for part, names in parts.items()},
        **more,
    }


_KINECT_PARTS = {
    "left_arm": "shoulder_left elbow_left wrist_left hand_left",
    "right_arm": "shoulder_right elbow_right wrist_right hand_right",
    "trunk": "hip_centre spine shoulder_centre head",
    "left_leg": "hip_left knee_left ankle_left foot_left",
    "right_leg": "hip_right knee_right ankle_right foot_right",
}
_KINECT = {
    "origin": ["hip_centre", "hip_left", "hip_right"],
    "torso": [["shoulder_centre"], ["hip_centre"]],
    "hips": ["hip_left", "hip_right"],
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "kinect20": _preset(
        "hip_centre spine:hip_centre shoulder_centre:spine head:shoulder_centre "
        "shoulder_left:shoulder_centre elbow_left:shoulder_left wrist_left:elbow_left hand_left:wrist_left "
        "shoulder_right:shoulder_centre elbow_right:shoulder_right wrist_right:elbow_right hand_right:wrist_right "
        "hip_left:hip_centre knee_left:hip_left ankle_left:knee_left foot_left:ankle_left "
        "hip_right:hip_centre knee_right:hip_right ankle_right:knee_right foot_right:ankle_right",
        _KINECT_PARTS,
        **_KINECT,
    ),
    "msr20": _preset(
        "shoulder_left:shoulder_centre shoulder_right:shoulder_centre shoulder_centre:spine spine:hip_centre "
        "hip_left:hip_centre hip_right:hip_centre hip_centre elbow_left:shoulder_left elbow_right:shoulder_right "
        "wrist_left:elbow_left wrist_right:elbow_right hand_left:wrist_left hand_right:wrist_right "
        "knee_left:hip_left knee_right:hip_right ankle_left:knee_left ankle_right:knee_right "
        "foot_left:ankle_left foot_right:ankle_right head:shoulder_centre",
        _KINECT_PARTS,
        **_KINECT,
    ),
    "kinect25": _preset(
        "hip_centre spine:hip_centre neck:shoulder_centre head:neck "
        "shoulder_left:shoulder_centre elbow_left:shoulder_left wrist_left:elbow_left hand_left:wrist_left "
        "shoulder_right:shoulder_centre elbow_right:shoulder_right wrist_right:elbow_right hand_right:wrist_right "
        "hip_left:hip_centre knee_left:hip_left ankle_left:knee_left foot_left:ankle_left "
        "hip_right:hip_centre knee_right:hip_right ankle_right:knee_right foot_right:ankle_right "
        "shoulder_centre:spine tip_left:hand_left thumb_left:hand_left tip_right:hand_right thumb_right:hand_right",
        {
            **_KINECT_PARTS,
            "left_arm": _KINECT_PARTS["left_arm"] + " tip_left thumb_left",
            "right_arm": _KINECT_PARTS["right_arm"] + " tip_right thumb_right",
            "trunk": _KINECT_PARTS["trunk"] + " neck",
        },
        **_KINECT,
    ),
    "coco17": _preset(
        "nose eye_left:nose eye_right:nose ear_left:eye_left ear_right:eye_right shoulder_left:nose shoulder_right:nose "
        "elbow_left:shoulder_left elbow_right:shoulder_right wrist_left:elbow_left wrist_right:elbow_right "
        "hip_left:shoulder_left hip_right:shoulder_right knee_left:hip_left knee_right:hip_right "
        "ankle_left:knee_left ankle_right:knee_right",
        {
            "left_arm": "shoulder_left elbow_left wrist_left",
            "right_arm": "shoulder_right elbow_right wrist_right",
            "trunk": "nose eye_left eye_right ear_left ear_right",
            "left_leg": "hip_left knee_left ankle_left",
            "right_leg": "hip_right knee_right ankle_right",
        },
    ),
    "h36m17": _preset(
        "hip_centre hip_right:hip_centre knee_right:hip_right ankle_right:knee_right "
        "hip_left:hip_centre knee_left:hip_left ankle_left:knee_left spine:hip_centre thorax:spine neck:thorax head:neck "
        "shoulder_left:thorax elbow_left:shoulder_left wrist_left:elbow_left "
        "shoulder_right:thorax elbow_right:shoulder_right wrist_right:elbow_right",
        {
            "left_arm": "shoulder_left elbow_left wrist_left",
            "right_arm": "shoulder_right elbow_right wrist_right",
            "trunk": "hip_centre spine thorax neck head",
            "left_leg": "hip_left knee_left ankle_left",
            "right_leg": "hip_right knee_right ankle_right",
        },
        origin=["hip_centre", "hip_left", "hip_right"],
        torso=[["thorax"], ["hip_centre"]],
    ),
    "hdm05_31": _preset(
        "root lhipjoint:root lfemur:lhipjoint ltibia:lfemur lfoot:ltibia ltoes:lfoot "
        "rhipjoint:root rfemur:rhipjoint rtibia:rfemur rfoot:rtibia rtoes:rfoot "
        "lowerback:root upperback:lowerback thorax:upperback lowerneck:thorax upperneck:lowerneck head:upperneck "
        "lclavicle:thorax lhumerus:lclavicle lradius:lhumerus lwrist:lradius lhand:lwrist lfingers:lhand lthumb:lwrist "
        "rclavicle:thorax rhumerus:rclavicle rradius:rhumerus rwrist:rradius rhand:rwrist rfingers:rhand rthumb:rwrist",
        {
            "left_arm": "lclavicle lhumerus lradius lwrist lhand lfingers lthumb",
            "right_arm": "rclavicle rhumerus rradius rwrist rhand rfingers rthumb",
            "trunk": "root lowerback upperback thorax lowerneck upperneck head",
            "left_leg": "lhipjoint lfemur ltibia lfoot ltoes",
            "right_leg": "rhipjoint rfemur rtibia rfoot rtoes",
        },
        origin=["root", "lhipjoint", "rhipjoint"],
        torso=[["thorax"], ["root"]],
        hips=["lhipjoint", "rhipjoint"],
    ),
    "openpose25": _preset(
        "nose:neck neck:hip_centre shoulder_right:neck elbow_right:shoulder_right wrist_right:elbow_right "
        "shoulder_left:neck elbow_left:shoulder_left wrist_left:elbow_left hip_centre "
        "hip_right:hip_centre knee_right:hip_right ankle_right:knee_right "
        "hip_left:hip_centre knee_left:hip_left ankle_left:knee_left "
        "eye_right:nose eye_left:nose ear_right:eye_right ear_left:eye_left "
        "toe_left:ankle_left small_toe_left:ankle_left heel_left:ankle_left "
        "toe_right:ankle_right small_toe_right:ankle_right heel_right:ankle_right",
        {
            "left_arm": "shoulder_left elbow_left wrist_left",
            "right_arm": "shoulder_right elbow_right wrist_right",
            "trunk": "nose neck hip_centre eye_left eye_right ear_left ear_right",
            "left_leg": "hip_left knee_left ankle_left toe_left small_toe_left heel_left",
            "right_leg": "hip_right knee_right ankle_right toe_right small_toe_right heel_right",
        },
        origin=["hip_centre", "hip_left", "hip_right"],
        torso=[["neck"], ["hip_centre"]],
    ),
    "mediapipe33": _preset(
        "nose eye_inner_left:nose eye_left:eye_inner_left eye_outer_left:eye_left "
        "eye_inner_right:nose eye_right:eye_inner_right eye_outer_right:eye_right "
        "ear_left:eye_outer_left ear_right:eye_outer_right "
        "mouth_left:nose mouth_right:nose shoulder_left:nose shoulder_right:nose "
        "elbow_left:shoulder_left elbow_right:shoulder_right wrist_left:elbow_left wrist_right:elbow_right "
        "pinky_left:wrist_left pinky_right:wrist_right index_left:wrist_left index_right:wrist_right "
        "thumb_left:wrist_left thumb_right:wrist_right hip_left:shoulder_left hip_right:shoulder_right "
        "knee_left:hip_left knee_right:hip_right ankle_left:knee_left ankle_right:knee_right "
        "heel_left:ankle_left heel_right:ankle_right foot_left:ankle_left foot_right:ankle_right",
        {
            "left_arm": "shoulder_left elbow_left wrist_left pinky_left index_left thumb_left",
            "right_arm": "shoulder_right elbow_right wrist_right pinky_right index_right thumb_right",
            "trunk": "nose eye_inner_left eye_left eye_outer_left eye_inner_right eye_right eye_outer_right ear_left ear_right "
            "mouth_left mouth_right",
            "left_leg": "hip_left knee_left ankle_left heel_left foot_left",
            "right_leg": "hip_right knee_right ankle_right heel_right foot_right",
        },
    ),
}
