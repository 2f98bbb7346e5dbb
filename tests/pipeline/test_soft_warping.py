"""The expected alignment is that of all paths enumerated one by one, and the gradient of the value."""

import math

import numpy as np
import pytest

from pipeline.soft_warping import expected_partners, soft_alignment


def all_paths(i, j):
    """Every monotone path from (0, 0) to (i, j), as a list of its pairs of frames."""
    if i == j == 0:
        return [[(0, 0)]]
    before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
    return [[*path, (i, j)] for k, m in before if min(k, m) >= 0 for path in all_paths(k, m)]


def slow_soft_alignment(cost, gamma):
    rows, columns = len(cost), len(cost[0])
    weights, alignment = [], [[0.0] * columns for _ in range(rows)]
    paths = all_paths(rows - 1, columns - 1)
    for path in paths:
        weights.append(math.exp(-sum(cost[i][j] for i, j in path) / gamma))
    for path, weight in zip(paths, weights, strict=True):
        for i, j in path:
            alignment[i][j] += weight / sum(weights)
    return -gamma * math.log(sum(weights)), alignment


@pytest.mark.parametrize("shape", [(4, 5), (5, 3), (2, 2), (1, 4), (4, 1), (1, 1), (2, 7)])
@pytest.mark.parametrize("gamma", [0.05, 1.0, 20.0])
def test_it_is_the_mean_over_all_paths(shape, gamma):
    cost = np.random.default_rng(shape[0]).uniform(0, 1, shape)
    value, alignment = soft_alignment(cost, gamma)
    expected_value, expected = slow_soft_alignment(cost.tolist(), gamma)
    assert value == pytest.approx(expected_value, rel=1e-12)
    np.testing.assert_allclose(alignment, expected, atol=1e-12)


@pytest.mark.parametrize("gamma", [0.1, 1.0])
def test_it_is_the_gradient_of_the_value(gamma):
    cost = np.random.default_rng(0).uniform(0, 1, (6, 9))
    alignment = soft_alignment(cost, gamma)[1]
    step = 1e-5
    for place in np.ndindex(cost.shape):
        moved = np.zeros_like(cost)
        moved[place] = step
        slope = (soft_alignment(cost + moved, gamma)[0] - soft_alignment(cost - moved, gamma)[0]) / (2 * step)
        assert alignment[place] == pytest.approx(slope, abs=1e-8)  # the error of a central difference, step^2 / gamma^2


def test_a_small_gamma_leaves_the_cheapest_path_and_a_large_one_counts_all_alike():
    cost = np.random.default_rng(1).uniform(0, 1, (5, 6))
    paths = all_paths(4, 5)
    cheapest = min(paths, key=lambda path: sum(cost[place] for place in path))
    value, alignment = soft_alignment(cost, 1e-9)
    assert {tuple(place) for place in np.argwhere(alignment > 0.5).tolist()} == set(cheapest)
    assert value == pytest.approx(sum(cost[place] for place in cheapest))
    share = [[sum((i, j) in path for path in paths) / len(paths) for j in range(6)] for i in range(5)]
    np.testing.assert_allclose(soft_alignment(cost, 1e9)[1], share, atol=1e-6)


@pytest.mark.parametrize("gamma", [1e-12, 1e-3, 1e6])
def test_long_sequences_neither_overflow_nor_lose_a_path(gamma):
    rng = np.random.default_rng(2)
    a, b = np.cumsum(rng.normal(size=300)), np.cumsum(rng.normal(size=170))
    value, alignment = soft_alignment((a[:, None] - b) ** 2, gamma)
    assert np.isfinite(value)
    assert alignment.min() >= 0 and alignment.max() <= 1 + 1e-9
    assert alignment.sum(axis=1).min() >= 1 - 1e-9 and alignment.sum(axis=0).min() >= 1 - 1e-9
    assert alignment[0, 0] == pytest.approx(1) and alignment[-1, -1] == 1


def test_turned_costs_have_the_turned_alignment():
    cost = np.random.default_rng(3).uniform(0, 1, (7, 4))
    np.testing.assert_allclose(
        soft_alignment(np.ascontiguousarray(cost.T), 0.2)[1], soft_alignment(cost, 0.2)[1].T, atol=1e-14
    )


def test_the_expected_partner_by_hand():
    alignment = np.array([[1, 0.2, 0, 0], [0, 0.5, 0.5, 0.5], [0, 0, 0, 1]])
    # (0 + 0.2) / 1.2 = 0.17; (0.5 + 1 + 1.5) / 1.5 = 2; 3
    assert expected_partners(alignment).tolist() == [0, 2, 3]
