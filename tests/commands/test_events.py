"""`la2ds events`: from a pose store to a CSV that the readers take."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from commands.events import app
from pipeline.clip import Clip
from pipeline.datasets.events import check_rows, in_step, read_events
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton

SKELETON = load_skeleton("penn_13")


def squat(name, lowest, split, action="squat", hidden=False):
    """40 frames at 20 fps in which the hips are lowest in the given frame."""
    joints = np.random.default_rng(lowest).uniform(0, 100, (1, 13, 2)).repeat(40, axis=0)
    depth = np.exp(-((np.arange(40) - lowest) ** 2) / 50)
    hips = [SKELETON.joints.index(f"{side}_hip") for side in ("left", "right")]
    joints[:, hips, 1] = 60 + 40 * depth[:, None]
    confidence = np.ones((40, 13))
    if hidden:
        confidence[:, hips] = 0
    return Clip(name, action, split, joints, confidence, 20.0)


def stored(clips, path):
    settings = {"event_names": {}, "poses": "estimated", "labels": "none"}
    write_sequences(from_clips(clips, dataset="own", skeleton=SKELETON, **settings), path)
    return path


@pytest.fixture
def store(tmp_path):
    clips = [squat(f"s/{n}", 10 + 5 * n, "val" if n > 1 else "train") for n in range(4)]
    clips += [squat("hidden", 20, "val", hidden=True), squat("cut", 0, "train")]
    clips += [squat(f"other{n}", 20, "val" if n else "train", action="bow") for n in range(3)]
    return stored(clips, tmp_path / "poses")


def run(*arguments, expected=0):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == expected, done.output
    return done.output


def test_a_reader_takes_the_file_and_finds_the_events(store, tmp_path):
    out = tmp_path / "labels/events.csv"
    text = run(store, "--definition", "squat", "--action", "squat", "--out", out)
    assert "unclean=2 (joints are missing: 1, lowest is at the clip's edge: 1)" in text and "sequences=6" in text
    columns = text.partition("columns: [")[2].partition("]")[0].split(", ")
    rows = read_events(out, action_column="action", event_columns=columns)
    check_rows(rows, {name: 40 for name in rows}, store)
    assert [rows[f"s/{n}"].events[1] for n in range(4)] == [10, 15, 20, 25]
    for n in range(4):  # half depth is sqrt(50 ln 2) = 5.9 frames away
        half_down, lowest, half_up = rows[f"s/{n}"].events
        assert lowest - half_down == pytest.approx(5.4, abs=1) and half_up - lowest == pytest.approx(6, abs=1)
    assert rows["hidden"].events == rows["cut"].events == (-1, -1, -1)
    assert {row.action for row in rows.values()} == {"squat"}


def test_events_of_a_video_of_which_frames_were_dropped_are_frames_of_the_video(tmp_path):
    """So they are the same events when a reader keeps the same frames, or others."""
    kept = np.arange(40) * 3 + 1
    clips = [replace(squat(f"s{n}", 20, "val" if n else "train"), video="s.mp4", video_frames=kept) for n in range(3)]
    out = tmp_path / "events.csv"
    run(stored(clips, tmp_path / "poses"), "--definition", "squat", "--out", out)
    row = read_events(out, event_columns=["lowest"])["s0"]
    assert row.events == (61,) and row.num_frames is None
    assert in_step(row, kept).events == (20,)


def test_every_row_says_that_nobody_labelled_it_by_hand(store, tmp_path):
    out = tmp_path / "events.csv"
    run(store, "--definition", "squat", "--out", out)
    first = out.read_bytes()
    with out.open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 9 and {line["labels"] for line in lines} == {"derived"}
    assert next(iter(lines[0])) == "labels"
    assert [line["unclean"] for line in lines if line["sequence"] == "hidden"] == ["joints are missing"]
    run(store, "--definition", "squat", "--out", out)
    assert out.read_bytes() == first


def test_one_picture_per_sequence(store, tmp_path):
    run(store, "--definition", "squat", "--action", "bow", "--out", tmp_path / "e.csv", "--preview", tmp_path / "seen")
    pictures = sorted((tmp_path / "seen").iterdir())
    assert [picture.name for picture in pictures] == ["other0.png", "other1.png", "other2.png"]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--definition", "dance"], "'dance'"),
        (["--definition", "pinch"], "'thumb_end|thumb_4'"),
        (["--definition", "squat", "--action", "dance"], "['squat', 'bow']"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(store, tmp_path, arguments, part):
    text = run(store, *arguments, "--out", tmp_path / "e.csv", expected=1)
    assert text.startswith("error: Expected") and part in text and text.count("\n") == 1
    assert not (tmp_path / "e.csv").exists()
