import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.datasets.joints3d import Joints3DConfig
from pipeline.datasets.penn_action import PennActionConfig
from pipeline.datasets.registry import READERS, parse_source, read_source
from pipeline.datasets.studio import StudioConfig

ENTRIES = {
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
    assert "colour is wrong" in error_of(entry | {"colour": "red"})
    assert "root is wrong" in error_of({key: value for key, value in entry.items() if key != "root"})
    assert "fps is wrong" in error_of(entry | {"fps": -1})


def test_a_setting_inside_and_settings_that_contradict_each_other():
    entry = {"reader": "joints3d", **ENTRIES["joints3d"]}
    assert "events.video is wrong" in error_of(entry | {"events": {"path": "e.csv", "video": "clip"}})
    assert "val_groups and val_fraction" in error_of(entry | {"val_groups": ["s1"]})


def test_an_entry_is_read(tmp_path):
    np.savez(
        tmp_path / "wave.npz",
        positions=np.random.default_rng(0).normal(size=(20, 20, 3)),
        offsets=[0, 5, 10, 15, 20],
        names=["a", "b", "c", "d"],
        fps=30,
    )
    entry = {"reader": "joints3d", **ENTRIES["joints3d"], "root": str(tmp_path)}
    sequences = read_source(parse_source(entry, WHERE), "mine")
    assert sequences.dataset == "mine" and sequences.names == ("a", "b", "c", "d")
    assert sorted(sequences.splits) == ["train", "train", "val", "val"]
