import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pipeline.config import InputError
from pipeline.metrics.clips import (
    ROWS_PER_BLOCK,
    Clips,
    check_features,
    distance_blocks,
    distance_error,
    distance_factors,
)


def make_clips(features: np.ndarray) -> Clips:
    return Clips(
        features=features.astype(np.float32),
        offsets=np.array([0, 2, 5]),
        phase=np.array([0, 1, -1, 0, 2], dtype=np.int16),
        events=np.array([[1, -1], [1, 2]], dtype=np.int32),
        fps=np.array([25, 30], dtype=np.float32),
        names=("first", "second"),
    )


def test_sums_and_slices_follow_the_clips():
    clips = make_clips(np.zeros((5, 1)))
    assert clips.lengths.tolist() == [2, 3]
    assert clips.clip_of_frame.tolist() == [0, 0, 1, 1, 1]
    assert clips.phase[clips.frames(1)].tolist() == [-1, 0, 2]
    assert clips.per_clip(clips.labelled).tolist() == [2, 2]
    assert (clips.num_events, clips.num_phases) == (2, 3)


def test_a_feature_that_is_not_finite_is_named():
    features = np.zeros((5, 2))
    features[3, 1] = np.nan
    with pytest.raises(InputError, match=r"got NaN or infinity in the plain clips, clip 'second', frame 1\."):
        check_features(make_clips(features), "the plain clips")


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_distances_are_those_of_cdist_far_from_the_origin_too(offset):
    rng = np.random.default_rng(0)
    queries = (offset + rng.normal(size=(ROWS_PER_BLOCK + 7, 12))).astype(np.float32)
    keys = (offset + rng.normal(size=(90, 12))).astype(np.float32)
    found = np.concatenate([block for _, block in distance_blocks(queries, keys)])
    error = np.abs(found - cdist(queries, keys, "sqeuclidean")).max()
    assert error <= distance_error(*distance_factors(queries, keys)) < 1e-10
