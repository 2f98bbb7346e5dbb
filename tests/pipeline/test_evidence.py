import numpy as np
import pytest

from pipeline import charts
from pipeline.embedded import seed_files
from pipeline.evidence import QUANTILES, distributions, evenly, frame_map, pair_scores, search
from pipeline.figures import SCREEN_COLORS
from pipeline.metrics.clips import Clips
from pipeline.run_facts import stage_times
from pipeline.tables import Table
from pipeline.wording import phase_names


def clips(features, lengths, events):
    """Clips of one number a frame; phases by the events, which count from each clip's begin."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    events = np.array(events, np.int32).reshape(len(lengths), -1)
    phase = np.concatenate(
        [
            (np.arange(length)[:, None] >= own).sum(axis=1) if events.size else np.full(length, -1)
            for length, own in zip(lengths, events, strict=True)
        ]
    )
    names = tuple("abcdefgh"[: len(lengths)])
    features = np.array(features, np.float32)[:, None]
    return Clips(features, offsets, phase.astype(np.int16), events, np.ones(len(lengths), np.float32), names)


def test_the_nearest_frame_of_each_other_video_is_judged_by_phase_and_by_its_own_event():
    """Event at 2 in a, at 1 in b (found at 0, a phase too early), at 1 in c (found at 3, two frames late)."""
    found = search(clips([0, 1, 5, 6, 5.1, 9, 9, 9, 0, 1, 2, 5.5], [4, 4, 4], [2, 1, 1]), 0, 2, 0)
    assert [(each.video, each.frame, each.right) for each in found] == [(1, 0, False), (2, 3, True)]
    assert [each.off_percent for each in found] == [-25, 50]
    unlabelled = search(clips([0, 1, 5, 6, 5.1, 9, 9, 9], [4, 4], []), 0, 2, None)
    assert [(each.right, each.off_percent) for each in unlabelled] == [(None, None)]


def test_pairs_are_scored_by_what_labels_allow():
    way = [0, 1, 2, 3, 4] * 2
    scores = pair_scores(clips(way, [5, 5], [1, 3]), 2)
    assert set(scores) == {"event_error", "tau"} and scores["event_error"][0, 1] == 40
    assert scores["tau"][0, 1] == 1 and np.isnan(np.diag(scores["tau"])).all()
    assert set(pair_scores(clips(way, [5, 5], []), 2)) == {"tau"}
    repeating = clips(way, [5, 5], [])
    repeating.phase[:] = 1
    assert pair_scores(repeating, 2) == {}


def test_tau_is_of_every_how_many_frames_one_says():
    """Frames 0, 2 and 4 come in order; 1 and 3 do not."""
    two = clips([0, 1, 2, 3, 4, 0, 3, 2, 1, 4], [5, 5], [])
    assert pair_scores(two, 2)["tau"][1, 0] == 1 and pair_scores(two, 1)["tau"][1, 0] < 0.9


def test_the_first_seed_is_the_lowest_number(tmp_path):
    for name in ("seed_10.npz", "seed_2.npz", "seed_2.txt"):
        (tmp_path / name).touch()
    assert seed_files(tmp_path) == {2: tmp_path / "seed_2.npz", 10: tmp_path / "seed_10.npz"}
    assert list(seed_files(tmp_path)) == [2, 10]


def test_a_distribution_leaves_out_pairs_without_a_score():
    values = np.array([[np.nan, 1], [3, np.nan]])
    found = distributions({"LA2DS": {"tau": values}, "raw pose": {}})
    assert list(found["tau"]) == ["LA2DS"]
    quantiles = found["tau"]["LA2DS"]
    assert len(quantiles) == len(QUANTILES) and (quantiles[0], quantiles[20], quantiles[-1]) == (1, 2, 3)


def test_a_map_shows_some_frames_of_every_video_and_is_the_same_again():
    many = clips(np.linspace(0, 1, 60), [20, 20, 20], [[10], [10], [10]])
    points = frame_map(many, 30)
    assert len(points) == 30 and {point["video"] for point in points} == {"a", "b", "c"}
    assert points[0] | {"x": 0, "y": 0} == {"x": 0, "y": 0, "phase": 0, "progress": 0, "video": "a", "frame": 0}
    assert all(0 <= point["x"] <= 1 and 0 <= point["y"] <= 1 for point in points)
    assert frame_map(many, 30) == points
    assert frame_map(many, 3) == []


@pytest.mark.parametrize("count, most, expected", [(3, 5, [0, 1, 2]), (5, 3, [0, 2, 4]), (9, 2, [0, 8])])
def test_evenly_keeps_both_ends(count, most, expected):
    assert evenly(count, most).tolist() == expected


def test_phases_are_called_by_the_events_that_begin_them():
    assert phase_names(["top_reached", "end"], 3) == ["before top reached", "from top reached", "from end"]
    assert phase_names([], 2) == ["phase 1", "phase 2"]


def test_runs_of_one_first_cell_become_groups_only_where_all_are_long():
    rows = [["a", "x", "1"], ["a", "y", "2"], ["b", "x", "3"], ["b", "y", "4"]]
    assert Table("t", ["k", "m", "v"], rows, 2).groups()[0] == ("a", [["x", "1"], ["y", "2"]])
    assert Table("t", ["k", "m", "v"], rows[1:3], 2).groups() == [("", rows[1:3])]
    assert Table("t", ["k", "m", "v"], rows, 1).groups() == [("", rows)]


def test_a_stage_without_output_or_record_is_told(tmp_path):
    assert stage_times({"train": tmp_path / "models"}, "d", tmp_path).rows == [["train", "-", "output not here", "-"]]


def test_a_phase_has_one_color_in_every_chart_and_unlabelled_frames_have_none():
    points = [{"x": 0, "y": 0, "phase": k, "progress": 0.5, "video": "a", "frame": k + 1} for k in (-1, 0, 1)]
    spec = charts.map_by_phase(points, ["before top", "from top"], "a map").to_dict()
    assert [row["phase"] for row in spec["data"]["values"]] == ["before top", "from top"]
    scale = spec["encoding"]["color"]["scale"]
    assert scale == {"domain": ["before top", "from top"], "range": list(SCREEN_COLORS[:2])}
    rows = [{"action": "squat", "number": 2, "phase": "from top", "share": 0.5}]
    scale = charts.phase_shares(rows, 2, "phases").to_dict()["encoding"]["color"]["scale"]
    assert scale == {"domain": ["1", "2"], "range": list(SCREEN_COLORS[:2])}
    assert len(charts.map_by_progress(points, "a map").to_dict()["data"]["values"]) == 3


def test_a_number_that_is_none_is_null_in_the_page():
    row = {"epoch": 1, "loss": 2.0, "input": "rgb", "seed": "0", "stage": "one"}
    chart = charts.losses([row, {**row, "epoch": 2, "loss": float("nan")}, {**row, "loss": float("inf")}], "losses")
    spec = charts.for_page(chart, "losses")["spec"]
    assert [each["loss"] for each in spec["data"]["values"]] == [2.0, None, None]


def test_controls_are_dashed_and_stage_two_is_too():
    quantiles = {"LA2DS (rgb)": [0.0, 1.0], "raw pose": [0.5, 2.0]}
    spec = charts.distribution(quantiles, [0.0, 1.0], "tau", "pairs").to_dict()
    assert {(row["method"], row["kind"]) for row in spec["data"]["values"]} == {
        ("LA2DS (rgb)", "learned"),
        ("raw pose", "control"),
    }
    assert spec["description"] == "pairs"
    row = {"epoch": 1, "loss": 2.0, "input": "rgb", "seed": "0", "stage": "one"}
    assert "strokeDash" not in charts.losses([row], "loss").to_dict()["encoding"]
    both = charts.losses([row, {**row, "stage": "two"}], "loss").to_dict()["encoding"]
    assert both["strokeDash"]["field"] == "stage" and both["y"]["scale"]["type"] == "log"
