import numpy as np
import pytest

from pipeline.metrics.clips import Clips
from pipeline.metrics.event_error import event_errors


def make_clips(parts: list[np.ndarray], events: list[list[int]], fps: list[float]) -> Clips:
    offsets = np.cumsum([0, *(len(part) for part in parts)])
    return Clips(
        features=np.concatenate(parts).astype(np.float32),
        offsets=offsets,
        phase=np.zeros(offsets[-1], dtype=np.int16),
        events=np.array(events, dtype=np.int32),
        fps=np.array(fps, dtype=np.float32),
        names=tuple(str(n) for n in range(len(parts))),
    )


def test_by_hand():
    # Positions of the frames; events at frames 1 and 3 of the first video, 2 and none of the second.
    first, second = (
        np.array([[0], [1], [2], [3]]),
        np.array([[0], [0.2], [2.2], [2.4], [2.6], [1.1], [9], [9], [9], [9]]),
    )
    errors = event_errors(make_clips([first, second], [[1, 3], [2, -1]], [10, 25]), 0.3)
    # Event 1: position 1 is nearest to 1.1 = frame 5 of the second, 3 frames off; 2.2 to 2 = frame 2 of the first, 1 off.
    assert errors.count[0, 1] == errors.count[1, 0] == 1
    assert (errors.percent[0, 1], errors.percent[1, 0]) == (30, 25)
    assert (errors.ms[0, 1], errors.ms[1, 0]) == (120, 100)
    assert (errors.within[0, 1], errors.within[1, 0]) == (1, 1)
    tight = event_errors(make_clips([first, second], [[1, 3], [2, -1]], [10, 25]), 0.25)
    assert (tight.within[0, 1], tight.within[1, 0]) == (0, 1)


def test_against_loops_over_pairs_and_events():
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 40, 8)
    parts = [np.cumsum(rng.normal(size=(length, 5)), axis=0) for length in lengths]
    events = np.sort(rng.integers(0, 20, (8, 3)), axis=1)
    events[rng.random((8, 3)) < 0.3] = -1
    fps = rng.uniform(20, 60, 8)
    errors = event_errors(make_clips(parts, events.tolist(), fps.tolist()), 0.1)
    for i in range(8):
        for j in range(8):
            shared = [e for e in range(3) if min(events[i, e], events[j, e]) >= 0]
            off = [
                abs(int(((parts[j] - parts[i][events[i, e]]) ** 2).sum(axis=1).argmin()) - events[j, e]) for e in shared
            ]
            assert errors.count[i, j] == len(shared)
            assert errors.percent[i, j] == pytest.approx(sum(100 * frames / lengths[j] for frames in off))
            assert errors.ms[i, j] == pytest.approx(sum(1000 * frames / fps[j] for frames in off))
            assert errors.within[i, j] == sum(frames <= 0.1 * lengths[j] for frames in off)


def test_a_perfect_embedding_has_no_error():
    # A feature that is the phase progress: 0 at the start, 1 at the first event, 2 at the second.
    events = [[3, 8], [5, 6], [10, 19]]
    parts = [np.interp(np.arange(20), [0, *event], [0, 1, 2])[:, None] for event in events]
    errors = event_errors(make_clips(parts, events, [30] * 3), 0.0)
    assert errors.percent.sum() == 0
    assert (errors.within == 2).all()


def test_no_event_at_all_counts_nothing():
    errors = event_errors(make_clips([np.zeros((4, 1))] * 2, [[-1], [-1]], [30, 30]), 0.05)
    assert errors.count.sum() == 0
