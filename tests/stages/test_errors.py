"""What a user sees of bad input: one line, the file and the place, exit code 1, and nothing half written."""

import numpy as np
import pytest
import yaml
from scipy.io import savemat
from typer.testing import CliRunner

from commands.cli import app

EVENTS = "action,video_id,event1\n" + "".join(f"squat,{n:04d},3\n" for n in range(1, 5))


def label_file(path, train, frames=8, **changes):
    rng = np.random.default_rng(0)
    content = {
        "action": "squat",
        "x": rng.uniform(1, 100, (frames, 13)),
        "y": rng.uniform(1, 100, (frames, 13)),
        "visibility": np.ones((frames, 13)),
        "train": 1 if train else -1,
        "nframes": frames,
        "dimensions": [120, 160, frames],
    } | changes
    savemat(path, {key: value for key, value in content.items() if value is not None})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Four small Penn Action videos and the entry that reads them."""
    labels = tmp_path / "penn/labels"
    labels.mkdir(parents=True)
    for number in range(1, 5):
        label_file(labels / f"{number:04d}.mat", train=number <= 2)
    (tmp_path / "penn/events.csv").write_text(EVENTS)
    source = {"reader": "penn_action", "root": "penn", "events": "events.csv"}
    params = {
        "datasets": {"penn": {"preset": "quick", "inputs": [["pose2d"]], "source": source}},
        "project": {},
        "render": {},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(stage="extract", dataset="penn"):
    return CliRunner().invoke(app, [stage, dataset])


def error_of(*command):
    result = run(*command)
    assert result.exit_code == 1, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("WARNING")]
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    return lines[0]


def test_good_input_says_what_was_done(project):
    result = run()
    assert result.exit_code == 0, result.output
    assert "sequences=4" in result.stdout and "left_out=0" in result.stdout and "labels=derived" in result.stdout


@pytest.mark.parametrize(
    "changes, parts",
    [
        ({"visibility": None}, ["visibility", "0003.mat"]),
        ({"x": np.full((8, 13), np.nan)}, ["finite", "'head'", "0003.mat", "frame 0"]),
        ({"y": np.full((8, 13), np.inf)}, ["finite", "0003.mat", "frame 0"]),
        ({"train": 1}, ["at least 2 val videos", "squat", "penn"]),
    ],
)
def test_a_wrong_label_file(project, changes, parts):
    label_file(project / "penn/labels/0003.mat", **{"train": False, **changes})
    message = error_of()
    assert all(part in message for part in parts), message
    assert not (project / "data/extracted/penn").exists()


@pytest.mark.parametrize("frame, part", [(8, "frames 0..7"), (-2, "-2"), ("x", "'x'")])
def test_an_event_outside_the_clip(project, frame, part):
    (project / "penn/events.csv").write_text(EVENTS.replace("0002,3", f"0002,{frame}"))
    message = error_of()
    assert part in message and "events.csv" in message and "line 3" in message


@pytest.mark.parametrize(
    "changes, reason",
    [({"visibility": np.zeros((8, 13))}, "no joint in any frame"), ({"frames": 3}, "fewer than 4 frames (3)")],
)
def test_a_useless_video_is_left_out_named_and_counted(project, changes, reason):
    label_file(project / "penn/labels/0005.mat", train=True, **changes)
    (project / "penn/events.csv").write_text(EVENTS + "squat,0005,2\n")
    result = run()
    assert result.exit_code == 0 and "left_out=1" in result.stdout
    assert f"left out 0005: {reason}" in result.stderr
    strict = CliRunner().invoke(app, ["extract", "penn", "--strict"])
    assert strict.exit_code == 1 and "1 of 'penn'" in strict.stderr and reason in strict.stderr


def test_a_pickle_is_never_loaded(project):
    np.savez(project / "penn/wave.npz", positions=np.array([{}], dtype=object))
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["datasets"]["penn"]["source"] = {
        "reader": "joints3d", "root": "penn", "skeleton": "coco_17", "format": "npz",
        "pattern": r"(?P<action>\w+)\.npz", "val_fraction": 0.5,
    }  # fmt: skip
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    message = error_of()
    assert "wave.npz" in message and "pickled" in message


def test_stages_out_of_order_and_inputs_that_do_not_belong_together(project):
    assert "none at data/extracted/penn. Run its stage. It is `la2ds extract penn`; `dvc repro`" in error_of("project")
    assert "none at data/poses/penn. Run its stage. It is `la2ds project penn`" in error_of("render")
    assert all(run(stage).exit_code == 0 for stage in ("extract", "project", "render"))
    label_file(project / "penn/labels/0004.mat", train=False, frames=9)
    assert all(run(stage).exit_code == 0 for stage in ("extract", "project"))
    params = yaml.safe_load((project / "params.yaml").read_text()) | {"presets": {"quick": {"epochs": 1}}}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    message = error_of("train")
    assert "data/heatmaps/penn" in message and "made from other poses" in message
    assert "datasets.nobody" in error_of("extract", "nobody")
