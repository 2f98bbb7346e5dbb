"""Dynamic time warping: the monotone path through which two sequences of frames lie closest."""

import numpy as np
from scipy.spatial.distance import cdist
from tslearn.metrics import dtw_path_from_metric


def warp_path(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(P, 2) int64: the frames of a (T, D) and b (U, D) that belong together, from (0, 0) to (T - 1, U - 1).

    Each step goes on by one frame in a, in b or in both; the sum of Euclidean distances along the path is the least.
    """
    path, _ = dtw_path_from_metric(cdist(a, b), metric="precomputed")
    return np.array(path, dtype=np.int64)
