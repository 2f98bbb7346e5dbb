"""Key events arrive where they belong, in order, and confidence says where to look again."""

import itertools

import numpy as np
import pytest

from pipeline.correspondence import correspond
from pipeline.label_transfer import agreed, transfer
from pipeline.warping import warp_path

CURVE = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.5, (30, 4)), axis=0)  # goes on without coming back
EVENTS = np.array([5, 12, 20])


def least_cost(distances):
    """Of all monotone paths, step by step, the least sum: slow and obvious."""
    rows, columns = distances.shape
    best = np.full((rows, columns), np.inf)
    best[0, 0] = distances[0, 0]
    for i, j in itertools.product(range(rows), range(columns)):
        for di, dj in ((1, 0), (0, 1), (1, 1)):
            if i >= di and j >= dj and (i, j) != (0, 0):
                best[i, j] = min(best[i, j], best[i - di, j - dj] + distances[i, j])
    return best[-1, -1]


def test_a_path_is_monotone_whole_and_the_least_in_euclidean_distance():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((7, 3)), rng.standard_normal((9, 3))
    path = warp_path(a, b)
    steps = np.diff(path, axis=0)
    assert path[0].tolist() == [0, 0] and path[-1].tolist() == [6, 8]
    assert ((steps >= 0) & (steps <= 1)).all() and (steps.sum(axis=1) > 0).all()
    distances = np.linalg.norm(a[:, None] - b, axis=2)
    assert distances[tuple(path.T)].sum() == pytest.approx(least_cost(distances))


@pytest.mark.parametrize("method", ["nearest", "dtw"])
def test_identical_clips_carry_events_exactly_and_surely(method):
    events, confidence = transfer([CURVE, CURVE], np.stack([EVENTS, EVENTS]), CURVE, method)
    assert events.tolist() == EVENTS.tolist()
    np.testing.assert_allclose(confidence, correspond(CURVE, CURVE, method).confidence[EVENTS])
    assert confidence.min() > 0.7


@pytest.mark.parametrize("method", ["nearest", "dtw"])
def test_a_clip_twice_as_slow_has_them_twice_as_late(method):
    positions = np.arange(59) / 2
    slow = np.stack([np.interp(positions, np.arange(30), column) for column in CURVE.T], axis=1)
    events, _ = transfer([CURVE], EVENTS[None], slow, method)
    assert events.tolist() == (2 * EVENTS).tolist()


def test_a_pose_that_comes_twice_is_found_in_order_along_a_path():
    """There and back: the way back passes every pose of the way there, nearer by a little."""
    there = np.linspace(0, 1, 15)[:, None]
    reference = np.concatenate([there, there[::-1]])
    target = np.concatenate([there + 0.001, there[::-1]])
    assert transfer([reference], np.array([[5, 24]]), target, "dtw")[0].tolist() == [5, 24]
    first, second = transfer([reference], np.array([[5, 24]]), target, "nearest")[0]
    assert first < second  # the nearest frame of event 1 is 24, that of event 2 too


def test_events_are_medians_kept_in_order():
    frames = np.array([[10.0, 8.0, 20.0], [10.0, 8.0, 30.0], [12.0, 8.0, 21.0]])
    events, _ = agreed(frames, np.ones((3, 3)), 40)
    # medians 10, 8, 21; less their rank 10, 7, 19; the first two, out of order, come to 8.5 each
    assert events.tolist() == [9, 10, 21]


def test_events_stay_in_the_clip_and_on_frames_of_their_own():
    events, _ = agreed(np.array([[9.0, 9.0, 9.0]]), np.ones((1, 3)), 10)
    assert events.tolist() == [7, 8, 9]
    assert agreed(np.array([[0.0, 0.0, 0.0]]), np.ones((1, 3)), 2)[0].tolist() == [-1, -1, -1]


def test_an_event_that_a_labelled_clip_lacks_is_left_to_the_others():
    lacking = np.array([[5, -1, 20], [5, 12, -1]])
    assert transfer([CURVE, CURVE], lacking, CURVE, "dtw")[0].tolist() == [5, 12, 20]
    events, confidence = transfer([CURVE], np.array([[5, -1, 20]]), CURVE, "dtw")
    assert events.tolist() == [5, -1, 20] and confidence[1] == 0


def test_confidence_is_the_nearness_of_the_votes_times_their_own():
    """In a clip of 100 frames a vote counts 1 - off / 10."""
    frames = np.array([[50.0], [50.0], [55.0]])
    assert agreed(frames, np.array([[1.0], [0.5], [1.0]]), 100)[1] == pytest.approx([(1 + 0.5 + 0.5) / 3])
    assert agreed(np.array([[50.0], [50.0], [90.0]]), np.ones((3, 1)), 100)[1] == pytest.approx([2 / 3])
