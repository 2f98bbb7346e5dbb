"""Event error, the alignment headline: how far from its true place a key event is found in another video.

For each ordered pair of videos and each key event that both have: the nearest neighbour, in the other video, of the
query's event frame, minus the other video's true event frame. Shapes: N videos, E key events.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.metrics.clips import Clips
from pipeline.metrics.kendall import Match, nearest_frames


@dataclass(frozen=True, eq=False)
class EventErrors:
    """(N, N) float64 sums over the events that query (row) and other video (column) share, for pair means.

    percent: absolute error in % of the other video's length. ms: the same by its frame rate (of a time-warped video:
    by its nominal rate). within: events found within the tolerance. count: events shared.
    """

    percent: np.ndarray
    ms: np.ndarray
    within: np.ndarray
    count: np.ndarray


def event_errors(clips: Clips, tolerance: float, match: Match | None = None) -> EventErrors:
    """Errors of all ordered pairs, the meaningless diagonal included. tolerance: share of the other video's length.

    match: what finds each frame's partners instead of the nearest neighbour.
    """
    num_clips = len(clips)
    clip, event = np.nonzero(clips.events >= 0)
    queries = clips.offsets[clip] + clips.events[clip, event]
    true = clips.events[:, event].T  # (queries, N)
    if match:
        found = match(clips.features, clips.offsets)[queries]
    else:
        found = nearest_frames(clips.features[queries], clips.features, clips.offsets)
    shared = true >= 0
    frames = np.where(shared, np.abs(found - true), 0)

    def sums(values: np.ndarray) -> np.ndarray:
        total = np.zeros((num_clips, num_clips))
        np.add.at(total, clip, values)
        return total

    return EventErrors(
        percent=sums(100 * frames / clips.lengths),
        ms=sums(1000 * frames / clips.fps.astype(np.float64)),
        within=sums(shared & (frames <= tolerance * clips.lengths)),
        count=sums(shared),
    )
