"""Soft dynamic time warping: every monotone path counts, the cheaper the more (Cuturi & Blondel, ICML 2017).

Shapes: T frames of one sequence, U of the other.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def soft_alignment(cost: np.ndarray, gamma: float) -> tuple[float, np.ndarray]:
    """The soft-DTW value of costs (T, U) float64, and its gradient, the expected alignment (T, U) float64.

    A path steps on by one frame in either sequence or in both, from corner to corner, and has probability proportional
    to exp(-sum of its costs / gamma), gamma > 0 in the unit of the costs. The expected alignment holds the probability,
    in [0, 1], that the path comes through each pair of frames; each of its rows and columns sums to 1 or more.
    """
    rows, columns = cost.shape
    value = np.full((rows + 1, columns + 1), np.inf)
    value[0, 0] = 0
    before = np.empty((rows, columns, 3))  # probability that the path came from (-1, -1), (-1, 0), (0, -1)
    for i in range(rows):
        for j in range(columns):
            least = min(value[i, j], value[i, j + 1], value[i + 1, j])
            both = np.exp((least - value[i, j]) / gamma)
            down = np.exp((least - value[i, j + 1]) / gamma)
            right = np.exp((least - value[i + 1, j]) / gamma)
            total = both + down + right
            before[i, j, 0], before[i, j, 1], before[i, j, 2] = both / total, down / total, right / total
            value[i + 1, j + 1] = cost[i, j] + least - gamma * np.log(total)
    # Backwards from the last corner, where every path ends: the paper's Algorithm 2, with probabilities for its
    # exponentials, so that nothing overflows however small gamma is.
    visited = np.zeros((rows + 1, columns + 1))
    visited[rows, columns] = 1
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            visited[i, j] += visited[i + 1, j + 1] * before[i, j, 0]
            visited[i, j + 1] += visited[i + 1, j + 1] * before[i, j, 1]
            visited[i + 1, j] += visited[i + 1, j + 1] * before[i, j, 2]
    return value[rows, columns], visited[1:, 1:]


def expected_partners(alignment: np.ndarray) -> np.ndarray:
    """(T,) int64: for each row of an expected alignment (T, U) its mean column, weighted by it, rounded."""
    return np.rint(alignment @ np.arange(alignment.shape[1]) / alignment.sum(axis=1)).astype(np.int64)
