"""Verdicts on two revisions: by hand on a few replicates, and by simulation for how often they are wrong."""

import numpy as np
import pytest

from pipeline.comparison import BETTER, MISSING, NOISE, ONE_SEED, SAME, WORSE, Results, compare, interval
from pipeline.metrics.bootstrap import Score
from pipeline.table import VARIANTS

RESAMPLES = 100
WEIGHTS = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30), size=RESAMPLES) / 30  # of 30 simulated videos
VIDEOS = (("a", 50), ("b", 60), ("c", 70))


def score(value, spread=0.0, replicates=4):
    """A score whose replicates are `spread` above and below its value, in turn."""
    return Score(value, 0.0, 0.0, value + spread * np.resize([1.0, -1.0], replicates))


def results(actions, videos=VIDEOS, resampling=(4, 0)):
    """actions: action -> system -> metric -> one value per seed, in both variants."""
    scores = {
        action: {
            (system, seed): {
                variant: {metric: score(values[seed], 1.0) for metric, values in metrics.items()}
                for variant in VARIANTS
            }
            for system, metrics in systems.items()
            for seed in range(len(next(iter(metrics.values()))))
        }
        for action, systems in actions.items()
    }
    return Results(scores, dict.fromkeys(actions, videos), resampling)


def only(rows, **wanted):
    [row] = [row for row in rows if all(getattr(row, key) == value for key, value in wanted.items())]
    return row


def test_the_interval_joins_videos_and_seeds_by_welch_and_satterthwaite():
    before = [score(v) for v in (10 - 6**0.5, 10.0, 10 + 6**0.5)]  # variance 6, of the mean 2, 2 degrees of freedom
    after = [score(v) for v in (20.0, 22.0)]  # variance 2, of the mean 1, 1 degree
    value, low, high, over_seeds = interval(before, after, paired=True, num_videos=20)
    half = 3.1824 * (2 + 1) ** 0.5  # t(0.975, (2 + 1)^2 / (2^2 / 2 + 1^2 / 1) = 3)
    assert (value, low, high) == pytest.approx((11, 11 - half, 11 + half), abs=1e-3) and over_seeds


def test_videos_widen_the_interval_where_the_differences_vary_over_resamples():
    one = [Score(0, 0, 0, np.array([1.0, -1.0, 1.0, -1.0]))]
    other = [Score(1, 0, 0, np.array([2.0, 0.0, 2.0, 0.0]))]
    assert interval(one, other, paired=True, num_videos=10)[:3] == (1, 1, 1)  # every resample moves both alike
    value, low, high, over_seeds = interval(one, other, paired=False, num_videos=10)
    half = 2.2622 * 2**0.5  # t(0.975, 9); variances 1 + 1
    assert (value, low, high) == pytest.approx((1, 1 - half, 1 + half), abs=1e-3) and not over_seeds


def test_one_seed_on_one_side_borrows_the_variance_of_the_other():
    before, after = [score(v) for v in (10.0, 12.0, 14.0)], [score(12.0)]
    _, low, high, over_seeds = interval(before, after, paired=True, num_videos=20)
    assert high - low == pytest.approx(2 * 4.3027 * (4 * (1 / 3 + 1)) ** 0.5, abs=1e-3) and over_seeds  # t(0.975, 2)


def test_verdicts_know_which_way_is_better_and_controls_get_none():
    controls = {"time_only": {"event_error": [15.0], "acc_100": [50.0]}}
    before = results({"squat": {"la2ds": {"event_error": [10.0, 10.1], "acc_100": [70.0, 70.1]}, **controls}})
    after = results({"squat": {"la2ds": {"event_error": [14.0, 14.1], "acc_100": [75.0, 75.1]}, **controls}})
    rows, notes = compare("d", before, after)
    assert {row.verdict for row in rows if row.system == "la2ds" and row.metric == "event_error"} == {WORSE}
    assert {row.verdict for row in rows if row.system == "la2ds" and row.metric == "acc_100"} == {BETTER}
    assert {row.verdict for row in rows if row.system == "time_only"} == {None}
    row = only(rows, system="la2ds", metric="event_error", variant="plain")
    assert (row.before, row.after, row.difference) == pytest.approx((10.05, 14.05, 4.0)) and row.seeds == (2, 2)
    assert rows[0].metric == "event_error" and notes == []


def test_one_seed_a_side_is_never_better_or_worse():
    before, after = (results({"squat": {"la2ds": {"event_error": [value]}}}) for value in (10.0, 90.0))
    row = only(compare("d", before, after)[0], variant="plain")
    assert row.verdict == ONE_SEED and not row.over_seeds and row.low == pytest.approx(80)


