"""Carry the key events of a few labelled clips to others: by the nearest frame, or along a monotone path.

Shapes: R labelled clips, E key events, T frames of a clip, D feature width.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.isotonic import isotonic_regression

from pipeline.correspondence import Method, correspond


def votes(reference: np.ndarray, events: np.ndarray, target: np.ndarray, method: Method) -> tuple[np.ndarray, ...]:
    """Where one labelled clip's events lie in another clip: (E,) float64 frames, and (E,) float64 confidence.

    reference (T, D) with events (E,), -1 where absent; both results are then NaN. target (U, D). Both as `correspond` says.
    """
    found = correspond(reference, target, method)
    frames, sure = np.full((2, len(events)), np.nan)
    present = events >= 0
    frames[present], sure[present] = found.frames[events[present]], found.confidence[events[present]]
    return frames, sure


def agreed(frames: np.ndarray, sure: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """What `votes` (R, E) of R labelled clips come to in a clip of `length` frames: (E,) int64 events, (E,) confidence.

    An event is the median of its votes, moved as little as order asks (isotonic regression: least squares); -1 with
    confidence 0 where no clip has it, or the clip is too short for all. Confidence in [0, 1]: the mean over the votes of
    their own, where a vote counts only so far as it is near the event: fully at it, not at all at 10 % of the clip or more away.
    """
    events, confidence = np.full(frames.shape[1], -1), np.zeros(frames.shape[1])
    present = np.flatnonzero(np.isfinite(frames).any(axis=0))
    if len(present) == 0 or length < len(present):
        return events, confidence
    rank = np.arange(len(present))  # without it events may fall on one frame
    medians = np.nanmedian(frames[:, present], axis=0) - rank
    ordered = isotonic_regression(medians, y_min=0, y_max=length - len(present))
    events[present] = np.floor(ordered + 0.5).astype(np.int64) + rank
    off = np.abs(frames[:, present] - events[present]) / (0.1 * length)
    confidence[present] = np.nanmean(sure[:, present] * np.clip(1 - off, 0, 1), axis=0)
    return events, confidence


def transfer(
    references: Sequence[np.ndarray], events: np.ndarray, target: np.ndarray, method: Method
) -> tuple[np.ndarray, np.ndarray]:
    """(E,) int64 key events of a clip (T, D), -1 where no labelled clip has them, and (E,) confidence in [0, 1].

    references: (T, D) of R labelled clips; events (R, E). Confidence and order: as `agreed` says.
    """
    found = [votes(reference, own, target, method) for reference, own in zip(references, events, strict=True)]
    frames, sure = (np.stack(part) for part in zip(*found, strict=True))
    return agreed(frames, sure, len(target))
