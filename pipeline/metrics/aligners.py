"""Classical aligners: no embedding of a frame, only a path through each pair of videos, as baselines without learning.

A path runs from both first frames to both last ones: a window that shows another part of the movement is stretched
over all of it. It never goes back, so its Kendall's tau is near 1 by construction and no sign of a good alignment:
sqrt(1 - s), where s is the share of pairs of frames that are matched to one and the same frame. (Soft-DTW's mean of
many paths may go back a little.)

Shapes: N videos, F frames of all together, T and U of two, D feature width.
"""

from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
from scipy.spatial.distance import cdist

from pipeline.metrics.kendall import Match
from pipeline.soft_warping import expected_partners, soft_alignment
from pipeline.warping import partners, warp_path

# Chosen on pairs of training videos (bandai_raise, pushups, studio, four actions of Penn Action): a third of it, or
# three times it, moves the mean event error of none of them by more than about 1 % of the clip.
GAMMA = 0.01

Align = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def align_dtw(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T,) int64 frames of b for those of a, and (U,) of a for those of b, by the path of least summed distances.

    a (T, D), b (U, D). Of a frame's several partners the middle one (Sakoe & Chiba, 1978; no window, no penalty).
    """
    path = warp_path(a, b)
    return partners(path), partners(path[:, ::-1])


def align_soft_dtw(a: np.ndarray, b: np.ndarray, gamma: float = GAMMA) -> tuple[np.ndarray, np.ndarray]:
    """(T,) int64 frames of b for those of a, and (U,) of a for those of b: the mean partners of the expected alignment.

    a (T, D), b (U, D). Costs are squared distances (Cuturi & Blondel, 2017), but divided by D, so that gamma, in their
    unit, means the same for a skeleton of any size.
    """
    cost = cdist(a.astype(np.float64), b.astype(np.float64), "sqeuclidean") / a.shape[1]
    alignment = soft_alignment(cost, gamma)[1]
    return expected_partners(alignment), expected_partners(alignment.T)


def matcher(align: Align) -> Match:
    """Each frame's partners in all videos, by an aligner of two.

    Both directions of a pair come from one path. In its own video a frame is its own partner.
    """

    def match(features: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        matched = np.empty((len(features), len(offsets) - 1), dtype=np.int64)
        videos = [slice(start, stop) for start, stop in pairwise(offsets)]
        for n, video in enumerate(videos):
            matched[video, n] = np.arange(video.stop - video.start)
        for (i, a), (j, b) in combinations(enumerate(videos), 2):
            matched[a, j], matched[b, i] = align(features[a], features[b])
        return matched

    return match


ALIGNERS: dict[str, Match] = {"dtw": matcher(align_dtw), "soft_dtw": matcher(align_soft_dtw)}
