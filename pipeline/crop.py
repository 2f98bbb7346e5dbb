"""The crop of a sequence and the map from frame pixels onto the heatmap grid (method: section 3, heatmaps)."""

from itertools import pairwise

import numpy as np


def crop_box(joints: np.ndarray, confidence: np.ndarray, padding: float = 0.0, keep_aspect: bool = False) -> np.ndarray:
    """(4,) float32 x0, y0, width, height in frame pixels: the smallest box of whole pixels around a sequence.

    joints: (T, K, 2) pixels, y down. confidence: (T, K); at least one joint must be visible (above 0, not NaN).
    padding: fraction of width and height added on every side. keep_aspect: then grow the shorter side about the
    centre until the box is square, as the grid is.
    """
    visible = joints[confidence > 0].astype(np.float64)
    assert len(visible), "a stored sequence shows at least one joint"
    corner = np.floor(visible.min(axis=0))
    size = np.floor(visible.max(axis=0)) - corner + 1
    corner, size = corner - padding * size, size * (1 + 2 * padding)
    if keep_aspect:
        corner, size = corner - (size.max() - size) / 2, np.full(2, size.max())
    return np.concatenate([corner, size]).astype(np.float32)


def grown(boxes: np.ndarray, padding: float) -> np.ndarray:
    """(N, 4) float32 boxes with `padding` of their width and height added on every side."""
    size = boxes[:, 2:]
    return np.concatenate([boxes[:, :2] - padding * size, size * (1 + 2 * padding)], axis=1)


def crop_boxes(
    joints: np.ndarray, confidence: np.ndarray, offsets: np.ndarray, padding: float = 0.0, keep_aspect: bool = False
) -> np.ndarray:
    """(N, 4) float32: the `crop_box` of each of N sequences, frames offsets[n]:offsets[n + 1] of the arrays."""
    frames = [slice(*pair) for pair in pairwise(offsets.tolist())]
    return np.stack([crop_box(joints[own], confidence[own], padding, keep_aspect) for own in frames])


def to_grid(joints: np.ndarray, box: np.ndarray, size_px: int) -> np.ndarray:
    """(..., 2) float32 grid coordinates (u, v) of frame coordinates (..., 2), by the pixel-centre convention.

    u = (x - x0 + 0.5) * size_px / width - 0.5: pixel i of either image covers [i - 0.5, i + 0.5]. box: (4,) of
    `crop_box`, or one for each leading index, (..., 4).
    """
    corner, size = box[..., :2].astype(np.float32), box[..., 2:].astype(np.float32)
    half = np.float32(0.5)
    return (joints.astype(np.float32) - corner + half) * (np.float32(size_px) / size) - half
