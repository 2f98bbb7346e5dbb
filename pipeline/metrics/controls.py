"""Controls: what a number is worth is told by methods that see no pose (time only), no network, or no feature at all.

The untrained network is a control too, but it is an embedding like any other. Shapes: N sequences, F frames, K joints, S pixels.
"""

from itertools import pairwise

import cv2
import numpy as np

from pipeline.gaps import fill

PICTURE_PX = 12  # the side of what raw_rgb compares


def time_only(lengths: np.ndarray) -> np.ndarray:
    """(F, 1) float32 t / T of every frame, t = 0..T - 1."""
    return np.concatenate([np.arange(length) / length for length in lengths]).astype(np.float32)[:, None]


def raw_pose(joints: np.ndarray, confidence: np.ndarray, boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(F, 2 K) float32: joint coordinates, -1 and 1 at the edges of the crop box (pixel centres as in `crop.to_grid`).

    joints (F, K, 2) pixels. confidence (F, K); where it is 0 the joint is missing: interpolated linearly in time
    within its sequence, held at the ends, at the box centre (0) if never seen. boxes: x0, y0, width, height of each
    sequence (N, 4). offsets (N + 1,).
    """
    box = np.repeat(boxes, np.diff(offsets), axis=0)[:, None].astype(np.float64)
    pose = 2 * (joints - box[..., :2] + 0.5) / box[..., 2:] - 1
    seen = confidence > 0
    pose[~seen] = 0
    for start, stop in pairwise(offsets):
        fill(pose[start:stop], seen[start:stop])
    return pose.reshape(len(pose), -1).astype(np.float32)


def raw_rgb(frames: np.ndarray) -> np.ndarray:
    """(F, 432) float32 in [0, 1]: crops (F, S, S, 3) uint8 shrunk to 12 x 12 RGB pixels."""
    small = [cv2.resize(frame, (PICTURE_PX, PICTURE_PX), interpolation=cv2.INTER_AREA) for frame in frames]
    return (np.stack(small).reshape(len(frames), -1) / 255).astype(np.float32)


def majority(phase: np.ndarray) -> int:
    """The most frequent phase of the labelled frames; the lowest on a tie."""
    return int(np.bincount(phase[phase >= 0]).argmax())
