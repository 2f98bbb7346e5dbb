"""`la2ds transfer`, `search` and `deviations` on a tiny project whose embedding is how far along the movement a frame is."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from commands.cli import app
from pipeline.clip import Clip
from pipeline.datasets.events import check_rows, read_events
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton
from pipeline.store import finish

LENGTHS = {"a": 20, "b": 24, "c": 30, "d": 20, "e": 40}
KEPT = 2  # every other frame of the video


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Five clips of one movement at five speeds; both events are at a quarter and half of it. `d` and `e` validate."""
    monkeypatch.chdir(tmp_path)
    start, path = np.random.default_rng(0).uniform(0, 50, (2, 13, 2))
    clips, features = [], []
    for name, length in LENGTHS.items():
        along = np.linspace(0, 1, length)
        clips.append(
            Clip(
                name, "bow", "val" if name in "de" else "train", start + along[:, None, None] * path,
                np.ones((length, 13)), 10.0, events=(length // 4, length // 2), video_frames=KEPT * np.arange(length),
            )
        )  # fmt: skip
        features.append(np.stack([along, along**2], axis=1))
    facts = {"event_names": {"bow": ("down", "up")}, "poses": "annotated", "labels": "human"}
    write_sequences(
        from_clips(clips, dataset="tiny", skeleton=load_skeleton("penn_13"), **facts), tmp_path / "data/poses/tiny"
    )
    partial = tmp_path / "data/results/tiny.partial"
    folder = partial / "embeddings/bow/la2ds"
    folder.mkdir(parents=True)
    offsets = np.cumsum([0, *LENGTHS.values()])
    np.savez(folder / "seed_0.npz", names=list(LENGTHS), offsets=offsets, features=np.float32(np.concatenate(features)))
    finish(partial, tmp_path / "data/results/tiny", {"poses": tmp_path / "data/poses/tiny"})
    return tmp_path


def run(*arguments, expected=0):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == expected, done.output
    return done.output


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_reader_takes_the_events_that_were_carried(project):
    out = project / "labels/events.csv"
    text = run("transfer", "tiny", "--from", "a,b", "--out", out)
    assert "columns: [down, up]}" in text and "labelled=2  carried_to=3" in text
    rows = read_events(out, action_column="action", event_columns=["down", "up"])
    check_rows(rows, dict.fromkeys(LENGTHS, None), out)
    for name, length in LENGTHS.items():
        expected = KEPT * np.array([length // 4, length // 2])  # frames of the video
        assert np.abs(np.array(rows[name].events) - expected).max() <= KEPT * 0.05 * length
    assert [rows[name].labels for name in LENGTHS] == ["human", "human", "carried", "carried", "carried"]
    lines = table(out)
    assert lines[0]["confidence_down"] == "" and 0 < float(lines[2]["confidence_down"]) <= 1


def test_events_may_come_from_a_file_and_by_the_nearest_frame(project):
    given = project / "given.csv"
    given.write_text(f"sequence,event1\nd,{KEPT * 7}\n")
    run("transfer", "tiny", "--from-events", given, "--method", "nearest", "--out", project / "e.csv")
    rows = read_events(project / "e.csv")
    assert rows["d"].events == (KEPT * 7,) and rows["a"].events == (KEPT * 7,)  # a is as fast as d
    assert rows["d"].labels == "human" and rows["a"].labels == "carried"


def test_a_moment_is_found_in_the_clips_of_the_split(project):
    run("search", "tiny", "a", 10, "--out", project / "found")
    lines = table(project / "found/matches.csv")
    assert [(line["rank"], line["sequence"], line["frame"]) for line in lines] == [("1", "d", "10"), ("2", "e", "21")]
    assert lines[0]["distance"] == "0.00000" and lines[0]["video_frame"] == str(KEPT * 10)
    assert [line["same_phase"] for line in lines] == ["yes", "yes"]
    assert (project / "found/strip.png").read_bytes().startswith(b"\x89PNG")
    run("search", "tiny", "a", 10, "--out", project / "found", "--split", "all", "--k", 3, "--top", 2)
    assert len(table(project / "found/matches.csv")) == 3


def test_deviations_of_all_validation_clips_are_ranked(project):
    text = run("deviations", "tiny", "--out", project / "seen")
    assert "clips=2  normal=3" in text
    ranking = table(project / "seen/ranking.csv")
    assert {line["sequence"] for line in ranking} == {"d", "e"}
    assert float(ranking[0]["highest"]) >= float(ranking[1]["highest"])
    unusual = [line["unusual"] for line in ranking]
    assert f"unusual={unusual.count('yes')}" in text and unusual == sorted(unusual, reverse=True)
    lines = table(project / "seen/e.csv")
    assert len(lines) == 40 and {"score", "kind", "pose", "tempo", "worst_joints", "left_wrist"} <= set(lines[0])
    found = json.loads((project / "seen/e.json").read_text())
    assert found["sequence"] == "e" and found["most_like"] in ("a", "b", "c")
    assert (project / "seen/e.png").read_bytes().startswith(b"\x89PNG")


def test_what_every_other_normal_clip_does_is_not_unusual(project):
    """Of the training clips only the highest is beyond all others."""
    rows = []
    for name in "abc":
        run("deviations", "tiny", name, "--out", project / name)
        rows += table(project / name / "ranking.csv")
    rows.sort(key=lambda row: float(row["highest"]))
    assert [row["unusual"] for row in rows] == ["no", "no", "yes"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["transfer", "tiny"], "--from or --from-events"),
        (["transfer", "tiny", "--from", "z"], "'z'"),
        (["transfer", "tiny", "--from", "a", "--input", "rgb"], "['pose2d']"),
        (["search", "tiny", "a", "99"], "0..19"),
        (["search", "tiny", "z", "0"], "'z'"),
        (["deviations", "tiny", "z"], "'z'"),
        (["deviations", "tiny", "d", "--normal", "a,b"], "at least 3"),
        (["deviations", "tiny", "d", "--normal", "a,b,b"], "each named once"),
        (["search", "none", "a", "0"], "Nearest of 1: tiny"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(project, arguments, part):
    text = run(*arguments, "--out", project / "out", expected=1)
    assert text.startswith("error: Expected") and part in text and text.count("\n") == 1
    assert not (project / "out").exists()
