"""`la2ds add`: what is found in a folder, the entry that is written, and that nothing else of params.yaml changes."""

import hashlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from typer.testing import CliRunner

from commands import add
from commands.params_file import set_dataset
from pipeline.config import InputError
from pipeline.datasets.collection import CollectionConfig, entries
from pipeline.datasets.registry import parse_source
from pipeline.estimators.registry import load_estimator
from pipeline.intake import recognise
from pipeline.survey import survey
from pipeline.video import VideoInfo, write_video

PARAMS = """\
# the knobs

datasets: # one each
  studio: # made up
    preset: quick
    source:
      reader: studio
      root: "data/raw/studio"   # kept
      seed: 0

  # walks: not now

presets:
  quick: &quick {batch_size: 4}
  large: {<<: *quick, batch_size: 64}
"""
FRAME = np.zeros((16, 32, 3), dtype=np.uint8)


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(add, "load_estimator", lambda config, root: None)
    return tmp_path


def film(*paths, num_frames=6, fps=25.0):
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_video(Path(path).with_suffix(".mp4"), [FRAME] * num_frames, fps)
        Path(path).with_suffix(".mp4").rename(path)


def run(*arguments):
    return CliRunner().invoke(add.app, [str(argument) for argument in arguments])


def added(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    entry = yaml.safe_load(Path("params.yaml").read_text())["datasets"]["new"]
    parse_source(entry["source"], "params.yaml")
    return entry, result


def error_of(*arguments):
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert Path("params.yaml").read_text() == PARAMS
    return next(line for line in result.stderr.splitlines() if line.startswith("error: "))


def test_inputs_stand_in_the_entry_and_wrong_ones_are_refused(project):
    film(*(f"clips/{n}.mp4" for n in range(10)))
    entry, _ = added("clips", "--name", "new", "--inputs", "pose2d,rgb,pose2d+rgb")
    assert entry["inputs"] == [["pose2d"], ["rgb"], ["pose2d", "rgb"]]
    assert "inputs: [[pose2d], [rgb], [pose2d, rgb]]" in Path("params.yaml").read_text()
    before = Path("params.yaml").read_text()
    result = run("clips", "--name", "other", "--inputs", "pose2d,sound")
    assert result.exit_code == 1 and "'sound'" in result.stderr and Path("params.yaml").read_text() == before


def test_pictures_of_poses_without_videos_are_refused_at_once(project):
    joints = np.random.default_rng(0).random((40, 17, 2)) * 100
    Path("poses").mkdir()
    for n in range(6):
        np.save(f"poses/{n}.npy", joints)
    settings = ("--name", "new", "--reader", "tracks", "--fps", "30", "--set", "skeleton=coco_17")
    settings += ("--set", r"pattern=(?P<name>.+)\.npy")
    assert "no key" not in run("poses", *settings).output
    Path("params.yaml").write_text(PARAMS)
    assert "Expected a video for each sequence, but got none for 6 of 6" in error_of(
        "poses", *settings, "--inputs", "rgb"
    )


def test_videos_become_an_entry_and_all_other_lines_stay(project):
    film(*(f"clips/{n}.mp4" for n in range(10)))
    film("clips/slow.mp4", num_frames=12, fps=12.5)
    Path("clips/notes.txt").write_text("no video")
    Path("clips/broken.mp4").write_bytes(b"no video either")
    before = {file: file.read_bytes() for file in Path("clips").iterdir()}
    entry, result = added("clips", "--name", "new", "--action", "squat")
    assert entry == {
        "preset": "quick",
        "inputs": [["pose2d"]],
        "methods": {},
        "source": {
            "reader": "videos", "root": "clips", "pattern": r".+\.(mp4|avi|mov|mkv|webm|m4v)", "action": "squat",
            "estimator": {"name": "mediapipe"}, "val_fraction": 0.3, "seed": 0,
        },
    }  # fmt: skip
    assert {file: file.read_bytes() for file in Path("clips").iterdir()} == before
    lines, old = Path("params.yaml").read_text().splitlines(), PARAMS.splitlines()
    start = old.index("      seed: 0") + 1
    stop = start + len(lines) - len(old)
    assert lines[:start] + lines[stop:] == old and lines[start] == "  new:"
    assert "      estimator: {name: mediapipe}" in lines
    for part in (
        "11 (.mp4: 11)",
        "6 / 6 / 12",
        "25: 10, 12.5: 1",
        "32x16: 11",
        ".txt: 1",
        "dvc repro",
        "la2ds info new",
    ):
        assert part in result.stdout, result.stdout
    row = next(line for line in result.stdout.splitlines() if line.startswith("broken"))
    assert "broken.mp4" in row and "Expected" in row
    assert "warning" not in result.stderr


@pytest.mark.parametrize(
    "files, expected",
    [
        (["a.mp4", "b.MOV"], {"": ["a", "b"]}),
        (["squat/1.mp4", "squat/2.mp4", "jump/3.mp4"], {"squat": ["1", "2"], "jump": ["3"]}),
        (["squat/1.mp4", "squat/2.mp4", "jump/1.mp4"], {"squat": ["squat/1", "squat/2"], "jump": ["jump/1"]}),
        (["all/1.mp4", "all/2.mp4"], {"": ["1", "2"]}),
        (["1.mp4", "day2/1.mp4"], {"": ["1", "day2/1"]}),
    ],
)
def test_which_sequences_and_actions_a_pattern_finds(tmp_path, files, expected):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    pattern = recognise(tmp_path)["pattern"]
    found = {}
    for entry in entries(CollectionConfig(root=tmp_path, pattern=pattern, action="?", val_fraction=0.5)):
        found.setdefault(entry.action.replace("?", ""), []).append(entry.name)
    assert found == expected


def test_train_and_val_folders_are_the_split_not_actions(project):
    film("clips/train/a.mp4", "clips/train/b.mp4", "clips/val/c.mp4", "clips/val/d.mp4", "clips/val/e.mp4")
    entry, result = added("clips", "--name", "new")
    assert entry["source"]["action"] == "new" and "val_fraction" not in entry["source"]
    assert "new     train          2" in result.stdout and "new     val            3" in result.stdout


def test_an_estimator_that_cannot_work_stops_and_a_package_that_is_missing_is_a_warning(project, monkeypatch):
    film(*(f"clips/{n}.mp4" for n in range(8)))
    Path("clips/pose.onnx").write_bytes(b"no network")
    monkeypatch.setattr(add, "load_estimator", load_estimator)
    command = ("clips", "--name", "new", "--estimator", "onnx", "--set", "estimator.output=simcc", "--set")
    pytest.importorskip("onnxruntime")
    assert "Expected an ONNX model" in error_of(*command, "estimator.weights=pose.onnx")
    assert "none.onnx" in error_of(*command, "estimator.weights=none.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    _, result = added(*command, "estimator.weights=pose.onnx")
    assert "warning: Expected onnxruntime" in result.stderr and "pip install -e '.[onnx]'" in result.stderr


def test_kinds_of_readable_videos_add_up_although_some_are_left_out_later(project):
    film(*(f"clips/{n}.mp4" for n in "abcdef"), "clips/g.mkv", "clips/h.mkv")
    film("clips/short.mkv", num_frames=3)
    Path("clips/labels.csv").write_text("clip,event_low\n" + "".join(f"{n},3\n" for n in "abcdefg"))
    _, result = added("clips", "--name", "new", "--events", "clips/labels.csv")
    assert "9 (.mp4: 6, .mkv: 3)" in result.stdout
    assert {line.split()[0] for line in result.stdout.splitlines() if "no row in labels.csv" in line} == {"h", "short"}


def test_labels_in_seconds_follow_a_variable_frame_rate(project, monkeypatch):
    film(*(f"clips/{n}.mp4" for n in "abc"))
    times = np.array([0, 0.02, 0.04, 0.06, 0.08, 8.0])
    monkeypatch.setattr("pipeline.survey.probe", lambda path, fps: VideoInfo(32, 16, 5 / 8, times, True))
    rows = "".join(
        f"{name}.mp4\tphase\t{ms}\t{label}\n" for name in "abc" for label, ms in (("on", 0), ("up", 20), ("down", 60))
    )
    Path("clips/labels.txt").write_text("File Name\tTier\tBegin Time - msec\tAnnotation\n" + rows)
    events = {"path": "labels.txt", "format": "annotations", "phases": ["on", "up", "down"]}
    source = {"reader": "videos", "root": "clips", "action": "squat", "estimator": {"name": "mediapipe"}}
    config = parse_source(source | {"val_fraction": 0.6, "events": events}, "params.yaml")
    assert survey(config, "new").preview.events.tolist() == [[1, 3]] * 3


def test_a_split_is_provisional_only_where_it_is_drawn(project):
    film(*(f"clips/{part}/{n}{part}.mp4" for part in ("train", "val") for n in range(4)))
    assert "provisional" not in added("clips", "--name", "new")[1].stderr  # the folders tell
    assert "provisional" in added("clips", "--name", "new", "--action", "squat", "--replace")[1].stderr


def test_two_files_of_one_stem_are_one_sequence(project):
    film("clips/3.mov", *(f"clips/{n}.mp4" for n in range(8)))
    _, result = added("clips", "--name", "new")
    row = next(line for line in result.stdout.splitlines() if line.startswith("3.mp4"))
    assert "one sequence '3'" in row and "3.mov is it already" in row


def test_folders_of_frames_need_their_rate(project):
    for video in ("squat/one", "squat/two", "squat/three", "jump/four", "jump/five", "jump/six"):
        Path("frames", video).mkdir(parents=True)
        for number in range(5):
            cv2.imwrite(f"frames/{video}/{number}.png", FRAME)
    assert "fps" in error_of("frames", "--name", "new", "--val-fraction", 0.7)
    entry, result = added("frames", "--name", "new", "--val-fraction", 0.7, "--fps", 20)
    source = entry["source"]
    assert (source["content"], source["frames_fps"], source["pattern"]) == ("folders", 20, "(?P<action>[^/]+)/[^/]+")
    assert "6 (folder: 6)" in result.stdout and "20: 6" in result.stdout


def test_events_are_matched_with_the_videos(project):
    film(*(f"clips/{n}.mp4" for n in "abcdefgh"))
    rows = "".join(f"{n},3,x\n" for n in "abcdefgh")
    csv = project / "clips/labels.csv"
    csv.write_text("clip,event_low,comment\n" + rows)
    entry, _ = added("clips", "--name", "new", "--events", "clips/labels.csv", "--set", "labels=human")
    assert entry["source"]["events"] == {"path": "labels.csv", "sequence": ["clip"]}
    assert entry["source"]["labels"] == "human"
    (project / "params.yaml").write_text(PARAMS)
    csv.write_text(
        "labels,sequence,action,n_frames,low,top,unclean\n" + "".join(f"derived,{n},a,6,2,4,\n" for n in "abcdefgh")
    )
    entry, _ = added("clips", "--name", "new", "--events", "clips/labels.csv")
    assert entry["source"]["events"] == {"path": "labels.csv", "action": "action", "columns": ["low", "top"]}
    (project / "params.yaml").write_text(PARAMS)
    csv.write_text("clip,lowest\n" + rows.replace(",x", ""))
    assert "events.columns=[lowest]" in error_of("clips", "--name", "new", "--events", "clips/labels.csv")
    command = ("clips", "--name", "new", "--events", "clips/labels.csv", "--set", "events.columns=[lowest]")
    csv.write_text("clip,lowest\n" + rows.replace(",x", "").replace("b,3", "b,6"))
    assert "frame 5" in error_of(*command) and "labels.csv, line 3" in error_of(*command)
    csv.write_text("clip,lowest\nnobody,3\n")
    assert "nobody" in error_of(*command)


def test_weights_are_named_from_the_folder_and_proven_where_they_lie_outside(project):
    film(*(f"clips/{n}.mp4" for n in range(8)))
    Path("models").mkdir()
    for weights in ("models/pose.onnx", "clips/pose.onnx"):
        Path(weights).write_bytes(b"weights")
    command = ("clips", "--name", "new", "--estimator", "openpifpaf", "--weights")
    assert "--weights" in error_of(*command, "models/none.onnx")
    entry, _ = added(*command, "models/pose.onnx")
    assert entry["source"]["estimator"] == {
        "name": "openpifpaf",
        "weights": "../models/pose.onnx",
        "sha256": hashlib.sha256(b"weights").hexdigest(),
    }
    entry, _ = added(*command, "clips/pose.onnx", "--replace")
    assert entry["source"]["estimator"] == {"name": "openpifpaf", "weights": "pose.onnx"}


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["clips", "--name", "studio"], ["'studio'", "--replace"]),
        (["clips", "--name", "a b"], ["'a b'"]),
        (["clips", "--name", "new", "--preset", "none"], ["presets.none", "large"]),
        (["nowhere", "--name", "new"], ["nowhere"]),
        (["tables", "--name", "new"], ["1 .xls", "--reader"]),
        (["clips", "--name", "new", "--reader", "tracks2"], ["tracks2", "videos"]),
        (["clips", "--name", "new", "--set", "estimator.name=eyes"], ["estimator", "eyes"]),
        (["clips", "--name", "new", "--set", "colour=red"], ["colour"]),
        (["clips", "--name", "new", "--set", "colour"], ["KEY=VALUE"]),
        (["clips", "--name", "new", "--set", "root.x=1"], ["--set root.x", "root is 'clips'"]),
        (["clips", "--name", "new", "--set", "person.choose.x.y=1", "--set", "person.choose.x=1"], ["person.choose"]),
        (["clips", "--name", "new", "--fps", "30"], ["--set fps=30"]),
        (["clips", "--name", "new", "--val-fraction", "0.1"], ["at least 2 val videos"]),
        (["empty", "--name", "new"], ["nothing"]),
    ],
)
def test_what_cannot_work_is_never_written(project, arguments, parts):
    film(*(f"clips/{n}.mp4" for n in range(4)))
    for folder in ("empty", "tables"):
        Path(folder).mkdir()
    Path("tables/table.xls").touch()
    message = error_of(*arguments)
    assert all(part in message for part in parts), message


