"""PCK, the percentage of correct keypoints: joints within a share of the torso's size of where a reference has them.

Yang and Ramanan (PAMI 2013), whose size is the longer side of the body's box; here the torso's, as Penn Action's
papers have it. Shapes: T frames, K joints.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.config import InputError
from pipeline.skeleton import Skeleton

TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


@dataclass(frozen=True, eq=False)
class Pck:
    """values: (K,) share of correct joints in [0, 1], NaN where none counts. counts: (K,) int64 frames that count."""

    values: np.ndarray
    counts: np.ndarray


def pck(
    joints: np.ndarray,
    confidence: np.ndarray,
    reference: np.ndarray,
    reference_confidence: np.ndarray,
    size_px: np.ndarray,
    threshold: float = 0.1,
) -> Pck:
    """Per joint, the share of frames in which it lies within threshold * size_px of the reference.

    joints, reference: (T, K, 2) pixels, the same joints in the same order. confidences: (T, K), 0 or NaN where missing.
    size_px: (T,), as of `torso_size`. A joint counts where the reference has it and the frame has a size above 0; then
    one that is missing in `joints` is wrong.
    """
    there = (reference_confidence > 0) & (np.nan_to_num(size_px) > 0)[:, None]
    offset = np.linalg.norm(joints.astype(np.float64) - reference.astype(np.float64), axis=2)
    correct = there & (confidence > 0) & (offset <= threshold * size_px[:, None])
    counts = there.sum(axis=0)
    values = np.divide(correct.sum(axis=0), counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return Pck(values, counts)


def torso_size(joints: np.ndarray, confidence: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(T,) pixels: longer side of the box around both shoulders and both hips; NaN where one of them is missing.

    Raises InputError for a skeleton that lacks one.
    """
    if missing := [joint for joint in TORSO if joint not in skeleton.joints]:
        raise InputError(
            f"Expected joints {list(TORSO)}, but {skeleton.name!r} lacks {missing}. Name another skeleton."
        )
    index = [skeleton.joints.index(joint) for joint in TORSO]
    size = np.ptp(joints[:, index].astype(np.float64), axis=1).max(axis=1)
    return np.where((confidence[:, index] > 0).all(axis=1), size, np.nan)


def common_joints(a: Skeleton, b: Skeleton) -> list[tuple[int, int]]:
    """Index in `a` and index in `b` of the joints whose names are in both, in the order of `a`."""
    return [(i, b.joints.index(joint)) for i, joint in enumerate(a.joints) if joint in b.joints]
