"""IKEA ASM in its official layout, written here."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.config import InputError
from pipeline.datasets.ikea_asm import IkeaAsmConfig, read
from pipeline.skeleton import load_skeleton

JOINTS = load_skeleton("coco_17").joints
VIDEOS = [f"Kallax_Shelf_Drawer/000{i}_black_table_0{i}_01_2019_08_16_14_00" for i in range(1, 5)]
FRAMES = (0, 100, 200, 400, 500)


def dump(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def annotated(frame):
    """Joint k of frame t lies at t + k, 2 k; the wrists were guessed, the nose could not be."""
    sure = {"nose": 0, "left wrist": 1, "right wrist": 2}
    names = [joint.replace("_", " ") for joint in JOINTS]
    return {name: {"position": [frame + k, 2.0 * k], "confidence": sure.get(name, 3)} for k, name in enumerate(names)}


def in_space(frame):
    rows = [[frame + k, 2.0 * k, 300.0, 4.5] for k in range(17)]
    rows[3] = [0, 0, 0, 0]
    return {"format": "ikea", "pose_keypoints_3d": np.ravel(rows).tolist()}


def person(x, logit, score):
    keypoints = [[x + 10 * k, 20.0 * k, logit] for k in range(17)]
    box = {"boxes": [x, 0.0, x + 160, 320.0], "keypoint_visibility": [1.0] * 17, "person_id": [-1]}
    return box | {"pose_keypoints_2d": np.ravel(keypoints).tolist(), "score": score}


NOBODY = {
    "person_id": [-1],
    "pose_keypoints_2d": [0.0] * 51,
    "keypoint_visibility": [0.0] * 17,
    "boxes": [0.0] * 4,
    "score": 0.0,
}


@pytest.fixture
def root(tmp_path):
    for video in VIDEOS:
        camera = tmp_path / video / "dev3"
        for frame in FRAMES:
            dump(camera / "pose2d" / f"{frame:06d}.json", annotated(frame))
            dump(camera / "pose3d" / f"{frame:06d}.json", in_space(frame))
        for frame in range(8):
            people = [person(100 + frame, 3.0, 0.99), person(900, 8.0, 0.2)] if frame != 5 else [NOBODY]
            path = (
                camera / "predictions" / "pose2d" / "keypoint_rcnn_ft_all" / f"scan_video_{frame:012d}_keypoints.json"
            )
            dump(path, {"format": "ikea", "people": people})
    dump(tmp_path / "Lack_TV_Bench/0001_oak_floor_05_02_2019_08_19_16_54/dev3/pose2d/000000.json", annotated(0))
    subsets = ["training", "testing", "testing", "training"]
    segments = [{"label": "pick up side panel", "segment": [0, 50]}]
    database = {video: {"subset": s, "annotation": segments} for video, s in zip(VIDEOS[:3], subsets, strict=False)}
    database["Lack_TV_Bench/0001_oak_floor_05_02_2019_08_19_16_54"] = {"subset": "testing", "annotation": []}
    dump(tmp_path / "gt_segments.json", {"version": "2.0.1", "database": database})
    return tmp_path


def settings(root, **changes):
    return IkeaAsmConfig(**{"root": root, "split": "gt_segments.json"} | changes)


def test_annotated(root):
    found = read(settings(root), "ikea")
    assert found.names == tuple(VIDEOS[:3]) and found.splits == (
        "train",
        "val",
        "val",
    )  # the official split, and no more
    assert set(found.actions) == {"Kallax_Shelf_Drawer"} and found.groups == ("0001", "0002", "0003")
    assert (found.poses, found.labels) == ("annotated", "none") and (found.frame_size == (1920, 1080)).all()
    assert found.joints[2, 5].tolist() == [205, 10] and found.video_frames[:5].tolist() == list(FRAMES)
    assert set(found.fps) == {0.25}
    expected = dict.fromkeys(JOINTS, 1) | {"nose": 0, "left_wrist": 1 / 3, "right_wrist": 2 / 3}
    np.testing.assert_allclose(found.confidence[0], list(expected.values()), rtol=1e-6)


def test_in_space(root):
    found = read(settings(root, joints="3d"), "ikea")
    assert found.joints[2, 5].tolist() == [205, -10, -300] and found.poses == "motion_capture"
    assert found.confidence[0].tolist() == [1, 1, 1, 0] + [1] * 13  # a product of scores above 1 is sure enough


def test_predicted(root):
    found = read(settings(root, joints="predicted", person={"max_gap_s": 0}), "ikea")
    assert found.lengths.tolist() == [8] * 3 and found.splits == ("train", "val", "val") and set(found.fps) == {25}
    assert found.poses == "estimated"
    np.testing.assert_allclose(found.joints[:8, 1, 0], [110, 111, 112, 113, 114, 0, 116, 117])  # not the poor detection
    np.testing.assert_allclose(found.confidence[[0, 5], 0], [1 / (1 + np.exp(-3)), 0], rtol=1e-6)
    both = read(settings(root, joints="predicted", min_score=0.1, person={"choose": "most_central"}), "ikea")
    assert (both.joints[:8, 1, 0] == 910)[[0, 1, 2, 3, 4, 6, 7]].all()


def test_another_folder_of_predictions(root):
    with pytest.raises(InputError, match=r"all 3 .* there is none in .*keypoint_rcnn_pt"):
        read(settings(root, joints="predicted", predictions="keypoint_rcnn_pt"), "ikea")


def test_other_splits_and_furniture(root):
    found = read(settings(root, split=None, val_groups=["0001", "0002"]), "ikea")
    assert found.names == tuple(VIDEOS) and found.splits == ("val", "val", "train", "train")
    with pytest.raises(ValidationError, match="give one of split"):
        settings(root, val_fraction=0.3)


def test_the_video_is_where_the_data_set_has_it(root):
    video = root / VIDEOS[0] / "dev3" / "images" / "scan_video.avi"
    video.parent.mkdir()
    video.touch()
    assert read(settings(root), "ikea").videos == (str(video), "", "")


@pytest.mark.parametrize("joints", ["annotated", "3d", "predicted"])
@pytest.mark.parametrize("damage", ["no json", "other", "short", "not numbers", "gone"])
def test_a_damaged_file_leaves_its_video_out(root, joints, damage):
    camera = root / VIDEOS[3] / "dev3"
    database = json.loads((root / "gt_segments.json").read_text())
    database["database"][VIDEOS[3]] = {"subset": "training", "annotation": []}
    dump(root / "gt_segments.json", database)
    folder = {"annotated": "pose2d", "3d": "pose3d", "predicted": "predictions/pose2d/keypoint_rcnn_ft_all"}[joints]
    path = sorted((camera / folder).iterdir())[2]
    content = json.loads(path.read_text())
    if damage == "no json":
        path.write_text(path.read_text()[:-20])
    elif damage == "other":
        dump(path, [1, 2])
    elif damage == "gone":
        for each in (camera / folder).iterdir():
            each.unlink()
    else:
        change = (lambda values: values[:-1]) if damage == "short" else (lambda values: ["x", *values[1:]])
        if joints == "annotated":
            content["nose"]["position"] = change(content["nose"]["position"])
        elif joints == "3d":
            content["pose_keypoints_3d"] = change(content["pose_keypoints_3d"])
        else:
            content["people"][0]["pose_keypoints_2d"] = change(content["people"][0]["pose_keypoints_2d"])
        dump(path, content)
    found = read(settings(root, joints=joints), "ikea")
    assert found.names == tuple(VIDEOS[:3]) and list(found.left_out) == [VIDEOS[3]]
    message = found.left_out[VIDEOS[3]]
    assert (
        "\n" not in message
        and message.startswith("Expected")
        and f" in {(path.parent if damage == 'gone' else path).relative_to(root)}" in message
    )


def test_a_damaged_split(root):
    dump(root / "gt_segments.json", {"database": {VIDEOS[0]: {"subset": "holdout"}}})
    with pytest.raises(
        InputError, match=r"\['training', 'testing'\], but got 'holdout' in .*gt_segments\.json, 'Kallax"
    ):
        read(settings(root), "ikea")
