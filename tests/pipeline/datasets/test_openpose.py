"""OpenPose folders as `--write_json` makes them."""

import json
import re

import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.datasets.openpose import OpenPoseConfig, read
from pipeline.skeleton import load_skeleton

COCO_18 = [
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
]  # fmt: skip


def person(num_joints=25, x=100.0, hands=False):
    """A person as OpenPose 1.3 writes one; joint k lies at (x + k, 50 + 10 k)."""
    flat = [value for k in range(num_joints) for value in (x + k, 50 + 10 * k, 0.9)]
    hand = [[value for k in range(21) for value in (x + side + k, 10 * k, 0.8)] for side in (0, 300)]
    return {
        "person_id": [-1],
        "pose_keypoints_2d": flat,
        "face_keypoints_2d": [],
        "hand_left_keypoints_2d": hand[0] if hands else [],
        "hand_right_keypoints_2d": hand[1] if hands else [],
        "pose_keypoints_3d": [],
    }


def write(root, name, frames):
    """frames: number -> people."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, people in frames.items():
        content = {"version": 1.3, "people": people}
        (folder / f"{name}_{number:012d}_keypoints.json").write_text(json.dumps(content, separators=(",", ":")))
    return folder


def three(root, frames):
    for name in ("a", "b", "c"):
        write(root, name, frames)


def settings(root, **changes):
    return OpenPoseConfig(
        **{"root": root, "pattern": "[a-z]", "action": "wave", "fps": 30, "val_fraction": 0.6} | changes
    )


def test_body_25(tmp_path):
    one = person()
    one["pose_keypoints_2d"][3 * 4 : 3 * 5] = [0, 0, 0]
    one["pose_keypoints_2d"][3 * 5 + 2] = 1.03  # as OpenPose's heatmaps have it now and then
    three(tmp_path, {number: [one] for number in range(6)})
    found = read(settings(tmp_path, frame_size=[640, 480]), "op")
    assert found.names == ("a", "b", "c") and found.lengths.tolist() == [6, 6, 6] and found.poses == "estimated"
    assert found.skeleton.name == "body_25" and set(found.fps) == {30} and found.frame_size.tolist() == [[640, 480]] * 3
    joints, confidence = found.joints[0], found.confidence[0]
    assert joints[3].tolist() == [103, 80] and confidence[3] == np.float32(0.9)
    assert confidence[4] == 0 and joints[4].tolist() == [0, 0] and confidence[5] == 1


def test_coco_17_from_either_body_model_is_the_same_joint_by_name(tmp_path):
    for num_joints, names in ((18, COCO_18), (25, [*COCO_18[:8], "mid_hip", *COCO_18[8:]])):
        root = tmp_path / str(num_joints)
        three(root, {number: [person(num_joints)] for number in range(4)})
        found = read(settings(root, skeleton="coco_17"), "op")
        assert found.skeleton.name == "coco_17"
        for k, joint in enumerate(found.skeleton.joints):
            assert found.joints[0, k].tolist() == [100 + names.index(joint), 50 + 10 * names.index(joint)]


def test_hands_are_left_then_right(tmp_path):
    three(tmp_path, {number: [person(hands=True)] for number in range(4)})
    found = read(settings(tmp_path, skeleton="hands_42"), "op")
    index = load_skeleton("hands_42").joints.index
    assert found.joints[0, index("left_wrist")].tolist() == [100, 0]
    assert found.joints[0, index("right_thumb_2")].tolist() == [402, 20]


def test_one_row_per_frame_with_nobody_or_without_a_file(tmp_path):
    frames = {number: [person()] for number in range(20)} | {7: []}
    three(tmp_path, frames)
    (tmp_path / "a" / f"a_{12:012d}_keypoints.json").unlink()
    found = read(settings(tmp_path, person={"max_gap_s": 0}), "op")
    assert found.lengths.tolist() == [20, 20, 20]
    assert np.flatnonzero((found.confidence == 0).all(axis=1)).tolist() == [7, 12, 27, 47]
    assert found.provenance["frames with nobody"] == "4 of 60" and found.provenance["joints bridged"] == "0 of 1500"
    found = read(settings(tmp_path), "op")
    assert (found.confidence > 0).all() and found.provenance["joints bridged"] == "100 of 1500"


def test_one_person_is_followed_among_two_in_any_order(tmp_path):
    small = person(x=300)
    small["pose_keypoints_2d"] = [v / 2 if i % 3 < 2 else v for i, v in enumerate(small["pose_keypoints_2d"])]
    three(tmp_path, {number: [[person(), small], [small, person()]][number % 2] for number in range(10)})
    found = read(settings(tmp_path), "op")
    assert (found.joints[:, 0] == [100, 50]).all() and found.provenance["frames with several people"] == "30"
    found = read(settings(tmp_path, person={"choose": 1}), "op")
    assert (found.joints[:, 0] == [150, 25]).all()


def test_every_fifth_frame_is_a_fifth_of_the_rate_and_events_count_the_videos_frames(tmp_path):
    three(tmp_path, {number: [] if number in (25, 30, 45) else [person()] for number in range(10, 60, 5)})
    (tmp_path / "events.csv").write_text("sequence,event1\na,30\nb,31\nc,\n")
    found = read(settings(tmp_path, events={"path": "events.csv"}), "op")
    assert found.lengths.tolist() == [10, 10, 10] and set(found.fps) == {6}
    assert np.flatnonzero((found.confidence[:10] == 0).all(axis=1)).tolist() == [3, 4]  # 0.33 s: too long to bridge
    assert found.video_frames[:3].tolist() == [10, 15, 20] and found.events.tolist() == [[4], [5], [-1]]
    with pytest.raises(InputError, match=r"numbered from 11, but got 10 in .*/a"):
        read(settings(tmp_path, first_frame=11), "op")


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda path: path.write_text(path.read_text()[:-30]), "Expected JSON"),
        (lambda path: path.write_text('{"version": 1.3}'), "'people' of type list"),
        (lambda path: path.write_text(json.dumps({"people": [person(15)]})), "75 or 54 numbers .* got 45"),
        (lambda path: path.write_text(json.dumps({"people": [person(18)]})), "got 54, the COCO model's.*coco_17"),
        (lambda path: path.write_text(json.dumps({"people": [[1, 2]]})), "'pose_keypoints_2d' of type list"),
        (lambda path: path.rename(path.with_name("a_keypoints.json")), "a frame's number"),
        (lambda path: path.with_name(f"b_{0:012d}_keypoints.json").write_text('{"people": []}'), "frame 0 twice"),
    ],
)
def test_a_damaged_folder_is_left_out_and_named(tmp_path, spoil, part):
    for name in ("a", "b", "c", "d"):
        write(tmp_path, name, {number: [person()] for number in range(5)})
    path = tmp_path / "a" / f"a_{2:012d}_keypoints.json"
    spoil(path)
    found = read(settings(tmp_path), "op")
    assert found.names == ("b", "c", "d") and list(found.left_out) == ["a"]
    assert re.search(part, found.left_out["a"]) and " in a" in found.left_out["a"]


def test_useless_folders(tmp_path):
    three(tmp_path, {number: [person()] for number in range(4)})
    (tmp_path / "d").mkdir()
    write(tmp_path, "e", {number: [] for number in range(4)})
    found = read(settings(tmp_path), "op")
    assert "there is none" in found.left_out["d"] and found.left_out["e"] == "no joint in any frame"


def test_hands_that_openpose_did_not_look_for(tmp_path):
    three(tmp_path, {number: [person()] for number in range(4)})
    with pytest.raises(InputError, match="--hand"):
        read(settings(tmp_path, skeleton="hands_42"), "op")
