"""Retrieval AP@K: the share of a frame's K nearest frames, over all other validation videos, that have its phase.

Published definitions differ (LAV's code searches inside the query's own video, the query frame included); this one
never looks into the query's video. Shapes: N videos, F frames.
"""

import numpy as np
from numba import njit

from pipeline.metrics.clips import Clips, distance_blocks


@njit(cache=True, nogil=True)
def _count_matches(squared, first_row, clip_of_frame, phase, ks, matches):
    most = ks.max()
    nearest = np.empty(most)
    labels = np.empty(most, dtype=phase.dtype)
    for row in range(len(squared)):
        query = first_row + row
        nearest[:] = np.inf
        for frame in range(len(phase)):
            if squared[row, frame] < nearest[most - 1] and clip_of_frame[frame] != clip_of_frame[query]:
                place = most - 1
                while place > 0 and squared[row, frame] < nearest[place - 1]:
                    nearest[place] = nearest[place - 1]
                    labels[place] = labels[place - 1]
                    place -= 1
                nearest[place] = squared[row, frame]
                labels[place] = phase[frame]
        for index in range(len(ks)):
            for place in range(ks[index]):
                matches[query, index] += labels[place] == phase[query]


def frames_to_search(clips: Clips) -> int:
    """The fewest labelled frames that any labelled video finds in the others: the largest K there is."""
    counts = clips.per_clip(clips.labelled)
    return int(counts.sum() - counts.max())


def precision_sums(clips: Clips, ks: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Per video: (N, len(ks)) sums over its labelled frames of precision at each K, and (N,) labelled frames.

    Unlabelled frames are neither queries nor found. No K may exceed `frames_to_search`.
    """
    chosen = np.flatnonzero(clips.labelled)
    features, phase, clip_of_frame = clips.features[chosen], clips.phase[chosen], clips.clip_of_frame[chosen]
    matches = np.zeros((len(chosen), len(ks)), dtype=np.int64)
    for rows, squared in distance_blocks(features, features):
        _count_matches(squared, rows.start, clip_of_frame, phase, np.array(ks), matches)
    sums = np.zeros((len(clips), len(ks)))
    np.add.at(sums, clip_of_frame, matches / np.array(ks))
    return sums, clips.per_clip(clips.labelled)
