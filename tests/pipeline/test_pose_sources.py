"""The same videos with poses of several sources: which data sets belong together, and what is said of them."""

import json
from dataclasses import replace

import numpy as np

from pipeline.clip import Clip
from pipeline.pose_sources import same_videos, section, write_sources
from pipeline.sequence import from_clips
from pipeline.skeleton import load_skeleton
from pipeline.table import COLUMNS, read_rows, write_rows

COCO, PENN = load_skeleton("coco_17"), load_skeleton("penn_13")
SCORE = {"value": 12.5, "low": 10.0, "high": 15.0}


def build(name, skeleton, videos, shift=0.0, poses="estimated", size=(200, 200), num_frames=6):
    clips = []
    for video in videos:
        joints = np.zeros((num_frames, skeleton.num_joints, 2))
        for k, joint in enumerate(skeleton.joints):
            joints[:, k] = (50 * ("right" in joint), 100 * ("hip" in joint) + 10)
        joints[:, skeleton.joints.index("left_wrist"), 0] += shift
        split = "train" if video == "t" else "val"
        conf = np.ones((num_frames, skeleton.num_joints))
        clips.append(Clip(video, "squat", split, joints, conf, 25, frame_size=size))
    return from_clips(clips, dataset=name, skeleton=skeleton, event_names={}, poses=poses, labels="derived")


def details():
    scores = {
        "la2ds": {"plain": {"tau": SCORE}, "clock_broken": {"tau": SCORE}},
        "time_only": {"plain": {"tau": SCORE}},
    }
    return {"actions": {"squat": {}}, "scores": {"squat": scores}}


def test_data_sets_of_the_same_validation_videos_belong_together():
    datasets = {
        "a": build("a", COCO, ["t", "v1", "v2", "v3"]),
        "other": build("other", COCO, ["t", "w1", "w2"]),
        "b": build("b", PENN, ["t", "v1", "v2"]),  # one of its videos was left out
        "longer": build("longer", COCO, ["t", "v1", "v2"], num_frames=9),  # other videos of the same names
        "c": build("c", COCO, ["t", "v3", "x1", "x2", "x3"]),  # one by chance
    }
    assert same_videos(datasets) == [["a", "b"]]
    assert same_videos({"a": datasets["a"]}) == []


def test_rows_stand_side_by_side_and_joints_are_compared_where_pixels_are_the_same():
    datasets = {
        "mine": build("mine", COCO, ["t", "v1", "v2"]),
        "theirs": build("theirs", PENN, ["t", "v1", "v2"], shift=15.0, poses="annotated"),
        "flat": build("flat", COCO, ["t", "v1", "v2"], poses="projected", size=(256, 256)),
    }
    text = section(["mine", "theirs", "flat"], datasets, dict.fromkeys(datasets, details()))
    assert "| Kendall's tau | plain | theirs | annotated | 12.500 [10.000, 15.000] | 12.500" in text
    assert "Validation videos in common: 2" in text
    # The torso is 100 px high, so 15 px are beyond 0.1 of it; two validation videos of six frames.
    assert "Joints of mine against those of theirs" in text  # the annotated ones are the reference
    assert "| left_wrist | 0.0 | 12 |" in text
    assert "| right_wrist | 100.0 | 12 |" in text
    other = {**datasets, "theirs": replace(datasets["theirs"], video_frames=datasets["theirs"].video_frames + 1)}
    assert "Joints of mine" not in section(["mine", "theirs"], other, dict.fromkeys(datasets, details()))
    assert "flat against" not in text and "of flat" not in text


def test_a_group_is_a_table_of_its_own(tmp_path):
    datasets = {name: build(name, COCO, ["t", "v1", "v2"]) for name in ("mine", "theirs")}
    row = dict.fromkeys(COLUMNS, "x") | {"value": 1.0, "low": 0.5, "high": 1.5}
    for name in datasets:
        (tmp_path / name).mkdir()
        write_rows([row | {"dataset": name}], tmp_path / name / "results.csv")
    out = tmp_path / "out"
    write_sources(list(datasets), datasets, dict.fromkeys(datasets, details()), tmp_path, out)
    assert [row["dataset"] for row in read_rows(out / "pose_sources.csv")] == ["mine", "theirs"]
    assert json.loads((out / "pose_sources.json").read_text())["datasets"] == ["mine", "theirs"]
    assert "theirs" in (out / "pose_sources.md").read_text()
