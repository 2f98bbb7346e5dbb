"""COCO annotations, and results beside the JSON of their images."""

import json
import re
from copy import deepcopy

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.config import InputError
from pipeline.datasets.coco_keypoints import CocoKeypointsConfig, read
from pipeline.skeleton import load_skeleton

JOINTS = list(load_skeleton("coco_17").joints)


def flat(x=100.0, third=2, num_joints=17):
    return [value for k in range(num_joints) for value in (x + k, 20.0 * k, third)]


def coco(sequences=("a", "b", "c"), frames=range(6), names=JOINTS, third=2):
    """One person in each image, in the layout of person_keypoints_val2017.json."""
    images, annotations = [], []
    for sequence in sequences:
        for frame in frames:
            number = 1000 + len(images)
            image = {
                "id": number,
                "file_name": f"{sequence}/{frame:06d}.jpg",
                "width": 640,
                "height": 480,
                "license": 4,
            }
            annotation = {"id": 9000 + number, "image_id": number, "category_id": 1, "iscrowd": 0, "area": 1.0}
            images.append(image | {"date_captured": "2013-11-14 17:02:52"})
            annotations.append(
                annotation
                | {"keypoints": flat(third=third, num_joints=len(names)), "num_keypoints": 17, "bbox": [0, 0, 9, 9]}
            )
    categories = [
        {"id": 3, "name": "car", "supercategory": "vehicle"},
        {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(names), "skeleton": [[16, 14]]},
    ]
    return {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}


def write(root, content, name="all.json"):
    root.mkdir(exist_ok=True)
    (root / name).write_text(json.dumps(content))


def settings(root, **changes):
    base = {"root": root, "pattern": "all.json", "action": "wave", "fps": 25, "val_fraction": 0.6}
    return CocoKeypointsConfig(**base | changes)


def error_of(root, part, **changes):
    with pytest.raises(InputError) as caught:
        read(settings(root, **changes), "coco")
    assert re.search(part, str(caught.value)) and "\n" not in str(caught.value), str(caught.value)
    assert "all.json" in str(caught.value)


def test_annotations(tmp_path):
    content = coco()
    content["annotations"][1]["keypoints"][0:6] = [7, 8, 1, 0, 0, 0]  # frame 1 of a: nose hidden, left eye missing
    content["annotations"].append({"id": 1, "image_id": 1000, "category_id": 3, "bbox": [1, 2, 3, 4]})
    write(tmp_path, content)
    found = read(settings(tmp_path), "coco")
    assert found.names == ("a", "b", "c") and found.lengths.tolist() == [6] * 3 and found.poses == "annotated"
    assert found.frame_size.tolist() == [[640, 480]] * 3 and set(found.fps) == {25}
    assert found.joints[0, 3].tolist() == [103, 60] and found.joints[1, 0].tolist() == [7, 8]
    assert set(found.confidence.ravel()) == {1}  # the missing eye is bridged
    found = read(settings(tmp_path, occluded_confidence=0.5, person={"max_gap_s": 0}), "coco")
    assert found.confidence[1, :3].tolist() == [0.5, 0, 1]


def test_joints_are_taken_by_name(tmp_path):
    names = JOINTS[::-1]
    write(tmp_path, coco(names=names))
    found = read(settings(tmp_path), "coco")
    assert found.joints[0, :, 0].tolist() == [100 + names.index(joint) for joint in JOINTS]


def test_other_joints_than_the_skeletons_are_both_named(tmp_path):
    write(tmp_path, coco(names=[*JOINTS[:-1], "tail"]))
    error_of(tmp_path, r"skeleton 'coco_17'.*right_ankle.*but got.*tail")
    (tmp_path / "rod.yaml").write_text("joints: [a, b, c]\nlimbs: [[a, b], [b, c]]\n")
    error_of(tmp_path, r"skeleton 'rod'", skeleton="rod.yaml")
    write(tmp_path, coco(names="abc"))
    assert read(settings(tmp_path, skeleton="rod.yaml"), "coco").joints.shape == (18, 3, 2)