def test_few_videos_and_large_batches_are_warned_of_and_a_root_outside_is_mentioned(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("elsewhere")
    film(*(outside / f"{n}.mp4" for n in range(5)))
    entry, result = added(outside, "--name", "new", "--preset", "large", "--val-fraction", 0.4)
    assert entry["preset"] == "large" and entry["source"]["root"] == str(outside)
    assert "has 5 sequences" in result.stderr and "batch_size 64" in result.stderr and "outside" in result.stderr


def test_pose_files_are_read_before_they_are_added(project):
    rng = np.random.default_rng(0)
    Path("poses").mkdir()
    offsets = np.arange(0, 10 * 9, 9)
    joints = rng.normal(size=(81, 17, 3))
    np.savez("poses/all.npz", positions=joints, offsets=offsets, names=[f"s{n}" for n in range(9)])
    settings_of = ["--set", "skeleton=coco_17", "--set", "format=npz", "--set", r"pattern=.*\.npz"]
    entry, result = added("poses", "--name", "new", "--reader", "joints3d", "--fps", 30, *settings_of)
    assert entry["source"]["fps"] == 30 and "estimator" not in entry["source"]
    assert "new     train          6" in result.stdout and "la2ds show new s0" in result.stdout
    (project / "params.yaml").write_text(PARAMS)
    np.savez("poses/all.npz", positions=joints[:, :5], offsets=offsets, names=[f"s{n}" for n in range(9)])
    assert "coco_17" in error_of("poses", "--name", "new", "--reader", "joints3d", "--fps", 30, *settings_of)


def arm(root):
    """A topology of the user's own, and the settings that name its markers."""
    (root / "arm.yaml").write_text("joints: [hip, hand]\nlimbs: [[hip, hand]]\n")
    return ["--set", "skeleton=arm.yaml", "--set", "joints={hip: Hip, hand: Hand}"]


def openpose(folder):
    folder.mkdir(parents=True)
    flat = [value for k in range(25) for value in (100 + k, 50 + 10 * k, 0.9)]
    for number in range(5):
        file = folder / f"{folder.name}_{number:012d}_keypoints.json"
        file.write_text(json.dumps({"people": [{"pose_keypoints_2d": flat}]}))


def bvh(path):
    hand = "JOINT Hand\n{\nOFFSET 0 5 0\nCHANNELS 0\nEnd Site\n{\nOFFSET 0 1 0\n}\n}"
    hip = f"ROOT Hip\n{{\nOFFSET 0 0 0\nCHANNELS 3 Xposition Yposition Zposition\n{hand}\n}}"
    rows = "".join(f"{number} 0 0\n" for number in range(5))
    path.write_text(f"HIERARCHY\n{hip}\nMOTION\nFrames: 5\nFrame Time: 0.04\n{rows}")


def trc(path):
    header = "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\n25\t25\t5\t2\tm"
    rows = "".join(f"{number}\t{number / 25}\t1\t2\t3\t4\t5\t{number}\n" for number in range(5))
    names = "Frame#\tTime\tHip\t\t\tHand\t\t\n\t\tX1\tY1\tZ1\tX2\tY2\tZ2"
    path.write_text(f"PathFileType\t4\t(X/Y/Z)\t{path.name}\n{header}\n{names}\n{rows}")


def c3d(path):
    file = pytest.importorskip("ezc3d").c3d()
    for key, value in {"RATE": [25.0], "LABELS": ["Hip", "Hand"], "UNITS": ["m"]}.items():
        file["parameters"]["POINT"][key]["value"] = value
    file["data"]["points"] = np.ones((4, 2, 5))
    file.write(str(path))


@pytest.mark.parametrize("write", [bvh, c3d, trc])
def test_files_of_markers_are_recognised(project, write):
    kind = write.__name__
    for name in ("reach/a", "reach/b", "reach/c", "reach/d", "wave/a", "wave/b", "wave/c", "wave/d"):
        Path("poses", name).parent.mkdir(parents=True, exist_ok=True)
        write(Path("poses", f"{name}.{kind}"))
    entry, result = added("poses", "--name", "new", "--val-fraction", 0.5, *arm(Path("poses")))
    assert entry["source"]["reader"] == kind and "estimator" not in entry["source"]
    assert entry["source"]["pattern"] == rf"(?P<name>(?P<action>[^/]+)/.+)\.{kind}"  # two are called a
    assert "reach   train          2" in result.stdout and "wave    val            2" in result.stdout
    other = "trc" if kind != "trc" else "bvh"
    Path("poses", f"e.{other}").touch()
    (project / "params.yaml").write_text(PARAMS)
    message = error_of("poses", "--name", "new", *arm(Path("poses")))  # two formats: which one is meant?
    assert f"8 .{kind}" in message and f"1 .{other}" in message and "--reader" in message


def test_folders_of_openpose_are_recognised(project):
    for name in "abcdefgh":
        openpose(Path("poses/clips", name))
    assert "fps is wrong" in error_of("poses", "--name", "new")
    entry, result = added("poses", "--name", "new", "--fps", 25, "--action", "squat")
    source = entry["source"]
    assert (source["reader"], source["fps"], source["pattern"]) == ("openpose", 25, "[^/]+/[^/]+")
    assert "estimator" not in source and "squat   train          6" in result.stdout


def test_labels_of_penn_action_are_recognised(project):
    Path("penn/labels").mkdir(parents=True)
    for number, train in enumerate((1, 1, -1, -1), start=1):
        table = np.full((6, 13), 50.0 + number)
        content = {"action": "squat", "x": table, "y": table, "visibility": np.ones((6, 13)), "train": train}
        savemat(f"penn/labels/000{number}.mat", content | {"nframes": 6, "dimensions": [[360, 480, 6]]})
    entry, result = added("penn", "--name", "new", "--set", "actions=[squat]")
    assert entry["source"] == {"reader": "penn_action", "root": "penn", "actions": ["squat"]}  # the files tell the rest
    assert "squat   train          2" in result.stdout and "squat   val            2" in result.stdout


ENTRY = {
    "preset": "quick",
    "inputs": [["pose2d"]],
    "source": {"reader": "videos", "root": "a b: #c", "pattern": r"(?P<name>.+)\.(mp4)"},
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_entry_goes_into_any_file_and_the_rest_keeps_its_bytes(tmp_path, data):
    values = st.one_of(st.integers(), st.text(max_size=8), st.none(), st.lists(st.integers(), max_size=2))
    mapping = st.dictionaries(
        st.sampled_from("abcd"), st.recursive(values, lambda v: st.dictionaries(st.sampled_from("ef"), v))
    )
    old = data.draw(st.dictionaries(st.sampled_from(["one", "two"]), mapping))
    flow = data.draw(st.sampled_from([None, False]))
    text = "# top\ndatasets:" + (("\n" + indented(yaml.safe_dump(old, default_flow_style=flow))) if old else "\n")
    text += data.draw(st.sampled_from(["", "\n", "\n\n# about x\n", "  # inside\n"])) + data.draw(
        st.sampled_from(["", "x: 1\n", "x: 1"])
    )
    path = tmp_path / "params.yaml"
    path.write_text(text)
    try:
        set_dataset(path, "new", ENTRY)
    except InputError:
        assert path.read_text() == text and flow is None  # a whole entry in braces has no line of its own
        return
    new = path.read_text()
    assert yaml.safe_load(new) == yaml.safe_load(text) | {"datasets": old | {"new": ENTRY}}
    inserted = indented(yaml.safe_dump({"new": ENTRY}, sort_keys=False, width=1000))
    inserted = inserted.replace("inputs:\n    - - pose2d\n", "inputs: [[pose2d]]\n")
    assert inserted in new and new.replace(inserted, "", 1).rstrip("\n") == text.rstrip("\n")
    set_dataset(path, "new", {**ENTRY, "preset": "large"})
    assert path.read_text() == new.replace(inserted, inserted.replace("quick", "large"))


def indented(text):
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def test_replacing_keeps_the_place(project):
    film(*(f"clips/{n}.mp4" for n in range(8)))
    result = run("clips", "--name", "studio", "--replace")
    assert result.exit_code == 0, result.output
    text = Path("params.yaml").read_text()
    assert yaml.safe_load(text)["datasets"]["studio"]["source"]["reader"] == "videos"
    assert run("clips", "--name", "walks2", "--set", "batch_size=4").exit_code == 0
    again = run("clips", "--name", "walks2", "--replace")
    assert "{'batch_size': 4}" in again.stderr and "gone" in again.stderr
    text = Path("params.yaml").read_text()
    assert text.startswith("# the knobs\n\ndatasets: # one each\n  studio:\n")
    assert PARAMS[PARAMS.index("\n  # walks") : PARAMS.index("\n  # walks") + 60] in text
