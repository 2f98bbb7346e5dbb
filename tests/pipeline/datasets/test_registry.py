import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.datasets.joints3d import Joints3DConfig
from pipeline.datasets.penn_action import PennActionConfig
from pipeline.datasets.registry import READERS, parse_source, read_source
from pipeline.datasets.studio import StudioConfig
from pipeline.extraction import Run

FILES = {"root": "data/raw/mine", "action": "squat", "pattern": ".*", "fps": 25, "val_fraction": 0.5}
MARKERS = {
    "root": "data/raw/mocap",
    "action": "reach",
    "skeleton": "coco_17",
    "joints": {"nose": "HEAD"},
    "val_fraction": 0.5,
}
ENTRIES = {
    "bvh": MARKERS,
    "c3d": MARKERS,
    "trc": MARKERS,
    "casa": {"root": "data/raw/casa"},
    "h2o": {"root": "data/raw/h2o", "action": "pour_milk", "split": "encode.json"},
    "ikea_asm": {"root": "data/raw/ikea", "split": "gt_segments.json"},
    "coco_keypoints": FILES,
    "mediapipe_tracks": {**FILES, "frame_size": [640, 360]},
    "movement_tracks": {**FILES, "source_software": "DeepLabCut", "skeleton": "coco_17"},
    "openpifpaf_json": FILES,
    "openpose": FILES,
    "tracks": {**FILES, "skeleton": "coco_17"},
    "videos": {**FILES, "estimator": {"name": "mediapipe"}},
    "penn_action": {"root": "data/raw/penn"},
    "joints3d": {
        "root": "data/raw/mocap",
        "skeleton": "kinect_20",
        "format": "npz",
        "pattern": r"(?P<action>\w+)\.npz",
        "val_fraction": 0.5,
    },
    "studio": {"root": "data/raw/studio"},
}
WHERE = "datasets.mine.source of params.yaml"


def error_of(entry):
    with pytest.raises(InputError) as caught:
        parse_source(entry, WHERE)
    message = str(caught.value)
    assert "\n" not in message and WHERE in message
    return message


@pytest.mark.parametrize(
    ("name", "config"), [("penn_action", PennActionConfig), ("joints3d", Joints3DConfig), ("studio", StudioConfig)]
)
def test_an_entry_becomes_the_settings_of_its_reader(name, config):
    found = parse_source({"reader": name, **ENTRIES[name]}, WHERE)
    assert isinstance(found, config) and found.reader == name and str(found.root) == ENTRIES[name]["root"]


@pytest.mark.parametrize("entry", [{}, {"reader": "penn"}, {"reader": None}, {"reader": ["studio"]}])
def test_an_unknown_reader_lists_the_known_ones(entry):
    message = error_of(entry)
    assert all(repr(name) in message for name in READERS) and repr(entry.get("reader")) in message


@pytest.mark.parametrize("name", READERS)
def test_an_unknown_a_missing_and_a_wrong_setting_are_named(name):
    entry = {"reader": name, **ENTRIES[name]}
    assert parse_source(entry, WHERE).reader == name
    assert "colour is wrong" in error_of(entry | {"colour": "red"})
    assert "root is wrong" in error_of({key: value for key, value in entry.items() if key != "root"})
    wrong = "fps" if "fps" in READERS[name][0].model_fields else "seed"  # files of markers tell their own rate
    assert f"{wrong} is wrong" in error_of(entry | {wrong: -1})


def test_a_setting_inside_and_settings_that_contradict_each_other():
    entry = {"reader": "joints3d", **ENTRIES["joints3d"]}
    assert "events.video is wrong" in error_of(entry | {"events": {"path": "e.csv", "video": "clip"}})
    assert "val_groups, val_fraction" in error_of(entry | {"val_groups": ["s1"]})


def test_a_setting_of_an_estimator_is_named_as_in_the_file():
    def reason(**changes):
        message = error_of({"reader": "videos", **ENTRIES["videos"]} | changes)
        assert "Value error" not in message
        return message.removeprefix("Expected settings of reader 'videos', but ")

    onnx = {"name": "onnx", "weights": "a.onnx", "output": "simcc"}
    assert reason(estimator={"name": "onnx"}).startswith("estimator.weights is wrong in datasets.mine")
    assert reason(estimator=onnx | {"num_threads": "x"}).startswith("estimator.num_threads is wrong")
    assert reason(person={"choose": -1}).startswith("person.choose is wrong")
    assert reason(events={"path": "e.csv", "format": "annotations"}) == (
        f"events is wrong in {WHERE}: annotations need the names of the phases, in order: phases"
    )


def test_an_entry_is_read(tmp_path):
    np.savez(
        tmp_path / "wave.npz",
        positions=np.random.default_rng(0).normal(size=(20, 20, 3)),
        offsets=[0, 5, 10, 15, 20],
        names=["a", "b", "c", "d"],
        fps=30,
    )
    entry = {"reader": "joints3d", **ENTRIES["joints3d"], "root": str(tmp_path)}
    sequences = read_source(parse_source(entry, WHERE), "mine", Run(tmp_path / "kept"))
    assert sequences.dataset == "mine" and sequences.names == ("a", "b", "c", "d")
    assert sorted(sequences.splits) == ["train", "train", "val", "val"]
