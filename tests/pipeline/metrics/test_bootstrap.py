import numpy as np
import pytest

from pipeline.metrics.bootstrap import bootstrap, difference, mean_over_pairs, mean_over_videos


def test_the_value_weighs_videos_by_what_they_count():
    score = bootstrap(mean_over_videos(np.array([1.0, 6.0]), np.array([2.0, 8.0])), 2, 50, seed=0)
    assert score.value == pytest.approx(7 / 10)
    assert set(np.round(score.replicates, 6)) == {0.5, 0.7, 0.75}


def test_pairs_of_a_resample_are_those_of_the_videos_drawn_without_a_video_and_its_own_copy():
    rng = np.random.default_rng(1)
    sums, counts = rng.normal(size=(5, 5)), rng.integers(0, 3, (5, 5)).astype(float)
    weights = rng.multinomial(5, np.full(5, 0.2), size=20).astype(float)
    found = mean_over_pairs(sums, counts)(weights)
    for row, value in zip(weights.astype(int), found, strict=True):
        drawn = np.repeat(np.arange(5), row)
        pairs = [(i, j) for i in drawn for j in drawn if i != j]
        expected = sum(sums[pair] for pair in pairs) / sum(counts[pair] for pair in pairs)
        assert value == pytest.approx(expected)


def test_a_resample_without_two_videos_has_no_value_and_is_left_out():
    score = bootstrap(mean_over_pairs(np.full((2, 2), 3.0), np.ones((2, 2))), 2, 100, seed=0)
    assert 20 < np.isnan(score.replicates).sum() < 80
    assert (score.value, score.low, score.high) == (3, 3, 3)
    assert not bootstrap(mean_over_pairs(np.ones((1, 1)), np.ones((1, 1))), 1, 10, seed=0).finite


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    estimate = mean_over_videos(np.random.default_rng(0).normal(size=30), np.ones(30))
    first, again, other = (bootstrap(estimate, 30, 200, seed) for seed in (4, 4, 5))
    assert first.replicates.tobytes() == again.replicates.tobytes() != other.replicates.tobytes()
    assert first.summary() == again.summary()


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for seed in range(300):
        score = bootstrap(mean_over_videos(rng.normal(7, 2, 50), np.ones(50)), 50, 400, seed)
        covered += score.low <= 7 <= score.high
    # Binomial standard deviation 1.3 points about the ~94 % of a percentile interval at N = 50: four of them each way.
    assert 0.89 <= covered / 300 <= 0.99


def test_a_difference_is_paired():
    values = np.random.default_rng(3).normal(size=40)
    score = bootstrap(mean_over_videos(values + 0.5, np.ones(40)), 40, 300, seed=0)
    control = bootstrap(mean_over_videos(values, np.ones(40)), 40, 300, seed=0)
    gain = difference(score, control)
    assert [gain.value, gain.low, gain.high] == pytest.approx([0.5] * 3)
    assert score.low < control.high  # side by side, the two intervals would not tell
