"""Kendall's tau between the frame order of one video and that of its nearest neighbours in another (TCC, CASA).

Shapes: N videos, F frames, Q queries, D feature width.
"""

import math

import numpy as np
from numba import njit

from pipeline.metrics.clips import Clips, distance_blocks, distance_error


@njit(cache=True, nogil=True)
def tau_b(order: np.ndarray, num_values: int) -> float:
    """tau-b between 0, 1, 2, ... and `order`, (n,) integers in 0..num_values - 1; NaN where `order` is constant.

    O(n log num_values): a Fenwick tree counts the values seen so far, so each discordant pair is found once.
    """
    tree = np.zeros(num_values + 1, dtype=np.int64)
    seen = np.zeros(num_values, dtype=np.int64)
    ties = 0
    discordant = 0
    for n in range(len(order)):
        value = order[n]
        not_above = 0
        node = value + 1
        while node > 0:
            not_above += tree[node]
            node -= node & -node
        discordant += n - not_above
        ties += seen[value]
        seen[value] += 1
        node = value + 1
        while node <= num_values:
            tree[node] += 1
            node += node & -node
    pairs = len(order) * (len(order) - 1) // 2
    if ties == pairs:
        return math.nan
    tau = (pairs - ties - 2 * discordant) / math.sqrt(pairs) / math.sqrt(pairs - ties)
    return min(1.0, max(-1.0, tau))


@njit(cache=True, nogil=True)
def _pick_nearest(squared, queries, keys, offsets, error, nearest):
    for row in range(len(squared)):
        for n in range(len(offsets) - 1):
            start, stop = offsets[n], offsets[n + 1]
            best = np.inf
            for frame in range(start, stop):
                best = min(best, squared[row, frame])
            limit = best + 2 * error
            close, index = 0, start
            for frame in range(start, stop):
                if squared[row, frame] <= limit:
                    close += 1
                    index = frame
            # Equal frames differ by rounding in a matrix product: what is that close is compared again without it.
            if close > 1:
                best = np.inf
                for frame in range(start, stop):
                    if squared[row, frame] <= limit:
                        exact = 0.0
                        for d in range(keys.shape[1]):
                            exact += (np.float64(queries[row, d]) - np.float64(keys[frame, d])) ** 2
                        if exact < best:
                            best, index = exact, frame
            nearest[row, n] = index - start


def nearest_frames(queries: np.ndarray, keys: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(Q, N) int64: for each query (Q, D) the frame within each video that is nearest by squared Euclidean distance.

    keys (F, D), offsets (N + 1,) as in `Clips`. The first of equally near frames is taken.
    """
    nearest = np.empty((len(queries), len(offsets) - 1), dtype=np.int64)
    error = distance_error(queries, keys)
    for rows, squared in distance_blocks(queries, keys):
        _pick_nearest(squared, queries[rows], keys, offsets, error, nearest[rows])
    return nearest


@njit(cache=True, nogil=True)
def _tau_of_pairs(nearest, offsets, taus):
    for i in range(len(taus)):
        for j in range(len(taus)):
            taus[i, j] = tau_b(nearest[offsets[i] : offsets[i + 1], j], offsets[j + 1] - offsets[j])


def pair_taus(clips: Clips, stride: int) -> tuple[np.ndarray, int]:
    """(N, N) float64 tau of each ordered pair (query, other), and the number of pairs i != j that have none.

    Every stride-th frame of each video takes part. A pair without a tau (all neighbours are one frame) is scored 0.
    """
    chosen = np.concatenate([np.arange(start, stop, stride) for start, stop in zip(clips.offsets, clips.offsets[1:])])
    offsets = np.concatenate([[0], np.cumsum(-(-clips.lengths // stride))]).astype(np.int64)
    features = np.ascontiguousarray(clips.features[chosen])
    taus = np.empty((len(clips), len(clips)))
    _tau_of_pairs(nearest_frames(features, features, offsets), offsets, taus)
    undefined = np.isnan(taus)
    return np.where(undefined, 0.0, taus), int(undefined.sum() - np.trace(undefined))
