import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.metrics.bootstrap import Score, difference, mean_score
from pipeline.metrics.clips import Clips
from pipeline.report import nested, over_seeds, write_report
from pipeline.showcase import median_pair
from pipeline.table import COLUMNS, read_rows, write_rows


def row(**changes):
    base = dict(
        zip(
            COLUMNS,
            ("d", "squat", "la2ds", "pose2d", "synthetic", "acc_100", "plain", "0", 80.0, 70.0, 90.0),
            strict=True,
        )
    )
    return base | changes


def test_table_round_trip_rounds_to_six_digits(tmp_path):
    write_rows([row(value=1 / 3)], tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_text() == (
        "dataset,action,method,input,poses,metric,variant,seed,value,low,high\n"
        "d,squat,la2ds,pose2d,synthetic,acc_100,plain,0,0.333333,70.000000,90.000000\n"
    )
    assert read_rows(tmp_path / "results.csv") == [row(value=0.333333)]


def test_a_table_with_other_columns_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("dataset,value\nd,1\n")
    with pytest.raises(InputError, match=r"Expected columns .*results\.csv"):
        read_rows(tmp_path / "results.csv")


def test_seeds_are_averaged_and_their_spread_is_told():
    scores = over_seeds([row(), row(seed="1", value=84.0, low=72.0, high=94.0), row(method="time_only", value=50.0)])
    assert nested(scores) == {
        "squat": {
            "la2ds": {"plain": {"acc_100": {"value": 82.0, "low": 71.0, "high": 92.0, "std_over_seeds": 2.828427}}},
            "time_only": {"plain": {"acc_100": {"value": 50.0, "low": 70.0, "high": 90.0}}},
        }
    }


def test_a_mean_score_averages_replicates_so_that_differences_stay_paired():
    a, b = (Score(v, 0, 0, v + np.arange(100.0)) for v in (1.0, 3.0))
    mean = mean_score([a, b])
    assert mean.value == 2 and mean.low == pytest.approx(2 + 99 * 0.025)
    gap = difference(mean, a)
    assert (gap.value, gap.low, gap.high) == (1, 1, 1)


def test_the_shown_pair_is_the_median_one():
    """Three videos of one number a frame; the event of the second is where its number is not."""
    features = np.tile(np.arange(10, dtype=np.float32), 3)[:, None]
    clips = Clips(
        features,
        np.array([0, 10, 20, 30]),
        np.zeros(30, np.int16),
        np.array([[2], [5], [9]], np.int32),
        np.ones(3),
        ("a", "b", "c"),
    )
    query, other = median_pair(clips)
    assert abs(int(clips.events[query, 0]) - int(clips.events[other, 0])) == 4  # of 3, 3, 4, 4, 7, 7


def test_without_results_the_report_says_which_stage_is_missing(tmp_path):
    with pytest.raises(InputError, match="evaluate"):
        write_report({"d": None}, tmp_path, tmp_path, tmp_path, tmp_path / "reports")
