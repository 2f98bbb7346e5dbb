import numpy as np
import pytest

from pipeline.config import InputError, MissingOutput
from pipeline.markdown import section
from pipeline.metrics.bootstrap import Score, difference, mean_score
from pipeline.metrics.clips import Clips
from pipeline.plot_data import write_plots
from pipeline.report import load_reported, metrics_tree
from pipeline.showcase import median_pair
from pipeline.summaries import fusion_minus_parts, mean_over_actions, minus, summaries
from pipeline.table import COLUMNS, VARIANTS, read_rows, write_rows
from pipeline.wording import describe


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


def scores(*values):
    """Scores of several seeds of la2ds, and of time only, in one metric."""

    def one(value):
        return {
            variant: {"acc_100": Score(value, value - 1, value + 1, value + np.arange(-50.0, 51))}
            for variant in VARIANTS
        }

    return {("time_only", 0): one(50.0)} | {("la2ds", seed): one(value) for seed, value in enumerate(values)}


def test_seeds_are_averaged_and_their_spread_is_told():
    found = summaries(scores(80.0, 84.0))
    assert found["la2ds"]["plain"]["acc_100"] == pytest.approx(
        {"value": 82.0, "low": 34.5, "high": 129.5, "std_over_seeds": 8**0.5}
    )
    assert "std_over_seeds" not in found["time_only"]["plain"]["acc_100"]
    gap = minus(scores(80.0, 84.0), "time_only")["la2ds"]["clock_broken"]["acc_100"]
    assert gap == pytest.approx({"value": 32, "low": 32, "high": 32})


def test_fusion_is_compared_with_each_of_its_parts_over_the_same_videos():
    found = scores(80.0, 84.0)
    found |= {
        ("la2ds_pose2d+rgb", seed): of_seed for (name, seed), of_seed in scores(85.0, 91.0).items() if name == "la2ds"
    }
    found["la2ds_rgb", 0] = scores(60.0)["la2ds", 0]
    parts = fusion_minus_parts(found)["la2ds_pose2d+rgb"]
    assert parts["la2ds"]["plain"]["acc_100"] == pytest.approx({"value": 6, "low": 6, "high": 6})
    assert parts["la2ds_rgb"]["plain"]["acc_100"]["value"] == pytest.approx(28)
    assert fusion_minus_parts(scores(80.0)) == {}


def test_the_mean_over_actions_says_what_it_lacks():
    whole, lacking = scores(80.0), scores(90.0)
    del lacking["la2ds", 0]["plain"]["acc_100"]
    mean, notes = mean_over_actions({"squat": whole, "jump": lacking})
    assert mean["la2ds", 0]["clock_broken"]["acc_100"].value == 85
    assert "acc_100" not in mean["la2ds", 0]["plain"]
    assert notes == ["mean: la2ds acc_100 (plain) left out: jump lack it"]


@pytest.mark.parametrize(
    "metric, name",
    [
        ("acc_20", "phase accuracy, 20 % of labels"),
        ("ap_7", "retrieval AP@7, %"),
        ("event_within_10", "events within 10 % of the clip, %"),
    ],
)
def test_metrics_of_other_settings_have_names(metric, name):
    assert describe(metric)[0] == name


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
    with pytest.raises(MissingOutput) as caught:
        load_reported({"d": None}, *(tmp_path / name for name in ("poses", "results", "models", "fused")))
    assert caught.value.path == tmp_path / "models/d"


def test_a_data_set_without_labels_has_a_report_of_tau_alone():
    score = {"value": 0.9, "low": 0.8, "high": 0.95}
    tau = {variant: {"tau": score} for variant in VARIANTS}
    none = {variant: {} for variant in VARIANTS}
    pairs = {variant: {"tau_pairs": 6, "tau_nan_pairs": 1} for variant in VARIANTS}
    facts = {
        "train_videos": 4,
        "val_videos": 3,
        "label_order": ["a", "b"],
        "methods": {"la2ds seed 0": pairs, "time_only seed 0": pairs, "majority seed 0": none},
    }
    details = {
        "inputs": ["pose2d"],
        "systems": ["la2ds"],
        "synthetic": False,
        "poses": "estimated",
        "labels": "none",
        "left_out": {},
        "scores": {"jump": {"la2ds": tau, "time_only": tau, "majority": none}},
        "minus_time_only": {"jump": {"la2ds": tau}},
        "fusion_minus_parts": {"jump": {}},
        "actions": {"jump": facts},
        "notes": [],
    }
    assert metrics_tree(details)["jump"]["la2ds"]["plain"] == {"tau": score, "tau_nan_pairs": 1}
    text = section("own", details, None, {"estimator": "toy (1)"})
    assert "no labels" in text and "| Kendall's tau | LA2DS | 0.900 [0.800, 0.950] |" in text
    assert "- estimator: toy (1)" in text
    assert "median event error" not in text and "majority class |" not in text


def test_plot_data_names_every_panel_and_adds_up_the_seeds_frames(tmp_path):
    score = {"value": 12.0, "low": 10.0, "high": 15.0}
    scores = {"la2ds": {v: {"event_error": score} for v in VARIANTS}, "majority": {v: {} for v in VARIANTS}}
    methods = {
        f"la2ds seed {seed}": {"plain": {"confusion": table}, "clock_broken": {}}
        for seed, table in enumerate(([[3, 1], [0, 0]], [[3, 1], [0, 5]]))
    }
    details = {"toy": {"scores": {"squat": scores}, "actions": {"squat": {"methods": methods}}}}
    curve = {
        "action": "squat",
        "method": "la2ds",
        "input": "pose2d",
        "seed": "0",
        "epoch": "0",
        "loss": "9.5",
        "learning_rate": "0.1",
    }
    write_plots(details, {"toy": [curve]}, tmp_path)
    assert (tmp_path / "loss.csv").read_text() == (
        'facet,seed,epoch,loss,learning_rate\n"toy: squat, pose2d",0,1,9.5,0.1\n'
    )
    assert (tmp_path / "headline.csv").read_text() == (
        "facet,system,kind,value,low,high\n"
        '"toy, squat, plain: event error, % of the clip (lower is better)",LA2DS,trained,12.0000,10.0000,15.0000\n'
        '"toy, squat, clock-broken: event error, % of the clip (lower is better)",LA2DS,trained,12.0000,10.0000,15.0000\n'
    )
    assert (tmp_path / "confusion.csv").read_text() == (
        "facet,phase,predicted,percent,frames\n"
        '"toy: squat, pose2d",1,1,75.00,6\n"toy: squat, pose2d",1,2,25.00,2\n'
        '"toy: squat, pose2d",2,1,0.00,0\n"toy: squat, pose2d",2,2,100.00,5\n'
    )