def test_images_without_annotation_and_missing_images_are_rows(tmp_path):
    content = coco(frames=range(0, 20, 2))
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 1003]
    content["images"] = [one for one in content["images"] if one["id"] != 1005][::-1]
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 1005]
    write(tmp_path, content)
    found = read(settings(tmp_path, person={"max_gap_s": 0}), "coco")
    assert found.names == ("c", "b", "a") and found.lengths.tolist() == [10] * 3 and set(found.fps) == {12.5}
    assert np.flatnonzero((found.confidence == 0).all(axis=1)).tolist() == [23, 25]
    assert found.video_frames[20:].tolist() == list(range(0, 20, 2))


def test_groups_and_names_come_from_the_file_names(tmp_path):
    write(tmp_path, coco(("p1/take_1", "p2/take_1", "p3/take_2")))
    pattern = r"(?P<sequence>(?P<group>p\d)/\w+)/(?P<frame>\d+)\.jpg"
    config = settings(tmp_path, frame_pattern=pattern, val_fraction=None, val_groups=["p1", "p3"])
    found = read(config, "coco")
    assert found.names == ("p1/take_1", "p2/take_1", "p3/take_2") and found.splits == ("val", "train", "val")


def test_two_people_in_an_image(tmp_path):
    content = coco()
    for one in deepcopy(content["annotations"]):
        content["annotations"].insert(0, one | {"keypoints": [v * 2 if i % 3 < 2 else v for i, v in enumerate(flat())]})
    write(tmp_path, content)
    found = read(settings(tmp_path), "coco")
    assert (found.joints[:, 3] == [206, 120]).all() and found.provenance["frames with several people"] == "18"


def test_results(tmp_path):
    content = coco()
    results = [
        {"image_id": one["image_id"], "category_id": 1, "keypoints": flat(third=0.25), "score": 0.9}
        for one in content.pop("annotations")
    ]
    write(tmp_path, content, "images.json")
    write(tmp_path, results[:-1])
    found = read(settings(tmp_path, images="images.json", poses="estimated", person={"max_gap_s": 0}), "coco")
    assert (
        found.poses == "estimated"
        and set(found.confidence[:-1].ravel()) == {0.25}
        and (found.confidence[-1] == 0).all()
    )
    error_of(tmp_path, "visibility 0, 1 or 2, but got 0.25.*poses: estimated", images="images.json")
    error_of(tmp_path, "'annotations' of type list")
    write(tmp_path, {"image_id": 3})
    error_of(tmp_path, "results of type list, but got dict", images="images.json")


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda c: c["annotations"][7]["keypoints"].pop(), "51 numbers.*got 50.*image b/000001.jpg"),
        (
            lambda c: c["annotations"][7]["keypoints"].__setitem__(2, 3),
            "visibility 0, 1 or 2, but got 3.*image b/000001.jpg",
        ),
        (lambda c: c["annotations"][7]["keypoints"].__setitem__(2, 0.5), "poses: estimated"),
        (lambda c: c["annotations"][7].pop("image_id"), "'image_id'"),
        (lambda c: c["annotations"][7].update(image_id=5), "got image_id 5"),
        (lambda c: c["annotations"][7].update(image_id=[5]), "'image_id' of type"),
        (lambda c: c["annotations"].append(7), "'image_id'"),
        (lambda c: c.pop("images"), "'images' of type list"),
        (lambda c: c["images"][3].pop("id"), "'id' of type"),
        (lambda c: c["images"][3].update(file_name="000003.jpg"), "'000003.jpg'.*frame_pattern"),
        (lambda c: c["images"][3].update(file_name="a/000002.jpg"), "frame 2 twice"),
        (lambda c: c["categories"].pop(), r"category 'person', but got \['car'\]"),
        (lambda c: c["categories"][1].pop("keypoints"), "'keypoints' of type list"),
    ],
)
def test_a_damaged_file_says_where(tmp_path, spoil, part):
    content = coco()
    spoil(content)
    write(tmp_path, content)
    error_of(tmp_path, part)


def test_one_damaged_file_of_two_is_left_out(tmp_path):
    write(tmp_path, coco())
    (tmp_path / "half.json").write_text(json.dumps(coco())[:5000])
    found = read(settings(tmp_path, pattern=r".*\.json"), "coco")
    assert found.names == ("a", "b", "c") and "Expected JSON" in found.left_out["half"]


@pytest.mark.parametrize("pattern", [r"(?P<sequence>.*)/\d+\.jpg", r"(?P<frame>\d+)", "("])
def test_a_frame_pattern_needs_its_groups(tmp_path, pattern):
    with pytest.raises(ValidationError):
        settings(tmp_path, frame_pattern=pattern)
