"""What `openpifpaf.video` and `openpifpaf.predict` write."""

import json
import re

import numpy as np
import pytest

from pipeline.datasets.openpifpaf_json import OpenPifPafJsonConfig, read


def prediction(x=100.0, num_joints=17):
    flat = [value for k in range(num_joints) for value in (x + k, 20.0 * k, 0.75)]
    return {"keypoints": flat, "bbox": [x, 0.0, 17.0, 340.0], "score": 0.75, "category_id": 1}


def lines(frames):
    """frames: number -> predictions; as openpifpaf.video writes them, it counts from 1."""
    texts = (
        json.dumps({"frame": number, "predictions": found}, separators=(",", ":")) for number, found in frames.items()
    )
    return "".join(f"{text}\n" for text in texts)


def videos(root, frames, names=("a", "b", "c")):
    root.mkdir(exist_ok=True)
    for name in names:
        (root / f"{name}.mp4.openpifpaf.json").write_text(lines(frames))


def settings(root, **changes):
    base = {
        "root": root,
        "pattern": r"(?P<name>\w)\.mp4\.openpifpaf\.json",
        "action": "wave",
        "fps": 25,
        "val_fraction": 0.6,
    }
    return OpenPifPafJsonConfig(**base | changes)


def test_videos(tmp_path):
    box = {"category_id": 3, "category": "car", "score": 0.9, "bbox": [1, 2, 3, 4]}
    videos(tmp_path, {n: [box, prediction()] for n in range(1, 11)} | {4: [], 5: [box]})
    found = read(settings(tmp_path, person={"max_gap_s": 0}), "pif")
    assert found.names == ("a", "b", "c") and found.lengths.tolist() == [10] * 3 and set(found.fps) == {25}
    assert found.joints[0, 3].tolist() == [103, 60] and found.confidence[0, 3] == 0.75
    assert np.flatnonzero((found.confidence[:10] == 0).all(axis=1)).tolist() == [3, 4]
    assert found.video_frames[:10].tolist() == list(range(10)) and found.skeleton.name == "coco_17"
    assert found.provenance["frames with nobody"] == "6 of 30"


def test_own_skeleton(tmp_path):
    videos(tmp_path, {n: [prediction(num_joints=3)] for n in range(1, 6)})
    (tmp_path / "rod.yaml").write_text("joints: [a, b, c]\nlimbs: [[a, b], [b, c]]\n")
    assert read(settings(tmp_path, skeleton="rod.yaml"), "pif").joints.shape == (15, 3, 2)


def test_folders_of_images(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for n in range(1, 7):
            (tmp_path / name / f"frame_{n:05d}.jpg.predictions.json").write_text(
                json.dumps([prediction()] if n != 3 else [])
            )
    found = read(settings(tmp_path, layout="images", pattern="[abc]"), "pif")
    assert found.lengths.tolist() == [6] * 3 and found.provenance["joints bridged"] == "51 of 306"
    assert found.joints[2, 16].tolist() == [116, 320]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (lines({1: [prediction()], 2: [prediction()]})[:-40], r"Expected JSON.*line 2"),
        (lines({1: [prediction()]}) * 2, "frame 1 twice"),
        (lines({0: [prediction()], 1: []}), "numbered from 1, but got 0.*first_frame"),
        (lines({1: [prediction(num_joints=133)]}), r"51 numbers 'keypoints', but got 399 in .*line 1"),
        ('{"frame": 1}\n', "'predictions' of type list.*line 1"),
        ('{"frame": "1", "predictions": []}\n', "'frame' of type int, but got str"),
        ('{"frame": 1, "predictions": [7]}\n', "'keypoints' of type list"),
        ("[]\n", "'frame' of type int"),
        ("", "there is none"),
    ],
)
def test_a_damaged_file_is_left_out_and_named(tmp_path, text, part):
    videos(tmp_path, {n: [prediction()] for n in range(1, 6)})
    (tmp_path / "d.mp4.openpifpaf.json").write_text(text)
    found = read(settings(tmp_path), "pif")
    assert found.names == ("a", "b", "c")
    assert re.search(part, found.left_out["d"]) and "d.mp4.openpifpaf.json" in found.left_out["d"]


def test_a_folder_with_another_json_is_left_out(tmp_path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
        for n in range(4):
            (tmp_path / name / f"{n}.png.predictions.json").write_text(json.dumps([prediction()]))
    (tmp_path / "d" / "2.png.predictions.json").write_text("{}")
    found = read(settings(tmp_path, layout="images", pattern="[a-d]", first_frame=0), "pif")
    assert found.names == ("a", "b", "c") and "predictions of type list" in found.left_out["d"]
    assert "2.png.predictions.json" in found.left_out["d"]
