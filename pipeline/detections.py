"""All people in all frames of a video: what an estimator found, before anybody is followed.

Shapes: T frames, D detections over all frames, K joints.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.estimators.base import People


@dataclass(frozen=True)
class Detections:
    """counts: (T,) int32 people per frame, in which order the rest lies; joints: (D, K, 2 or 3) float32 as of
    `People`; confidence: (D, K) float32 in [0, 1], 0 where a joint was not found."""

    counts: np.ndarray
    joints: np.ndarray
    confidence: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)

    def frame(self, t: int) -> People:
        """The people of frame t."""
        stop = int(self.counts[: t + 1].sum())
        rows = slice(stop - int(self.counts[t]), stop)
        return People(self.joints[rows], self.confidence[rows])


def gather(frames: list[People], num_joints: int) -> Detections:
    """The people of every frame in one structure."""
    axes = 3 if any(people.joints.shape[2:] == (3,) for people in frames) else 2
    joints = [people.joints.reshape(-1, num_joints, axes) for people in frames]
    confidence = [people.confidence.reshape(-1, num_joints) for people in frames]
    return Detections(
        counts=np.array([len(people) for people in joints], dtype=np.int32),
        joints=np.concatenate([np.zeros((0, num_joints, axes)), *joints]).astype(np.float32),
        confidence=np.concatenate([np.zeros((0, num_joints)), *confidence]).astype(np.float32),
    )
