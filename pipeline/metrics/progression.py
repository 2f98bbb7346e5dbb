"""Phase progression: how well a linear map of the features tells the time to and since each key event (R^2).

The target is t / T minus a number per video, so a clock explains much of it, also on clock-broken clips.
Shapes: N videos, F frames, E key events (phases 0..E), R resamples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.metrics.clips import Clips


def targets(clips: Clips) -> tuple[np.ndarray, np.ndarray]:
    """(M,) the frames of the videos labelled throughout, and (M, E) float64 their targets (t - t_event) / T.

    Event c of a video is the last frame of its phase c; a phase that the video lacks copies the previous event, and
    frame 0 where there is none before it.
    """
    found, values = [], []
    for n, length in enumerate(clips.lengths):
        phase = clips.phase[clips.frames(n)]
        if (phase < 0).any():
            continue
        last = np.zeros(clips.num_events, dtype=np.int64)
        for c in range(clips.num_events):
            present = np.flatnonzero(phase == c)
            last[c] = present[-1] if len(present) else last[c - 1] if c else 0
        found.append(np.arange(clips.offsets[n], clips.offsets[n + 1]))
        values.append((np.arange(length)[:, None] - last) / length)
    return np.concatenate(found), np.concatenate(values)


@dataclass(frozen=True, eq=False)
class LinearMap:
    """Ordinary least squares with intercept: prediction = (features - centre) @ slope + level."""

    centre: np.ndarray
    slope: np.ndarray
    level: np.ndarray


def fit_progression(train: Clips) -> LinearMap:
    """One linear regressor per key event, fitted on the labelled training videos.

    Directions in which the features vary by less than float32 resolves carry rounding only, and get no weight.
    """
    frames, values = targets(train)
    features = train.features[frames].astype(np.float64)
    centre, level = features.mean(axis=0), values.mean(axis=0)
    slope = np.linalg.lstsq(features - centre, values - level, rcond=float(np.finfo(np.float32).eps))[0]
    return LinearMap(centre, slope, level)


def r_squared(model: LinearMap, clips: Clips) -> Callable[[np.ndarray], np.ndarray]:
    """Estimate, weights (R, N) -> (R, E): R^2 of each event, pooled over the frames of all labelled videos."""
    frames, values = targets(clips)
    error = values - ((clips.features[frames] - model.centre) @ model.slope + model.level)
    sums = np.zeros((4, len(clips), clips.num_events))  # per video: frames, target, squared target, squared error
    terms = (np.ones_like(values), values, values**2, error**2)
    for total, term in zip(sums, terms, strict=True):
        np.add.at(total, clips.clip_of_frame[frames], term)

    def estimate(weights: np.ndarray) -> np.ndarray:
        count, target, squared, squared_error = (weights @ total for total in sums)
        spread = squared - np.divide(target**2, count, out=np.zeros_like(target), where=count > 0)
        unexplained = np.divide(squared_error, spread, out=np.full_like(spread, np.nan), where=spread > 0)
        return 1 - unexplained

    return estimate
