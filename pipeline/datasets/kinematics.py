"""Forward kinematics of a standing person: anatomical joint angles to the 3D joints of `coco_17`.

Axes: x to the person's left, y up, z where the person faces; a person who faces the camera is seen the right way.
All angles are in degrees and 0 when standing upright with hanging arms. Trunk, pelvis and head angles are measured
from the heading of the feet, so that turning the hips leaves the feet planted.

Shapes: T frames, A angles.
"""

from dataclasses import dataclass, fields

import numpy as np

# Flexion and lateral lean: forward and to the left; rotation: to the left about the spine.
MIDLINE = ("pelvis_rotation", "trunk_flexion", "trunk_lateral", "trunk_rotation", "head_flexion", "head_rotation")
# Flexion: thigh and arm forward, shank back, forearm forward; abduction and rotation: outward on either side.
PAIRED = (
    "hip_flexion",
    "hip_abduction",
    "knee_flexion",
    "shoulder_flexion",
    "shoulder_abduction",
    "shoulder_rotation",
    "elbow_flexion",
)
ANGLES = MIDLINE + tuple(f"left_{name}" for name in PAIRED) + tuple(f"right_{name}" for name in PAIRED)

_LEFT = np.arange(len(PAIRED)) + len(MIDLINE)
_SWAPPED = np.concatenate([np.arange(len(MIDLINE)), _LEFT + len(PAIRED), _LEFT])
_SIGN = np.array(
    [-1.0 if name.endswith(("_rotation", "_lateral")) else 1.0 for name in MIDLINE] + [1.0] * 2 * len(PAIRED)
)


@dataclass(frozen=True)
class Body:
    """Lengths in metres between joint centres; the defaults are an adult 1.7 m tall."""

    thigh: float = 0.417
    shank: float = 0.418
    hips: float = 0.260
    trunk: float = 0.490
    shoulders: float = 0.440
    upper_arm: float = 0.316
    forearm: float = 0.248
    head: float = 0.210  # from the middle of the shoulders up to the ears

    def scaled(self, factors: np.ndarray) -> "Body":
        """The body with each length multiplied by its factor, in the order of the fields."""
        lengths = [getattr(self, field.name) for field in fields(self)]
        return Body(*(float(length * factor) for length, factor in zip(lengths, factors, strict=True)))


def mirrored(angles: np.ndarray) -> np.ndarray:
    """(..., A) degrees of the same movement with left and right exchanged."""
    return angles[..., _SWAPPED] * _SIGN


def rotation(axis: str, radians: np.ndarray) -> np.ndarray:
    """(..., 3, 3) right-handed rotations about one axis, "x", "y" or "z"."""
    cos, sin = np.cos(radians), np.sin(radians)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((*np.shape(radians), 3, 3))
    matrix[..., range(3), range(3)] = 1
    matrix[..., first, first] = matrix[..., second, second] = cos
    matrix[..., first, second], matrix[..., second, first] = -sin, sin
    return matrix


def forward_kinematics(angles: np.ndarray, body: Body) -> dict[str, np.ndarray]:
    """Joint name of `coco_17` -> (T, 3) metres, for (T, A) degrees in the order of ANGLES.

    The lowest ankle stands on y = 0, and the middle of the ankles is at x = z = 0.
    """
    angle = dict(zip(ANGLES, np.radians(angles).T, strict=True))
    spine = rotation("x", angle["trunk_flexion"]) @ rotation("z", -angle["trunk_lateral"])
    pelvis = rotation("y", angle["pelvis_rotation"])
    trunk = spine @ rotation("y", angle["trunk_rotation"])
    head = spine @ rotation("y", angle["head_rotation"]) @ rotation("x", angle["head_flexion"])
    shoulders = body.trunk * spine[:, :, 1]
    ears = shoulders + body.head * (spine[:, :, 1] + head[:, :, 1]) / 2  # the neck bends half way up

    joints = {"nose": ears + body.head * head @ np.array([0, 0.0, 0.55])}
    for side, left in (("left", 1), ("right", -1)):
        joints[f"{side}_eye"] = ears + body.head * head @ np.array([0.17 * left, 0.15, 0.42])
        joints[f"{side}_ear"] = ears + body.head * head @ np.array([0.40 * left, 0.0, 0.0])

        arm = trunk @ rotation("x", -angle[f"{side}_shoulder_flexion"])
        arm = arm @ rotation("z", left * angle[f"{side}_shoulder_abduction"])
        arm = arm @ rotation("y", left * angle[f"{side}_shoulder_rotation"])
        forearm = arm @ rotation("x", -angle[f"{side}_elbow_flexion"])
        joints[f"{side}_shoulder"] = shoulders + left * body.shoulders / 2 * trunk[:, :, 0]
        joints[f"{side}_elbow"] = joints[f"{side}_shoulder"] - body.upper_arm * arm[:, :, 1]
        joints[f"{side}_wrist"] = joints[f"{side}_elbow"] - body.forearm * forearm[:, :, 1]

        thigh = rotation("x", -angle[f"{side}_hip_flexion"]) @ rotation("z", left * angle[f"{side}_hip_abduction"])
        shank = thigh @ rotation("x", angle[f"{side}_knee_flexion"])
        joints[f"{side}_hip"] = left * body.hips / 2 * pelvis[:, :, 0]
        joints[f"{side}_knee"] = joints[f"{side}_hip"] - body.thigh * thigh[:, :, 1]
        joints[f"{side}_ankle"] = joints[f"{side}_knee"] - body.shank * shank[:, :, 1]

    ankles = np.stack([joints["left_ankle"], joints["right_ankle"]], axis=1)
    ground = ankles.mean(axis=1)
    ground[:, 1] = ankles[:, :, 1].min(axis=1)
    return {name: position - ground for name, position in joints.items()}
