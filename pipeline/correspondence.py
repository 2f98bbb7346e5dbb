"""Frame correspondence between two embedded clips: nearest neighbours, or a monotone path by dynamic time warping.

Shapes: T frames of clip A, U of clip B, D feature width, P steps of a path.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.spatial.distance import cdist

from pipeline.config import InputError
from pipeline.warping import partners, warp_path

Method = Literal["dtw", "nearest"]
METHODS = get_args(Method)
WINDOW_SHARE = 0.05  # of a clip: the tolerance of the event error
SHARPNESS = 2.0  # chosen on training pairs: results/align_confidence.py


@dataclass(frozen=True, eq=False)
class Correspondence:
    """For each frame of clip A its frame of clip B.

    frames (T,) int64. path (P, 2) int64: frames of A and of B that belong together, in A's order; of `dtw` it never goes
    back, begins at both first frames and ends at both last ones. distance (T,) float64: Euclidean, between the features
    of a frame and its partner. confidence (T,) float64 in [0, 1]: `confidence`.
    """

    method: str
    frames: np.ndarray
    path: np.ndarray
    distance: np.ndarray
    confidence: np.ndarray

    @property
    def summary(self) -> dict[str, float | str]:
        """Method, mean distance and mean confidence."""
        means = {f"mean_{name}": float(getattr(self, name).mean()) for name in ("distance", "confidence")}
        return {"method": self.method} | means


def nearest(distances: np.ndarray) -> np.ndarray:
    """(T, 2) path of distances (T, U): each frame of A with the nearest of B, of several the first."""
    return np.column_stack([np.arange(len(distances)), distances.argmin(axis=1)])


def correspond(a: np.ndarray, b: np.ndarray, method: Method = "dtw") -> Correspondence:
    """The correspondence of clips with features a (T, D) and b (U, D).

    With `dtw`, the partner of a frame is the middle one of its frames on the path (of two the earlier).
    """
    if method not in METHODS:
        raise InputError(f"Expected a method of {list(METHODS)}, but got {method!r}. Name one of these.")
    a, b = a.astype(np.float64), b.astype(np.float64)
    distances = cdist(a, b)
    path = warp_path(a, b) if method == "dtw" else nearest(distances)
    frames = partners(path)
    distance = distances[np.arange(len(a)), frames]
    return Correspondence(method, frames, path, distance, confidence(distances, frames, pace(a, b)))


def clock(num_frames: int, num_other: int) -> np.ndarray:
    """(T,) int64: the partners by time alone, the same share of the clip: the control of every correspondence."""
    return (2 * np.arange(num_frames) + 1) * num_other // (2 * num_frames)


def window(num_frames: int) -> int:
    """5 % of a clip, in frames, at least one."""
    return max(1, round(WINDOW_SHARE * num_frames))


def pace(a: np.ndarray, b: np.ndarray) -> float:
    """How far the embeddings of two clips (T, D), (U, D) typically move within 5 % of the clip: the median of both."""
    moves = [np.linalg.norm(clip[window(len(clip)) :] - clip[: -window(len(clip))], axis=1) for clip in (a, b)]
    moved = np.concatenate(moves)
    return float(np.median(moved)) if len(moved) else 0.0


def confidence(distances: np.ndarray, frames: np.ndarray, scale: float, sharpness: float = SHARPNESS) -> np.ndarray:
    """(T,) in [0, 1]: the share of its likely partners that lies within 5 % of B around the chosen one.

    Each frame u of B is a likely partner of frame t by exp(-sharpness * distances[t, u] / scale); distances (T, U),
    frames (T,), scale: `pace`. A match that stands alone has 1; one in a clip that moves on steadily 1 - exp(-sharpness),
    0.86; one among frames that look all alike the window's share of the clip, about 0.1; one that the path forces upon a
    frame which looks like another part of B has about 0.
    """
    nearest = distances.min(axis=1, keepdims=True)
    sharpness = sharpness / scale if scale > 0 else 0.0  # clips that stand still tell nothing
    likely = np.exp(-sharpness * (distances - nearest))
    cumulative = np.pad(np.cumsum(likely, axis=1), [(0, 0), (1, 0)])
    around = window(distances.shape[1])
    rows, stop = np.arange(len(distances)), np.minimum(frames + around + 1, distances.shape[1])
    inside = cumulative[rows, stop] - cumulative[rows, np.maximum(frames - around, 0)]
    return np.clip(inside / cumulative[:, -1], 0, 1)
