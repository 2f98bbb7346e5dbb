"""Dynamic time warping: the monotone path through which two sequences of frames lie closest."""

import numpy as np
from dtaidistance import dtw, dtw_ndim


def warp_path(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(P, 2) int64: the frames of a (T, D) and b (U, D) that belong together, from (0, 0) to (T - 1, U - 1).

    Each step goes on by one frame in a, in b or in both; the sum of Euclidean distances along the path is the least.
    """
    a, b = (np.ascontiguousarray(frames, dtype=np.float64) for frames in (a, b))
    # Not its warping_path, which in C takes squared distances whatever is asked for.
    _, sums = dtw_ndim.warping_paths(a, b, inner_dist="euclidean", use_c=True)
    return np.array(dtw.best_path(sums), dtype=np.int64)


def partners(path: np.ndarray) -> np.ndarray:
    """(T,) int64: for each frame in the first column of a path (P, 2) the middle one of its partners.

    Of two middle ones the earlier. The column never falls and holds every frame 0..T - 1.
    """
    frames = np.arange(path[-1, 0] + 1)
    first = np.searchsorted(path[:, 0], frames)
    last = np.searchsorted(path[:, 0], frames, side="right") - 1
    return path[(first + last) // 2, 1]
