import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from pipeline.metrics.clips import Clips
from pipeline.metrics.progression import fit_progression, r_squared, targets


def make_clips(phases: list[list[int]], num_events: int, width: int = 3, seed: int = 0) -> Clips:
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, *(len(phase) for phase in phases)])
    share = np.concatenate([np.arange(len(phase)) / len(phase) for phase in phases])
    features = np.outer(share, np.arange(1, width + 1)) + rng.normal(0, 0.3, (offsets[-1], width))
    return Clips(
        features=features.astype(np.float32),
        offsets=offsets,
        phase=np.concatenate(phases).astype(np.int16),
        events=np.full((len(phases), num_events), -1, dtype=np.int32),
        fps=np.full(len(phases), 30, dtype=np.float32),
        names=tuple(str(n) for n in range(len(phases))),
    )


def random_clips(num_videos: int, seed: int) -> Clips:
    rng = np.random.default_rng(seed)
    return make_clips([np.sort(rng.integers(0, 3, rng.integers(8, 15))) for _ in range(num_videos)], 2, seed=seed)


@pytest.mark.parametrize(
    ("phase", "last_frames"),
    [
        ([0, 0, 1, 1, 1, 2], [1, 4]),
        ([0, 0, 0, 2, 2], [2, 2]),  # no phase 1: copies the event before
        ([1, 1, 2, 2], [0, 1]),  # cropped after the first event: no event before, frame 0
        ([2, 2, 2, 2], [0, 0]),
        ([0, 0, 1, 1], [1, 3]),  # cropped before the last phase: phase 1 lasts to the end
        ([0, 0, 0, 0], [3, 3]),
    ],
)
def test_targets_count_from_the_last_frame_of_each_phase(phase, last_frames):
    frames, values = targets(make_clips([phase], 2))
    assert frames.tolist() == list(range(len(phase)))
    for event, last in enumerate(last_frames):
        assert values[:, event] == pytest.approx([(t - last) / len(phase) for t in range(len(phase))])


def test_an_unlabelled_video_takes_no_part():
    frames, values = targets(make_clips([[0, 1, 2, 2], [-1, -1, -1, -1], [0, 1, 1, 2]], 2))
    assert frames.tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert values.shape == (8, 2)


def test_r_squared_is_that_of_scikit_learn_also_for_a_resample():
    train, val = random_clips(8, seed=0), random_clips(4, seed=1)
    train_targets, val_targets = targets(train)[1], targets(val)[1]
    predicted = LinearRegression().fit(train.features.astype(np.float64), train_targets).predict(val.features)
    weights = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 0, 3, 1]])
    found = r_squared(fit_progression(train), val)(weights.astype(float))
    for row, value in zip(weights, found, strict=True):
        frames = np.concatenate([np.arange(len(val.phase))[val.frames(n)] for n in np.repeat(np.arange(4), row)])
        expected = r2_score(val_targets[frames], predicted[frames], multioutput="raw_values")
        np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_a_repeated_feature_changes_nothing():
    train, val = random_clips(8, seed=0), random_clips(4, seed=1)
    doubled = [
        Clips(np.hstack([c.features, c.features[:, :1]]), c.offsets, c.phase, c.events, c.fps, c.names)
        for c in (train, val)
    ]
    once = np.ones((1, 4))
    np.testing.assert_allclose(
        r_squared(fit_progression(doubled[0]), doubled[1])(once), r_squared(fit_progression(train), val)(once)
    )


def test_no_video_drawn_has_no_value():
    val = random_clips(3, seed=1)
    assert np.isnan(r_squared(fit_progression(val), val)(np.zeros((1, 3)))).all()