def test_identical_results_are_the_same_and_a_small_shift_is_noise():
    values = {"la2ds": {"event_error": [10.0, 14.0]}}
    assert only(compare("d", results({"s": values}), results({"s": values}))[0], variant="plain").verdict == SAME
    shifted = results({"s": {"la2ds": {"event_error": [11.0, 14.0]}}})
    assert only(compare("d", results({"s": values}), shifted)[0], variant="plain").verdict == NOISE


def test_the_mean_over_common_actions_is_judged_and_actions_are_shown():
    def one(value):
        return {"la2ds": {"event_error": [value, value + 0.1]}}

    before = results({"squat": one(10.0), "jump": one(20.0), "golf": one(90.0)})
    after = results({"squat": one(16.0), "jump": one(18.0)})
    rows, notes = compare("d", before, after)
    mean = only(rows, action="mean", variant="plain")
    assert (mean.before, mean.after, mean.verdict) == (pytest.approx(15.05), pytest.approx(17.05), WORSE)
    assert {row.verdict for row in rows if row.action != "mean"} == {None}
    assert notes == ["only one revision has golf, which are left out"]


def test_a_system_that_one_side_lacks_cannot_be_told():
    before = results({"s": {"la2ds": {"event_error": [1.0, 2.0]}}})
    after = results({"s": {"la2ds_rgb": {"event_error": [1.0, 2.0]}}})
    rows, _ = compare("d", before, after)
    row = only(rows, system="la2ds_rgb", variant="plain")
    assert (row.before, row.after, row.difference, row.verdict) == (None, 1.5, None, MISSING)


@pytest.mark.parametrize(
    "changed", [{"resampling": (4, 1)}, {"videos": (("a", 50), ("b", 60), ("x", 70))}], ids=["resamples", "videos"]
)
def test_other_videos_or_resamples_are_not_paired_and_it_is_said(changed):
    values = {"s": {"la2ds": {"event_error": [10.0, 10.1]}, "time_only": {"event_error": [15.0]}}}
    rows, notes = compare("d", results(values), results(values, **changed))
    assert any("not paired" in note for note in notes)
    row = only(rows, system="time_only", variant="plain")
    assert row.high == pytest.approx(4.3027 * 2**0.5, abs=1e-3)  # t(0.975, 2 of three videos); variances 1 + 1


def test_a_clock_that_moved_tells_that_the_data_did():
    before, after = (results({"s": {"time_only": {"tau": [value]}}}) for value in (0.9, 0.8))
    assert any("time only changed" in note for note in compare("d", before, after)[1])


def test_without_labels_tau_is_judged_and_any_metric_can_be():
    before, after = (results({"s": {"la2ds": {"tau": [v, v + 0.01], "ap_5": [v, v]}}}) for v in (0.9, 0.5))
    rows, _ = compare("d", before, after)
    assert only(rows, metric="tau", variant="plain").verdict == WORSE
    assert only(rows, metric="ap_5", variant="plain").verdict is None
    assert only(compare("d", before, after, ["ap_5"])[0], metric="ap_5", variant="plain").verdict == WORSE


def simulated(rng, seeds, shift=0.0, spread=(3.0, 3.0)):
    """Verdict on two trainings: a video's own difficulty, a seed's luck, and both together; bootstrapped over videos."""
    videos = WEIGHTS.shape[1]
    difficulty = rng.normal(0, 10, videos)
    sides = []
    for n, of_side, moved in zip(seeds, spread, (0.0, shift), strict=True):
        scores = moved + difficulty + rng.normal(0, of_side, (n, 1)) + rng.normal(0, 5, (n, videos))
        of_seeds = {
            ("la2ds", seed): {"plain": {"event_error": Score(x.mean(), 0, 0, WEIGHTS @ x)}, "clock_broken": {}}
            for seed, x in enumerate(scores)
        }
        sides.append(Results({"s": of_seeds}, {"s": tuple((str(v), 1) for v in range(videos))}, (RESAMPLES, 0)))
    [row] = compare("d", *sides)[0]
    return row.verdict


@pytest.mark.parametrize(
    "seeds, spread, simulations",
    [((3, 3), (3.0, 3.0), 2000), ((3, 3), (1.0, 6.0), 500), ((3, 1), (3.0, 3.0), 500), ((2, 2), (3.0, 3.0), 500)],
)
def test_where_nothing_changed_a_verdict_is_rarely_given(seeds, spread, simulations):
    rng = np.random.default_rng(0)
    verdicts = [simulated(rng, seeds, spread=spread) for _ in range(simulations)]
    assert set(verdicts) <= {NOISE, BETTER, WORSE}
    assert 1 - verdicts.count(NOISE) / simulations <= 0.08


def test_a_shift_of_several_standard_deviations_is_found():
    rng = np.random.default_rng(0)
    verdicts = [simulated(rng, (3, 3), shift=15.0) for _ in range(200)]
    assert verdicts.count(WORSE) >= 190
