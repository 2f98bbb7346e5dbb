"""Frame correspondence: the path is the cheapest that a slow search finds, and confidence means what it says."""

import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.correspondence import clock, correspond, dtw, pace


def slow_dtw(distances):
    """The least sum over all monotone paths from corner to corner, by recursion over their last step."""
    known = {}

    def cost(i, j):
        if min(i, j) < 0:
            return np.inf
        if (i, j) not in known:
            before = 0 if i == j == 0 else min(cost(i - 1, j), cost(i, j - 1), cost(i - 1, j - 1))
            known[i, j] = distances[i, j] + before
        return known[i, j]

    return cost(len(distances) - 1, len(distances[0]) - 1)


def walk(num_frames, seed=0):
    """A clip that never comes back to where it was."""
    steps = np.random.default_rng(seed).uniform(0.5, 1.5, (num_frames, 3))
    return np.cumsum(steps, axis=0).astype(np.float32)


@pytest.mark.parametrize("shape", [(7, 9), (12, 5), (1, 4), (4, 1), (1, 1)])
def test_the_path_is_monotone_and_the_cheapest(shape):
    distances = np.random.default_rng(shape[0]).uniform(0, 1, shape)
    path = dtw(distances)
    assert path[0].tolist() == [0, 0] and path[-1].tolist() == [shape[0] - 1, shape[1] - 1]
    assert {tuple(step) for step in np.diff(path, axis=0).tolist()} <= {(0, 1), (1, 0), (1, 1)}
    assert distances[tuple(path.T)].sum() == pytest.approx(slow_dtw(distances))


@pytest.mark.parametrize("method", ["dtw", "nearest"])
def test_equal_clips_correspond_frame_by_frame_and_surely(method):
    clip = walk(40)
    found = correspond(clip, clip, method)
    assert found.frames.tolist() == list(range(40)) and not found.distance.any()
    assert found.confidence.min() > 0.75
    assert found.path.tolist() == [[t, t] for t in range(40)]


@pytest.mark.parametrize("method", ["dtw", "nearest"])
def test_a_clip_at_half_speed_is_found_at_twice_the_frame(method):
    clip = walk(20)
    slowed = correspond(clip, clip.repeat(2, axis=0), method)
    assert slowed.frames.tolist() == list(range(0, 40, 2))  # dtw: of both frames the earlier, in their middle
    hastened = correspond(clip.repeat(2, axis=0), clip, method)
    assert hastened.frames.tolist() == np.arange(20).repeat(2).tolist()


def test_the_middle_of_several_partners_is_taken():
    found = correspond(np.array([[0.0], [9]]), np.array([[0.0], [9], [9], [9]]))
    assert found.path.tolist() == [[0, 0], [1, 1], [1, 2], [1, 3]] and found.frames.tolist() == [0, 2]


def test_a_swapped_order_is_followed_by_nearest_and_doubted_by_dtw():
    first, second = walk(20, 0), walk(20, 1) + 500
    a, b = np.concatenate([first, second]), np.concatenate([second, first])
    jumps = correspond(a, b, "nearest")
    assert jumps.frames.tolist() == [*range(20, 40), *range(20)] and jumps.confidence.min() > 0.7
    path = correspond(a, b, "dtw")
    assert (np.diff(path.frames) >= 0).all() and path.confidence.mean() < jumps.confidence.mean() - 0.3
    forced = np.abs(path.frames - jumps.frames) > 4
    assert forced.any() and path.confidence[forced].max() < 0.01


def test_confidence_is_the_windows_share_where_all_frames_look_alike():
    still = np.ones((40, 3), np.float32)
    assert pace(still, still) == 0
    found = correspond(walk(40) * 0 + 1, still, "nearest")
    np.testing.assert_allclose(found.confidence, 3 / 40)  # frame 0 and two beside it: 5 % of 40 are two frames


def test_confidence_does_not_depend_on_the_scale_of_the_features():
    a, b = walk(30, 0), walk(25, 1)
    np.testing.assert_allclose(correspond(a, b).confidence, correspond(1000 * a, 1000 * b).confidence, rtol=1e-4)


def test_the_shortest_clips_correspond():
    one = np.ones((1, 2), np.float32)
    found = correspond(one, one)
    assert found.frames.tolist() == [0] and found.confidence.tolist() == [1]
    assert correspond(one, walk(5)[:, :2]).frames.tolist() == [2]


def test_the_clock_names_the_same_share_of_the_clip():
    assert clock(4, 8).tolist() == [1, 3, 5, 7] and clock(8, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert clock(3, 3).tolist() == [0, 1, 2] and clock(1, 5).tolist() == [2]


def test_another_method_is_refused():
    with pytest.raises(InputError, match="'warp'"):
        correspond(walk(4), walk(4), "warp")
