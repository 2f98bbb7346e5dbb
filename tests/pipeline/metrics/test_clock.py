from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clip import MIN_FRAMES, phases_from_events
from pipeline.metrics.clips import Clips
from pipeline.metrics.clock import break_clock, warp_clips

lengths = st.lists(st.integers(MIN_FRAMES, 300), min_size=1, max_size=6)
seeds = st.integers(0, 2**16)


def make_clips(num_frames: list[int], events: list[list[int]]) -> Clips:
    """The feature of a frame is its number within its clip."""
    return Clips(
        features=np.concatenate([np.arange(num) for num in num_frames]).astype(np.float32)[:, None],
        offsets=np.cumsum([0, *num_frames]),
        phase=np.concatenate([phases_from_events(e, num) for e, num in zip(events, num_frames, strict=True)]),
        events=np.array(events, dtype=np.int32),
        fps=np.full(len(events), 30, dtype=np.float32),
        names=tuple(str(n) for n in range(len(events))),
    )


@given(lengths, seeds)
def test_indices_never_fall_stay_inside_and_span_50_to_90_percent(lengths, seed):
    for length, index in zip(lengths, break_clock(np.array(lengths), seed), strict=True):
        assert index.dtype == np.int64
        assert len(index) >= MIN_FRAMES
        assert (np.diff(index) >= 0).all()
        assert index[0] >= 0 and index[-1] < length
        window = index[-1] - index[0] + 1
        assert window >= min(length, MIN_FRAMES)
        assert 0.5 * length - 0.5 <= window <= max(MIN_FRAMES, 0.9 * length + 0.5)


@given(st.data(), seeds)
def test_labels_and_events_follow_the_frames(data, seed):
    num_frames = data.draw(st.lists(st.integers(6, 80), min_size=1, max_size=4))
    events = []
    for num in num_frames:
        frames = sorted(data.draw(st.sets(st.integers(0, num - 1), min_size=3, max_size=3)))
        absent = data.draw(st.sets(st.integers(0, 2)))
        events.append([-1 if e in absent else frame for e, frame in enumerate(frames)])
    clips = make_clips(num_frames, events)
    indices = break_clock(clips.lengths, seed)
    broken = warp_clips(clips, indices)
    assert broken.names == clips.names
    for n, index in enumerate(indices):
        part = broken.frames(n)
        np.testing.assert_array_equal(broken.features[part, 0], index)
        np.testing.assert_array_equal(broken.phase[part], clips.phase[clips.frames(n)][index])
        for e, (old, new) in enumerate(zip(clips.events[n], broken.events[n], strict=True)):
            if new >= 0:  # the first new frame of its phase, and not before the true event
                assert broken.phase[part][new] == e + 1
                assert index[new] >= old and (new == 0 or index[new - 1] < old)
            elif index[0] <= old <= index[-1]:  # played over so fast that no frame of its phase is left
                assert e + 1 not in broken.phase[part]
        present = broken.events[n][broken.events[n] >= 0]
        assert (np.diff(present) > 0).all()
        first = present[0] if len(present) else len(index)
        assert len(np.unique(broken.phase[part][:first])) <= 1
        np.testing.assert_array_equal(
            phases_from_events(broken.events[n], len(index))[first:], broken.phase[part][first:]
        )


def test_events_by_hand():
    clips = make_clips([10, 10], [[2, 5, 8], [2, 3, 4]])
    broken = warp_clips(clips, [np.array([2, 2, 4, 6, 7]), np.array([1, 2, 5, 6])])
    # First video: the event on the first frame of the window stays, 5 moves to frame 6, 8 is cut off at the end.
    # Second video: its event at 3 has no frame of its phase left; the one at 4 is first seen in frame 5.
    assert broken.events.tolist() == [[0, 3, -1], [1, -1, 2]]
    assert broken.phase.tolist() == [1, 1, 1, 2, 2, 0, 1, 3, 3]
    late = warp_clips(clips, [np.array([3, 4, 5, 6]), np.array([6, 7, 8, 9])])
    assert late.events.tolist() == [[-1, 2, -1], [-1, -1, -1]]  # a phase under way at the start has no event


def test_the_same_seed_gives_the_same_frames_whatever_the_other_videos_are():
    first, again, other = (
        break_clock(np.array(sizes), seed) for sizes, seed in (([90, 50], 1), ([70, 50], 1), ([90, 50], 2))
    )
    assert first[1].tolist() == again[1].tolist()
    assert first[1].tolist() != other[1].tolist()


def test_the_warp_is_strong_and_smooth():
    for index in break_clock(np.full(50, 1000), 0):
        speed = np.array([index[b] - index[a] for a, b in pairwise(range(0, len(index), 20))]) / 20
        assert speed.max() / speed.min() > 1.7
        assert np.abs(np.diff(np.log(speed))).max() < 0.5


def test_the_share_of_the_clip_says_little_about_the_source_frame():
    """The middle of a broken clip comes from anywhere in the central 60 % of the source, not from its middle."""
    middle = np.array([index[len(index) // 2] / 400 for index in break_clock(np.full(500, 400), 3)])
    assert middle.std() > 0.1
    assert np.quantile(middle, 0.05) < 0.35 and np.quantile(middle, 0.95) > 0.65
    assert middle.mean() == pytest.approx(0.5, abs=0.03)
