"""Kendall's tau between the frame order of one video and that of its nearest neighbours in another (TCC, CASA).

Shapes: N videos, F frames, Q queries, D feature width.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numba import njit

from pipeline.metrics.clips import ROWS_PER_BLOCK, Clips, distance_error, distance_factors

# Features (F, D) and offsets (N + 1,), as in `Clips` -> (F, N) int64: for each frame its partner within each video.
Match = Callable[[np.ndarray, np.ndarray], np.ndarray]


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
    left, right = distance_factors(queries, keys)
    error = distance_error(left, right)
    for start in range(0, len(queries), ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        _pick_nearest(left[rows] @ right, queries[rows], keys, offsets, error, nearest[rows])
    return nearest


def nearest_among(features: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """`nearest_frames(features, features, offsets)` from half the products: each serves both directions."""
    nearest = np.empty((len(features), len(offsets) - 1), dtype=np.int64)
    left, right = distance_factors(features, features)
    error = distance_error(left, right)
    first = 0
    while first < len(offsets) - 1:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + ROWS_PER_BLOCK, "right")) - 1)
        start, stop = offsets[first], offsets[last]
        squared = left[start:stop] @ right[:, start:]
        block = features[start:stop]
        _pick_nearest(squared, block, features[start:], offsets[first:] - start, error, nearest[start:stop, first:])
        turned = np.ascontiguousarray(squared[:, stop - start :].T)
        own = offsets[first : last + 1] - start
        _pick_nearest(turned, features[stop:], block, own, error, nearest[stop:, first:last])
        first = last
    return nearest


@njit(cache=True, nogil=True)
def _tau_of_pairs(nearest, offsets, taus):
    for i in range(len(taus)):
        for j in range(len(taus)):
            taus[i, j] = tau_b(nearest[offsets[i] : offsets[i + 1], j], offsets[j + 1] - offsets[j])


def pair_taus(clips: Clips, stride: int, match: Match = nearest_among) -> tuple[np.ndarray, int]:
    """(N, N) float64 tau of each ordered pair (query, other), and the number of pairs i != j that have none.

    Every stride-th frame of each video takes part. A pair without a tau (all neighbours are one frame) is scored 0.
    match: what finds each frame's partners; a monotone path has a tau near 1 by construction, whatever it is worth.
    """
    chosen = np.concatenate([np.arange(start, stop, stride) for start, stop in pairwise(clips.offsets)])
    offsets = np.concatenate([[0], np.cumsum(-(-clips.lengths // stride))]).astype(np.int64)
    features = np.ascontiguousarray(clips.features[chosen])
    taus = np.empty((len(clips), len(clips)))
    _tau_of_pairs(match(features, offsets), offsets, taus)
    undefined = np.isnan(taus)
    return np.where(undefined, 0.0, taus), int(undefined.sum() - np.trace(undefined))
