"""Files of DeepLabCut, SLEAP and LightningPose: through movement if it is there, and a stand-in of its interface."""

import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.datasets.movement_tracks import MovementTracksConfig, read

ROD = "joints: [a, b, c]\nlimbs: [[a, b], [b, c]]\n"


class Variable:
    """What is used of xarray.DataArray."""

    def __init__(self, values, dims):
        self.values, self.dims = np.asarray(values), dims

    def transpose(self, *dims):
        return Variable(self.values.transpose([self.dims.index(dim) for dim in dims]), dims)


def dataset(num_frames=5, keypoints=("c", "tail", "a", "b"), individuals=("mouse",), space=2):
    """As movement 0.15 lays one out; keypoint k of individual i lies at (100 i + 10 k, frame)."""
    t, s, k, i = np.indices((num_frames, space, len(keypoints), len(individuals)))
    position = np.where(s == 0, 100 * i + 10 * k, t).astype(float)
    confidence = np.full((num_frames, len(keypoints), len(individuals)), 0.5)
    coords = {"keypoints": SimpleNamespace(values=np.array(keypoints))}
    coords["individuals"] = SimpleNamespace(values=np.array(individuals))

    class Dataset(dict):
        pass

    found = Dataset(
        position=Variable(position, ("time", "space", "keypoints", "individuals")),
        confidence=Variable(confidence, ("time", "keypoints", "individuals")),
    )
    found.coords = coords
    return found


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Names of files -> what the stand-in finds there; an exception is raised. Calls are kept in `asked`."""
    found = SimpleNamespace(root=tmp_path, content={}, asked=[])
    (tmp_path / "rod.yaml").write_text(ROD)

    def load_dataset(path, source_software, fps=None):
        found.asked.append(source_software)
        content = found.content[path.name]
        if isinstance(content, Exception):
            raise content
        return content

    package, io = ModuleType("movement"), ModuleType("movement.io")
    io.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "movement", package)
    monkeypatch.setitem(sys.modules, "movement.io", io)

    def add(name, content):
        (tmp_path / name).write_text("")
        found.content[name] = content

    found.add = add
    return found


def settings(root, **changes):
    base = {"root": root, "pattern": r".\.csv", "skeleton": "rod.yaml", "action": "run", "fps": 50, "val_fraction": 0.6}
    return MovementTracksConfig(**base | {"source_software": "DeepLabCut"} | changes)


def test_keypoints_by_name(files):
    one = dataset()
    one["position"].values[1, :, 2, 0] = np.nan
    one["confidence"].values[2, 2, 0] = np.nan  # labelled by hand: SLEAP gives no score
    one["confidence"].values[3, 2, 0] = 1.05  # SLEAP's scores are peaks of a map
    for name in "xyz":
        files.add(f"{name}.csv", one)
    found = read(settings(files.root, frame_size=[64, 48]), "mice")
    assert files.asked == ["DeepLabCut"] * 3 and found.names == ("x", "y", "z") and set(found.fps) == {50}
    assert found.joints[4].tolist() == [[20, 4], [30, 4], [0, 4]]
    assert found.confidence[:5, 0].tolist() == [0.5, 0, 1, 1, 0.5] and (found.confidence[:, 1:] == 0.5).all()


def test_one_of_several_individuals(files):
    for name in "xyz":
        files.add(f"{name}.csv", dataset(individuals=("left", "right")))
    found = read(settings(files.root, individual="right"), "mice")
    assert found.joints[0, :, 0].tolist() == [120, 130, 100]
    for individual in (None, "top"):
        with pytest.raises(InputError, match=r"one individual, but got \['left', 'right'\] in .*x.csv"):
            read(settings(files.root, individual=individual), "mice")


def test_what_cannot_be_read_is_left_out_and_named(files):
    for name in "xyz":
        files.add(f"{name}.csv", dataset())
    files.add("1.csv", ValueError("header rows\ndo not match"))
    files.add("2.csv", dataset(keypoints=("a", "b")))
    files.add("3.csv", dataset(space=3))
    text = dataset()
    text["position"].values = np.full((5, 2, 4, 1), "zz", dtype=object)
    files.add("4.csv", text)
    left_out = read(settings(files.root), "mice").left_out
    assert set(left_out) == set("1234") and not any("\n" in reason for reason in left_out.values())
    assert "'ValueError: header rows do not match' in" in left_out["1"] and "1.csv" in left_out["1"]
    assert "keypoint 'c'" in left_out["2"] and "['a', 'b']" in left_out["2"] and "2.csv" in left_out["2"]
    assert "3 coordinates" in left_out["3"] and "could not convert" in left_out["4"]


def test_without_movement_the_user_is_told_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "rod.yaml").write_text(ROD)
    (tmp_path / "x.csv").write_text("")
    monkeypatch.setitem(sys.modules, "movement", None)
    monkeypatch.delitem(sys.modules, "movement.io", raising=False)
    with pytest.raises(InputError, match=r"pip install -e '\.\[movement\]'"):
        read(settings(tmp_path), "mice")


@pytest.mark.skipif(find_spec("movement") is None, reason="movement is not installed")
@pytest.mark.filterwarnings("ignore")
def test_deeplabcut_csv_for_real(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where movement keeps a log
    (tmp_path / "rod.yaml").write_text(ROD)
    head = [["scorer"], ["bodyparts"], ["coords"]]
    for part in ("c", "tail", "a", "b"):
        for coordinate in ("x", "y", "likelihood"):
            for row, value in zip(head, ("DLC_resnet50", part, coordinate), strict=True):
                row.append(value)
    rows = [[str(t), *(f"{10 * k + 0.5},{t},0.9" for k in range(4))] for t in range(5)]
    rows[3][3] = ",,"
    for name in "xyz":
        (tmp_path / f"{name}.csv").write_text("\n".join(",".join(row) for row in [*head, *rows]) + "\n")
    (tmp_path / "w.csv").write_text("x\n1\n")
    found = read(settings(tmp_path), "mice")
    assert found.joints[1].tolist() == [[20.5, 1], [30.5, 1], [0.5, 1]] and set(found.left_out) == {"w"}
    assert found.confidence[3].tolist() == [0, np.float32(0.9), np.float32(0.9)]
