"""H2O in its official layout, written here; the real split file where it is at hand."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.config import InputError
from pipeline.datasets.h2o import H2OConfig, read
from pipeline.projection import ProjectConfig, project

INTRINSICS = (600.0, 610.0, 320.0, 180.0, 640, 360)


def sequence(root, name, frames=range(6), labels=None, flags=(1, 1), folder="action_label", joints=None):
    """One sequence of cam4; labels: of each frame. Joint k of frame t: x = t + k / 100, y = k / 10, z = 2, right hand at z = 4."""
    camera = root / name / "cam4"
    for kind in ("hand_pose", folder):
        (camera / kind).mkdir(parents=True)
    (camera / "cam_intrinsics.txt").write_text(" ".join(map(str, INTRINSICS)))
    for i, frame in enumerate(frames):
        index = np.arange(21)
        left, right = (np.stack([frame + index / 100, index / 10, np.full(21, depth)], axis=1) for depth in (2.0, 4.0))
        values = [
            part for flag, hand in zip(flags, (left, right), strict=True) for part in (flag, *(hand * flag).ravel())
        ]
        (camera / "hand_pose" / f"{frame:06d}.txt").write_text(" ".join(map(str, values)))
        if labels is not None:
            (camera / folder / f"{frame:06d}.txt").write_text(f"{labels[i]}\n")
    return camera


@pytest.fixture
def root(tmp_path):
    for name in ("subject1/h1/1", "subject1/h2/1", "subject3/h1/1", "subject3/k1/1"):
        sequence(tmp_path, name, labels=[0, 5, 5, 0, 18, 23])
    return tmp_path


def settings(root, **changes):
    return H2OConfig(**{"root": root, "action": "pouring_milk", "val_groups": ["subject3"]} | changes)


def left_out(root, name="subject1/h2/1", **changes):
    found = read(settings(root, **changes), "h2o")
    assert name not in found.names and "\n" not in found.left_out[name]
    return found.left_out[name]


def test_joints_in_space(root):
    found = read(settings(root), "h2o")
    assert found.names == ("subject1/h1/1", "subject1/h2/1", "subject3/h1/1", "subject3/k1/1")
    assert found.splits == ("train", "train", "val", "val") and set(found.actions) == {"pouring_milk"}
    assert found.skeleton.joints[0] == "left_wrist" and found.skeleton.joints[21] == "right_wrist"
    joints = found.joints[found.frames(1)]
    np.testing.assert_allclose(joints[3, 20], (3.20, -2.0, -2), rtol=1e-6)  # the camera's y points down and its z away
    np.testing.assert_allclose(joints[3, 21 + 20], (3.20, -2.0, -4), rtol=1e-6)
    assert (found.confidence == 1).all() and found.poses == "motion_capture" and set(found.fps) == {30}
    pixels = project(found, ProjectConfig()).joints[:, :, 1]
    assert (np.diff(pixels[:, :21], axis=1) > 0).all()  # later joints lie further down in the image, as in the camera's


def test_pixels_by_the_intrinsics(root):
    found = read(settings(root, joints="2d"), "h2o")
    fx, fy, cx, cy, width, height = INTRINSICS
    for hand, depth in ((0, 2), (21, 4)):
        for k in (0, 20):
            x, y = found.joints[4, hand + k]
            assert (x, y) == pytest.approx((fx * (4 + k / 100) / depth + cx, fy * (k / 10) / depth + cy))
    assert found.frame_size.tolist() == [[width, height]] * 4 and found.poses == "annotated"


def test_behind_the_camera_there_is_no_pixel(root):
    path = root / "subject1/h1/1/cam4/hand_pose/000002.txt"
    values = path.read_text().split()
    values[3] = "0"
    values[6] = "-1.0"
    path.write_text(" ".join(values))
    confidence = read(settings(root, joints="2d"), "h2o").confidence
    assert confidence[2, :3].tolist() == [0, 0, 1] and (confidence == 0).sum() == 2


def test_hands_that_are_not_annotated_and_frames_that_are_not_there(root):
    sequence(root, "subject2/o1/1", frames=(10, 12, 16, 18), flags=(0, 1))
    found = read(settings(root), "h2o")
    n = found.names.index("subject2/o1/1")
    rows = found.frames(n)
    assert found.video_frames[rows].tolist() == [10, 12, 14, 16, 18] and found.fps[n] == 15
    assert (found.confidence[rows, :21] == 0).all() and (found.joints[rows, :21] == 0).all()
    assert found.confidence[rows, 21:].mean(axis=1).tolist() == [1, 1, 0, 1, 1]


def test_rgb_frames_are_the_video(root):
    (root / "subject1/h1/1/cam4/rgb").mkdir()
    assert read(settings(root), "h2o").videos == (str(root / "subject1/h1/1/cam4/rgb"), "", "", "")


@pytest.mark.parametrize(
    "phases", [[5, 18, 23], ["grab milk", "open milk", "pour milk"], ["grab milk", 18, "pour milk"]]
)
def test_phases_from_labels(root, phases):
    found = read(settings(root, phases=phases), "h2o")
    assert found.events.tolist() == [[1, 4, 5]] * 4 and found.labels == "human"
    assert found.event_names == {"pouring_milk": ("grab milk", "open milk", "pour milk")}
    assert found.phase[found.frames(0)].tolist() == [0, 1, 1, 1, 2, 3]  # background belongs to the phase before it


def test_verbs_and_absent_phases(root):
    for name in ("subject1/h1/2", "subject3/h1/2", "subject3/h1/3"):
        sequence(root, name, labels=[0, 1, 1, 5, 5, 5], folder="verb_label")
    only = {"pattern": r"(?P<name>(?P<group>subject\d)/h1/[23])/cam4", "phase_labels": "verb_label"}
    found = read(settings(root, phases=["grab", "open", "pour"], **only), "h2o")
    assert found.events.tolist() == [[1, -1, 3]] * 3


def test_labels_out_of_order_leave_a_sequence_out(root):
    sequence(root, "subject2/h1/1", labels=[0, 5, 18, 5, 23, 23])
    message = left_out(root, "subject2/h1/1", phases=["grab milk", "open milk", "pour milk"])
    assert "order [5, 18, 23], but got 5 after 18" in message and "action_label, frame 3" in message
    assert len(read(settings(root), "h2o")) == 5  # without phases, nobody looks at them
    assert len(read(settings(root, phases=["open milk", "pour milk"]), "h2o")) == 5
    sequence(root, "subject2/h1/2", labels=[0, 1, 2, 3, 4, 0])
    assert "Name other phases" in left_out(root, "subject2/h1/2", phases=["open milk", "pour milk"])


def test_a_frame_without_label(root):
    (root / "subject1/h2/1/cam4/action_label/000004.txt").unlink()
    assert "none of frame 4" in left_out(root, phases=["grab milk", "open milk"])
    for path in (root / "subject1/h2/1/cam4/action_label").iterdir():
        path.unlink()
    assert "there is none in" in left_out(root, phases=["grab milk", "open milk"])


def test_split_by_a_file(root):
    names = {
        "train": {"subject1/h1/1": "vid1", "subject9/h1/1": "vid2"},
        "test": {"subject1/h2/1": "vid3", "subject3/h1/1": "vid4"},
    }
    (root / "encode.json").write_text(json.dumps(names))
    found = read(settings(root, val_groups=None, split="encode.json", phases=["grab milk"]), "h2o")
    assert found.names == ("subject1/h1/1", "subject1/h2/1", "subject3/h1/1") and found.splits == (
        "train",
        "val",
        "val",
    )
    assert found.left_out == {"subject9/h1/1": "no folder of this name"}
    (root / "encode.json").write_text(json.dumps({"train": {}}))
    with pytest.raises(InputError, match=r"'test' .*encode\.json"):
        read(settings(root, val_groups=None, split="encode.json"), "h2o")


@pytest.mark.parametrize(
    ("file", "text", "parts"),
    [
        ("hand_pose/000003.txt", "1 " * 127, ["128", "127", "000003.txt"]),
        ("hand_pose/000003.txt", "1 " * 127 + "nan", ["128", "000003.txt"]),
        ("hand_pose/000003.txt", "1 " * 127 + "x", ["'x'", "000003.txt"]),
        ("hand_pose/000003.txt", "2 " * 128, ["flags 0 or 1", "000003.txt"]),
        ("hand_pose/90000000.txt", "1 " * 128, ["numbers of frames", "90000000"]),
        ("cam_intrinsics.txt", "600 600 320", ["6", "cam_intrinsics.txt"]),
        ("cam_intrinsics.txt", "", ["6", "cam_intrinsics.txt"]),
    ],
)
def test_damaged_files_leave_a_sequence_out(root, file, text, parts):
    (root / "subject1/h2/1/cam4" / file).write_text(text)
    message = left_out(root, joints="2d")
    for part in parts:
        assert part in message


def test_empty_folder(root):
    (root / "subject1/h3/1/cam4").mkdir(parents=True)
    assert "there is none in" in left_out(root, "subject1/h3/1")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"phases": ["grab tea"]}, "no 'grab tea'"),
        ({"phases": [37]}, "no 37"),
        ({"phases": ["grab milk"], "phase_labels": "verb_label"}, "no 'grab milk'"),
        ({"phases": [5], "events": {"path": "e.csv"}}, "one of phases and events"),
        ({"split": "s.json"}, "one of split, val_groups"),
        ({"action": None, "val_groups": None, "split": "s.json"}, "give action"),
        ({"val_groups": None}, "one of val_groups"),
    ],
)
def test_wrong_settings(tmp_path, changes, part):
    with pytest.raises(ValidationError) as caught:
        settings(tmp_path, **changes)
    assert part in caught.value.errors()[0]["msg"]


@pytest.mark.shared
def test_the_papers_split(shared, tmp_path):
    """LAV's file names every sequence of the paper: 27 to train with, 11 to test."""
    split = shared / "h2o_pouring_milk_split" / "encode.json"
    (tmp_path / "encode.json").write_bytes(split.read_bytes())
    for names in json.loads(split.read_text()).values():
        for name in names:
            sequence(tmp_path, name, frames=range(4))
    sequence(tmp_path, "subject1/h1/0", frames=range(4))
    found = read(settings(tmp_path, val_groups=None, split="encode.json"), "h2o")
    assert (found.splits.count("train"), found.splits.count("val")) == (27, 11) and not found.left_out
