import numpy as np
import pytest

from pipeline.metrics.clips import Clips
from pipeline.metrics.retrieval import frames_to_search, precision_sums


def make_clips(features: np.ndarray, lengths: list[int], phase: list[int]) -> Clips:
    return Clips(
        features=features.astype(np.float32),
        offsets=np.cumsum([0, *lengths]),
        phase=np.array(phase, dtype=np.int16),
        events=np.full((len(lengths), 2), -1, dtype=np.int32),
        fps=np.full(len(lengths), 30, dtype=np.float32),
        names=tuple(str(n) for n in range(len(lengths))),
    )


def test_by_hand():
    # Video 1 lies at 0, 1 (phases 0, 1), video 2 at 0.1, 0.2, 5 (phases 0, 1, 1).
    clips = make_clips(np.array([[0], [1], [0.1], [0.2], [5]]), [2, 3], [0, 1, 0, 1, 1])
    sums, counts = precision_sums(clips, (1, 2))
    # K = 1: frames 0, 1 find 0.1 and 0.2: both right. 0.1 and 0.2 find 0 (right, wrong), 5 finds 1 (right).
    # K = 2: each of video 1 finds {0.1, 0.2}: half right; each of video 2 finds both of video 1: half right.
    assert sums.tolist() == [[2, 1], [2, 1.5]]
    assert counts.tolist() == [2, 3]


def test_against_a_sort_of_all_other_frames():
    rng = np.random.default_rng(0)
    lengths = [7, 200, 300, 4, 150]
    phase = rng.integers(-1, 4, sum(lengths))
    clips = make_clips(rng.normal(size=(sum(lengths), 6)) + phase[:, None], lengths, phase)
    ks = (5, 10, 15)
    sums, counts = precision_sums(clips, ks)
    expected = np.zeros((5, 3))
    for query in np.flatnonzero(phase >= 0):
        others = np.flatnonzero((clips.clip_of_frame != clips.clip_of_frame[query]) & (phase >= 0))
        distance = ((clips.features[others].astype(np.float64) - clips.features[query]) ** 2).sum(axis=1)
        found = phase[others[np.argsort(distance)]] == phase[query]
        expected[clips.clip_of_frame[query]] += [found[:k].mean() for k in ks]
    np.testing.assert_allclose(sums, expected)
    assert counts.tolist() == clips.per_clip(phase >= 0).tolist()


def test_the_video_of_the_query_is_never_searched():
    # Inside each video equal features have equal phases; across the two videos the phases are exchanged.
    features = np.tile(np.repeat([[0.0], [9.0]], 5, axis=0), (2, 1))
    clips = make_clips(features, [10, 10], [0] * 5 + [1] * 5 + [1] * 5 + [0] * 5)
    assert precision_sums(clips, (5,))[0].tolist() == [[0], [0]]


@pytest.mark.parametrize(("phase", "most"), [([0] * 9, 4), ([0, -1, -1, -1, -1, 0, 0, 0, -1], 1)])
def test_frames_to_search_is_what_the_longest_video_finds_in_the_others(phase, most):
    assert frames_to_search(make_clips(np.zeros((9, 1)), [5, 4], phase)) == most
