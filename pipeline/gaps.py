"""The joints of one person over time: short gaps bridged, jitter smoothed.

joints: (T, K, 2 or 3). confidence: (T, K), 0 where a joint is missing.
"""

import numpy as np
from scipy.ndimage import correlate1d


def bridge(joints: np.ndarray, confidence: np.ndarray, max_gap: int) -> int:
    """Put a straight line, linear in time, into every gap of a joint of at most max_gap frames; returns the joints filled.

    joints, confidence: changed in place; a bridged joint has the lower confidence of the gap's two ends.
    """
    time = np.arange(len(joints))[:, None]
    seen = confidence > 0
    before = np.maximum.accumulate(np.where(seen, time, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, time, len(joints))[::-1], axis=0)[::-1]
    gap = ~seen & (before >= 0) & (after < len(joints)) & (after - before - 1 <= max_gap)
    frame, joint = np.nonzero(gap)
    start, stop = before[gap], after[gap]
    share = ((frame - start) / (stop - start))[:, None]
    joints[gap] = (1 - share) * joints[start, joint] + share * joints[stop, joint]
    confidence[gap] = np.minimum(confidence[start, joint], confidence[stop, joint])
    return len(frame)


def fill(joints: np.ndarray, seen: np.ndarray) -> None:
    """Put missing joints, in place, on a straight line in time between the frames that show them; held at the ends.

    seen: (T, K). A joint that no frame shows is left as it is.
    """
    for k in np.flatnonzero(seen.any(axis=0) & ~seen.all(axis=0)):
        missing, known = np.flatnonzero(~seen[:, k]), np.flatnonzero(seen[:, k])
        for axis in range(joints.shape[2]):
            joints[missing, k, axis] = np.interp(missing, known, joints[known, k, axis])


def smooth(joints: np.ndarray, confidence: np.ndarray, sigma: float) -> np.ndarray:
    """The straight line that fits a joint best around each frame, weighted by confidence and a Gaussian of sigma frames.

    Unlike a weighted mean it does not lean towards the side with more joints, at an end or beside a gap.
    """
    reach = int(4 * sigma + 0.5)
    lag = np.arange(-reach, reach + 1)

    def moment(values: np.ndarray, power: int) -> np.ndarray:
        return correlate1d(values, np.exp(-0.5 * (lag / sigma) ** 2) * lag**power, axis=0, mode="constant")

    weight = confidence[..., None].astype(np.float64)
    w0, w1, w2 = (moment(weight, power) for power in range(3))
    x0, x1 = (moment(weight * joints, power) for power in range(2))
    w2 = w2 + 1e-9 * w0  # a joint without neighbours has no slope: it stays
    with np.errstate(invalid="ignore"):
        line = (w2 * x0 - w1 * x1) / (w0 * w2 - w1**2)
    return np.where(confidence[..., None] > 0, line, 0).astype(np.float32)
